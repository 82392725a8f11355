//! CPU time of this process.

use std::fs;

use anyhow::{Context as _, Result};

/// CPU time of all threads of this process so far, in microseconds. The kernel counts in hundredths of a second, so what
/// is measured has to take a second or so.
pub(crate) fn used_us() -> Result<f64> {
    let text = fs::read_to_string("/proc/self/stat").context("there is no /proc: Linux only")?;
    // The second field, the name, may hold blanks; it ends with the last parenthesis.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/self/stat has another form")?;
    Ok((user + system) * 1e4)
}
