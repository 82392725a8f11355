//! The variables that a report lists, and their data, independent of the version of OCPP.

use super::{
    DeviceModel, Situation,
    names::{NamedComponent, NamedVariable},
    variable::{DataType, Mutability, PASSWORD_MAX, Place, Rule, Variable},
};

/// The inventory that GetBaseReport selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inventory {
    Full,
    Configuration,
    /// Components with a problem. These components have none, so the summary is not supported.
    Summary,
}

/// The components that GetReport selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criteria {
    /// Components that are active, available or enabled, or all components. Each component is all
    /// of these.
    Any,
    /// Only components with a problem. There are none.
    ProblemsOnly,
}

/// The entry of a report for one variable.
#[derive(Clone, Debug)]
pub(super) struct ReportedVariable {
    pub(super) place: Place,
    /// `None` if it cannot be read (B07.FR.03).
    pub(super) value: Option<String>,
    pub(super) data_type: DataType,
    pub(super) unit: Option<&'static str>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    pub(super) values: Option<String>,
}

impl DeviceModel {
    /// The content of a base report (B07). Empty for an inventory that is not supported.
    pub(super) fn base_report(&self, inventory: Inventory, situation: &Situation) -> Vec<ReportedVariable> {
        self.reported(situation, |place| match inventory {
            Inventory::Full => true,
            Inventory::Configuration => place.variable.mutability() != Mutability::ReadOnly,
            Inventory::Summary => false,
        })
    }

    /// The content of a report (B08). A CSMS reads each SeccId by it before it asks for
    /// certificates (A02).
    ///
    /// A component or variable without an instance selects every instance. A component without an
    /// EVSE selects that of every EVSE. `None` selects everything.
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
                    // M05.FR.06: the limit is the number of certificates that may be installed.
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
