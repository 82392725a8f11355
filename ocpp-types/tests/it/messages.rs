//! All messages of all versions as functions, so that tests can iterate over them by name.

use std::{fs, path::Path};

use ocpp_types::{DecodeError, DispatchError, Sender, Version, v16, v21, v201};
use schemars::schema::RootSchema;
use serde_json::Value;

/// One message: decodes a payload and encodes it again.
pub(crate) struct Message {
    pub(crate) version: Version,
    pub(crate) name: String,
    round_trip: RoundTrip,
    derived_schema: fn(&str) -> Option<RootSchema>,
    action: &'static str,
}

type RoundTrip = Box<dyn Fn(&str) -> Result<String, DispatchError>>;

impl Message {
    pub(crate) fn round_trip(&self, payload: &str) -> Result<String, DecodeError> {
        (self.round_trip)(payload).map_err(|error| match error {
            DispatchError::Payload(error) => error,
            other => panic!("{}: {other}", self.name),
        })
    }

    /// The schema of the type.
    pub(crate) fn derived_schema(&self) -> Value {
        let schema = (self.derived_schema)(self.action).expect("a schema");
        serde_json::to_value(schema).expect("JSON")
    }

    /// The committed schema.
    pub(crate) fn schema(&self) -> Value {
        let file = match self.version {
            Version::V16 => self.name.strip_suffix("Request").unwrap_or(&self.name),
            _ => &self.name,
        };
        let path = folder(self.version).join(format!("{file}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).expect("JSON")
    }
}

fn folder(version: Version) -> std::path::PathBuf {
    let name = match version {
        Version::V16 => "v16",
        Version::V201 => "v201",
        Version::V21 => "v21",
        other => panic!("{other} has no schemas"),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas").join(name)
}

macro_rules! by_action {
    ($messages:ident, $version:ident, $module:ident) => {
        for (action, sender) in $module::ACTIONS {
            let is_of_csms = *sender == Sender::Csms;
            $messages.push(Message {
                version: Version::$version,
                name: format!("{action}Request"),
                round_trip: Box::new(move |payload| {
                    Ok(if is_of_csms {
                        $module::CsmsCall::decode(action, payload)?.encode()
                    } else {
                        $module::StationCall::decode(action, payload)?.encode()
                    }
                    .expect("what was decoded can be encoded"))
                }),
                derived_schema: if is_of_csms {
                    $module::CsmsCall::payload_schema
                } else {
                    $module::StationCall::payload_schema
                },
                action,
            });
            $messages.push(Message {
                version: Version::$version,
                name: format!("{action}Response"),
                round_trip: Box::new(move |payload| {
                    let result = $module::CallResult::decode(action, payload)?;
                    Ok(result.encode().expect("what was decoded can be encoded"))
                }),
                derived_schema: $module::CallResult::payload_schema,
                action,
            });
        }
    };
}

/// Every message of every version.
pub(crate) fn messages() -> Vec<Message> {
    let mut messages = Vec::new();
    by_action!(messages, V16, v16);
    by_action!(messages, V201, v201);
    by_action!(messages, V21, v21);
    for (action, _) in v21::SENDS {
        messages.push(Message {
            version: Version::V21,
            name: (*action).to_owned(),
            round_trip: Box::new(move |payload| {
                let send = v21::StationSend::decode(action, payload)?;
                Ok(send.encode().expect("what was decoded can be encoded"))
            }),
            derived_schema: v21::StationSend::payload_schema,
            action,
        });
    }
    messages
}

#[test]
fn every_schema_has_its_message() {
    for (version, count) in [(Version::V16, 78), (Version::V201, 128), (Version::V21, 181)] {
        let messages: Vec<_> = messages().into_iter().filter(|message| message.version == version).collect();
        assert_eq!(messages.len(), count);
        assert_eq!(fs::read_dir(folder(version)).expect("the schemas").count(), count);
        for message in messages {
            assert!(message.schema()["type"] == "object");
        }
    }
}

#[test]
fn senders_of_the_certificate_messages() {
    use ocpp_types::Sender::{Both, ChargingStation, Csms};
    for (action, sender) in [
        ("SignCertificate", Some(ChargingStation)),
        ("CertificateSigned", Some(Csms)),
        ("InstallCertificate", Some(Csms)),
        ("DeleteCertificate", Some(Csms)),
        ("GetInstalledCertificateIds", Some(Csms)),
        ("DataTransfer", Some(Both)),
        ("signCertificate", None),
        ("", None),
    ] {
        assert_eq!(v16::sender(action), sender, "{action}");
        assert_eq!(v201::sender(action), sender, "{action}");
        assert_eq!(v21::sender(action), sender, "{action}");
    }
    for (action, versions) in [
        ("ExtendedTriggerMessage", [Some(Csms), None, None]),
        ("GetCertificateStatus", [None, Some(ChargingStation), Some(ChargingStation)]),
        ("GetCertificateChainStatus", [None, None, Some(ChargingStation)]),
        ("NotifyPeriodicEventStream", [None, None, None]),
    ] {
        assert_eq!([v16::sender(action), v201::sender(action), v21::sender(action)], versions, "{action}");
    }
}

#[test]
fn enumerations_speak_the_specification() {
    for value in v201::ConnectorEnumType::ALL {
        assert_eq!(value.as_str().parse(), Ok(*value));
        assert_eq!(value.to_string(), value.as_str());
    }
    assert_eq!(v201::ConnectorEnumType::S309_1P16A.as_str(), "s309-1P-16A");
    assert_eq!(v16::ReadingContext::SampleClock.as_str(), "Sample.Clock");
    assert_eq!("SuspendedEVSE".parse(), Ok(v16::ChargePointStatus::SuspendedEVSE));
    let error = "sha256".parse::<v201::HashAlgorithmEnumType>().unwrap_err();
    assert_eq!(error.to_string(), "not a value of HashAlgorithmEnumType; use one of SHA256, SHA384, SHA512");
}
