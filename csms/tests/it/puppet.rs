//! A station of any version on Python's `ocpp`, which a test controls step by step.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{ORGANIZATION, PASSWORD, Stage};

/// A version of OCPP, with the values that differ between the versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ocpp {
    V16,
    V201,
    V21,
}

impl Ocpp {
    pub(crate) const ALL: [Self; 3] = [Self::V16, Self::V201, Self::V21];

    pub(crate) fn subprotocol(self) -> &'static str {
        match self {
            Self::V16 => "ocpp1.6",
            Self::V201 => "ocpp2.0.1",
            Self::V21 => "ocpp2.1",
        }
    }

    /// BootNotification of a station with this serial number.
    pub(crate) fn boot(self, serial_number: &str) -> Value {
        match self {
            Self::V16 => json!({
                "chargePointVendor": "Interop", "chargePointModel": "Python",
                "chargePointSerialNumber": serial_number,
            }),
            _ => json!({
                "reason": "PowerUp",
                "chargingStation": {
                    "vendorName": "Interop", "model": "Python", "serialNumber": serial_number,
                },
            }),
        }
    }

    /// SignCertificate for the connection with the CSMS.
    pub(crate) fn sign(self, csr: &Value) -> Value {
        match self {
            Self::V16 => json!({ "csr": csr }),
            Self::V201 => json!({ "csr": csr, "certificateType": "ChargingStationCertificate" }),
            Self::V21 => {
                json!({ "csr": csr, "certificateType": "ChargingStationCertificate", "requestId": 4711 })
            }
        }
    }

    /// Action and payload with which an operator requests a renewal.
    pub(crate) fn trigger(self) -> (&'static str, Value) {
        match self {
            Self::V16 => {
                ("ExtendedTriggerMessage", json!({ "requestedMessage": "SignChargePointCertificate" }))
            }
            _ => ("TriggerMessage", json!({ "requestedMessage": "SignChargingStationCertificate" })),
        }
    }
}

/// The process, and its reports.
pub(crate) struct Puppet<'a> {
    stage: &'a Stage,
    process: Child,
    commands: ChildStdin,
    lines: Receiver<Value>,
    /// All frames so far, with their direction: `{"in": …}` or `{"out": …}`.
    frames: Vec<Value>,
    /// The number of `frames` that [`Puppet::called`] has checked.
    seen: usize,
}

