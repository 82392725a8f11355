//! The time of the next request after GetCertificateStatus had no usable answer (TC_M_25).
//!
//! The times are in memory only: after a restart the station asks once more.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The certificates whose status could not be obtained lately, by fingerprint.
#[derive(Debug, Default)]
pub(crate) struct RetryWaits {
    failed: BTreeMap<String, Failed>,
}

#[derive(Clone, Copy, Debug)]
struct Failed {
    at: SystemTime,
    wait: Duration,
}

impl RetryWaits {
    /// No answer came at `now`. `known` returns whether a fingerprint still exists.
    pub(crate) fn note(&mut self, fingerprint: String, now: SystemTime, known: impl Fn(&str) -> bool) {
        self.failed.retain(|fingerprint, _| known(fingerprint));
        let before = self.failed.get(&fingerprint);
        let wait = before.map_or(FIRST_WAIT, |failed| (failed.wait * 2).min(MAX_WAIT));
        self.failed.insert(fingerprint, Failed { at: now, wait });
    }

    /// An answer came.
    pub(crate) fn forget(&mut self, fingerprint: &str) {
        self.failed.remove(fingerprint);
    }

    /// The time of the next request, if it is later than `now`. A failure in the future means that
    /// the clock was set back.
    pub(crate) fn until(&self, fingerprint: &str, now: SystemTime) -> Option<SystemTime> {
        let Failed { at, wait } = self.failed.get(fingerprint)?;
        let again = at.checked_add(*wait)?;
        (*at <= now && now < again).then_some(again)
    }
}

/// The wait after the first failure. A CSMS without an immediate answer may have one after it has
/// asked the responder.
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// The longest wait after doubling. A responder that recovers is noticed within a day, well inside
/// the week of M06.FR.10.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
