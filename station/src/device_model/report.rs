//! GetBaseReport, and the reports that follow it.

use ocpp_types::{
    BoundedString, BoundedVec, NonEmptyVec, Number, Timestamp,
    v201::{
        AttributeEnumType, ComponentType, EVSEType, GenericDeviceModelStatusEnumType, GetBaseReportRequest,
        GetBaseReportResponse, MutabilityEnumType, NotifyReportRequest, ReportBaseEnumType, ReportDataType,
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
    /// The summary inventory is for components with a problem, which these do not have; it is not supported.
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
        let data = self
            .places()
            .into_iter()
            .filter(wanted)
            .filter_map(|place| self.report_data(place, situation))
            .collect::<Vec<_>>();
        if data.is_empty() {
            return (GetBaseReportResponse::new(NotSupported), Vec::new());
        }
        let last = data.chunks(PER_REPORT).len() - 1;
        let reports = data.chunks(PER_REPORT).enumerate().map(|(position, chunk)| {
            // A handful.
            let number = i64::try_from(position).unwrap_or(i64::MAX);
            let mut report = NotifyReportRequest::new(request.request_id, now, number);
            report.report_data = NonEmptyVec::try_from(chunk.to_vec()).ok();
            report.tbc = Some(position < last);
            report
        });
        (GetBaseReportResponse::new(Accepted), reports.collect())
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

/// Variables in one report: some 400 bytes each, so that the frame stays small for a constrained station.
const PER_REPORT: usize = 8;
