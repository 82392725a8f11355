//! `openssl s_client` as a station: a TLS library other than ours, driven from outside.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::lab::{Lab, within};
use crate::pki::{Identified, pem};

/// A folder with the root and the certificate of the station, if it has one.
pub(crate) struct SClient {
    folder: tempfile::TempDir,
    port: u16,
    identified: bool,
    intermediates: bool,
}

/// The output of `s_client`, and the data from the connection.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    /// Whether it ended without an error.
    pub(crate) success: bool,
}

impl SClient {
    pub(crate) fn new(lab: &Lab) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), pem("CERTIFICATE", &lab.root)).unwrap();
        Self { folder, port: lab.address.port(), identified: false, intermediates: false }
    }

    /// Presents a certificate.
    pub(crate) fn with_certificate(mut self, key: &Identified) -> Self {
        std::fs::write(self.path("station.pem"), key.pem()).unwrap();
        let rest = key.chain.iter().skip(1).map(|der| pem("CERTIFICATE", der)).collect::<String>();
        std::fs::write(self.path("intermediates.pem"), &rest).unwrap();
        self.intermediates = !rest.is_empty();
        self.identified = true;
        self
    }

    /// Connects and, if that works, requests an upgrade. Ends when the response has arrived.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", self.port),
            "-servername",
            "localhost",
        ]);
        command.arg("-CAfile").arg(self.path("root.pem")).arg("-verify_return_error").args(arguments);
        if self.identified {
            command.arg("-cert").arg(self.path("station.pem")).arg("-key").arg(self.path("station.pem"));
        }
        if self.intermediates {
            command.arg("-cert_chain").arg(self.path("intermediates.pem"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("openssl is missing; install it: sudo apt-get install openssl");
        let mut input = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        // It waits for the end of its input, which it reads only after the handshake.
        let _ = input.write_all(REQUEST.as_bytes()).await;
        let exchange = async {
            let mut bytes = Vec::new();
            while output.read_buf(&mut bytes).await.unwrap() > 0 {
                if bytes.windows(4).any(|window| window == b"HTTP") && bytes.ends_with(b"\r\n\r\n") {
                    break;
                }
            }
            bytes
        };
        let mut bytes = within(exchange).await;
        drop(input);
        let _ = within(output.read_to_end(&mut bytes)).await;
        let rest = within(child.wait_with_output()).await.unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&rest.stderr));
        Outcome { text, success: rest.status.success() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Outcome {
    /// Whether a WebSocket was opened.
    pub(crate) fn upgraded(&self) -> bool {
        self.text.contains("HTTP/1.1 101 ")
    }

    /// Whether TLS was established and the server's certificate was valid.
    #[track_caller]
    pub(crate) fn assert_upgraded_with(&self, suite: &str) {
        assert!(self.upgraded(), "{}", self.text);
        assert!(self.text.contains(&format!("Cipher is {suite}\n")), "{suite}: {}", self.text);
        assert!(self.text.contains("Verification: OK"), "{}", self.text);
    }

    #[track_caller]
    pub(crate) fn assert_refused_with(&self, alert: &str) {
        assert!(!self.success && !self.upgraded(), "{}", self.text);
        assert!(self.text.contains(alert), "{alert}: {}", self.text);
    }
}

/// `CS001` with its password, which a certificate overrides.
const REQUEST: &str = "GET /ocpp/CS001 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Protocol: ocpp2.0.1\r\n\
                       Authorization: Basic Q1MwMDE6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\r\n\r\n";
