//! A PostgreSQL server that is reached over TLS, and what is verified of it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
};

use crate::{
    stage::Stage,
    test_server::{NOBODY, PostgresServer},
};

const SUBJECT: &str = "/O=Test CSO/CN=SN-0001";

/// An address of this test's own, so that the server can use the usual port.
const ADDRESS: &str = "127.94.32.1";

/// A server that serves TLS with a certificate of `root.pem` for this subjectAltName.
fn server(stage: &Stage, name: &str) -> PostgresServer {
    let request = ["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    stage.openssl(&[&request[..], &["-subj", "/CN=db", "-keyout", "db.key", "-out", "db.csr"]].concat());
    fs::write(stage.path("db.ext"), format!("subjectAltName = {name}")).expect("writes");
    let sign = ["x509", "-req", "-in", "db.csr", "-CA", "db-root.pem", "-CAkey", "db-root.key", "-days", "1"];
    stage.openssl(&[&sign[..], &["-extfile", "db.ext", "-out", "db.pem"]].concat());
    // The server runs as another user, which may not read the folder of the stage.
    let folder = tempfile::tempdir_in("/tmp").expect("a folder").keep();
    let is_root = fs::metadata(&folder).expect("its owner").uid() == 0;
    for name in ["db.pem", "db.key", ""] {
        let path = folder.join(name);
        if !name.is_empty() {
            fs::copy(stage.path(name), &path).expect("copies");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        }
        if is_root {
            chown(&path, Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
    }
    let file = |name: &str| folder.join(name).display().to_string();
    let server = PostgresServer::start_with(&[
        "ssl=on",
        &format!("ssl_cert_file={}", file("db.pem")),
        &format!("ssl_key_file={}", file("db.key")),
        &format!("listen_addresses={ADDRESS}"),
    ]);
    // It has read them.
    fs::remove_dir_all(folder).expect("removes");
    server.database("ledger");
    server
}

#[test]
fn a_server_is_trusted_by_its_certificate_and_its_name() {
    let mut stage = Stage::prepare();
    let usage = ["-addext", "keyUsage=critical,keyCertSign"];
    stage.self_signed("db-root", "/CN=database root", &usage);
    stage.self_signed("other-root", "/CN=database root", &usage);
    let before = stage.postgres().url("ledger");
    let url = |root: &str| {
        format!("postgres://csms:not-to-be-shown@{ADDRESS}/ledger?sslrootcert={}", stage.path(root).display())
    };
    let (good, other) = (url("db-root.pem"), url("other-root.pem"));

    let misnamed = server(&stage, "DNS:db.example.com");
    stage.configure(&before, &good);
    let error = stage.operator(&["migrate"]).expect_err("the certificate is for another name");
    assert!(error.contains("not valid for name") && !error.contains("not-to-be-shown"), "{error}");
    drop(misnamed);

    let server = server(&stage, &format!("IP:{ADDRESS}"));
    stage.configure(&good, &other);
    let error = stage.operator(&["migrate"]).expect_err("the root is another one");
    assert!(error.contains("invalid peer certificate") && !error.contains("not-to-be-shown"), "{error}");

    stage.configure(&other, &good);
    stage.operator(&["migrate"]).expect("migrates");
    stage.launch();
    let csr = stage.request(SUBJECT, &[]);
    let arguments = ["--serial-number", "SN-0001", "--csr", csr];
    stage.station_with_password("CS001", &arguments).step("certificate signed");
    stage.await_states(&["Accepted"]);
    // Divides by zero if a connection over the network has no TLS, or if there is none.
    let all_have_tls = "SELECT 1 / (count(*) FILTER (WHERE ssl) * (1 - bool_or(NOT ssl)::int))
        FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL";
    assert!(server.statement("ledger", all_have_tls), "{}", server.log());
    assert!(!stage.log().contains("not-to-be-shown"), "{}", stage.log());
}

/// TLS is not given up because the server has none.
#[test]
fn a_server_without_tls_is_refused() {
    let mut stage = Stage::prepare();
    let server = PostgresServer::start_with(&["listen_addresses=127.94.32.2"]);
    server.database("ledger");
    let before = stage.postgres().url("ledger");
    stage.configure(&before, "postgres://csms@127.94.32.2/ledger");
    let error = stage.operator(&["migrate"]).expect_err("no TLS");
    assert!(error.contains("does not support TLS"), "{error}");
    stage.configure("127.94.32.2/ledger", "127.94.32.2/ledger?sslmode=disable");
    stage.operator(&["migrate"]).expect("migrates");
}
