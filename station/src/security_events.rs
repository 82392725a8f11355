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
    /// A01.FR.11: the CSMS changed the password, the organization or the network profiles.
    ReconfigurationOfSecurityParameters,
    /// A02.FR.07, A03.FR.07: the certificate in CertificateSigned was refused.
    InvalidChargingStationCertificate,
    /// A00.FR.310, A00.FR.413: the station refused the CSMS's certificate.
    InvalidCsmsCertificate,
    /// A00.FR.317, A00.FR.420: the CSMS supports no TLS version that is new enough.
    #[serde(rename = "InvalidTLSVersion")]
    InvalidTlsVersion,
    /// A00.FR.323, A00.FR.426: the CSMS offers no permitted cipher suite.
    #[serde(rename = "InvalidTLSCipherSuite")]
    InvalidTlsCipherSuite,
    /// A02.FR.29, A03.FR.25: of two client certificates, the renewed one was discarded.
    DiscardedRenewedClientCertificate,
}

/// Whether an event is reported to the CSMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is reported, with guaranteed delivery (A04.FR.01, A04.FR.02).
    Critical,
    /// It is only in the security log (A04.FR.04).
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

    /// The severity in OCPP's list.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::FailedToAuthenticateAtCsms | Self::ReconfigurationOfSecurityParameters => Severity::Logged,
            _ => Severity::Critical,
        }
    }
}

/// Where an event was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// In the queue of events to be reported, and in the log.
    Queued,
    /// In the log only.
    Logged,
}

/// An event that waits to be reported, independent of the version of OCPP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct QueuedEvent {
    /// The event.
    #[serde(rename = "type")]
    pub event: SecurityEvent,
    /// The time of the event, to the millisecond.
    #[serde(rename = "timestamp")]
    pub time: Timestamp,
    /// A description for people, at most 255 characters.
    #[serde(rename = "techInfo", default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// On how many connections the CSMS has answered that it cannot accept the event now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u32,
    /// Distinguishes events of one process that are otherwise equal.
    #[serde(skip)]
    number: u64,
}

impl QueuedEvent {
    /// The number of the event in this process.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The consequence of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefusal {
    /// The event is sent again on a later connection.
    Kept,
    /// The event is removed from the queue: the CSMS has refused it on enough connections.
    GivenUp,
}

/// Events in the order in which they happened, kept while the station is not connected (A04.FR.02).
///
/// [`SecurityEventQueue::to_json_lines`] returns the part that must be durable. While the CSMS
/// cannot be reached, one notification of each reason is enough, however many attempts fail
/// (A00.FR.316, A00.FR.419, note). The transport's supervisor raises each reason once until a
/// connection is up.
#[derive(Clone, Debug, Default)]
pub struct SecurityEventQueue {
    waiting: VecDeque<QueuedEvent>,
    next_number: u64,
}

impl SecurityEventQueue {
    /// Records an event.
    pub fn push(&mut self, event: SecurityEvent, now: Timestamp, info: &str) -> Noted {
        if event.severity() == Severity::Logged {
            return Noted::Logged;
        }
        self.make_room();
        let info: String = info.chars().take(MAX_INFO).collect();
        let info = (!info.is_empty()).then_some(info);
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.push_back(QueuedEvent { event, time: now, info, refusals: 0, number });
        Noted::Queued
    }

    /// Removes the oldest event if there is no room for another one.
    pub fn make_room(&mut self) -> Option<QueuedEvent> {
        if self.waiting.len() < MAX_WAITING { None } else { self.waiting.pop_front() }
    }

    /// The oldest event that is not in `passed_over`. It stays in the queue until
    /// [`Self::handle_ended`].
    #[must_use]
    pub fn first_but(&self, passed_over: &[u64]) -> Option<&QueuedEvent> {
        self.waiting.iter().find(|event| !passed_over.contains(&event.number))
    }

