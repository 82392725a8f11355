//! What is known about the station from outside: what it has accepted, and what is uncertain after
//! a kill.
//!
//! A call whose answer was lost was either carried out or not, so the station may be in one of
//! several states, which are called worlds. Later observations show which one it is. If they fit no
//! world, the station has broken its promise.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};
use serde_json::Value;

/// The uses of roots that the soak installs, as in InstallCertificate and in the inventory.
pub(super) const USES: [&str; 4] =
    ["CSMSRootCertificate", "ManufacturerRootCertificate", "V2GRootCertificate", "MORootCertificate"];

/// A call from the CSMS to the station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Install {
        use_: usize,
        root: usize,
    },
    Delete {
        root: usize,
    },
    /// OCPPCommCtrlr.OfflineThreshold. It does not affect anything else that the soak checks.
    SetVariable {
        value: u32,
    },
    Trigger,
}

/// The part of a station's state that calls change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct World {
    /// The use and the number of each installed root.
    pub(super) roots: BTreeSet<(usize, usize)>,
    /// `None`: the initial value.
    pub(super) threshold: Option<u32>,
}

impl World {
    fn after(&self, operation: &Operation) -> Self {
        let mut world = self.clone();
        match operation {
            Operation::Install { use_, root } => drop(world.roots.insert((*use_, *root))),
            // DeleteCertificate names no use: the certificate is deleted for all of them, or for
            // none.
            Operation::Delete { root } => world.roots.retain(|(_, other)| other != root),
            Operation::SetVariable { value } => world.threshold = Some(*value),
            Operation::Trigger => {}
        }
        world
    }
}

/// An open connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    number: u64,
    pub(super) profile: u64,
}

/// What is known about the station.
#[derive(Debug)]
pub(super) struct Knowledge {
    worlds: Vec<World>,
    /// Calls that wait for their answer.
    asked: BTreeMap<u64, Operation>,
    /// Answers to calls that only read.
    seen: BTreeMap<u64, Value>,
    pub(super) connection: Option<Connection>,
    /// The profile with which the running program has booted.
    booted: Option<u64>,
    /// The certificate of the last connection by profile 3.
    used: Option<String>,
    /// The last certificate that was accepted after that.
    accepted: Option<String>,
    /// Certificates that were sent after that, and whose acceptance is unknown.
    open: BTreeSet<String>,
    /// A trigger was accepted, and no certificate request has come since.
    owed: bool,
    undelivered: u64,
    /// A start was reported after the program was started.
    reported: bool,
    pub(super) counts: Counts,
}

/// The number of events of each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) installed: u64,
    pub(super) deleted: u64,
    pub(super) not_found: u64,
    pub(super) variables: u64,
    pub(super) triggers: u64,
    pub(super) requests: u64,
    pub(super) certificates: u64,
    pub(super) certificates_rejected: u64,
    pub(super) lost: u64,
    pub(super) errors: u64,
    pub(super) kept_old: u64,
    pub(super) kept_new: u64,
    pub(super) connections: BTreeMap<u64, u64>,
    pub(super) startups_reported: u64,
}

impl Knowledge {
    /// A station that was never used.
    pub(super) fn new(counts: Counts) -> Self {
        Self {
            worlds: vec![World::default()],
            asked: BTreeMap::new(),
            seen: BTreeMap::new(),
            connection: None,
            booted: None,
            used: None,
            accepted: None,
            open: BTreeSet::new(),
            owed: false,
            undelivered: 0,
            reported: false,
            counts,
        }
    }

    /// The program was started again.
    pub(super) fn handle_start(&mut self) {
        self.booted = None;
        self.reported = false;
    }

    /// A call was sent.
    pub(super) fn handle_asked(&mut self, id: u64, operation: Operation) {
        self.asked.insert(id, operation);
    }

