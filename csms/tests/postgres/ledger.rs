//! A ledger in PostgreSQL: its schema, and a server that ends.

use crate::stage::Stage;

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

#[test]
fn a_schema_that_was_not_made_is_an_error_with_the_command() {
    let mut stage = Stage::prepare();
    let url = stage.postgres().database("empty");
    let before = stage.postgres().url("ledger");
    stage.configure(&before, &url);
    let text = stage.launch_in_vain();
    assert!(text.contains("run `ocpp-csms migrate`"), "{text}");
    stage.operator(&["migrate"]).expect("migrates");
    stage.launch();
}

#[test]
fn a_newer_schema_is_refused_unless_it_is_marked_as_compatible() {
    let mut stage = Stage::prepare();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of the future', TRUE, '', 0)";
    assert!(stage.postgres().statement("ledger", newer));
    stage.launch();
    stage.kill();
    assert!(stage.postgres().statement("ledger", "UPDATE schema_version SET oldest = 9999"));
    let text = stage.launch_in_vain();
    assert!(text.contains("start the newer program"), "{text}");
}

#[test]
fn a_server_that_ends_is_an_error_until_it_is_back() {
    let mut stage = Stage::prepare();
    stage.launch();
    stage.postgres().kill();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr];
    stage.station_with_password("CS001", &arguments).step("refused");
    // A station that may be in the ledger is not called unknown.
    assert_eq!(*stage.station_with_password("CS100", &[]).step("refused"), 503);
    assert!(stage.log().contains("no station is admitted without the ledger"), "{}", stage.log());
    stage.postgres().launch();
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    stage.await_states(&["Accepted"]);
}

/// What a promoted standby does that was behind: entries are missing that stations rely on.
#[test]
fn rollback_a_database_that_went_back_is_noticed_while_the_service_runs() {
    let mut stage = Stage::prepare();
    stage.launch();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr];
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    stage.await_states(&["Accepted"]);
    for statement in [
        "ALTER TABLE record DISABLE TRIGGER ALL",
        "DELETE FROM record WHERE number = (SELECT max(number) FROM record)",
        "ALTER TABLE record ENABLE TRIGGER ALL",
    ] {
        assert!(stage.postgres().statement("ledger", statement), "{statement}");
    }
    let report = stage.station_with_password("CS002", &["--serial-number", "SN-0002"]);
    assert_eq!(*report.step("refused"), 503);
    assert!(!stage.ended(), "{}", stage.log());
    assert!(stage.log().contains("the ledger went back from entry"), "{}", stage.log());
    let text = stage.launch_in_vain();
    assert!(text.contains("which is not the newest"), "{text}");
}

/// The service heals by itself: no call waits for ever for a server that is silent.
#[test]
fn a_server_that_hangs_is_an_error_until_it_goes_on() {
    let mut stage = Stage::prepare();
    stage.launch();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr];
    stage.station_with_password("CS001", &["--serial-number", "SN-0001"]).step("finished");
    stage.postgres().pause();
    stage.operator(&["release", "CS002"]).expect_err("the ledger does not answer");
    assert!(stage.log().contains("listening"), "{}", stage.log());
    stage.postgres().resume();
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    stage.await_states(&["Accepted"]);
}
