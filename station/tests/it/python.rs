//! A running CSMS in Python: the commands to it, and its reports.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::stage::{PASSWORD, PATIENCE, Process, Stage};

/// The running Python CSMS and its reports.
pub(crate) struct PythonCsms {
    pub(crate) port: u64,
    process: Process,
    input: ChildStdin,
    lines: mpsc::Receiver<Value>,
    waiting: Vec<Value>,
}

/// A frame that the CSMS has sent or received.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The time by the CSMS's monotonic clock.
    pub(crate) at: Duration,
    /// Counts from 1.
    pub(crate) connection: u64,
    pub(crate) from: Sender,
    /// `Null` at the beginning and the end of a connection, and if the frame is not JSON.
    pub(crate) message: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Station,
    Csms,
    /// The connection is up.
    Begin,
    /// The connection has ended.
    End,
}

impl PythonCsms {
    /// Starts the CSMS with the server certificate `server`, and returns when it listens.
    pub(crate) fn start(stage: &Stage, server: &str, options: &[&str]) -> Self {
        let python = std::env::var("OCPP_PYTHON")
            .expect("OCPP_PYTHON is not set; run the tests with `cargo xtask test`");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python_operator.py");
        let errors = fs::File::create(stage.path("python.log")).expect("a log");
        let mut child = Command::new(python)
            .arg("-B")
            .arg(script)
            .current_dir(stage.path("."))
            .args(["--server", server, "--ca", "ca.pem", "--identity", "CS001", "--password", PASSWORD])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("Python starts");
        let input = child.stdin.take().expect("is piped");
        let lines = lines_of(&mut child);
        let mut csms = Self { process: Process::new(child), input, lines, waiting: Vec::new(), port: 0 };
        csms.port = csms.wait_for(stage, "listening").as_u64().expect("a port");
        csms
    }

    /// The result of the next step of this name; steps of other names are kept for later calls.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, stage: &Stage, step: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.waiting.iter().position(|line| line["step"] == step) {
                return self.waiting.remove(place)["result"].take();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let python = fs::read_to_string(stage.path("python.log")).unwrap_or_default();
                panic!("step `{step}` was not reached: {:#?}\n{python}\n{}", self.waiting, stage.log());
            };
            // The package checks the station's messages against the schemas.
            assert_ne!(line["step"], "violation", "{}\n{}", line["result"], stage.log());
            self.waiting.push(line);
        }
    }

    /// Waits for a step of this name that `wanted` accepts.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, stage: &Stage, step: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let result = self.wait_for(stage, step);
            if wanted(&result) {
                return result;
            }
        }
    }

    /// Makes the operator's CSMS call the station. Returns the answer, which is valid against its
    /// schema.
    #[track_caller]
    pub(crate) fn call(&mut self, stage: &Stage, action: &str, payload: Value) -> Value {
        let answer = self.tell(stage, json!({ "action": action, "payload": payload }), "answer");
        assert!(answer.get("error").is_none(), "{action}: {answer}\n{}", stage.log());
        answer
    }

    /// Makes the operator's CSMS accept another password from now on.
    pub(crate) fn accept_password(&mut self, stage: &Stage, password: &str) {
        self.tell(stage, json!({ "password": password }), "password");
    }

    /// Sets how the operator's CSMS answers a request of the station from now on; see
    /// `python_operator.py`.
    pub(crate) fn behave(&mut self, stage: &Stage, action: &str, behaviour: Value) {
        self.tell(stage, json!({ "behave": action, "as": behaviour }), "behave");
    }

    /// Like [`PythonCsms::behave`], once.
    pub(crate) fn behave_once(&mut self, stage: &Stage, action: &str, behaviour: Value) {
        self.tell(stage, json!({ "behave": action, "as": behaviour, "times": 1 }), "behave");
    }

    /// Issues a certificate; see `python_pki.py` for the options. The members `pem`, `serial` and
    /// `csr` describe it.
    #[track_caller]
    pub(crate) fn issue(&mut self, stage: &Stage, wanted: Value) -> Value {
        self.tell(stage, json!({ "issue": wanted }), "issued")
    }

    /// The hash data of a certificate and its issuer, as the CSMS computes them. Both are named by
    /// their files.
    pub(crate) fn hash_data(
        &mut self,
        stage: &Stage,
        certificate: &str,
        issuer: &str,
        algorithm: &str,
    ) -> Value {
        let wanted = json!({ "certificate": certificate, "issuer": issuer, "algorithm": algorithm });
        self.tell(stage, json!({ "hash": wanted }), "hash")
    }

    /// Listens on a further port with the server certificate `server`, and returns the port.
    pub(crate) fn listen(&mut self, stage: &Stage, server: &str) -> u64 {
        self.tell(stage, json!({ "listen": server }), "listening").as_u64().expect("a port")
    }

    /// Presents the server certificate `server` to every new connection.
    pub(crate) fn present(&mut self, stage: &Stage, port: u64, server: &str) {
        self.tell(stage, json!({ "present": server, "port": port }), "presented");
    }

    /// Sends a command to the operator's CSMS, and waits until it has been carried out.
    #[track_caller]
    pub(crate) fn tell(&mut self, stage: &Stage, command: Value, step: &str) -> Value {
        writeln!(self.input, "{command}").expect("it reads");
        self.wait_for(stage, step)
    }

    /// All frames so far, in order.
    pub(crate) fn frames(&mut self, stage: &Stage) -> Vec<Frame> {
        let frames = self.tell(stage, json!({ "frames": true }), "frames");
        frames.as_array().expect("a list").iter().map(Frame::read).collect()
    }

    /// How many steps of this name have not been taken yet.
    pub(crate) fn count(&self, step: &str) -> usize {
        self.waiting.iter().filter(|line| line["step"] == step).count()
    }

    pub(crate) fn kill(self) {
        self.process.kill();
    }
}

impl Frame {
    fn read(line: &Value) -> Self {
        let from = match line["from"].as_str() {
            Some("station") => Sender::Station,
            Some("csms") => Sender::Csms,
            Some("begin") => Sender::Begin,
            _ => Sender::End,
        };
        let text = line["text"].as_str().expect("text");
        Self {
            at: Duration::from_secs_f64(line["at"].as_f64().expect("seconds")),
            connection: line["connection"].as_u64().expect("a number"),
            from,
            message: serde_json::from_str(text).unwrap_or_default(),
        }
    }

    /// Whether it is a CALL of this action, by this side.
    pub(crate) fn is_call(&self, from: Sender, action: &str) -> bool {
        self.from == from && self.message[0] == 2 && self.message[2] == action
    }

    /// Whether it is the answer to `call`.
    pub(crate) fn answers(&self, call: &Self) -> bool {
        self.from != call.from
            && self.connection == call.connection
            && (self.message[0] == 3 || self.message[0] == 4)
            && self.message[1] == call.message[1]
    }
}

/// The steps that a process reports, one JSON line each.
fn lines_of(child: &mut Child) -> mpsc::Receiver<Value> {
    let output = BufReader::new(child.stdout.take().expect("is piped"));
    let (sender, lines) = mpsc::sync_channel(1024);
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            let step = serde_json::from_str::<Value>(&line).expect("JSON");
            if sender.send(step).is_err() {
                return;
            }
        }
    });
    lines
}
