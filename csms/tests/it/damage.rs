//! A ledger with changed or missing bytes leads to an error or to the former content, never to a
//! panic.

use std::{fs, process::Output};

use rustix::process::Signal;

use crate::stage::Stage;

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

#[test]
fn a_damaged_ledger_is_an_error_and_never_a_panic() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    stage
        .station_with_password("CS001", &["--serial-number", "SN-0001", "--csr", csr])
        .step("certificate signed");
    stage.signal(Signal::TERM);
    assert!(stage.ended());
    let path = stage.path("data/ledger.sqlite");
    let sound = fs::read(&path).expect("reads");
    let used: Vec<usize> = (0..sound.len()).filter(|at| sound[*at] != 0).collect();
    // The header, and used bytes of the whole file: pages of tables, indexes and the schema.
    let places = (0..100).chain((0..used.len()).step_by(used.len() / 150)).map(|at| used[at]);
    let flipped = places.map(|at| {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xFF;
        (format!("byte {at}"), damaged)
    });
    let cut = (0..sound.len()).step_by(sound.len() / 20).map(|length| {
        let damaged = sound[..length].to_vec();
        (format!("cut off at {length}"), damaged)
    });
    let (mut refused, mut read) = (0, 0);
    for (place, damaged) in flipped.chain(cut) {
        fs::write(&path, &damaged).expect("writes");
        for file in ["data/ledger.sqlite-wal", "data/ledger.sqlite-shm"] {
            let _ = fs::remove_file(stage.path(file));
        }
        let output = stage.command(&["audit", "verify"]).output().expect("starts");
        check(&place, &output);
        if output.status.success() { read += 1 } else { refused += 1 }
    }
    assert!(refused > 30, "{refused} refused, {read} read");
    // The service itself is started with damage at the most sensitive places.
    for at in [0, 16, 100, sound.len() / 2, sound.len() - 100] {
        let mut damaged = sound.clone();
        let end = (at + 512).min(damaged.len());
        damaged[at..end].fill(0xFF);
        fs::write(&path, &damaged).expect("writes");
        let output = stage.command(&["issue-server-certificate"]).output().expect("starts");
        check(&format!("bytes {at} to {end}"), &output);
    }
}

fn check(place: &str, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{place}: {said}");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{place}: {}: {said}", output.status);
    assert!(output.status.success() || !said.is_empty() || !output.stdout.is_empty(), "{place}: no output");
}
