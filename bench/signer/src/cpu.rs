//! CPU time of a process. `cargo xtask bench signer` reads that of other authorities by this very
//! file.

use std::fs;

use anyhow::{Context as _, Result};

/// CPU time of a process, which is its number or `self`, in microseconds. `places` says of whom:
/// [`OWN`] of all its threads so far. The kernel counts in hundredths of a second, so what is
/// measured has to take a second or so.
pub(crate) fn used_us(process: &str, places: [usize; 2]) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).context("there is no /proc: Linux only")?;
    // The second field, the name, may hold blanks; it ends with the last parenthesis.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
    let times = ticks(places[0]).zip(ticks(places[1]));
    let (user, system) = times.with_context(|| format!("{path} has another form"))?;
    Ok((user + system) * 1e4)
}

/// User and system time of the process itself: places behind its name.
pub(crate) const OWN: [usize; 2] = [11, 12];
