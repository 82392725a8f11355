//! Explores every interleaving of the renewal core with a CSMS, a link that loses messages,
//! crashes, expiry and a change of roots.
//!
//! The model checker stateright drives the core itself. The model adds what the core relies on, in
//! its simplest form: a durable store, a token, two certificates, and a clock of a few seconds.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use stateright::{Checker as _, Model, Property};

use super::{
    Action, End, Note, Record, Renewal, Schedule, SignAnswer, SignedVerdict, Stage, Target, Validity,
};

/// W of the schedule, and the step of the clock.
const TICK: Duration = Duration::from_secs(1);
/// Doublings: at most three accepted sends.
const REPEAT_TIMES: u32 = 1;
const ROOT_A: u8 = 1;
const ROOT_B: u8 = 2;

/// The number of events of each kind.
#[derive(Clone, Debug)]
struct Bounds {
    triggers: u8,
    crashes: u8,
    disconnects: u8,
    certificates: u8,
    root_changes: u8,
    ticks: u8,
    version: Version,
}

/// The OCPP version of the CSMS, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    /// With the waits of A02.FR.17.
    V2,
    /// Without them.
    V16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    version: Version,
    core: Renewal<u8>,
    /// Durable: the pending keys, and the certificates for the connection, newest first.
    records: Vec<Record<u8>>,
    own: Vec<Certificate>,
    next_key: u8,
    /// The key that the token is generating.
    making: Option<u8>,
    connected: bool,
    /// SignCertificate in transit.
    request: Option<u8>,
    /// The CSRs whose acceptance the station has received on this connection.
    heard: BTreeSet<u8>,
    /// Keys for which the CSMS has accepted a CSR.
    known_to_csms: BTreeSet<u8>,
    /// CertificateSigned in transit.
    signed: Option<(u8, bool)>,
    /// The roots whose certificates the CSMS accepts; it issues under the highest.
    csms_roots: u8,
    clock: u8,
    left: Left,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Certificate {
    key: u8,
    root: u8,
    in_use: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Left {
    triggers: u8,
    crashes: u8,
    disconnects: u8,
    certificates: u8,
    root_changes: u8,
    ticks: u8,
}

/// The observations that the properties check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Seen {
    /// The key of a trigger that was answered Accepted but has had no result yet.
    owed: Option<u8>,
    /// How often the station has received the acceptance of this CSR.
    accepted: Option<(u8, u32)>,
    /// The durable time before which this CSR must not be sent again.
    noted: Option<(u8, SystemTime)>,
    /// A broken promise.
    broken: Option<Broken>,
    ends: BTreeSet<u8>,
    late: bool,
    fell_back: bool,
    switched: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Broken {
    /// The only certificate that the CSMS accepts was discarded.
    Stranded,
    /// A CSR was sent again before its wait was over; in 1.6, on the connection on which it was
    /// accepted.
    Early,
    /// More sends than the schedule allows.
    TooOften,
    /// Something was sent for a key that the store does not know.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Trigger,
    /// Carries out the next action of the core. With a crash, only its durable part is done.
    Work {
        crash: bool,
    },
    KeyMade(bool),
    /// The CSMS has received the CSR, and the station the answer if `heard`.
    Answered {
        accepted: bool,
        heard: bool,
    },
    RequestLost,
    Issue {
        key: u8,
        valid: bool,
    },
    Signed,
    SignedLost,
    Connect {
        newest: bool,
    },
    Disconnect,
    Crash,
    RootChange,
    Tick,
}

fn time(clock: u8) -> SystemTime {
    UNIX_EPOCH + TICK * u32::from(clock)
}

impl World {
    fn new(bounds: &Bounds) -> Self {
        let Bounds { triggers, crashes, disconnects, certificates, root_changes, ticks, version } = *bounds;
        let mut world = Self {
            version,
            core: Renewal::new(Schedule::new(TICK, REPEAT_TIMES)),
            records: Vec::new(),
            own: vec![Certificate { key: 0, root: ROOT_A, in_use: true }],
            next_key: 1,
            making: None,
            connected: false,
            request: None,
            heard: BTreeSet::new(),
            known_to_csms: BTreeSet::new(),
            signed: None,
            csms_roots: ROOT_A,
            clock: 0,
            left: Left { triggers, crashes, disconnects, certificates, root_changes, ticks },
            seen: Seen::default(),
        };
        world.tell_validity();
        world
    }

    /// The first certificate expires after three seconds, and so is due after two. The others
    /// outlive the model.
    fn tell_validity(&mut self) {
        let first = self.own.first().is_some_and(|own| own.key == 0);
        let not_after = if first { time(3) } else { UNIX_EPOCH + Duration::from_secs(1_000_000) };
        self.core.handle_held(Target::Station, Validity { not_before: UNIX_EPOCH, not_after });
    }

    fn announce(&mut self) -> u8 {
        let key = self.next_key;
        self.next_key += 1;
        self.records.push(Record { pending: key, subject: Target::Station, csr: None });
        self.core.handle_announced(Target::Station, key);
        key
    }

    fn note(&mut self, key: u8, csr: Option<Note>) {
        match self.records.iter_mut().find(|record| record.pending == key) {
            Some(record) => record.csr = Some(csr),
            None => self.seen.broken = Some(Broken::Unknown),
        }
    }

    fn work(&mut self, crash: bool) {
        let now = time(self.clock);
        let Some(action) = self.core.poll_action(now) else { return };
        match action {
            Action::Announce { .. } => {
                self.announce();
            }
            Action::MakeKey { pending, .. } => self.making = Some(pending),
            Action::Send { pending, note, .. } => {
                self.note(pending, Some(note));
                if !crash {
                    self.check_send(pending);
                    self.request = Some(pending);
                    if self.seen.owed == Some(pending) {
                        self.seen.owed = None;
                    }
                }
            }
            Action::Note { pending, note } => {
                self.note(pending, Some(note));
                self.seen.noted = note.due.map(|due| (pending, due));
            }
            Action::Drop { pending } => self.records.retain(|record| record.pending != pending),
            Action::Ended { end, .. } => {
                // The replacing trigger takes over the debt of a replaced one.
                if end != End::Replaced {
                    self.seen.owed = None;
                }
                self.seen.ends.insert(end as u8);
            }
        }
        if crash {
            self.crash();
        }
    }

    fn check_send(&mut self, key: u8) {
        let early = match self.version {
            Version::V2 => self.seen.noted.is_some_and(|(noted, due)| noted == key && time(self.clock) < due),
            Version::V16 => self.heard.contains(&key),
        };
        if early {
            self.seen.broken = Some(Broken::Early);
        }
        if self.seen.accepted.is_some_and(|(accepted, count)| accepted == key && count >= REPEAT_TIMES + 2) {
            self.seen.broken = Some(Broken::TooOften);
        }
    }

    fn answered(&mut self, accepted: bool, heard: bool) {
        let Some(key) = self.request.take() else { return };
        if accepted {
            self.known_to_csms.insert(key);
        }
        let answer = match (heard, accepted) {
            (false, _) => SignAnswer::None,
            (true, true) => SignAnswer::Accepted,
            (true, false) => SignAnswer::Rejected,
        };
        if answer == SignAnswer::Accepted {
            let before = self.seen.accepted.filter(|(known, _)| *known == key).map_or(0, |(_, count)| count);
            self.seen.accepted = Some((key, before + 1));
            self.heard.insert(key);
        }
        self.core.handle_answer(time(self.clock), key, answer);
    }

    /// CertificateSigned arrives: the store finds the pending key of the leaf.
    fn signed(&mut self) {
        let Some((key, valid)) = self.signed.take() else { return };
        let Some(record) =
            self.records.iter().position(|record| record.pending == key && record.csr.is_some())
        else {
            return;
        };
        let now = time(self.clock);
        if !valid {
            self.core.handle_certificate(now, key, SignedVerdict::Invalid);
            return;
        }
        // One transaction.
        self.records.remove(record);
        let root = if self.csms_roots & ROOT_B == 0 { ROOT_A } else { ROOT_B };
        self.own.insert(0, Certificate { key, root, in_use: false });
        self.seen.late |= self.records.iter().any(|other| other.pending > key);
        self.core.handle_certificate(now, key, SignedVerdict::Accepted);
        self.tell_validity();
    }

    /// Connects with the newest certificate, or with the one that worked before; the other is
    /// discarded (A02.FR.10).
    fn connect(&mut self, newest: bool) {
        let chosen = if newest { self.own.first() } else { self.own.iter().find(|own| own.in_use) };
        let Some(chosen) = chosen.filter(|own| own.root & self.csms_roots != 0).cloned() else { return };
        self.seen.fell_back |= !newest && self.own.len() > 1;
        self.seen.switched |= newest && !chosen.in_use;
        self.own = vec![Certificate { in_use: true, ..chosen }];
        self.tell_validity();
        self.connected = true;
        match self.version {
            Version::V2 => self.core.handle_connected(),
            Version::V16 => self.core.handle_connected_without_waits(time(self.clock)),
        }
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.request = None;
        self.heard.clear();
        self.core.handle_disconnected(time(self.clock));
    }

    fn crash(&mut self) {
        let schedule = Schedule::new(TICK, REPEAT_TIMES);
        self.core = Renewal::restore(schedule, time(self.clock), self.records.clone());
        self.tell_validity();
        self.connected = false;
        self.request = None;
        self.heard.clear();
        self.making = None;
        self.signed = None;
    }

    fn has_ended(&self, end: End) -> bool {
        self.seen.ends.contains(&(end as u8))
    }

    fn is_accepted_somewhere(&self) -> bool {
        self.own.iter().any(|own| own.root & self.csms_roots != 0)
    }

    fn apply(&mut self, step: Step) {
        let had_one = self.is_accepted_somewhere();
        let now = time(self.clock);
        match step {
            Step::Trigger => {
                self.left.triggers -= 1;
                // The trigger is durable, then answered Accepted.
                let key = self.announce();
                self.seen.owed = Some(key);
            }
            Step::Work { crash } => {
                self.left.crashes -= u8::from(crash);
                self.work(crash);
            }
            Step::KeyMade(made) => {
                let Some(key) = self.making.take() else { return };
                if made && self.records.iter().any(|record| record.pending == key) {
                    self.note(key, None);
                }
                self.core.handle_key(now, key, if made { Ok(()) } else { Err(()) });
            }
            Step::Answered { accepted, heard } => self.answered(accepted, heard),
            Step::RequestLost => {
                if let Some(key) = self.request.take() {
                    self.core.handle_answer(now, key, SignAnswer::None);
                }
            }
            Step::Issue { key, valid } => {
                self.left.certificates -= 1;
                self.signed = Some((key, valid));
            }
            Step::Signed => self.signed(),
            Step::SignedLost => self.signed = None,
            Step::Connect { newest } => self.connect(newest),
            Step::Disconnect => {
                self.left.disconnects -= 1;
                self.disconnect();
            }
            Step::Crash => {
                self.left.crashes -= 1;
                self.crash();
            }
            // Both roots at first, then only the new one: the CSMS decides this.
            Step::RootChange => {
                self.left.root_changes -= 1;
                self.csms_roots = if self.csms_roots == ROOT_A { ROOT_A | ROOT_B } else { ROOT_B };
            }
            Step::Tick => {
                self.left.ticks -= 1;
                self.clock += 1;
            }
        }
        if had_one && !self.is_accepted_somewhere() && step != Step::RootChange {
            self.seen.broken = Some(Broken::Stranded);
        }
    }

    /// Whether the debt will be paid: each stage before the send has something that moves it on.
    fn debt_is_served(&self) -> bool {
        let Some(key) = self.seen.owed else { return true };
        if !self.records.iter().any(|record| record.pending == key) {
            // The key was dropped: the end of its series is about to be reported.
            return self.core.actions.iter().any(|action| matches!(action, Action::Ended { .. }));
        }
        match self.core.stage(&Target::Station) {
            Some(Stage::Announced) => self.core.clone().poll_action(time(self.clock)).is_some(),
            Some(Stage::Making { .. }) => self.making.is_some(),
            Some(Stage::Again { due, .. }) => self.core.poll_timeout().is_some_and(|next| next <= *due),
            // After a crash the send may be recorded but not done: it is repeated when the wait is
            // over.
            Some(Stage::Ready { due, .. } | Stage::Waiting { due, .. }) => {
                !self.connected || self.core.poll_timeout().is_some_and(|next| next <= *due)
            }
            _ => !self.core.actions.is_empty(),
        }
    }
}

impl Model for Bounds {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let left = &world.left;
        if world.core.clone().poll_action(time(world.clock)).is_some() {
            steps.push(Step::Work { crash: false });
            if left.crashes > 0 {
                steps.push(Step::Work { crash: true });
            }
        }
        if left.crashes > 0 {
            steps.push(Step::Crash);
        }
        if world.making.is_some() {
            steps.extend([Step::KeyMade(true), Step::KeyMade(false)]);
        }
        if world.request.is_some() {
            steps.extend([
                Step::Answered { accepted: true, heard: true },
                Step::Answered { accepted: true, heard: false },
                Step::Answered { accepted: false, heard: true },
                Step::RequestLost,
            ]);
        }
        if world.connected {
            if left.triggers > 0 {
                steps.push(Step::Trigger);
            }
            if left.disconnects > 0 {
                steps.push(Step::Disconnect);
            }
            if left.certificates > 0 && world.signed.is_none() {
                let known = world.known_to_csms.iter();
                steps.extend(
                    known.flat_map(|key| [true, false].map(|valid| Step::Issue { key: *key, valid })),
                );
            }
            if world.signed.is_some() {
                steps.extend([Step::Signed, Step::SignedLost]);
            }
        } else {
            steps.extend([Step::Connect { newest: true }, Step::Connect { newest: false }]);
        }
        if left.root_changes > 0 {
            steps.push(Step::RootChange);
        }
        if left.ticks > 0 {
            steps.push(Step::Tick);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = world.clone();
        next.apply(step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("no promise is broken", |_, world: &World| world.seen.broken.is_none()),
            Property::always(
                "F06.FR.10 an accepted trigger leads to a CSR or a stated end",
                |_, world: &World| world.debt_is_served(),
            ),
            Property::always(
                "every key that the core works for is known to the store",
                |_, world: &World| {
                    let known = |key: u8| world.records.iter().any(|record| record.pending == key);
                    world.core.series.values().all(|series| series.keys().all(known))
                },
            ),
            Property::always("a handful of keys waits", |_, world: &World| world.records.len() <= 6),
        ];
        // States that must be reached somewhere, because the model would prove nothing otherwise.
        let reached: [(u8, Property<Self>); 7] = [
            (
                1,
                Property::sometimes("connected with the new certificate", |_, world: &World| {
                    world.seen.switched
                }),
            ),
            (1, Property::sometimes("rejected", |_, world: &World| world.has_ended(End::Rejected))),
            (
                1,
                Property::sometimes("an invalid certificate", |_, world: &World| {
                    world.has_ended(End::Invalid)
                }),
            ),
            (1, Property::sometimes("the token failed", |_, world: &World| world.has_ended(End::NoKey))),
            (3, Property::sometimes("all sends used up", |_, world: &World| world.has_ended(End::Exhausted))),
            (4, Property::sometimes("a late certificate", |_, world: &World| world.seen.late)),
            (5, Property::sometimes("back to the old certificate", |_, world: &World| world.seen.fell_back)),
        ];
        let reachable = |rank| match rank {
            3 if self.version == Version::V16 => self.disconnects >= 2,
            3 => self.ticks >= 3,
            4 => self.triggers >= 2,
            5 => self.disconnects >= 1,
            _ => true,
        };
        properties
            .extend(reached.into_iter().filter(|(rank, _)| reachable(*rank)).map(|(_, property)| property));
        properties
    }
}

fn check(bounds: &Bounds) {
    let checker = bounds.clone().checker().threads(2).spawn_bfs().join();
    println!("{bounds:?}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

/// Two triggers, a crash, one certificate.
#[test]
fn every_interleaving_with_a_crash() {
    check(&Bounds {
        triggers: 2,
        crashes: 1,
        disconnects: 0,
        certificates: 1,
        root_changes: 0,
        ticks: 3,
        version: Version::V2,
    });
}

/// The CSMS moves to another root meanwhile.
#[test]
fn every_interleaving_with_a_change_of_roots() {
    check(&Bounds {
        triggers: 1,
        crashes: 1,
        disconnects: 1,
        certificates: 2,
        root_changes: 2,
        ticks: 2,
        version: Version::V2,
    });
}

/// OCPP 1.6, which sends again on new connections only.
#[test]
fn every_interleaving_without_waits() {
    check(&Bounds {
        triggers: 1,
        crashes: 1,
        disconnects: 2,
        certificates: 1,
        root_changes: 0,
        ticks: 2,
        version: Version::V16,
    });
}
