//! Security events that wait to be reported (A04).

use std::collections::VecDeque;

use ocpp_types::Timestamp;
use serde::{Deserialize, Serialize};

/// The events of OCPP's list that this station knows (A04).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[non_exhaustive]
pub enum SecurityEvent {
    /// A00.FR.207, A00.FR.324: the CSMS refused the station's password or certificate.
    FailedToAuthenticateAtCsms,
    /// The station's program has started.
    StartupOfTheDevice,
    /// A01.FR.11: the password, the organization or the network profiles were changed by the CSMS.
    ReconfigurationOfSecurityParameters,
    /// A02.FR.07, A03.FR.07: the certificate in CertificateSigned was refused.
    InvalidChargingStationCertificate,
    /// A00.FR.310, A00.FR.413: the CSMS's certificate was refused.
    InvalidCsmsCertificate,
    /// A00.FR.317, A00.FR.420: the CSMS speaks no TLS that is new enough.
    #[serde(rename = "InvalidTLSVersion")]
    InvalidTlsVersion,
    /// A00.FR.323, A00.FR.426: the CSMS offers no permitted cipher suite.
    #[serde(rename = "InvalidTLSCipherSuite")]
    InvalidTlsCipherSuite,
    /// A02.FR.29, A03.FR.25: of two client certificates, the renewed one was discarded.
    DiscardedRenewedClientCertificate,
}

/// Whether the CSMS is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is, with guaranteed delivery (A04.FR.01, A04.FR.02).
    Critical,
    /// It stands in the security log only (A04.FR.04).
    Logged,
}

impl SecurityEvent {
    /// The name in the list of OCPP 2.x.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FailedToAuthenticateAtCsms => "FailedToAuthenticateAtCsms",
            Self::StartupOfTheDevice => "StartupOfTheDevice",
            Self::ReconfigurationOfSecurityParameters => "ReconfigurationOfSecurityParameters",
            Self::InvalidChargingStationCertificate => "InvalidChargingStationCertificate",
            Self::InvalidCsmsCertificate => "InvalidCsmsCertificate",
            Self::InvalidTlsVersion => "InvalidTLSVersion",
            Self::InvalidTlsCipherSuite => "InvalidTLSCipherSuite",
            Self::DiscardedRenewedClientCertificate => "DiscardedRenewedClientCertificate",
        }
    }

    /// What OCPP's list says of it.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::FailedToAuthenticateAtCsms | Self::ReconfigurationOfSecurityParameters => Severity::Logged,
            _ => Severity::Critical,
        }
    }
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It waits to be reported, and belongs into the log.
    Queued,
    /// It belongs into the log only.
    Logged,
}

/// An event that waits to be reported, in terms of no version of OCPP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct QueuedEvent {
    /// What happened.
    #[serde(rename = "type")]
    pub event: SecurityEvent,
    /// When, to the millisecond.
    #[serde(rename = "timestamp")]
    pub time: Timestamp,
    /// For people, at most 255 characters.
    #[serde(rename = "techInfo", default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
}

/// Events in the order in which they happened, kept while the station is not connected (A04.FR.02).
///
/// [`SecurityEventQueue::to_json_lines`] is what has to be durable of it. While the CSMS cannot be reached, one notification
/// of each reason is enough however many attempts fail (A00.FR.316, A00.FR.419, note): the transport's supervisor raises each
/// once until a connection stands.
#[derive(Clone, Debug, Default)]
pub struct SecurityEventQueue {
    waiting: VecDeque<QueuedEvent>,
}

impl SecurityEventQueue {
    /// Notes an event.
    pub fn push(&mut self, event: SecurityEvent, now: Timestamp, info: &str) -> Noted {
        if event.severity() == Severity::Logged {
            return Noted::Logged;
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        let info: String = info.chars().take(MOST_INFO).collect();
        let info = (!info.is_empty()).then_some(info);
        self.waiting.push_back(QueuedEvent { event, time: now, info });
        Noted::Queued
    }

    /// The oldest event, which stays in the queue until [`Self::handle_confirmed`].
    #[must_use]
    pub fn first(&self) -> Option<&QueuedEvent> {
        self.waiting.front()
    }

    /// The events that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &QueuedEvent> {
        self.waiting.iter()
    }

