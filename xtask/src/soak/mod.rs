//! `cargo xtask soak`: a station that is killed at any instant, and must then be in a state that it
//! has promised.
//!
//! The real `ocpp-station` with its keys in a SoftHSM token serves a CSMS on Python's `ocpp` that
//! renews its certificate, installs and deletes roots. In each round it gets SIGKILL at a random
//! instant, is started again, and is checked from outside.

mod csms;
mod figures;
mod knowledge;
mod phase;
mod stage;
mod token_server;

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use self::{
    csms::{Csms, ROOTS},
    figures::Figures,
    knowledge::{Counts, Knowledge, Operation, USES},
    phase::Phase,
    stage::{Stage, Station, TokenKeys, TokenPlace},
};
use crate::{
    demo::process::Running,
    requirements::{self, Missing, Use},
    workspace::{cargo, root, run, target},
};

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
#[command(after_help = CHECKED)]
pub(crate) struct SoakArguments {
    /// How many rounds, each with a kill
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Choose operations and instants as in a former run; the machine may still behave differently
    /// at these instants. Default: random
    #[arg(long)]
    seed: Option<u64>,
    /// After how many rounds a new station with an empty token is used
    #[arg(long, default_value_t = 20)]
    rounds_per_station: u32,
    /// Start the station again at once, while a token that keeps running may still generate the key
    /// that the killed station had requested
    #[arg(long)]
    at_once: bool,
    /// Print the figures as one JSON object
    #[arg(long)]
    json: bool,
}

/// `cargo xtask soak`: fails at the first violation.
pub(crate) fn run_command(arguments: &SoakArguments) -> Result<()> {
    ensure!(arguments.rounds_per_station > 0, "--rounds-per-station has to be at least 1");
    requirements::provide(Use::Soak, Missing::Report)?;
    let module = crate::softhsm::module()?;
    eprintln!("building hsm and ocpp-station");
    run(cargo().args(["build", "--quiet", "--package", "signer-pkcs11", "--package", "station", "--bins"]))?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000));
    let folder = target().join("soak");
    let shown = folder.strip_prefix(root()).unwrap_or(&folder).display().to_string();
    eprintln!("seed {seed}; everything is kept in {shown}");
    let mut soak = Soak::start(&folder, &module, seed, arguments)?;
    let result = soak.run(arguments);
    if arguments.json {
        let violation = result.as_ref().err().map(|error| format!("{error:#}"));
        println!("{}", soak.figures.json(seed, &soak.knowledge.counts, violation.as_deref()));
    } else {
        soak.figures.print(&soak.knowledge.counts);
    }
    result.with_context(|| {
        format!("round {} broke; look into {shown}, and repeat with --seed {seed}", soak.figures.rounds)
    })
}

struct Soak {
    stage: Stage,
    csms: Csms,
    random: fastrand::Rng,
    knowledge: Knowledge,
    figures: Figures,
    /// The duration of each phase without a kill, so that the instants are spread over the whole
    /// phase.
    typical: [Option<Duration>; Phase::ALL.len()],
    station: Option<(Station, Option<Running>)>,
    /// The objects that SoftHSM has left in the token of the present station without making a key
    /// of them.
    shells: usize,
    at_once: bool,
}

impl Soak {
    fn start(folder: &Path, module: &Path, seed: u64, arguments: &SoakArguments) -> Result<Self> {
        let stage = Stage::prepare(folder, module)?;
        let csms = Csms::start(&stage)?;
        Ok(Self {
            stage,
            csms,
            random: fastrand::Rng::with_seed(seed),
            knowledge: Knowledge::new(Counts::default()),
            figures: Figures::default(),
            typical: [None; Phase::ALL.len()],
            station: None,
            shells: 0,
            at_once: arguments.at_once,
        })
    }