    /// Processes a step of the CSMS.
    pub(super) fn handle_step(&mut self, step: &Value) -> Result<()> {
        let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| step[name].as_u64().unwrap_or_default();
        match step["step"].as_str().unwrap_or_default() {
            "connected" => {
                let profile = number("profile");
                self.connected(profile, &text("serial"))?;
                *self.counts.connections.entry(profile).or_default() += 1;
                self.connection = Some(Connection { number: number("connection"), profile });
            }
            "disconnected" => {
                self.connection = self.connection.take().filter(|known| known.number != number("connection"));
            }
            "boot" => {
                let here = self.connection.as_ref().filter(|known| known.number == number("connection"));
                self.booted = here.map(|connection| connection.profile).or(self.booted);
            }
            "refused" => bail!("the station came with a wrong password"),
            "request" => {
                ensure!(step["sound"] == true, "a certificate request whose signature does not verify");
                self.counts.requests += 1;
                self.owed = false;
                self.undelivered = number("undelivered");
            }
            "undelivered" => self.undelivered = number("count"),
            "signing" => drop(self.open.insert(text("serial"))),
            "signed" => self.signed(&text("serial"), &step["answer"])?,
            "security event" if step["type"] == "StartupOfTheDevice" => {
                self.counts.startups_reported += 1;
                self.reported = true;
            }
            "security event" => {}
            "answer" => self.answered(number("id"), &step["answer"])?,
            other => bail!("the CSMS reports {other:?}, which is not expected"),
        }
        Ok(())
    }

    /// A02: the connection uses the newest certificate that was accepted, or one whose acceptance
    /// is unknown.
    fn connected(&mut self, profile: u64, serial: &str) -> Result<()> {
        if profile == 2 {
            let last = self.accepted.as_ref().or(self.used.as_ref());
            if let Some(last) = last {
                bail!("the station came with its password, though it has the certificate {last} (A05.FR.06)");
            }
            return Ok(());
        }
        let last = self.accepted.as_ref().or(self.used.as_ref());
        if last.map(String::as_str) != Some(serial) && !self.open.contains(serial) {
            bail!(
                "the station came with the certificate {serial}; the last one that was accepted is {}",
                last.map_or("none", String::as_str)
            );
        }
        self.used = Some(serial.to_owned());
        self.accepted = None;
        self.open.clear();
        Ok(())
    }

    fn signed(&mut self, serial: &str, answer: &Value) -> Result<()> {
        if answer["lost"] == true {
            self.counts.lost += 1;
            return Ok(());
        }
        match answer["status"].as_str() {
            Some("Accepted") => {
                self.counts.certificates += 1;
                self.open.remove(serial);
                // The answer may be read after the connection that follows from it.
                if self.used.as_deref() != Some(serial) {
                    self.accepted = Some(serial.to_owned());
                }
            }
            Some("Rejected") => {
                self.counts.certificates_rejected += 1;
                self.open.remove(serial);
            }
            _ => bail!("CertificateSigned was answered {answer}"),
        }
        Ok(())
    }

    fn answered(&mut self, id: u64, answer: &Value) -> Result<()> {
        let Some(operation) = self.asked.remove(&id) else {
            self.seen.insert(id, answer.clone());
            return Ok(());
        };
        if answer["lost"] == true || answer["error"].is_string() {
            let count = if answer["lost"] == true { &mut self.counts.lost } else { &mut self.counts.errors };
            *count += 1;
            // Carried out or not.
            let done: Vec<World> = self.worlds.iter().map(|world| world.after(&operation)).collect();
            done.into_iter().for_each(|world| self.add(world));
            return Ok(());
        }
        let said = answer["status"].as_str().map_or_else(
            || answer["setVariableResult"][0]["attributeStatus"].as_str().unwrap_or_default().to_owned(),
            str::to_owned,
        );
        let count = match (&operation, said.as_str()) {
            (Operation::Install { .. }, "Accepted") => &mut self.counts.installed,
            (Operation::Delete { .. }, "Accepted") => &mut self.counts.deleted,
            (Operation::Delete { root }, "NotFound") => {
                self.counts.not_found += 1;
                let before = self.worlds.clone();
                self.worlds.retain(|world| world.roots.iter().all(|(_, other)| other != root));
                ensure!(!self.worlds.is_empty(), "root {root} is not found, and was installed: {before:?}");
                return Ok(());
            }
            (Operation::SetVariable { .. }, "Accepted") => &mut self.counts.variables,
            (Operation::Trigger, "Accepted") => {
                self.owed = true;
                &mut self.counts.triggers
            }
            // The station may refuse.
            (Operation::Trigger, "Rejected") => return Ok(()),
            _ => bail!("{operation:?} was answered {answer}"),
        };
        *count += 1;
        if let Operation::Delete { root } = &operation {
            let before = self.worlds.clone();
            self.worlds.retain(|world| world.roots.iter().any(|(_, other)| other == root));
            ensure!(!self.worlds.is_empty(), "root {root} was deleted, and was not installed: {before:?}");
        }
        let worlds = std::mem::take(&mut self.worlds);
        worlds.iter().for_each(|world| self.add(world.after(&operation)));
        Ok(())
    }

