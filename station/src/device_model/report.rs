//! GetBaseReport and GetReport, and the reports that follow them.

use ocpp_types::{
    BoundedString, BoundedVec, NonEmptyVec, Number, Timestamp,
    v201::{
        AttributeEnumType, ComponentCriterionEnumType, ComponentType, ComponentVariableType, EVSEType,
        GenericDeviceModelStatusEnumType, GetBaseReportRequest, GetBaseReportResponse, GetReportRequest,
        GetReportResponse, MutabilityEnumType, NotifyReportRequest, ReportBaseEnumType, ReportDataType,
        VariableAttributeType, VariableCharacteristicsType, VariableType,
    },
};

use super::{
    DeviceModel, Situation,
    variable::{PASSWORD_MAX, Place, Rule, Variable},
};

impl DeviceModel {
    /// Answers GetBaseReport, and gives the reports to be sent after the answer, in their order.
    ///
    /// The summary inventory is for components with a problem, which these do not have; it is not
    /// supported.
    #[must_use]
    pub fn base_report(
        &self,
        request: &GetBaseReportRequest,
        situation: &Situation,
        now: Timestamp,
    ) -> (GetBaseReportResponse, Vec<NotifyReportRequest>) {
        use GenericDeviceModelStatusEnumType::{Accepted, NotSupported};
        let wanted = |place: &Place| match request.report_base {
            ReportBaseEnumType::FullInventory => true,
            ReportBaseEnumType::ConfigurationInventory => {
                place.variable.mutability() != MutabilityEnumType::ReadOnly
            }
            ReportBaseEnumType::SummaryInventory => false,
        };
        match self.reports(request.request_id, wanted, situation, now) {
            reports if reports.is_empty() => (GetBaseReportResponse::new(NotSupported), reports),
            reports => (GetBaseReportResponse::new(Accepted), reports),
        }
    }

    /// Answers GetReport (B08), by which a CSMS reads each SeccId before it asks for certificates
    /// (A02), and gives the reports to be sent after the answer, in their order.
    ///
    /// A component or variable that names no instance means each, one without an EVSE that of each
    /// EVSE. None of these components has the variables Active, Available, Enabled and Problem:
    /// where the first three are wanted, each component counts, and where a problem is wanted, none
    /// does.
    #[must_use]
    pub fn report(
        &self,
        request: &GetReportRequest,
        situation: &Situation,
        now: Timestamp,
    ) -> (GetReportResponse, Vec<NotifyReportRequest>) {
        use GenericDeviceModelStatusEnumType::{Accepted, EmptyResultSet};
        let criterion = request.component_criteria.as_ref().is_none_or(|criteria| {
            criteria.iter().any(|criterion| *criterion != ComponentCriterionEnumType::Problem)
        });
        let wanted = |place: &Place| {
            let named = &request.component_variable;
            criterion && named.as_ref().is_none_or(|named| named.iter().any(|named| place.is_named_by(named)))
        };
        match self.reports(request.request_id, wanted, situation, now) {
            reports if reports.is_empty() => (GetReportResponse::new(EmptyResultSet), reports),
            reports => (GetReportResponse::new(Accepted), reports),
        }
    }

    fn reports(
        &self,
        request_id: i64,
        wanted: impl Fn(&Place) -> bool,
        situation: &Situation,
        now: Timestamp,
    ) -> Vec<NotifyReportRequest> {
        let places = self.places().into_iter().filter(wanted);
        let data = places.filter_map(|place| self.report_data(place, situation)).collect::<Vec<_>>();
        let last = data.chunks(PER_REPORT).len().saturating_sub(1);
        let reports = data.chunks(PER_REPORT).enumerate().map(|(position, chunk)| {
            // A handful.
            let number = i64::try_from(position).unwrap_or(i64::MAX);
            let mut report = NotifyReportRequest::new(request_id, now, number);
            report.report_data = NonEmptyVec::try_from(chunk.to_vec()).ok();
            report.tbc = Some(position < last);
            report
        });
        reports.collect()
    }

    fn report_data(&self, place: Place, situation: &Situation) -> Option<ReportDataType> {
        let variable = place.variable;
        let mut component = ComponentType::new(BoundedString::try_from(variable.component()).ok()?);
        component.evse = place.evse.map(|evse| EVSEType::new(evse.into()));
        let mut name = VariableType::new(BoundedString::try_from(variable.name()).ok()?);
        name.instance = variable.instance().and_then(|instance| BoundedString::try_from(instance).ok());

        let mut attribute = VariableAttributeType::new();
        attribute.type_ = Some(AttributeEnumType::Actual);
        attribute.mutability = Some(variable.mutability());
        attribute.persistent = Some(true);
        attribute.constant = Some(false);
        // B07.FR.03: without the value of what cannot be read.
        if variable.mutability() != MutabilityEnumType::WriteOnly {
            attribute.value = BoundedString::try_from(self.value(place, situation)).ok();
        }

        let rule = variable.rule();
        let mut characteristics = VariableCharacteristicsType::new(rule.data_type(), false);
        match rule {
            Rule::Integer { min, max, unit } => {
                characteristics.unit = unit.and_then(|unit| BoundedString::try_from(unit).ok());
                characteristics.min_limit = Some(Number::from(min));
                let max = match variable {
                    // M05.FR.06: the limit tells how many may be installed.
                    Variable::CertificateEntries => i64::try_from(situation.certificate_capacity).ok()?,
                    _ => max,
                };
                characteristics.max_limit = (max < i64::MAX).then(|| Number::from(max));
            }
            Rule::Text { max } => characteristics.max_limit = i64::try_from(max).ok().map(Number::from),
            Rule::Password => {
                characteristics.max_limit = i64::try_from(PASSWORD_MAX).ok().map(Number::from);
            }
            Rule::Slots => {
                characteristics.values_list = BoundedString::try_from(self.network.values_list()).ok();
            }
            Rule::Country => characteristics.max_limit = Some(Number::from(2)),
            Rule::Boolean => {}
        }
        let attributes = BoundedVec::try_from(vec![attribute]).ok()?;
        let mut data = ReportDataType::new(component, name, attributes);
        data.variable_characteristics = Some(characteristics);
        Some(data)
    }
}

impl Place {
    /// Whether a request for a report means it. What is left out means each.
    fn is_named_by(&self, named: &ComponentVariableType) -> bool {
        let component = &named.component;
        let same_evse = |evse: &EVSEType| {
            evse.connector_id.is_none() && self.evse.is_some_and(|own| i64::from(own) == evse.id)
        };
        let same_variable = |asked: &VariableType| {
            let instance = self.variable.instance().unwrap_or_default();
            self.variable.name().eq_ignore_ascii_case(asked.name.as_str())
                && asked.instance.as_ref().is_none_or(|asked| instance.eq_ignore_ascii_case(asked.as_str()))
        };
        self.variable.component().eq_ignore_ascii_case(component.name.as_str())
            && component.instance.is_none()
            && component.evse.as_ref().is_none_or(same_evse)
            && named.variable.as_ref().is_none_or(same_variable)
    }
}

/// Variables in one report: some 400 bytes each, so that the frame stays small for a constrained
/// station.
const PER_REPORT: usize = 8;
