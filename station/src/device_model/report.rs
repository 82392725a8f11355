//! Which variables a report lists, and what it says of each, in terms of no version of OCPP.

use super::{
    DeviceModel, Situation,
    names::{NamedComponent, NamedVariable},
    variable::{DataType, Mutability, PASSWORD_MAX, Place, Rule, Variable},
};

/// What GetBaseReport asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inventory {
    Full,
    Configuration,
    /// Of components with a problem, which these do not have; it is not supported.
    Summary,
}

/// Which components GetReport asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criteria {
    /// Those that are active, available or enabled, which each component is, or all.
    Any,
    /// Only those with a problem, which none has.
    ProblemsOnly,
}

/// What a report says of a variable.
#[derive(Clone, Debug)]
pub(super) struct ReportedVariable {
    pub(super) place: Place,
    /// `None` where it cannot be read (B07.FR.03).
    pub(super) value: Option<String>,
    pub(super) data_type: DataType,
    pub(super) unit: Option<&'static str>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    pub(super) values: Option<String>,
}

impl DeviceModel {
    /// What a base report lists (B07); nothing of an inventory that is not supported.
    pub(super) fn base_report(&self, inventory: Inventory, situation: &Situation) -> Vec<ReportedVariable> {
        self.reported(situation, |place| match inventory {
            Inventory::Full => true,
            Inventory::Configuration => place.variable.mutability() != Mutability::ReadOnly,
            Inventory::Summary => false,
        })
    }

    /// What a report lists (B08), by which a CSMS reads each SeccId before it asks for certificates
    /// (A02).
    ///
    /// A component or variable that names no instance means each, one without an EVSE that of each
    /// EVSE; `None` means all.
    pub(super) fn report(
        &self,
        criteria: Criteria,
        named: Option<&[(NamedComponent<'_>, Option<NamedVariable<'_>>)]>,
        situation: &Situation,
    ) -> Vec<ReportedVariable> {
        self.reported(situation, |place| {
            let is_named = |named: &[(NamedComponent<'_>, Option<NamedVariable<'_>>)]| {
                named.iter().any(|(component, variable)| place.is_named_by(*component, *variable))
            };
            criteria == Criteria::Any && named.is_none_or(is_named)
        })
    }

    fn reported(&self, situation: &Situation, wanted: impl Fn(&Place) -> bool) -> Vec<ReportedVariable> {
        let places = self.places().into_iter().filter(wanted);
        places.map(|place| self.reported_variable(place, situation)).collect()
    }

    fn reported_variable(&self, place: Place, situation: &Situation) -> ReportedVariable {
        let variable = place.variable;
        let rule = variable.rule();
        let is_readable = variable.mutability() != Mutability::WriteOnly;
        let mut reported = ReportedVariable {
            place,
            value: is_readable.then(|| self.value(place, situation)),
            data_type: rule.data_type(),
            unit: None,
            min: None,
            max: None,
            values: None,
        };
        match rule {
            Rule::Integer { min, max, unit } => {
                let max = match variable {
                    // M05.FR.06: the limit is how many may be installed.
                    Variable::CertificateEntries => {
                        i64::try_from(situation.certificate_capacity).unwrap_or(i64::MAX)
                    }
                    _ => max,
                };
                reported.unit = unit;
                reported.min = Some(min);
                reported.max = (max < i64::MAX).then_some(max);
            }
            Rule::Text { max } => reported.max = i64::try_from(max).ok(),
            Rule::Password => reported.max = i64::try_from(PASSWORD_MAX).ok(),
            Rule::Slots => reported.values = Some(self.network.values_list()),
            Rule::Country => reported.max = Some(2),
            Rule::Boolean => {}
        }
        reported
    }
}