    fn run(&mut self, arguments: &SoakArguments) -> Result<()> {
        let mut phases = Vec::new();
        for round in 0..arguments.rounds {
            if round % arguments.rounds_per_station == 0 || self.station.is_none() {
                self.new_station()?;
            }
            self.figures.rounds = round + 1;
            if phases.is_empty() {
                // All phases in turn, in a random order.
                phases = Phase::ALL.to_vec();
                self.random.shuffle(&mut phases);
            }
            let phase = phases.pop().unwrap_or(Phase::Everything);
            self.round(phase).with_context(|| format!("killed while {}", phase.name()))?;
            if self.figures.rounds.is_multiple_of(PROGRESS) {
                eprintln!("{}", self.figures.progress(arguments.rounds, &self.knowledge.counts));
            }
        }
        Ok(())
    }

    /// Replaces the present station, which ends in order, by a new one.
    fn new_station(&mut self) -> Result<()> {
        self.stop_station()?;
        self.figures.stations += 1;
        self.shells = 0;
        self.csms.new_station()?;
        self.knowledge = Knowledge::new(std::mem::take(&mut self.knowledge.counts));
        // In turn: the effect of a kill on a module in the station's process, and on a key whose
        // generation is completed nevertheless.
        let place = if self.figures.stations.is_multiple_of(2) {
            TokenPlace::OwnProcess
        } else {
            TokenPlace::InStation
        };
        let station = self.stage.new_station(self.figures.stations, self.csms.port, place)?;
        self.station = Some((station, None));
        self.start_station()?;
        self.settle()?;
        // So that a request whose answer was lost by a kill is soon sent again.
        let id = self.csms.call("SetVariables", &variable("SecurityCtrlr", "CertSigningWaitMinimum", 2))?;
        self.listen("an answer", |knowledge| knowledge.has_seen(id))?;
        self.knowledge.take_seen(id);
        self.check()
    }

    fn round(&mut self, phase: Phase) -> Result<()> {
        for _ in 0..self.random.u32(0..3) {
            let operation = self.some_operation();
            self.undisturbed(operation)?;
        }
        let typical = self.typical(phase);
        match phase {
            Phase::Start => {
                self.stop_station()?;
                self.start_station()?;
            }
            Phase::Install => {
                let operation = self.some_install();
                self.ask(operation)?;
            }
            Phase::Delete => {
                let operation = self.some_delete();
                self.ask(operation)?;
            }
            Phase::SetVariable => {
                let operation = self.some_variable();
                self.ask(operation)?;
            }
            Phase::KeyGeneration => self.ask(Operation::Trigger)?,
            Phase::CertificateSigned => {
                if self.random.u32(0..4) == 0 {
                    self.csms.next_request("wrong first")?;
                }
                self.trigger_until("signing")?;
            }
            Phase::Reconnect => {
                self.trigger_until("signing")?;
                let began = Instant::now();
                self.listen_for("signed")?;
                self.note(Phase::CertificateSigned, began);
            }
            Phase::Everything => {
                for _ in 0..5 {
                    let operation = self.some_operation();
                    self.ask(operation)?;
                }
            }
        }
        // Somewhat longer than the phase, so that its end is included.
        let longest = typical.as_micros().saturating_mul(3) / 2;
        let wait = self.random.u64(0..u64::try_from(longest).unwrap_or(u64::MAX).max(1));
        self.kill_after(phase, Duration::from_micros(wait))?;
        let Some((station, _)) = &self.station else { bail!("there is no station") };
        if !self.at_once {
            station.wait_for_token()?;
        }
        if station.has_lost_token()? {
            self.figures.tokens_lost += 1;
            self.station = None;
            return Ok(());
        }
        let began = Instant::now();
        self.start_station()?;
        self.listen("a connection", |knowledge| knowledge.connection.is_some())?;
        self.note(Phase::Start, began);
        self.settle()?;
        // A04.FR.02
        self.listen("the report that the station has started", Knowledge::has_reported_start)?;
        self.check()
    }

    /// Carries out one operation without a kill, and notes its duration.
    fn undisturbed(&mut self, operation: Operation) -> Result<()> {
        let phase = match operation {
            Operation::Install { .. } => Phase::Install,
            Operation::Delete { .. } => Phase::Delete,
            Operation::SetVariable { .. } => Phase::SetVariable,
            Operation::Trigger => return self.renew(),
        };
        let began = Instant::now();
        self.ask(operation)?;
        self.listen("an answer", |knowledge| !knowledge.is_asking())?;
        self.note(phase, began);
        self.settle()
    }

