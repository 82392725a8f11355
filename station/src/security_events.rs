//! Security events that wait to be reported (A04).

use std::collections::{BTreeSet, VecDeque};

use ocpp_types::{
    BoundedString, DecodeError, EncodeError, Timestamp, decode, encode,
    v201::SecurityEventNotificationRequest,
};

/// The events of OCPP's list that this station knows (A04).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    InvalidTlsVersion,
    /// A00.FR.323, A00.FR.426: the CSMS offers no permitted cipher suite.
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
    /// The name in OCPP's list.
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

    /// Whether it prevents a connection, and so comes again with each attempt.
    fn prevents_connection(self) -> bool {
        matches!(
            self,
            Self::FailedToAuthenticateAtCsms
                | Self::InvalidCsmsCertificate
                | Self::InvalidTlsVersion
                | Self::InvalidTlsCipherSuite
        )
    }
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It waits to be reported, and belongs into the log.
    Queued,
    /// It belongs into the log only.
    Logged,
    /// The same was noted since the last connection.
    Again,
}

/// Events in the order in which they happened, kept while the station is not connected (A04.FR.02).
///
/// [`SecurityEventQueue::to_json_lines`] is what has to be durable of it.
#[derive(Debug, Default)]
pub struct SecurityEventQueue {
    waiting: VecDeque<SecurityEventNotificationRequest>,
    /// Raised since the last connection, and not to be raised again before the next.
    episode: BTreeSet<SecurityEvent>,
}

impl SecurityEventQueue {
    /// Notes an event. While the CSMS cannot be reached, one notification of each reason is enough however many attempts
    /// fail (A00.FR.316, A00.FR.419, note).
    pub fn push(&mut self, event: SecurityEvent, now: Timestamp, info: &str) -> Noted {
        if event.prevents_connection() && !self.episode.insert(event) {
            return Noted::Again;
        }
        if event.severity() == Severity::Logged {
            return Noted::Logged;
        }
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        // Every name of the list is shorter than the 50 characters that `type` takes.
        let Ok(name) = BoundedString::try_from(event.name()) else { return Noted::Logged };
        let mut request = SecurityEventNotificationRequest::new(name, now);
        let shortened: String = info.chars().take(255).collect();
        request.tech_info =
            BoundedString::try_from(shortened).ok().filter(|text: &BoundedString<255>| !text.is_empty());
        self.waiting.push_back(request);
        Noted::Queued
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

    /// The events that wait, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &SecurityEventNotificationRequest> {
        self.waiting.iter()
    }

    /// The CSMS confirmed an event (A04.FR.03). Where the queue has overflowed meanwhile, it is gone already.
    pub fn handle_confirmed(&mut self, event: &SecurityEventNotificationRequest) {
        self.waiting.pop_front_if(|oldest| oldest == event);
    }

    /// The events that wait, a JSON line each, as their notifications will say it.
    ///
    /// # Errors
    /// None of a queue that was built by this type's functions.
    pub fn to_json_lines(&self) -> Result<String, EncodeError> {
        self.waiting.iter().map(|event| Ok(encode(event)? + "\n")).collect()
    }

    /// Reads back what [`SecurityEventQueue::to_json_lines`] wrote.
    ///
    /// # Errors
    /// If a line is no notification.
    pub fn from_json_lines(text: &str) -> Result<Self, DecodeError> {
        let waiting = text.lines().take(MOST_WAITING).map(decode).collect::<Result<_, _>>()?;
        Ok(Self { waiting, episode: BTreeSet::new() })
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
    fn a04_fr_04_what_is_not_critical_is_logged_and_not_sent() {
        let mut queue = SecurityEventQueue::default();
        assert_eq!(queue.push(SecurityEvent::ReconfigurationOfSecurityParameters, at(1), ""), Noted::Logged);
        assert_eq!(queue.push(SecurityEvent::FailedToAuthenticateAtCsms, at(1), ""), Noted::Logged);
        assert_eq!(queue.push(SecurityEvent::FailedToAuthenticateAtCsms, at(2), ""), Noted::Again);
        assert!(queue.first().is_none());
    }
}