    /// The CSMS confirmed an event (A04.FR.03). Where the queue has overflowed meanwhile, it is gone already.
    pub fn handle_confirmed(&mut self, event: &QueuedEvent) {
        self.waiting.pop_front_if(|oldest| oldest == event);
    }

    /// The events that wait, a JSON line each.
    ///
    /// # Errors
    /// None of a queue that was built by this type's functions.
    pub fn to_json_lines(&self) -> Result<String, serde_json::Error> {
        self.waiting.iter().map(|event| Ok(serde_json::to_string(event)? + "\n")).collect()
    }

    /// Reads back what [`SecurityEventQueue::to_json_lines`] wrote.
    ///
    /// # Errors
    /// If a line is no event.
    pub fn from_json_lines(text: &str) -> Result<Self, serde_json::Error> {
        let waiting = text.lines().take(MOST_WAITING).map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self { waiting })
    }
}

/// `techInfo`, in characters.
const MOST_INFO: usize = 255;

/// Events that wait; beyond it the oldest is dropped, for the newest tell what is wrong now.
const MOST_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
    }

    #[test]
    fn a04_fr_02_events_wait_in_order_until_confirmed() {
        let mut queue = SecurityEventQueue::default();
        queue.push(SecurityEvent::InvalidChargingStationCertificate, at(1), &"é".repeat(300));
        queue.push(SecurityEvent::DiscardedRenewedClientCertificate, at(2), "");
        let first = queue.first().expect("waits").clone();
        assert_eq!(first.event, SecurityEvent::InvalidChargingStationCertificate);
        assert_eq!(first.info.as_ref().map(|text| text.chars().count()), Some(255));
        queue.handle_confirmed(&first);
        queue.handle_confirmed(&first);
        let second = queue.first().expect("waits");
        assert_eq!((second.event, &second.info), (SecurityEvent::DiscardedRenewedClientCertificate, &None));
    }

    #[test]
    fn the_queue_is_bounded_and_drops_the_oldest() {
        let mut queue = SecurityEventQueue::default();
        for second in 0..100 {
            queue.push(SecurityEvent::InvalidChargingStationCertificate, at(second), &second.to_string());
        }
        assert_eq!(queue.first().and_then(|event| event.info.as_deref()), Some("36"));
    }

    #[test]
    fn a04_fr_02_events_survive_a_restart() {
        let mut queue = SecurityEventQueue::default();
        assert_eq!(queue.push(SecurityEvent::StartupOfTheDevice, at(1), ""), Noted::Queued);
        assert_eq!(queue.push(SecurityEvent::InvalidCsmsCertificate, at(2), "a\nb \"c\""), Noted::Queued);
        let text = queue.to_json_lines().expect("writes");
        let again = SecurityEventQueue::from_json_lines(&text).expect("reads");
        assert!(again.waiting().eq(queue.waiting()));
        SecurityEventQueue::from_json_lines(&text[..text.len() - 3]).expect_err("a torn line");
    }

    #[test]
    fn a04_the_names_on_disk_are_those_of_the_list() {
        for event in [
            SecurityEvent::FailedToAuthenticateAtCsms,
            SecurityEvent::StartupOfTheDevice,
            SecurityEvent::ReconfigurationOfSecurityParameters,
            SecurityEvent::InvalidChargingStationCertificate,
            SecurityEvent::InvalidCsmsCertificate,
            SecurityEvent::InvalidTlsVersion,
            SecurityEvent::InvalidTlsCipherSuite,
            SecurityEvent::DiscardedRenewedClientCertificate,
        ] {
            let name = serde_json::to_value(event).expect("writes");
            assert_eq!(name, event.name());
        }
    }

    #[test]
    fn a04_fr_04_what_is_not_critical_is_logged_and_not_sent() {
        let mut queue = SecurityEventQueue::default();
        assert_eq!(queue.push(SecurityEvent::ReconfigurationOfSecurityParameters, at(1), ""), Noted::Logged);
        assert_eq!(queue.push(SecurityEvent::FailedToAuthenticateAtCsms, at(1), ""), Noted::Logged);
        assert!(queue.first().is_none());
    }
}
