//! Prints the measurements, one per line: the name, the contestant, the value, the unit.
//!
//! The CPU time is that of the whole process, so that a contestant cannot hide work in another
//! thread. Contestants run in turn, in several rounds, so that all have the same noise; the median
//! round is printed.

mod cpu;
mod issuance;
mod pki;
mod signatures;
mod tls;
mod token;

use anyhow::{Context as _, Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["softhsm", rounds] => {
            let rounds = rounds.parse().context("rounds are a number")?;
            signatures::measure(rounds)?;
            issuance::measure(rounds)?;
            tls::measure(rounds)
        }
        // The requests and the authority of `issuance`, for contestants in other processes.
        ["requests", folder] => pki::write(folder.as_ref()),
        ["authority", folder] => issuance::write_authority(folder.as_ref()),
        // The token is slow, so the rate is measured.
        ["slow", rounds] => signatures::measure_rate(rounds.parse().context("rounds are a number")?),
        _ => bail!("softhsm ROUNDS | slow ROUNDS | requests FOLDER | authority FOLDER"),
    }
}

/// Prints a figure.
fn tell(what: &str, whom: &str, value: f64, unit: &str) {
    println!("{what} {whom} {value} {unit}");
}

/// The median of some rounds.
fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
