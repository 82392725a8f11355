//! The time that certificates, lists and records get.

use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};

use crate::output::utc;

/// The time of the system's clock.
///
/// # Errors
/// If the clock was never set: a certificate or list that is signed now would be valid at the wrong
/// time, and its signature cannot be undone.
pub(crate) fn now() -> Result<SystemTime> {
    let now = SystemTime::now();
    if now < SystemTime::UNIX_EPOCH + NOT_BEFORE {
        bail!("the system's clock shows {}, so it was never set: set it, then repeat the command", utc(now));
    }
    Ok(now)
}

/// 2025-01-01, before this program was written.
const NOT_BEFORE: Duration = Duration::from_secs(1_735_689_600);