    /// A renewal without a kill.
    fn renew(&mut self) -> Result<()> {
        let what = ["Accepted", "Accepted", "wrong first", "Rejected"];
        let what = what[self.random.usize(0..what.len())];
        self.csms.next_request(what)?;
        self.trigger_until("request")?;
        if what == "Accepted" {
            self.listen_for("signing")?;
            let began = Instant::now();
            self.listen_for("signed")?;
            self.note(Phase::CertificateSigned, began);
            let began = Instant::now();
            self.settle()?;
            self.note(Phase::Reconnect, began);
        }
        self.settle()
    }

    /// Makes the station send a request, and reads the steps up to `step`.
    fn trigger_until(&mut self, step: &str) -> Result<()> {
        let began = Instant::now();
        self.ask(Operation::Trigger)?;
        self.listen_for("request")?;
        self.note(Phase::KeyGeneration, began);
        if step == "request" { Ok(()) } else { self.listen_for(step) }
    }

    fn some_operation(&mut self) -> Operation {
        match self.random.u32(0..8) {
            0..=2 => self.some_install(),
            3..=5 => self.some_delete(),
            6 => self.some_variable(),
            _ => Operation::Trigger,
        }
    }

    fn some_install(&mut self) -> Operation {
        Operation::Install { use_: self.random.usize(0..USES.len()), root: self.random.usize(0..ROOTS) }
    }

    /// Mostly deletes a root that is installed.
    fn some_delete(&mut self) -> Operation {
        let installed = self.knowledge.installed();
        let root = match self.random.choice(&installed) {
            Some((_, root)) if self.random.u32(0..5) > 0 => *root,
            _ => self.random.usize(0..ROOTS),
        };
        Operation::Delete { root }
    }

    fn some_variable(&mut self) -> Operation {
        Operation::SetVariable { value: self.random.u32(1..100_000) }
    }

    /// Makes the CSMS send a call. The answer is noted when it arrives.
    fn ask(&mut self, operation: Operation) -> Result<()> {
        let (action, payload) = match &operation {
            Operation::Install { use_, root } => (
                "InstallCertificate",
                json!({ "certificateType": USES[*use_], "certificate": self.csms.roots[*root].pem }),
            ),
            Operation::Delete { root } => {
                let hash = self.random.usize(0..3);
                let data = &self.csms.roots[*root].hashes[hash];
                ("DeleteCertificate", json!({ "certificateHashData": data }))
            }
            Operation::SetVariable { value } => ("SetVariables", variable(COMPONENT, VARIABLE, *value)),
            Operation::Trigger => {
                ("TriggerMessage", json!({ "requestedMessage": "SignChargingStationCertificate" }))
            }
        };
        let id = self.csms.call(action, &payload)?;
        self.knowledge.handle_asked(id, operation);
        Ok(())
    }

    fn start_station(&mut self) -> Result<()> {
        let Some((station, running)) = &mut self.station else { bail!("there is no station") };
        *running = Some(station.start()?);
        self.figures.starts += 1;
        self.knowledge.handle_start();
        Ok(())
    }

    /// Stops the station in order, as an operator does.
    fn stop_station(&mut self) -> Result<()> {
        if let Some(running) = self.station.as_mut().and_then(|(_, running)| running.take()) {
            running.stop()?;
            self.listen("the end of the connection", |knowledge| knowledge.connection.is_none())?;
        }
        Ok(())
    }

