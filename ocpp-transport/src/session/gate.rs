//! Which messages may pass before BootNotification is accepted.

use std::borrow::Cow;

use serde::Deserialize;

/// The side of the connection that a session serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The charging station.
    ChargingStation,
    /// The CSMS.
    Csms,
}

/// The CSMS's answer to the station's BootNotification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Registration {
    /// None yet. The station has started, and must send BootNotification first (B01.FR.08).
    NotBooted,
    /// Pending: the station sends only what the CSMS triggers (B02.FR.02).
    Pending,
    /// Rejected: neither side sends anything but BootNotification (B03.FR.03, B03.FR.07).
    Rejected,
    /// Accepted: everything may be sent. A new session begins with it by default, because a station
    /// that only reconnects does not boot again, and a CSMS that was restarted may not remember its
    /// stations.
    #[default]
    Accepted,
}

/// The state of the registration, and its consequences for either side.
#[derive(Debug)]
pub(super) struct Gate {
    role: Role,
    registration: Registration,
    /// One bit for each row of [`TRIGGERS`]: the CSMS has requested it.
    triggered: u16,
}

impl Gate {
    pub(super) fn new(role: Role, registration: Registration) -> Self {
        Self { role, registration, triggered: 0 }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn registration(&self) -> Registration {
        self.registration
    }

    /// Whether this side may send a message now.
    pub(super) fn may_send(&self, action: &str) -> bool {
        match self.role {
            Role::ChargingStation => self.station_may(action),
            Role::Csms => self.csms_may(),
        }
    }

    /// Whether this side accepts a message of the peer now.
    pub(super) fn may_receive(&self, action: &str) -> bool {
        match self.role {
            Role::ChargingStation => self.csms_may(),
            Role::Csms => self.station_may(action),
        }
    }

    /// Notes a CALL of the CSMS, which either side may be sending or receiving.
    pub(super) fn handle_call_of_csms(&mut self, action: &str, payload: &str) {
        if self.registration == Registration::Accepted {
            return;
        }
        let asked = match action {
            "TriggerMessage" | "ExtendedTriggerMessage" => match serde_json::from_str::<Trigger<'_>>(payload)
            {
                Ok(trigger) => trigger.requested_message,
                Err(_) => return,
            },
            // B02.FR.02: the reports are sent in messages of their own.
            "GetBaseReport" | "GetReport" => Cow::Borrowed(action),
            _ => return,
        };
        for (index, (name, _)) in TRIGGERS.iter().enumerate() {
            if *name == asked {
                self.triggered |= 1 << index;
            }
        }
    }

    /// Notes the response to a BootNotification.
    pub(super) fn handle_boot_response(&mut self, payload: &str) {
        let Ok(BootResponse { status }) = serde_json::from_str(payload) else { return };
        self.registration = match status {
            Status::Accepted => Registration::Accepted,
            Status::Pending => Registration::Pending,
            Status::Rejected => Registration::Rejected,
        };
        if self.registration != Registration::Pending {
            self.triggered = 0;
        }
    }

    fn station_may(&self, action: &str) -> bool {
        match self.registration {
            Registration::Accepted => true,
            _ if action == BOOT => true,
            // B02.FR.02
            Registration::Pending => TRIGGERS
                .iter()
                .enumerate()
                .any(|(index, (_, sent))| self.triggered & 1 << index != 0 && [action, ""].contains(sent)),
            // B01.FR.08, B03.FR.07
            Registration::NotBooted | Registration::Rejected => false,
        }
    }

    fn csms_may(&self) -> bool {
        // B03.FR.03, B03.FR.08. In the other states it may request a BootNotification, and
        // configure a station that is Pending.
        self.registration != Registration::Rejected
    }
}

/// The action that opens the gate.
pub(super) const BOOT: &str = "BootNotification";

#[derive(Deserialize)]
struct Trigger<'a> {
    #[serde(rename = "requestedMessage", borrow)]
    requested_message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct BootResponse {
    status: Status,
}

#[derive(Deserialize)]
enum Status {
    Accepted,
    Pending,
    Rejected,
}

/// The request of the CSMS (`requestedMessage`, or the action of the request), and the action that
/// follows. An empty text stands for any action.
const TRIGGERS: [(&str, &str); 16] = [
    ("DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
    ("FirmwareStatusNotification", "FirmwareStatusNotification"),
    ("Heartbeat", "Heartbeat"),
    ("LogStatusNotification", "LogStatusNotification"),
    ("MeterValues", "MeterValues"),
    ("PublishFirmwareStatusNotification", "PublishFirmwareStatusNotification"),
    ("StatusNotification", "StatusNotification"),
    ("TransactionEvent", "TransactionEvent"),
    ("SignChargePointCertificate", "SignCertificate"),
    ("SignChargingStationCertificate", "SignCertificate"),
    ("SignV2GCertificate", "SignCertificate"),
    ("SignV2G20Certificate", "SignCertificate"),
    ("SignCombinedCertificate", "SignCertificate"),
    // 2.1: only the vendor knows which action follows.
    ("CustomTrigger", ""),
    ("GetBaseReport", "NotifyReport"),
    ("GetReport", "NotifyReport"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Registration; 4] =
        [Registration::NotBooted, Registration::Pending, Registration::Rejected, Registration::Accepted];

    /// Whether an action passes in each state, for the sender and for the receiver.
    #[track_caller]
    fn check(sender: Role, action: &str, asked: Option<(&str, &str)>, expected: [bool; 4]) {
        let receiver = if sender == Role::Csms { Role::ChargingStation } else { Role::Csms };
        let pass = STATES.map(|state| {
            let gate = |role| {
                let mut gate = Gate::new(role, state);
                if let Some((action, payload)) = asked {
                    gate.handle_call_of_csms(action, payload);
                }
                gate
            };
            let pass = gate(sender).may_send(action);
            assert_eq!(gate(receiver).may_receive(action), pass, "{state:?}");
            pass
        });
        assert_eq!(pass, expected, "{sender:?} {action} {asked:?}");
    }

    #[test]
    fn b01_fr_08_only_boot_notification_before_it_is_accepted() {
        check(Role::ChargingStation, "BootNotification", None, [true; 4]);
        check(Role::ChargingStation, "Heartbeat", None, [false, false, false, true]);
        check(Role::ChargingStation, "SecurityEventNotification", None, [false, false, false, true]);
    }

    #[test]
    fn b02_fr_02_pending_lets_what_the_csms_triggered_pass() {
        let pending_only = [false, true, false, true];
        let trigger = |asked| Some(("TriggerMessage", asked));
        let certificate = r#"{"requestedMessage":"SignChargingStationCertificate"}"#;
        check(Role::ChargingStation, "SignCertificate", trigger(certificate), pending_only);
        check(Role::ChargingStation, "Heartbeat", trigger(certificate), [false, false, false, true]);
        let extended = r#"{"requestedMessage":"SignChargePointCertificate"}"#;
        check(
            Role::ChargingStation,
            "SignCertificate",
            Some(("ExtendedTriggerMessage", extended)),
            pending_only,
        );
        let status = r#"{"evse":{"id":1},"requestedMessage":"StatusNotification"}"#;
        check(Role::ChargingStation, "StatusNotification", trigger(status), pending_only);
        let custom = r#"{"requestedMessage":"CustomTrigger","customTrigger":"x"}"#;
        check(Role::ChargingStation, "DataTransfer", trigger(custom), pending_only);
        check(Role::ChargingStation, "NotifyReport", Some(("GetBaseReport", "{}")), pending_only);
        check(Role::ChargingStation, "NotifyReport", Some(("GetReport", "{}")), pending_only);
        check(
            Role::ChargingStation,
            "NotifyReport",
            Some(("GetVariables", "{}")),
            [false, false, false, true],
        );
        check(Role::ChargingStation, "Heartbeat", trigger("broken"), [false, false, false, true]);
    }

    #[test]
    fn b03_fr_03_the_csms_sends_nothing_to_a_station_that_it_rejected() {
        for action in ["TriggerMessage", "SetVariables", "GetBaseReport"] {
            check(Role::Csms, action, None, [true, true, false, true]);
        }
    }

    #[test]
    fn a_boot_response_moves_the_gate_in_every_version() {
        let mut gate = Gate::new(Role::Csms, Registration::NotBooted);
        for (status, expected) in [
            ("Pending", Registration::Pending),
            ("Rejected", Registration::Rejected),
            ("Other", Registration::Rejected),
            ("Accepted", Registration::Accepted),
            ("Pending", Registration::Pending),
        ] {
            let response =
                format!(r#"{{"currentTime":"2026-01-01T00:00:00Z","interval":7,"status":"{status}"}}"#);
            gate.handle_boot_response(&response);
            assert_eq!(gate.registration(), expected, "{status}");
        }
    }

    #[test]
    fn what_was_triggered_is_forgotten_once_the_registration_changes() {
        let mut gate = Gate::new(Role::ChargingStation, Registration::Pending);
        gate.handle_call_of_csms("TriggerMessage", r#"{"requestedMessage":"Heartbeat"}"#);
        assert!(gate.may_send("Heartbeat"));
        gate.handle_boot_response(r#"{"status":"Rejected"}"#);
        gate.handle_boot_response(r#"{"status":"Pending"}"#);
        assert!(!gate.may_send("Heartbeat"));
    }
}
