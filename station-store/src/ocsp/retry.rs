//! When to ask again after GetCertificateStatus had no answer that can be relied on (TC_M_25).
//!
//! Kept in memory only: after a restart the station asks once more.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// The certificates whose status could not be learnt lately, by fingerprint.
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
    /// No answer came at `now`; `known` says which fingerprints there still are.
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

    /// When to ask again, if that is later than `now`. A failure in the future means that the clock
    /// was set back.
    pub(crate) fn until(&self, fingerprint: &str, now: SystemTime) -> Option<SystemTime> {
        let Failed { at, wait } = self.failed.get(fingerprint)?;
        let again = at.checked_add(*wait)?;
        (*at <= now && now < again).then_some(again)
    }
}

/// After the first failure. A CSMS that has no answer at once may have one after it has asked the
/// responder.
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// Doubled up to this, so that a responder that comes back is noticed within a day, well inside the
/// week of M06.FR.10.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
