//! The way of a ledger from SQLite to PostgreSQL.

use std::fs;

use serde_json::json;

use crate::stage::Stage;

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

#[test]
fn a_ledger_is_copied_from_sqlite_with_its_whole_record() {
    let mut stage = Stage::start();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr];
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    stage.await_states(&["Accepted"]);
    let add = ["stations", "add", "CS100", "--serial-number", "SN-0100", "--label", "site=A"];
    stage.operator(&add).expect("adds");
    let station = stage.operator(&["stations", "show", "CS100"]).expect("shows");
    stage.kill();
    let before = stage.operator(&["audit", "verify"]).expect("whole");
    stage.use_postgres();
    let copied = stage.operator(&["ledger", "copy"]).expect("copies");
    assert_eq!(copied["head"], before["head"]);
    let error = stage.operator(&["ledger", "copy"]).expect_err("it is not empty any more");
    assert!(error.contains("is not empty"), "{error}");
    // The service no longer needs the file, and numbers go on where they were.
    fs::remove_file(stage.path("data/ledger.sqlite")).expect("removes");
    stage.launch();
    stage.await_states(&["Accepted"]);
    assert_eq!(stage.operator(&["stations", "show", "CS100"]).expect("shows"), station);
    stage.operator(&["stations", "add", "CS101", "--serial-number", "SN-0101"]).expect("numbers go on");
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr];
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    stage.await_states(&["Accepted", "Accepted"]);
    assert_eq!(stage.operator(&["audit", "verify"]).expect("whole")["findings"], json!([]));
    assert!(stage.postgres().log().contains("ready to accept connections"));
}
