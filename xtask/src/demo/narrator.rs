//! Describes each frame on the wire in one plain sentence.

use std::{
    collections::HashMap,
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Reads the CSMS's record of frames as it grows and prints each.
pub(crate) struct Narrator {
    path: PathBuf,
    read: usize,
    printed: usize,
    actions: HashMap<String, String>,
    styled: bool,
}

impl Narrator {
    pub(crate) fn new(path: &Path) -> Self {
        let styled = std::io::stdout().is_terminal();
        Self { path: path.to_path_buf(), read: 0, printed: 0, actions: HashMap::new(), styled }
    }

    /// Prints the frames since the last call.
    pub(crate) fn print_new(&mut self) -> Result<()> {
        let text =
            fs::read_to_string(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        let new = text[self.read..].to_owned();
        // An incomplete line is printed at the next call.
        for line in new.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            self.read += line.len();
            let record: Value = serde_json::from_str(line).context("a line of the record is no JSON")?;
            self.print_frame(&record);
        }
        Ok(())
    }

    /// The number of printed frames.
    pub(crate) fn printed(&self) -> usize {
        self.printed
    }

    fn print_frame(&mut self, record: &Value) {
        self.printed += 1;
        let frame = &record["frame"];
        // The record is the CSMS's: received frames came from the station.
        let (sender, arrow) =
            if record["direction"] == "received" { ("station", "──►") } else { ("CSMS", "◄──") };
        let id = frame[1].as_str().unwrap_or_default().to_owned();
        let (headline, payload, sentence) = match frame[0].as_u64() {
            Some(2) => {
                let action = frame[2].as_str().unwrap_or_default().to_owned();
                let sentence = request_sentence(&action, &frame[3]);
                self.actions.insert(id, action.clone());
                (action, &frame[3], sentence)
            }
            Some(3) => {
                let action = self.actions.remove(&id).unwrap_or_default();
                (format!("{action} answered"), &frame[2], response_sentence(&action, &frame[2]))
            }
            _ => {
                ("CALLERROR".to_owned(), frame, "The request was refused before it was processed.".to_owned())
            }
        };
        let (bold, dim, plain) = if self.styled { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        println!("  {:>7} {arrow} {bold}{headline}{plain}", sender);
        println!("              {sentence}");
        println!("              {dim}{}{plain}", shortened(payload));
    }
}

fn request_sentence(action: &str, payload: &Value) -> String {
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
    match action {
        "BootNotification" => {
            format!(
                "The station reports its identity: serial number {}, reason {}.",
                text("/chargingStation/serialNumber"),
                text("/reason")
            )
        }
        "TriggerMessage" => format!("The CSMS asks the station for {}.", text("/requestedMessage")),
        "SignCertificate" => format!(
            "The station made a new key in its token and asks for a {} with a request that this key signed.",
            text("/certificateType")
        ),
        "CertificateSigned" => {
            "The CSMS sends the certificate that the key in its own token signed.".to_owned()
        }
        "InstallCertificate" => {
            format!("The CSMS gives the station a {} to trust.", text("/certificateType"))
        }
        "GetInstalledCertificateIds" => "The CSMS asks for the inventory of all types.".to_owned(),
        "DeleteCertificate" => {
            format!(
                "The CSMS deletes the certificate with serial number {}.",
                text("/certificateHashData/serialNumber")
            )
        }
        "Heartbeat" => "The station shows that it is connected and asks for the time.".to_owned(),
        "SecurityEventNotification" => format!("The station reports the security event {}.", text("/type")),
        _ => "A request.".to_owned(),
    }
}

fn response_sentence(action: &str, payload: &Value) -> String {
    let status = payload["status"].as_str().unwrap_or("?");
    match (action, status) {
        ("BootNotification", "Accepted") => "The CSMS accepts the station and sends the time.".to_owned(),
        ("TriggerMessage", "Accepted") => "The station will send it.".to_owned(),
        ("SignCertificate", "Accepted") => {
            "The request is valid and names this station: the certificate will follow.".to_owned()
        }
        ("CertificateSigned", "Accepted") => {
            "The certificate fits a key that waits for it and is on disk; the station now reconnects with it."
                .to_owned()
        }
        ("InstallCertificate", "Accepted") => "It is on disk and trusted.".to_owned(),
        ("GetInstalledCertificateIds", "Accepted") => {
            let count = payload["certificateHashDataChain"].as_array().map_or(0, Vec::len);
            format!("{count} installed, each by its hash data.")
        }
        ("DeleteCertificate", "Accepted") => "It is deleted from the disk.".to_owned(),
        ("DeleteCertificate", "NotFound") => "No such certificate is installed.".to_owned(),
        ("DeleteCertificate", "Failed") => {
            "Refused: the station uses this certificate for its connection.".to_owned()
        }
        ("Heartbeat", _) => "The CSMS sends the time.".to_owned(),
        ("SecurityEventNotification", _) => "Noted.".to_owned(),
        _ => format!("The answer is {status}."),
    }
}

/// A payload on one line, with long texts shortened.
fn shortened(payload: &Value) -> String {
    fn cut(value: &Value) -> Value {
        match value {
            Value::String(text) if text.chars().count() > 48 => {
                let start: String = text.chars().take(40).collect();
                Value::String(format!("{}… ({} characters)", start.replace('\n', " "), text.chars().count()))
            }
            Value::Array(items) => Value::Array(items.iter().map(cut).collect()),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(name, value)| (name.clone(), cut(value))).collect())
            }
            other => other.clone(),
        }
    }
    cut(payload).to_string()
}
