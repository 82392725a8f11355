//! Chromium as a station of security profile 2. It does not connect if the server asks for a client
//! certificate that it does not have.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use crate::stage::Stage;

/// A browser that is ended with the test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens a WebSocket from a page, without credentials, and waits until the page reports the
/// failure.
fn connect_from_a_page(stage: &Stage) {
    let report = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = report.local_addr().expect("an address");
    let page = format!(
        r#"<script>
        const socket = new WebSocket("{}/CS001", ["ocpp2.0.1"]);
        socket.onclose = () => {{ new Image().src = "http://{to}/closed"; }};
        </script>"#,
        stage.url()
    );
    fs::write(stage.path("page.html"), page).expect("writes");
    let mut command = Command::new("chromium");
    // The browser has no root for the CSMS's certificate. As root it needs `--no-sandbox`.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"]);
    command.arg(format!("--user-data-dir={}", stage.path("browser").display()));
    command.arg(format!("file://{}", stage.path("page.html").display()));
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _browser = Browser(started.expect("chromium is missing; install it: sudo apt-get install chromium"));
    report.accept().expect("the page reports");
}

#[test]
fn a_browser_gets_through_tls_where_no_certificate_is_asked_for() {
    let stage = Stage::start();
    connect_from_a_page(&stage);
    stage.wait_until("TLS fails", || stage.log().contains("failed during the TLS handshake"));

    let stage = Stage::prepare();
    stage.configure("[tls]", "[tls]\nrequest_client_certificate = false");
    let stage = stage.launched();
    connect_from_a_page(&stage);
    let refused = "CS001 refused: the station presented neither a password nor a certificate";
    stage.wait_until("HTTP is reached", || stage.log().contains(refused));
    assert!(!stage.log().contains("TLS handshake"), "{}", stage.log());
}