    /// Sends SIGKILL after this time, then reads all steps from before the kill.
    fn kill_after(&mut self, phase: Phase, wait: Duration) -> Result<()> {
        // This waits for no event: the instant must be random.
        std::thread::sleep(wait);
        let running = self.station.as_mut().and_then(|(_, running)| running.take());
        running.context("there is no station to be killed")?.kill()?;
        let on_profile_2 = self.knowledge.connection.as_ref().is_some_and(|known| known.profile == 2);
        let lost = self.knowledge.counts.lost;
        self.listen("the end of the connection", |knowledge| {
            knowledge.connection.is_none() && !knowledge.is_asking()
        })?;
        let place = Phase::ALL.iter().position(|other| *other == phase).unwrap_or_default();
        let kills = &mut self.figures.kills[place];
        kills.count += 1;
        kills.after_answer += u32::from(self.knowledge.counts.lost == lost);
        kills.by_profile_2 += u32::from(on_profile_2);
        Ok(())
    }

    /// Waits until the station is connected and owes nothing.
    fn settle(&mut self) -> Result<()> {
        self.listen("the station to settle", Knowledge::is_settled)
    }

    /// Checks the station from outside.
    fn check(&mut self) -> Result<()> {
        self.figures.checks += 1;
        let listed = self.look("GetInstalledCertificateIds", &json!({}))?;
        let listed = self.roots_of(&listed)?;
        self.knowledge.handle_listed(&listed)?;
        let asked = json!({ "getVariableData": [
            { "component": { "name": COMPONENT }, "variable": { "name": VARIABLE } }
        ] });
        let answer = self.look("GetVariables", &asked)?;
        let value = &answer["getVariableResult"][0]["attributeValue"];
        let value = value.as_str().and_then(|text| text.parse().ok());
        let value = value.with_context(|| format!("GetVariables was answered {answer}"))?;
        self.knowledge.handle_variable(value, AS_MADE)?;
        self.check_keys()?;
        let Some((station, _)) = &self.station else { bail!("there is no station") };
        self.figures.security_events = station.security_events()?;
        let log = station.log()?;
        for word in ["panicked", "is damaged", "contradicts itself"] {
            if let Some(line) = log.lines().find(|line| line.contains(word)) {
                bail!("the log contains: {line}");
            }
        }
        Ok(())
    }