    /// The events that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &QueuedEvent> {
        self.waiting.iter()
    }

    /// The CSMS has received an event (A04.FR.03), or never will. If the queue has overflowed
    /// meanwhile, the event is already gone.
    pub fn handle_ended(&mut self, event: &QueuedEvent) {
        self.waiting.retain(|waiting| waiting.number != event.number);
    }

    /// The CSMS cannot accept an event now (CALLERROR). The event must be passed over as long as
    /// the connection is up.
    pub fn handle_refused(&mut self, event: &QueuedEvent) -> AfterRefusal {
        let Some(waiting) = self.waiting.iter_mut().find(|waiting| waiting.number == event.number) else {
            return AfterRefusal::GivenUp;
        };
        waiting.refusals = waiting.refusals.saturating_add(1);
        if waiting.refusals < MAX_REFUSALS {
            return AfterRefusal::Kept;
        }
        self.handle_ended(event);
        AfterRefusal::GivenUp
    }

    /// The events that wait, one JSON line each.
    ///
    /// # Errors
    /// None for a queue that was built by this type's functions.
    pub fn to_json_lines(&self) -> Result<String, serde_json::Error> {
        self.waiting.iter().map(|event| Ok(serde_json::to_string(event)? + "\n")).collect()
    }

    /// Reads a queue that [`SecurityEventQueue::to_json_lines`] wrote.
    ///
    /// # Errors
    /// If a line is not an event.
    pub fn from_json_lines(text: &str) -> Result<Self, serde_json::Error> {
        let read = text.lines().take(MAX_WAITING).map(serde_json::from_str);
        let mut waiting = read.collect::<Result<VecDeque<QueuedEvent>, _>>()?;
        for (event, number) in waiting.iter_mut().zip(0..) {
            event.number = number;
        }
        let next_number = waiting.back().map_or(0, |event| event.number + 1);
        Ok(Self { waiting, next_number })
    }
}

/// The length of `techInfo`, in characters.
pub(crate) const MAX_INFO: usize = 255;

/// The most events that wait. Beyond it the oldest is dropped, because the newest show the present
/// fault.
const MAX_WAITING: usize = 64;

/// The number of connections on which a CSMS may answer that it cannot accept an event now.
///
/// A04.FR.02 guarantees the delivery, so a CSMS whose database is unavailable for a while must not
/// lose an event. A CSMS that always fails on one event must not get it for ever.
pub(crate) const MAX_REFUSALS: u32 = 5;

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
        let first = queue.first_but(&[]).expect("waits").clone();
        assert_eq!(first.event, SecurityEvent::InvalidChargingStationCertificate);
        assert_eq!(first.info.as_ref().map(|text| text.chars().count()), Some(255));
        queue.handle_ended(&first);
        queue.handle_ended(&first);
        let second = queue.first_but(&[]).expect("waits");
        assert_eq!((second.event, &second.info), (SecurityEvent::DiscardedRenewedClientCertificate, &None));
    }

    #[test]
    fn the_queue_is_bounded_and_drops_the_oldest() {
        let mut queue = SecurityEventQueue::default();
        for second in 0..100 {
            queue.push(SecurityEvent::InvalidChargingStationCertificate, at(second), &second.to_string());
        }
        assert_eq!(queue.first_but(&[]).and_then(|event| event.info.as_deref()), Some("36"));
    }

    #[test]
    fn a04_fr_02_a_refused_event_is_sent_on_later_connections_and_holds_up_no_other() {
        let mut queue = SecurityEventQueue::default();
        for second in 1..=2 {
            queue.push(SecurityEvent::InvalidCsmsCertificate, at(second), "");
        }
        for connection in 1..=MAX_REFUSALS {
            let first = queue.first_but(&[]).expect("waits").clone();
            assert_eq!((first.time, first.refusals), (at(1), connection - 1));
            let after = queue.handle_refused(&first);
            assert_eq!(after == AfterRefusal::GivenUp, connection == MAX_REFUSALS);
            // The next event is sent on the same connection.
            assert_eq!(queue.first_but(&[first.number()]).map(|event| event.time), Some(at(2)));
            // The number of refusals survives a restart.
            let text = queue.to_json_lines().expect("writes");
            queue = SecurityEventQueue::from_json_lines(&text).expect("reads");
        }
        assert_eq!(queue.waiting().map(|event| event.time).collect::<Vec<_>>(), [at(2)]);
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
        assert!(queue.first_but(&[]).is_none());
    }
}
