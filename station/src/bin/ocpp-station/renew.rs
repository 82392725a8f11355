//! `renew`: makes the agent ask for a new certificate, and follows the request.

use anyhow::{Result, bail};
use ocpp_types::Timestamp;
use program::{Output, OutputError};
use station::{
    Config,
    control::{ControlReply, ControlRequest, Outcome, RenewalReport, RenewalStep, RenewalUse, Step, Until},
    io::Conversation,
};

use crate::{agent::runtime, text::minute};

pub(crate) const EXAMPLES: &str = "\
The agent generates a new key in the token and sends SignCertificate. Without --wait the command ends when this is recorded,
so that it also happens after a power cut; `ocpp-station inventory` shows the request and, later, the certificate.

Examples:
  ocpp-station renew                              the certificate for the connection to the CSMS
  ocpp-station renew --wait                       and print each step until the request has ended
  ocpp-station renew --use v2g --secc-id SECC-1   the certificate of one SECC; without --secc-id, of every SECC";

#[derive(clap::Args)]
pub(crate) struct Renew {
    /// What the certificate is for
    #[arg(long = "use", value_enum, default_value_t = Use::Station)]
    use_: Use,
    /// For vehicles: the SeccId of the SECC; if absent, every SECC
    #[arg(long)]
    secc_id: Option<String>,
    /// Follow the request until it has ended, with or without a certificate
    #[arg(long)]
    wait: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Use {
    /// The connection to the CSMS
    Station,
    /// Vehicles, by ISO 15118-2
    V2g,
    /// Vehicles, by ISO 15118-20; OCPP 2.1
    V2g20,
    /// The connection and vehicles at once
    Combined,
}

impl Renew {
    /// Checks that the arguments do not contradict each other.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        match (&self.secc_id, self.use_) {
            (Some(_), Use::Station | Use::Combined) => Err(
                "--secc-id goes with --use v2g or --use v2g20: other certificates name the station, not an SECC",
            ),
            _ => Ok(()),
        }
    }

    pub(crate) fn run(self, config: &Config, json: bool) -> Result<()> {
        runtime()?.block_on(async {
            let use_ = match self.use_ {
                Use::Station => RenewalUse::Station,
                Use::V2g => RenewalUse::V2g,
                Use::V2g20 => RenewalUse::V2g20,
                Use::Combined => RenewalUse::Combined,
            };
            let until = if self.wait { Until::Ended } else { Until::Begun };
            let request = ControlRequest::Renew { use_, secc_id: self.secc_id, until };
            let mut conversation = Conversation::begin(&config.control_socket(), &request).await?;
            let mut reply = conversation.reply().await?;
            let mut out = Output::new();
            let report: RenewalReport = loop {
                match reply {
                    ControlReply::Progress(step) if json => out.json(serde_json::to_string(&step)?)?,
                    ControlReply::Progress(step) => out.line(description(&step))?,
                    ControlReply::Done(report) => {
                        if json {
                            out.json(&report)?;
                        }
                        break serde_json::from_str(report.get())?;
                    }
                    ControlReply::Failed(reason) => bail!("{reason}"),
                    _ => bail!("the agent replied in a way that this version does not know"),
                }
                // The next step may take days.
                out.flush()?;
                reply = conversation.awaited_reply().await?;
            };
            if !json {
                next_steps(&mut out, &report, until)?;
            }
            out.finish()?;
            conclude(&report, until)
        })
    }
}

/// Prints what the user can do after a command that only begins a renewal.
fn next_steps(out: &mut Output, report: &RenewalReport, until: Until) -> Result<(), OutputError> {
    if until == Until::Ended {
        return Ok(());
    }
    for renewal in &report.renewals {
        out.line(format_args!("{}: a new key is made, and the request is sent", renewal.subject))?;
    }
    if !report.connected {
        out.line("The station is not connected; it is sent as soon as the CSMS takes requests.")?;
    }
    out.line("Next: ocpp-station inventory shows the request that waits, then the certificate.")
}

/// Fails if the command waited for a certificate that did not arrive.
fn conclude(report: &RenewalReport, until: Until) -> Result<()> {
    if until == Until::Begun {
        return Ok(());
    }
    let missing = report.renewals.iter().filter(|renewal| renewal.outcome != Some(Outcome::Certificate));
    match missing.count() {
        0 => Ok(()),
        1 if report.renewals.len() == 1 => bail!("no certificate has come"),
        missing => bail!("{missing} of {} certificates have not come", report.renewals.len()),
    }
}

fn description(RenewalStep { subject, step }: &RenewalStep) -> String {
    let again = |again: &Option<Timestamp>| match again {
        Some(again) => format!("; without one it is sent again at {}", minute(*again)),
        None => String::new(),
    };
    let what = match step {
        Step::Begun => "a new key is being made in the token".to_owned(),
        Step::KeyMade => "the key is made; the request is sent when the CSMS takes requests".to_owned(),
        Step::KeyNotMade { reason } => format!("the key could not be made: {reason}"),
        Step::Sent => "the request is sent".to_owned(),
        Step::Accepted { again: at } => format!("the CSMS will send a certificate{}", again(at)),
        Step::NotAnswered => "the CSMS did not answer; the request is sent again".to_owned(),
        Step::Ended(Outcome::Certificate) => "the certificate has come and is stored".to_owned(),
        Step::Ended(Outcome::Rejected) => "the CSMS rejected the request; see its log".to_owned(),
        Step::Ended(Outcome::NotAskable) => {
            "the version of the connection has no request for such a certificate; see the agent's log".to_owned()
        }
        Step::Ended(Outcome::Invalid) => {
            "the certificate that came is invalid; see `ocpp-station events`".to_owned()
        }
        Step::Ended(Outcome::Exhausted) => {
            "the request was sent as often as CertSigningRepeatTimes allows; a late certificate is still taken".to_owned()
        }
        Step::Ended(Outcome::NoSuchKey) => {
            "the token has no keys of an allowed kind; see certificates.key_algorithms in the configuration".to_owned()
        }
        Step::Ended(Outcome::NoKey) => "the token or the disk failed; see the agent's log".to_owned(),
        Step::Ended(Outcome::Replaced) => "a newer request has replaced it".to_owned(),
        _ => "a step that this version does not support".to_owned(),
    };
    format!("{subject}: {what}")
}