    /// Every key in the token has a name in the store, and every name has a key, except for a key
    /// that is to be destroyed.
    fn check_keys(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Some((station, _)) = &self.station else { bail!("there is no station") };
            let TokenKeys { private, public, shells } = station.token_keys()?;
            let named = station.named_keys();
            if let Ok(named) = &named
                && named.fit(&private)
                && private == public
            {
                self.figures.shells += shells.saturating_sub(self.shells);
                self.shells = shells;
                self.figures.keys = private.len();
                self.figures.most_keys = self.figures.most_keys.max(private.len());
                let certified = self.knowledge.has_certificate();
                ensure!(!certified || !private.is_empty(), "the key of the station's certificate is gone");
                return Ok(());
            }
            // A copy taken during a write of the store cannot be opened, and a key may just be
            // being generated.
            if Instant::now() > deadline {
                bail!(
                    "the token holds the private keys {private:?} and the public keys {public:?}, and the store names {:?}",
                    named?
                );
            }
            self.listen_for_a_moment()?;
        }
    }

    /// Sends a call that only reads, and repeats it if the connection ended before the answer.
    fn look(&mut self, action: &str, payload: &Value) -> Result<Value> {
        for _ in 0..5 {
            self.settle()?;
            let id = self.csms.call(action, payload)?;
            self.listen("an answer", |knowledge| knowledge.has_seen(id))?;
            match self.knowledge.take_seen(id) {
                Some(answer) if answer["lost"] == true => {}
                Some(answer) => return Ok(answer),
                None => {}
            }
        }
        bail!("the connection ended again and again before {action} was answered")
    }

    /// The roots in an inventory: only the root of the CSMS, which always stays, and roots of the
    /// soak.
    fn roots_of(&self, answer: &Value) -> Result<BTreeSet<(usize, usize)>> {
        let mut listed = BTreeSet::new();
        let mut others = Vec::new();
        for chain in answer["certificateHashDataChain"].as_array().into_iter().flatten() {
            let use_ = USES.iter().position(|use_| chain["certificateType"] == *use_);
            let hash = &chain["certificateHashData"];
            let root = self.csms.roots.iter().position(|root| root.hashes.contains(hash));
            match (use_, root) {
                (Some(use_), Some(root)) => {
                    ensure!(listed.insert((use_, root)), "root {root} is listed twice for {}", USES[use_]);
                }
                _ => others.push(chain),
            }
        }
        ensure!(
            others.len() == 1 && others[0]["certificateType"] == USES[0],
            "beside what was installed, the inventory has to list the root of the CSMS, and lists {others:?}"
        );
        Ok(listed)
    }

    /// Reads the steps of the CSMS until `holds` is true.
    fn listen(&mut self, what: &str, holds: impl Fn(&Knowledge) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(&self.knowledge) {
            self.hear(what, deadline)?;
        }
        Ok(())
    }

    /// Reads the steps of the CSMS up to a step with this name.
    fn listen_for(&mut self, name: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.hear(name, deadline)?["step"] != name {}
        Ok(())
    }

    fn listen_for_a_moment(&mut self) -> Result<()> {
        if let Some(step) = self.csms.next(MOMENT)? {
            self.knowledge.handle_step(&step)?;
        }
        Ok(())
    }

    fn hear(&mut self, what: &str, deadline: Instant) -> Result<Value> {
        loop {
            if let Some(step) = self.csms.next(MOMENT)? {
                self.knowledge.handle_step(&step)?;
                return Ok(step);
            }
            if let Some((_, Some(running))) = &mut self.station {
                running.must_run(what)?;
            }
            if Instant::now() > deadline {
                let owes = self.knowledge.owes();
                bail!("waited {} s in vain for {what}; what is missing: {owes:?}", PATIENCE.as_secs());
            }
        }
    }

    fn typical(&self, phase: Phase) -> Duration {
        let place = Phase::ALL.iter().position(|other| *other == phase).unwrap_or_default();
        match phase {
            // Five calls, one after the other.
            Phase::Everything => self.typical(Phase::Install) * 5,
            _ => self.typical[place].unwrap_or(UNKNOWN),
        }
    }

    /// Notes the mean of the known duration and the observed one.
    fn note(&mut self, phase: Phase, began: Instant) {
        let place = Phase::ALL.iter().position(|other| *other == phase).unwrap_or_default();
        let seen = began.elapsed();
        self.typical[place] = Some(self.typical[place].map_or(seen, |known| (known + seen) / 2));
    }
}

fn variable(component: &str, name: &str, value: u32) -> Value {
    json!({ "setVariableData": [{
        "attributeValue": value.to_string(), "component": { "name": component }, "variable": { "name": name }
    }] })
}

/// The end of the `--help` text.
const CHECKED: &str = "After each kill the station is started again and checked from outside:
  * an operation that was answered with Accepted is complete: an installed root is listed, a deleted one is not;
  * an operation without an answer was carried out completely or not at all;
  * the station connects with the newest certificate that it has accepted, and never again with its password;
  * a trigger that was accepted leads to a certificate request;
  * the token holds each key that the store needs, and others only if the store lists them for destruction; each
    key has its private and its public half;
  * the station reports its start, and its device model and security log can be read.

Every second token is in a process of its own, behind p11-kit, and keeps running, like an HSM. In the station's process SoftHSM
is killed too: it may leave an empty object, or lose its whole token, and the table counts these.

Ends with a table. At the first violation it ends with 1 and reports the violation; the folder keeps every log, and the
output and the input of the CSMS (csms.jsonl).";

const COMPONENT: &str = "OCPPCommCtrlr";
const VARIABLE: &str = "OfflineThreshold";
/// The initial value of the variable.
const AS_MADE: u32 = 300;

/// The maximum wait: a station that has lost its connection waits a second, and sends a CSR again
/// after two.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two checks whether the station still runs.
const MOMENT: Duration = Duration::from_millis(100);

/// The assumed duration of a phase until one was observed.
const UNKNOWN: Duration = Duration::from_millis(50);

/// The number of rounds between two lines of progress.
const PROGRESS: u32 = 10;
