//! Security events that wait to be reported (A04).

use std::collections::{BTreeSet, VecDeque};

use ocpp_types::{BoundedString, Timestamp, v201::SecurityEventNotificationRequest};

/// The events of OCPP's list that this station raises; all of them are critical (A04.FR.01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SecurityEvent {
    /// A02.FR.07, A03.FR.07: the certificate in CertificateSigned was refused.
    InvalidChargingStationCertificate,
    /// A00.FR.310, A00.FR.413: the CSMS's certificate was refused.
    InvalidCsmsCertificate,
    /// A00.FR.317, A00.FR.420: the CSMS speaks no TLS that is new enough.
    InvalidTlsVersion,
    /// A00.FR.323, A00.FR.426: the CSMS offers no permitted cipher suite.
    InvalidTlsCipherSuite,
    /// A02.FR.29, A03.FR.25: of two client certificates, the renewed one was discarded.
    DiscardedRenewedClientCertificate,
}

impl SecurityEvent {
    /// The name in OCPP's list.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidChargingStationCertificate => "InvalidChargingStationCertificate",
            Self::InvalidCsmsCertificate => "InvalidCsmsCertificate",
            Self::InvalidTlsVersion => "InvalidTLSVersion",
            Self::InvalidTlsCipherSuite => "InvalidTLSCipherSuite",
            Self::DiscardedRenewedClientCertificate => "DiscardedRenewedClientCertificate",
        }
    }

    /// Whether it prevents a connection, and so comes again with each attempt.
    fn prevents_connection(self) -> bool {
        matches!(self, Self::InvalidCsmsCertificate | Self::InvalidTlsVersion | Self::InvalidTlsCipherSuite)
    }
}

/// Events in the order in which they happened, kept while the station is not connected (A04.FR.02).
///
/// They are kept in memory: a restart loses them.
#[derive(Debug, Default)]
pub struct SecurityEventQueue {
    waiting: VecDeque<SecurityEventNotificationRequest>,
    /// Raised since the last connection, and not to be raised again before the next.
    episode: BTreeSet<SecurityEvent>,
}

impl SecurityEventQueue {
    /// Notes an event. While the CSMS cannot be reached, one notification of each reason is enough however many attempts
    /// fail (A00.FR.316, A00.FR.419, note).
    pub fn push(&mut self, event: SecurityEvent, now: Timestamp, info: &str) {
        if event.prevents_connection() && !self.episode.insert(event) {
            return;
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        // Every name of the list is shorter than the 50 characters that `type` takes.
        let Ok(name) = BoundedString::try_from(event.name()) else { return };
        let mut request = SecurityEventNotificationRequest::new(name, now);
        let shortened: String = info.chars().take(255).collect();
        request.tech_info =
            BoundedString::try_from(shortened).ok().filter(|text: &BoundedString<255>| !text.is_empty());
        self.waiting.push_back(request);
    }

    /// A connection stands: the next event that prevents one begins a new episode.
    pub fn handle_connected(&mut self) {
        self.episode.clear();
    }

    /// The oldest event, which stays in the queue until [`Self::handle_confirmed`].
    #[must_use]
    pub fn first(&self) -> Option<&SecurityEventNotificationRequest> {
        self.waiting.front()
    }

    /// The CSMS confirmed an event (A04.FR.03). Where the queue has overflowed meanwhile, it is gone already.
    pub fn handle_confirmed(&mut self, event: &SecurityEventNotificationRequest) {
        self.waiting.pop_front_if(|oldest| oldest == event);
    }
}

/// Events that wait; beyond it the oldest is dropped, for the newest tell what is wrong now.
const MOST_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
    }

    #[test]
    fn a00_fr_316_one_event_for_repeated_failures() {
        let mut queue = SecurityEventQueue::default();
        for second in 0..10 {
            queue.push(SecurityEvent::InvalidCsmsCertificate, at(second), "wrong CN");
        }
        queue.push(SecurityEvent::InvalidTlsVersion, at(10), "TLS 1.1");
        for name in ["InvalidCsmsCertificate", "InvalidTLSVersion"] {
            let event = queue.first().expect("waits").clone();
            assert_eq!(event.type_.as_str(), name);
            queue.handle_confirmed(&event);
        }
        assert!(queue.first().is_none());
        queue.handle_connected();
        queue.push(SecurityEvent::InvalidCsmsCertificate, at(11), "wrong CN");
        assert!(queue.first().is_some());
    }

    #[test]
    fn a04_fr_02_events_wait_in_order_until_confirmed() {
        let mut queue = SecurityEventQueue::default();
        queue.push(SecurityEvent::InvalidChargingStationCertificate, at(1), &"é".repeat(300));
        queue.push(SecurityEvent::DiscardedRenewedClientCertificate, at(2), "");
        let first = queue.first().expect("waits").clone();
        assert_eq!(first.type_.as_str(), "InvalidChargingStationCertificate");
        assert_eq!(first.tech_info.as_ref().map(|text| text.chars().count()), Some(255));
        queue.handle_confirmed(&first);
        queue.handle_confirmed(&first);
        assert_eq!(queue.first().expect("waits").type_.as_str(), "DiscardedRenewedClientCertificate");
        assert!(queue.first().is_some_and(|request| request.tech_info.is_none()));
    }

    #[test]
    fn the_queue_is_bounded_and_drops_the_oldest() {
        let mut queue = SecurityEventQueue::default();
        for second in 0..100 {
            queue.push(SecurityEvent::InvalidChargingStationCertificate, at(second), &second.to_string());
        }
        let oldest =
            queue.first().and_then(|request| request.tech_info.as_ref()).map(|text| text.as_str().to_owned());
        assert_eq!(oldest.as_deref(), Some("36"));
    }
}
