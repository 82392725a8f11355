//! The CSMS of the soak: a program in Python. It reads commands and writes steps, line by line.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::stage::{IDENTITY, PASSWORD, Stage};
use crate::{python, workspace::root};

/// The running program.
pub(super) struct Csms {
    process: Child,
    input: ChildStdin,
    steps: Receiver<Value>,
    record: File,
    began: Instant,
    next_id: u64,
    pub(super) port: u64,
    /// The roots that it has created for installation and deletion.
    pub(super) roots: Vec<Root>,
}

/// A root certificate and its hash data.
pub(super) struct Root {
    pub(super) pem: String,
    /// By SHA256, SHA384 and SHA512.
    pub(super) hashes: [Value; 3],
}

impl Csms {
    /// Starts it and waits until it listens.
    pub(super) fn start(stage: &Stage) -> Result<Self> {
        let script = root().join("xtask/src/soak/csms.py");
        let errors = File::create(stage.folder.join("csms.log"))?;
        let mut process = Command::new(python::environment()?)
            .arg(script)
            .current_dir(&stage.folder)
            .args(["--server-chain", "server.pem", "--server-key", "server.key"])
            .args(["--ca", "ca.pem", "--ca-key", "ca.key"])
            .args(["--identity", IDENTITY, "--password", PASSWORD, "--roots", &ROOTS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .context("Python does not start")?;
        let input = process.stdin.take().context("no standard input")?;
        let output = BufReader::new(process.stdout.take().context("no standard output")?);
        let (sender, steps) = sync_channel(MOST_STEPS);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let step = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(step).is_err() {
                    return;
                }
            }
        });
        let record = File::create(stage.folder.join("csms.jsonl"))?;
        let (began, roots) = (Instant::now(), Vec::new());
        let mut csms = Self { process, input, steps, record, began, next_id: 0, port: 0, roots };
        let listening = csms.next(Duration::from_secs(60))?.context("the CSMS does not listen")?;
        csms.port = listening["port"].as_u64().with_context(|| format!("no port in {listening}"))?;
        let roots = listening["roots"].as_array().context("no roots")?;
        csms.roots = roots
            .iter()
            .map(|root| Root {
                pem: root["pem"].as_str().unwrap_or_default().to_owned(),
                hashes: ["SHA256", "SHA384", "SHA512"].map(|algorithm| root["hash"][algorithm].clone()),
            })
            .collect();
        Ok(csms)
    }

    /// Its next step; `None` if there is none within `wait`.
    pub(super) fn next(&mut self, wait: Duration) -> Result<Option<Value>> {
        match self.steps.recv_timeout(wait) {
            Ok(step) => {
                writeln!(self.record, "{:.3} {step}", self.began.elapsed().as_secs_f64())?;
                if !step.is_object() {
                    bail!("the CSMS reported {step}");
                }
                Ok(Some(step))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the CSMS has ended; its errors are in csms.log"),
        }
    }

    /// Makes it call the station. The answer arrives as a step with this number.
    pub(super) fn call(&mut self, action: &str, payload: &Value) -> Result<u64> {
        self.next_id += 1;
        self.tell(&json!({ "id": self.next_id, "action": action, "payload": payload }))?;
        Ok(self.next_id)
    }

    /// Sets what it does with the next certificate request.
    pub(super) fn next_request(&mut self, what: &str) -> Result<()> {
        self.tell(&json!({ "next_request": what }))
    }

    /// Announces that another station will connect.
    pub(super) fn new_station(&mut self) -> Result<()> {
        self.tell(&json!({ "new_station": true }))
    }

    fn tell(&mut self, command: &Value) -> Result<()> {
        writeln!(self.record, "{:.3} told: {command}", self.began.elapsed().as_secs_f64())?;
        writeln!(self.input, "{command}").context("the CSMS has ended; its errors are in csms.log")
    }
}

impl Drop for Csms {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The number of roots to install and delete: with four uses each, all together stay below the 32
/// entries of a station's store.
pub(super) const ROOTS: usize = 6;

/// The maximum number of unread steps. Python waits when there are more.
const MOST_STEPS: usize = 1024;
