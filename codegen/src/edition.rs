//! The editions of OCPP that the project holds schemas of.

use crate::fixups::Fixup;

/// One version of OCPP and what cannot be read from its schemas.
#[derive(Debug)]
pub struct Edition {
    /// Folder of the schemas and module of the types: `v201`.
    pub module: &'static str,
    /// The variant of `ocpp_types::Version`.
    pub variant: &'static str,
    /// As it is called in prose: `OCPP 2.0.1`.
    pub title: &'static str,
    /// The document that the files come from.
    pub document: &'static str,
    /// What every `$id` begins with.
    pub id_prefix: &'static str,
    /// Who sends the request of each action; in alphabetical order.
    pub senders: &'static [(&'static str, Sender)],
    /// Corrections, applied in this order.
    pub fixups: &'static [Fixup],
}

/// Who sends the request of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The charging station only.
    ChargingStation,
    /// The CSMS only.
    Csms,
    /// Either side.
    Both,
}

impl Sender {
    /// The variant of `ocpp_types::Sender`.
    pub(crate) fn variant(self) -> &'static str {
        match self {
            Self::ChargingStation => "ChargingStation",
            Self::Csms => "Csms",
            Self::Both => "Both",
        }
    }

    /// As it stands in documentation.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ChargingStation => "the charging station",
            Self::Csms => "the CSMS",
            Self::Both => "either side",
        }
    }
}

/// All editions, oldest first.
pub const EDITIONS: &[Edition] = &[Edition {
    module: "v201",
    variant: "V201",
    title: "OCPP 2.0.1",
    document: "OCPP 2.0.1 Part 3, JSON schemas, 2020-03-31",
    id_prefix: "urn:OCPP:Cp:2:2020:3:",
    senders: V201_SENDERS,
    fixups: &[],
}];

/// The edition that a schema of this `$id` belongs to.
#[must_use]
pub fn edition_of(id: &str) -> Option<&'static Edition> {
    EDITIONS.iter().find(|edition| id.starts_with(edition.id_prefix))
}

/// OCPP 2.0.1 Part 2: the schemas do not say who sends what.
const V201_SENDERS: &[(&str, Sender)] = &[
    ("Authorize", Sender::ChargingStation),
    ("BootNotification", Sender::ChargingStation),
    ("CancelReservation", Sender::Csms),
    ("CertificateSigned", Sender::Csms),
    ("ChangeAvailability", Sender::Csms),
    ("ClearCache", Sender::Csms),
    ("ClearChargingProfile", Sender::Csms),
    ("ClearDisplayMessage", Sender::Csms),
    ("ClearVariableMonitoring", Sender::Csms),
    ("ClearedChargingLimit", Sender::ChargingStation),
    ("CostUpdated", Sender::Csms),
    ("CustomerInformation", Sender::Csms),
    ("DataTransfer", Sender::Both),
    ("DeleteCertificate", Sender::Csms),
    ("FirmwareStatusNotification", Sender::ChargingStation),
    ("Get15118EVCertificate", Sender::ChargingStation),
    ("GetBaseReport", Sender::Csms),
    ("GetCertificateStatus", Sender::ChargingStation),
    ("GetChargingProfiles", Sender::Csms),
    ("GetCompositeSchedule", Sender::Csms),
    ("GetDisplayMessages", Sender::Csms),
    ("GetInstalledCertificateIds", Sender::Csms),
    ("GetLocalListVersion", Sender::Csms),
    ("GetLog", Sender::Csms),
    ("GetMonitoringReport", Sender::Csms),
    ("GetReport", Sender::Csms),
    ("GetTransactionStatus", Sender::Csms),
    ("GetVariables", Sender::Csms),
    ("Heartbeat", Sender::ChargingStation),
    ("InstallCertificate", Sender::Csms),
    ("LogStatusNotification", Sender::ChargingStation),
    ("MeterValues", Sender::ChargingStation),
    ("NotifyChargingLimit", Sender::ChargingStation),
    ("NotifyCustomerInformation", Sender::ChargingStation),
    ("NotifyDisplayMessages", Sender::ChargingStation),
    ("NotifyEVChargingNeeds", Sender::ChargingStation),
    ("NotifyEVChargingSchedule", Sender::ChargingStation),
    ("NotifyEvent", Sender::ChargingStation),
    ("NotifyMonitoringReport", Sender::ChargingStation),
    ("NotifyReport", Sender::ChargingStation),
    ("PublishFirmware", Sender::Csms),
    ("PublishFirmwareStatusNotification", Sender::ChargingStation),
    ("ReportChargingProfiles", Sender::ChargingStation),
    ("RequestStartTransaction", Sender::Csms),
    ("RequestStopTransaction", Sender::Csms),
    ("ReservationStatusUpdate", Sender::ChargingStation),
    ("ReserveNow", Sender::Csms),
    ("Reset", Sender::Csms),
    ("SecurityEventNotification", Sender::ChargingStation),
    ("SendLocalList", Sender::Csms),
    ("SetChargingProfile", Sender::Csms),
    ("SetDisplayMessage", Sender::Csms),
    ("SetMonitoringBase", Sender::Csms),
    ("SetMonitoringLevel", Sender::Csms),
    ("SetNetworkProfile", Sender::Csms),
    ("SetVariableMonitoring", Sender::Csms),
    ("SetVariables", Sender::Csms),
    ("SignCertificate", Sender::ChargingStation),
    ("StatusNotification", Sender::ChargingStation),
    ("TransactionEvent", Sender::ChargingStation),
    ("TriggerMessage", Sender::Csms),
    ("UnlockConnector", Sender::Csms),
    ("UnpublishFirmware", Sender::Csms),
    ("UpdateFirmware", Sender::Csms),
];
