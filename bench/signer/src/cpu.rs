//! CPU time of a process. `cargo xtask bench signer` uses this file for the CPU time of other
//! authorities as well.

use std::fs;

use anyhow::{Context as _, Result};

/// CPU time of a process in microseconds. `process` is its number or `self`. `places` selects the
/// fields: [`OWN`] for all its threads so far. The kernel counts in hundredths of a second, so a
/// measurement has to take about a second.
pub(crate) fn used_us(process: &str, places: [usize; 2]) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).context("there is no /proc: Linux only")?;
    // The second field, the name, may contain blanks; it ends with the last parenthesis.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
    let times = ticks(places[0]).zip(ticks(places[1]));
    let (user, system) = times.with_context(|| format!("{path} has another form"))?;
    Ok((user + system) * 1e4)
}

/// User and system time of the process itself: positions after its name.
pub(crate) const OWN: [usize; 2] = [11, 12];