    fn add(&mut self, world: World) {
        if !self.worlds.contains(&world) {
            self.worlds.push(world);
        }
    }

    /// Whether the answer to a call that only reads has arrived.
    pub(super) fn has_seen(&self, id: u64) -> bool {
        self.seen.contains_key(&id)
    }

    /// Takes the answer to a call that only reads, if it has arrived.
    pub(super) fn take_seen(&mut self, id: u64) -> Option<Value> {
        self.seen.remove(&id)
    }

    /// Whether the running program has reported a start.
    pub(super) fn has_reported_start(&self) -> bool {
        self.reported
    }

    /// Whether calls wait for their answers.
    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether nothing is pending: the station is connected with the newest certificate, has
    /// booted, and owes no request.
    pub(super) fn is_settled(&self) -> bool {
        let here = self.connection.as_ref().map(|connection| connection.profile);
        here.is_some() && self.booted == here && self.owes().is_empty() && self.asked.is_empty()
    }

    /// What is pending, for people.
    pub(super) fn owes(&self) -> Vec<&'static str> {
        let missing = [
            (self.owed, "the certificate request that an accepted trigger promised (F06.FR.10)"),
            (self.undelivered > 0, "the answer to CertificateSigned"),
            (self.accepted.is_some(), "the connection with the certificate that was accepted"),
        ];
        missing.into_iter().filter(|(missing, _)| *missing).map(|(_, what)| what).collect()
    }

    /// Whether the station has a certificate for the connection.
    pub(super) fn has_certificate(&self) -> bool {
        self.used.is_some() || self.accepted.is_some()
    }

    /// The inventory lists exactly these roots.
    pub(super) fn handle_listed(&mut self, listed: &BTreeSet<(usize, usize)>) -> Result<()> {
        self.choose(|world| world.roots == *listed, || format!("the inventory lists {listed:?}"))
    }

    /// The variable has this value.
    pub(super) fn handle_variable(&mut self, value: u32, as_made: u32) -> Result<()> {
        self.choose(
            |world| world.threshold.unwrap_or(as_made) == value,
            || format!("the variable has the value {value}"),
        )
    }

    /// Keeps the worlds that fit an observation.
    fn choose(&mut self, fits: impl Fn(&World) -> bool, seen: impl Fn() -> String) -> Result<()> {
        let place = self.worlds.iter().position(&fits);
        let Some(place) = place else {
            bail!("{}, and by what was answered it has to be one of {:?}", seen(), self.worlds);
        };
        if self.worlds.len() > 1 && self.worlds.iter().any(|world| !fits(world)) {
            // The worlds before a call come before those after it.
            let count = if place == 0 { &mut self.counts.kept_old } else { &mut self.counts.kept_new };
            *count += 1;
        }
        self.worlds.retain(fits);
        Ok(())
    }

    /// The roots that are installed for certain, for operations that need an installed root.
    pub(super) fn installed(&self) -> Vec<(usize, usize)> {
        self.worlds[0].roots.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn knowledge(steps: &[Value]) -> (Knowledge, Result<()>) {
        let mut knowledge = Knowledge::new(Counts::default());
        knowledge.handle_asked(1, Operation::Install { use_: 0, root: 3 });
        knowledge.handle_asked(2, Operation::Delete { root: 3 });
        let result = steps.iter().try_for_each(|step| knowledge.handle_step(step));
        (knowledge, result)
    }

    fn answer(id: u64, answer: Value) -> Value {
        json!({ "step": "answer", "id": id, "answer": answer })
    }

    #[test]
    fn what_was_accepted_has_to_be_listed_and_what_was_lost_may_be() {
        let there = BTreeSet::from([(0, 3)]);
        let nothing = BTreeSet::new();
        for (steps, with, without) in [
            (vec![answer(1, json!({"status": "Accepted"}))], true, false),
            (vec![answer(1, json!({"lost": true}))], true, true),
            (vec![answer(1, json!({"lost": true})), answer(2, json!({"status": "Accepted"}))], false, true),
            (vec![answer(1, json!({"lost": true})), answer(2, json!({"lost": true}))], true, true),
            (vec![answer(1, json!({"lost": true})), answer(2, json!({"status": "NotFound"}))], false, true),
        ] {
            let seen = |listed| {
                let (mut knowledge, result) = knowledge(&steps);
                result.expect("possible");
                knowledge.handle_listed(listed).is_ok()
            };
            assert_eq!((seen(&there), seen(&nothing)), (with, without), "{steps:?}");
        }
        for status in ["Accepted", "NotFound"] {
            let steps = match status {
                "Accepted" => vec![answer(2, json!({"status": "Accepted"}))],
                _ => vec![answer(1, json!({"status": "Accepted"})), answer(2, json!({"status": "NotFound"}))],
            };
            assert!(knowledge(&steps).1.is_err(), "{status}: a lie");
        }
    }

    #[test]
    fn the_newest_accepted_certificate_has_to_be_used() {
        let connected =
            |serial: &str| json!({"step": "connected", "connection": 1, "profile": 3, "serial": serial});
        let signing = |serial: &str| json!({"step": "signing", "serial": serial});
        let signed =
            |serial: &str, answer: Value| json!({"step": "signed", "serial": serial, "answer": answer});
        let accepted = json!({"status": "Accepted"});
        let first = [signing("a"), signed("a", accepted.clone()), connected("a")];
        assert!(knowledge(&first).1.is_ok());
        for (then, with, expected) in [
            (vec![], "a", true),
            (vec![], "b", false),
            (vec![signing("b"), signed("b", accepted.clone())], "a", false),
            (vec![signing("b"), signed("b", accepted.clone())], "b", true),
            (vec![signing("b"), signed("b", json!({"lost": true}))], "a", true),
            (vec![signing("b"), signed("b", json!({"lost": true}))], "b", true),
            (vec![signing("b"), signed("b", json!({"status": "Rejected"}))], "b", false),
        ] {
            let steps = [first.to_vec(), then.clone(), vec![connected(with)]].concat();
            assert_eq!(knowledge(&steps).1.is_ok(), expected, "{then:?} {with}");
        }
        let password = json!({"step": "connected", "connection": 2, "profile": 2, "serial": null});
        assert!(knowledge(&[first.to_vec(), vec![password]].concat()).1.is_err());
    }

    #[test]
    fn an_accepted_trigger_owes_a_request() {
        let mut knowledge = Knowledge::new(Counts::default());
        knowledge.handle_asked(7, Operation::Trigger);
        let steps = [
            json!({"step": "connected", "connection": 1, "profile": 2, "serial": null}),
            json!({"step": "boot", "connection": 1, "reason": "PowerUp"}),
            answer(7, json!({"status": "Accepted"})),
        ];
        steps.iter().try_for_each(|step| knowledge.handle_step(step)).expect("possible");
        assert!(!knowledge.is_settled());
        let request = json!({"step": "request", "sound": true, "status": "Rejected", "undelivered": 0});
        knowledge.handle_step(&request).expect("possible");
        assert!(knowledge.is_settled());
    }
}
