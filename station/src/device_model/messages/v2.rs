//! The messages about the device model that OCPP 2.0.1 and 2.1 define alike, with separate types.

/// Writes the translation for the version whose module of types is given. The calling file defines
/// `named_evse`, `evse`, `sequence_number` and `network_profile`, in which the versions differ.
macro_rules! words_of_v2 {
    ($version:ident) => {
        use std::collections::BTreeSet;

        use ocpp_types::{
            BoundedString, BoundedVec, NonEmptyVec, Number, Timestamp,
            $version::{
                AttributeEnumType, ComponentCriterionEnumType, ComponentType, DataEnumType, EVSEType,
                GenericDeviceModelStatusEnumType, GetBaseReportRequest, GetBaseReportResponse,
                GetReportRequest, GetReportResponse, GetVariableDataType, GetVariableResultType,
                GetVariableStatusEnumType, GetVariablesRequest, GetVariablesResponse, MutabilityEnumType,
                NotifyReportRequest, ReportBaseEnumType, ReportDataType, SetNetworkProfileRequest,
                SetNetworkProfileResponse, SetNetworkProfileStatusEnumType, SetVariableDataType,
                SetVariableResultType, SetVariableStatusEnumType, SetVariablesRequest, SetVariablesResponse,
                StatusInfoType, VariableAttributeType, VariableCharacteristicsType, VariableType,
            },
        };

        use crate::device_model::{
            DeviceModel, ProfileOutcome, SetOutcome, Situation,
            answer::{ReadAnswer, WriteAnswer},
            names::{Attribute, NamedComponent, NamedEvse, NamedVariable, Unknown},
            report::{Criteria, Inventory, ReportedVariable},
            variable::{DataType, Effect, Mutability, Refusal},
        };

        /// Answers GetVariables: one result for each question, in their order.
        #[must_use]
        pub fn get_variables(
            model: &DeviceModel,
            request: &GetVariablesRequest,
            situation: &Situation,
        ) -> GetVariablesResponse {
            use GetVariableStatusEnumType as Status;
            let result = |asked: &GetVariableDataType| {
                let (named, of) = (named_component(&asked.component), named_variable(&asked.variable));
                let (status, value, info) =
                    match model.read(named, of, attribute(asked.attribute_type), situation) {
                        ReadAnswer::Value(value) => (Status::Accepted, Some(value), None),
                        ReadAnswer::Refused(refusal) => (Status::Rejected, None, status_info(&refusal)),
                        ReadAnswer::Unknown(Unknown::Component) => (Status::UnknownComponent, None, None),
                        ReadAnswer::Unknown(Unknown::Variable) => (Status::UnknownVariable, None, None),
                        ReadAnswer::Unknown(Unknown::Attribute) => {
                            (Status::NotSupportedAttributeType, None, None)
                        }
                    };
                let mut result =
                    GetVariableResultType::new(status, asked.component.clone(), asked.variable.clone());
                result.attribute_type = asked.attribute_type;
                result.attribute_value = value.and_then(|value| BoundedString::try_from(value).ok());
                result.attribute_status_info = info;
                result
            };
            GetVariablesResponse::new(each(&request.get_variable_data, result))
        }

        /// Answers SetVariables: one result for each question, in their order.
        #[must_use]
        pub fn set_variables(
            model: &DeviceModel,
            request: &SetVariablesRequest,
            situation: &Situation,
        ) -> SetOutcome<SetVariablesResponse> {
            use SetVariableStatusEnumType as Status;
            let (mut model, mut changed) = (model.clone(), BTreeSet::new());
            let result = |asked: &SetVariableDataType| {
                let (named, of) = (named_component(&asked.component), named_variable(&asked.variable));
                let (attribute, value) = (attribute(asked.attribute_type), asked.attribute_value.as_str());
                let (status, info) = match model.write(named, of, attribute, value, situation) {
                    WriteAnswer::Accepted { variable, effect } => {
                        changed.insert(variable);
                        match effect {
                            Effect::AtOnce => (Status::Accepted, None),
                            Effect::AfterRestart => (Status::RebootRequired, None),
                        }
                    }
                    WriteAnswer::Refused(refusal) => (Status::Rejected, status_info(&refusal)),
                    WriteAnswer::Unknown(Unknown::Component) => (Status::UnknownComponent, None),
                    WriteAnswer::Unknown(Unknown::Variable) => (Status::UnknownVariable, None),
                    WriteAnswer::Unknown(Unknown::Attribute) => (Status::NotSupportedAttributeType, None),
                };
                let mut result =
                    SetVariableResultType::new(status, asked.component.clone(), asked.variable.clone());
                result.attribute_type = asked.attribute_type;
                result.attribute_status_info = info;
                result
            };
            let results = each(&request.set_variable_data, result);
            SetOutcome { response: SetVariablesResponse::new(results), model, changed }
        }

        /// The answer to SetVariables if the change could not be made durable: no variable was set.
        #[must_use]
        pub fn variables_not_stored(response: SetVariablesResponse) -> SetVariablesResponse {
            use SetVariableStatusEnumType as Status;
            let refused = |result: &SetVariableResultType| {
                let mut result = result.clone();
                if matches!(result.attribute_status, Status::Accepted | Status::RebootRequired) {
                    result.attribute_status = Status::Rejected;
                    let refusal = Refusal::new("InternalError", "the change could not be stored");
                    result.attribute_status_info = status_info(&refusal);
                }
                result
            };
            SetVariablesResponse::new(each(&response.set_variable_result, refused))
        }

        /// Answers SetNetworkProfile (B09).
        #[must_use]
        pub fn set_network_profile(
            model: &DeviceModel,
            request: &SetNetworkProfileRequest,
            situation: &Situation,
        ) -> ProfileOutcome<SetNetworkProfileResponse> {
            use SetNetworkProfileStatusEnumType::{Accepted, Rejected};
            let stored = network_profile(model, request)
                .and_then(|profile| model.store_profile(request.configuration_slot, profile, situation));
            match stored {
                Ok(changed) => ProfileOutcome {
                    response: SetNetworkProfileResponse::new(Accepted),
                    changed: Some(changed),
                },
                Err(refusal) => {
                    let mut response = SetNetworkProfileResponse::new(Rejected);
                    response.status_info = status_info(&refusal);
                    ProfileOutcome { response, changed: None }
                }
            }
        }

        /// The answer to SetNetworkProfile if the change could not be made durable (B09.FR.03).
        #[must_use]
        pub fn network_profile_not_stored() -> SetNetworkProfileResponse {
            SetNetworkProfileResponse::new(SetNetworkProfileStatusEnumType::Failed)
        }

        /// Answers GetBaseReport. Returns the reports to send after the answer, in their order.
        #[must_use]
        pub fn base_report(
            model: &DeviceModel,
            request: &GetBaseReportRequest,
            situation: &Situation,
            now: Timestamp,
        ) -> (GetBaseReportResponse, Vec<NotifyReportRequest>) {
            use GenericDeviceModelStatusEnumType::{Accepted, NotSupported};
            let inventory = match request.report_base {
                ReportBaseEnumType::FullInventory => Inventory::Full,
                ReportBaseEnumType::ConfigurationInventory => Inventory::Configuration,
                ReportBaseEnumType::SummaryInventory => Inventory::Summary,
            };
            let reports = reports(request.request_id, &model.base_report(inventory, situation), now);
            let status = if reports.is_empty() { NotSupported } else { Accepted };
            (GetBaseReportResponse::new(status), reports)
        }

        /// Answers GetReport (B08). Returns the reports to send after the answer, in their order.
        #[must_use]
        pub fn report(
            model: &DeviceModel,
            request: &GetReportRequest,
            situation: &Situation,
            now: Timestamp,
        ) -> (GetReportResponse, Vec<NotifyReportRequest>) {
            use GenericDeviceModelStatusEnumType::{Accepted, EmptyResultSet};
            let any = request.component_criteria.as_ref().is_none_or(|criteria| {
                criteria.iter().any(|criterion| *criterion != ComponentCriterionEnumType::Problem)
            });
            let criteria = if any { Criteria::Any } else { Criteria::ProblemsOnly };
            let named: Option<Vec<_>> = request.component_variable.as_ref().map(|named| {
                let names = named.iter().map(|named| {
                    (named_component(&named.component), named.variable.as_ref().map(named_variable))
                });
                names.collect()
            });
            let listed = model.report(criteria, named.as_deref(), situation);
            let reports = reports(request.request_id, &listed, now);
            let status = if reports.is_empty() { EmptyResultSet } else { Accepted };
            (GetReportResponse::new(status), reports)
        }

        fn reports(request_id: i64, listed: &[ReportedVariable], now: Timestamp) -> Vec<NotifyReportRequest> {
            let data: Vec<ReportDataType> = listed.iter().filter_map(report_data).collect();
            let last = data.chunks(super::v2::PER_REPORT).len().saturating_sub(1);
            let reports = data.chunks(super::v2::PER_REPORT).enumerate().map(|(position, chunk)| {
                let mut report = NotifyReportRequest::new(request_id, now, sequence_number(position));
                report.report_data = NonEmptyVec::try_from(chunk.to_vec()).ok();
                report.tbc = Some(position < last);
                report
            });
            reports.collect()
        }

        fn report_data(listed: &ReportedVariable) -> Option<ReportDataType> {
            let variable = listed.place.variable;
            let mut component = ComponentType::new(BoundedString::try_from(variable.component()).ok()?);
            component.evse = listed.place.evse.map(evse);
            let mut name = VariableType::new(BoundedString::try_from(variable.name()).ok()?);
            name.instance = variable.instance().and_then(|instance| BoundedString::try_from(instance).ok());

            let mut attribute = VariableAttributeType::new();
            attribute.type_ = Some(AttributeEnumType::Actual);
            attribute.mutability = Some(mutability(variable.mutability()));
            attribute.persistent = Some(true);
            attribute.constant = Some(false);
            attribute.value = listed.value.as_deref().and_then(|value| BoundedString::try_from(value).ok());

            let mut characteristics = VariableCharacteristicsType::new(data_type(listed.data_type), false);
            characteristics.unit = listed.unit.and_then(|unit| BoundedString::try_from(unit).ok());
            characteristics.min_limit = listed.min.map(Number::from);
            characteristics.max_limit = listed.max.map(Number::from);
            characteristics.values_list =
                listed.values.as_deref().and_then(|values| BoundedString::try_from(values).ok());

            let attributes = BoundedVec::try_from(vec![attribute]).ok()?;
            let mut data = ReportDataType::new(component, name, attributes);
            data.variable_characteristics = Some(characteristics);
            Some(data)
        }

        fn named_component(component: &ComponentType) -> NamedComponent<'_> {
            NamedComponent {
                name: component.name.as_str(),
                instance: component.instance.as_ref().map(BoundedString::as_str),
                evse: component.evse.as_ref().map(named_evse),
            }
        }

        fn named_variable(variable: &VariableType) -> NamedVariable<'_> {
            NamedVariable {
                name: variable.name.as_str(),
                instance: variable.instance.as_ref().map(BoundedString::as_str),
            }
        }

        /// The default attribute is `Actual`.
        fn attribute(attribute: Option<AttributeEnumType>) -> Attribute {
            match attribute {
                None | Some(AttributeEnumType::Actual) => Attribute::Actual,
                Some(_) => Attribute::Other,
            }
        }

        fn mutability(mutability: Mutability) -> MutabilityEnumType {
            match mutability {
                Mutability::ReadOnly => MutabilityEnumType::ReadOnly,
                Mutability::WriteOnly => MutabilityEnumType::WriteOnly,
                Mutability::ReadWrite => MutabilityEnumType::ReadWrite,
            }
        }

        fn data_type(data_type: DataType) -> DataEnumType {
            match data_type {
                DataType::Text => DataEnumType::String,
                DataType::Integer => DataEnumType::Integer,
                DataType::Boolean => DataEnumType::Boolean,
                DataType::SequenceList => DataEnumType::SequenceList,
            }
        }

        fn status_info(refusal: &Refusal) -> Option<StatusInfoType> {
            let mut info = StatusInfoType::new(BoundedString::try_from(refusal.reason).ok()?);
            info.additional_info = BoundedString::try_from(refusal.info.as_str()).ok();
            Some(info)
        }

        /// Returns as many results as questions.
        fn each<T, R>(questions: &NonEmptyVec<T>, answer: impl FnMut(&T) -> R) -> NonEmptyVec<R> {
            let results = questions.iter().map(answer).collect::<Vec<_>>();
            NonEmptyVec::try_from(results)
                .unwrap_or_else(|_| unreachable!("there is a question, so there is an answer"))
        }
    };
}

pub(super) use words_of_v2;

/// Variables in one report: about 400 bytes each, so that the frame stays small for a constrained
/// station.
pub(super) const PER_REPORT: usize = 8;