impl<'a> Puppet<'a> {
    /// Starts the process; it is not connected yet.
    pub(crate) fn new(stage: &'a Stage, identity: &str) -> Self {
        let python = std::env::var("OCPP_PYTHON")
            .expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python_puppet.py");
        let log = std::fs::File::create(stage.path(&format!("puppet-{identity}.log"))).expect("a log");
        let mut process = Command::new(python)
            .arg(script)
            .current_dir(stage.path(""))
            .args(["--url", stage.url(), "--root", "root.pem", "--identity", identity])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("Python starts");
        let commands = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let (told, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if told.send(serde_json::from_str(&line).expect("JSON")).is_err() {
                    return;
                }
            }
        });
        Self { stage, process, commands, lines, frames: Vec::new(), seen: 0 }
    }

    /// Runs a command and returns its result.
    #[track_caller]
    pub(crate) fn command(&mut self, command: Value) -> Value {
        writeln!(self.commands, "{command}").expect("Python reads");
        self.done(&command)
    }

    #[track_caller]
    fn done(&mut self, command: &Value) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self.line(deadline, command);
            if line["done"] == command["do"] {
                return line["result"].clone();
            }
        }
    }

    /// Connects with the password of the stage, and offers one version.
    #[track_caller]
    pub(crate) fn connect(&mut self, ocpp: Ocpp) {
        let result = self
            .command(json!({ "do": "connect", "subprotocols": [ocpp.subprotocol()], "password": PASSWORD }));
        assert_eq!(result["connected"], ocpp.subprotocol(), "{result}\n{}", self.stage.log());
    }

    /// Connects with the certificate that it received last.
    #[track_caller]
    pub(crate) fn connect_with_certificate(&mut self, ocpp: Ocpp) {
        let result = self.command(json!({
            "do": "connect", "subprotocols": [ocpp.subprotocol()],
            "client_chain": "puppet-chain.pem", "client_key": "puppet-key.pem",
        }));
        assert_eq!(result["connected"], ocpp.subprotocol(), "{result}\n{}", self.stage.log());
    }

    /// Calls the CSMS and returns the payload of its response.
    #[track_caller]
    pub(crate) fn call(&mut self, action: &str, payload: Value) -> Value {
        let answer = self.call_raw(action, payload);
        assert_eq!(answer[0], 3, "{answer}\n{}", self.stage.log());
        answer[2].clone()
    }

    /// Calls the CSMS and returns the whole answer.
    #[track_caller]
    pub(crate) fn call_raw(&mut self, action: &str, payload: Value) -> Value {
        self.command(json!({ "do": "call", "action": action, "payload": payload }))
    }

    /// Calls the CSMS, and does other things before it reads the answer.
    pub(crate) fn begin_call(&mut self, action: &str, payload: Value) {
        let command = json!({ "do": "call", "action": action, "payload": payload });
        writeln!(self.commands, "{command}").expect("Python reads");
    }

    /// The whole answer to the call of [`Puppet::begin_call`].
    #[track_caller]
    pub(crate) fn end_call(&mut self) -> Value {
        self.done(&json!({ "do": "call" }))
    }

    /// Boots, and has to be accepted.
    #[track_caller]
    pub(crate) fn boot(&mut self, ocpp: Ocpp, serial_number: &str) {
        let answer = self.call("BootNotification", ocpp.boot(serial_number));
        assert_eq!(answer["status"], "Accepted", "{answer}\n{}", self.stage.log());
    }

    /// Makes a key, and a request whose subject has this serial number.
    #[track_caller]
    pub(crate) fn request(&mut self, serial_number: &str) -> Value {
        self.command(json!({ "do": "key", "subject": { "O": ORGANIZATION, "CN": serial_number } }))
    }

    /// Answers a request of the CSMS with this value from now on; `null` ends it.
    #[track_caller]
    pub(crate) fn answer(&mut self, action: &str, payload: Value) {
        self.command(json!({ "do": "answer", "action": action, "payload": payload }));
    }

    /// The payload of the next call of the CSMS with this action. Calls before it are skipped.
    #[track_caller]
    pub(crate) fn called(&mut self, action: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while self.seen < self.frames.len() {
                let frame = &self.frames[self.seen]["in"];
                self.seen += 1;
                if frame[0] == 2 && frame[2] == action {
                    return frame[3].clone();
                }
            }
            self.line(deadline, &json!(action));
        }
    }

    /// All frames so far, with their direction.
    pub(crate) fn frames(&self) -> &[Value] {
        &self.frames
    }

    /// Closes the connection.
    #[track_caller]
    pub(crate) fn close(&mut self) {
        self.command(json!({ "do": "close" }));
    }

    fn line(&mut self, deadline: Instant, what: &Value) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = self.lines.recv_timeout(left).unwrap_or_else(|error| {
            let last = &self.frames[self.frames.len().saturating_sub(6)..];
            let log = std::fs::read_dir(self.stage.path("")).expect("lists").flatten();
            let log = log.filter(|entry| entry.file_name().to_string_lossy().starts_with("puppet-"));
            let log = log.filter(|entry| entry.path().extension().is_some_and(|end| end == "log"));
            let log = log.filter_map(|entry| std::fs::read_to_string(entry.path()).ok()).collect::<String>();
            panic!("{what}: {error}\nlast frames {last:#?}\nPython: {log}\nCSMS: {}", self.stage.log())
        });
        if line.get("in").is_some() || line.get("out").is_some() {
            self.frames.push(line.clone());
        }
        line
    }
}

impl Drop for Puppet<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The longest wait for any step on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
