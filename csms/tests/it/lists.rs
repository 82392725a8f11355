//! Lists of any length, and outputs of any kind.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Command, Output, Stdio},
};

use crate::stage::Stage;

/// More rows than any page or buffer holds.
const ROWS: usize = 20_000;

/// A ledger that has grown for years. Python's sqlite3 writes it, because the service would need an
/// hour for the signatures.
const FILL: &str = r#"
import sqlite3, sys
rows = int(sys.argv[1])
ledger = sqlite3.connect("data/ledger.sqlite", timeout=30)
ledger.executemany(
    "INSERT INTO certificate (serial_number, station, spki_sha256, chain, not_after, issued_at, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
    ((f"{n:x}", f"CS{n % 100:03}", f"{n:064x}", "-", 2_000_000_000 + n, 1_700_000_000, "Accepted" if n % 2 else "Issued")
     for n in range(1, rows + 1)),
)
ledger.executemany(
    "INSERT INTO request (station, spki_sha256, certificate_type, csr, asked_at, failure) VALUES (?, ?, '', '-', 1, 'no')",
    ((f"CS{n % 100:03}", f"{n:064x}") for n in range(1, rows + 1)),
)
ledger.commit()
"#;

fn full_ledger() -> Stage {
    let stage = Stage::start();
    let python =
        std::env::var("OCPP_PYTHON").expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
    let filled =
        Command::new(python).args(["-c", FILL, &ROWS.to_string()]).current_dir(stage.path("")).status();
    assert!(filled.expect("Python starts").success());
    stage
}

fn run(mut command: Command) -> Output {
    command.output().expect("starts")
}

#[track_caller]
fn last_line(stage: &Stage, arguments: &[&str]) -> (usize, String) {
    let output = run(stage.plain_command(arguments));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (text.lines().count() - 1, text.lines().last().expect("a line").to_owned())
}

#[test]
fn a_list_has_every_row_and_its_true_total() {
    let stage = full_ledger();
    let check = |arguments: &[&str], rows: usize, total: &str| {
        assert_eq!(last_line(&stage, arguments), (rows, total.to_owned()), "{arguments:?}");
    };
    check(&["certificates"], ROWS, "20000 certificates");
    check(&["certificates", "--limit", "700"], 700, "700 certificates; there are more, see --limit");
    check(&["certificates", "--limit", "20000"], ROWS, "20000 certificates");
    check(&["certificates", "--station", "cs007"], 200, "200 certificates");
    check(&["certificates", "--state", "issued"], ROWS / 2, "10000 certificates");
    check(&["certificates", "--state", "revoked"], 0, "0 certificates");
    check(&["certificates", "--expiring-before", "2033-05-18T03:33:21Z"], 0, "0 certificates");
    check(&["certificates", "--expiring-before", "2033-05-18T03:33:25Z"], 4, "4 certificates");
    check(
        &["certificates", "--expiring-before", "2033-05-19", "--station", "CS001"],
        200,
        "200 certificates",
    );
    check(&["requests"], ROWS, "20000 without a certificate");
    check(&["requests", "--limit", "3"], 3, "3 without a certificate; there are more, see --limit");
    let refused = run(stage.plain_command(&["certificates", "--expiring-before", "soon"]));
    assert_eq!(refused.status.code(), Some(2));

    let rows = stage.certificates();
    assert_eq!(rows.len(), ROWS);
    let newest = format!("{ROWS:x}");
    assert_eq!((&rows[0]["serial_number"], &rows[ROWS - 1]["serial_number"]), (&newest.into(), &"1".into()));
    let none = stage.operator(&["certificates", "--station", "nobody"]).expect("a list");
    assert_eq!(none, serde_json::json!([]));
}

/// The output is cut as in `ocpp-csms certificates | head -1`.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let stage = full_ledger();
    for arguments in [&["certificates"][..], &["requests"], &["--json", "certificates"]] {
        let mut command = stage.plain_command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut output = BufReader::with_capacity(1, child.stdout.take().expect("piped"));
        output.read_until(b' ', &mut Vec::new()).expect("reads");
        drop(output);
        let mut error = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut error).expect("reads");
        assert!(child.wait().expect("ended").success() && error.is_empty(), "{arguments:?}: {error}");
    }
    // The service still answers.
    assert_eq!(last_line(&stage, &["certificates", "--limit", "1"]).0, 1);
}

#[test]
fn a_full_disk_under_the_output_is_an_error() {
    let stage = full_ledger();
    std::fs::write(stage.path("password"), "correct-horse-battery").expect("writes");
    for arguments in [
        &["certificates"][..],
        &["certificates", "--limit", "1"],
        &["--json", "certificates"],
        &["requests"],
        &["status"],
        &["metrics"],
        &["audit", "export"],
        &["audit", "verify"],
        &["hash-password", "--file", "password"],
        &["--help"],
        &["--version"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
        let mut command = stage.plain_command(arguments);
        let output = command.stdout(full).output().expect("starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("cannot write to standard output: No space left"), "{arguments:?}: {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}
