//! Random sequences of messages, clock changes and crashes against a small model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use ocpp_types::v201::InstallCertificateUseEnumType as Use;
use ocpp_types::v201::{
    CertificateHashDataType, CertificateSignedRequest, CertificateSignedStatusEnumType,
    DeleteCertificateRequest, DeleteCertificateStatusEnumType, GetInstalledCertificateIdsRequest,
    GetInstalledCertificateStatusEnumType, InstallCertificateRequest, InstallCertificateStatusEnumType,
};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use rcgen::{KeyPair, PublicKeyData, date_time_ymd};
use station_store::{Certificate, CertificateId, HashAlgorithm, NewPending, Settings, Store};

use crate::disk::Disk;
use crate::memory::{Fault, Memory};
use crate::pki::{
    ca_params, hash_data, key, leaf, leaf_params, new_pending, now, root_of, secc_params, settings, sub_ca,
    uri, v2g_pending,
};

const MAX_ENTRIES: usize = 4;
/// For the CSMS, for V2G, for mobility operators.
const USES: usize = 3;
const ROOTS: usize = 3;
/// The leaves 0 and 1 are for the connection, 2 to 4 for vehicles.
const LEAVES: usize = 5;

/// The certificates of the sequences: three roots, a sub-CA below the first, and leaves with a key
/// each.
struct Samples {
    roots: Vec<(String, CertificateId)>,
    leaves: Vec<Leaf>,
    sub_ca: CertificateId,
}

struct Leaf {
    key: KeyPair,
    chain: String,
    id: CertificateId,
    /// The root to which it leads.
    root: usize,
    below_sub_ca: bool,
}

static SAMPLES: LazyLock<Samples> = LazyLock::new(|| {
    // The validity of the second root ends early, that of the third begins late.
    let roots: Vec<_> = [(2030, 1, 2031, 1), (2030, 1, 2030, 7), (2030, 7, 2031, 1)]
        .into_iter()
        .enumerate()
        .map(|(number, (from_year, from_month, to_year, to_month))| {
            let mut params = ca_params(&format!("Root {number}"));
            params.not_before = date_time_ymd(from_year, from_month, 1);
            params.not_after = date_time_ymd(to_year, to_month, 1);
            root_of(params)
        })
        .collect();
    let sub = sub_ca(&roots[0], "Sub");
    let read = |pem: &str| Certificate::from_pem(pem).expect("a certificate");
    let leaves = [(0, false), (0, true), (0, true), (1, false), (0, false)]
        .into_iter()
        .enumerate()
        .map(|(number, (root, below_sub_ca))| {
            let key = key();
            let mut params =
                if connects(number) { leaf_params() } else { secc_params(&format!("SECC-{number}")) };
            if number == 4 {
                params.not_after = date_time_ymd(2030, 7, 1);
            }
            let issuer = if below_sub_ca { &sub } else { &roots[root] };
            let pem = leaf(issuer, &key, params);
            let id = CertificateId::new(&read(&pem), read(&issuer.pem()).public_key());
            let chain = if below_sub_ca { pem + &sub.pem() } else { pem };
            Leaf { key, chain, id, root, below_sub_ca }
        })
        .collect();
    Samples {
        sub_ca: CertificateId::new(&read(&sub.pem()), read(&roots[0].pem()).public_key()),
        roots: roots.iter().map(|root| (root.pem(), CertificateId::of_root(&read(&root.pem())))).collect(),
        leaves,
    }
});

fn connects(leaf: usize) -> bool {
    leaf < 2
}

/// A certificate that DeleteCertificate can name.
#[derive(Clone, Copy, Debug)]
enum Name {
    Root(usize),
    Leaf(usize),
    SubCa,
}

#[derive(Clone, Debug)]
enum Step {
    Install {
        root: usize,
        use_: usize,
    },
    Request {
        leaf: usize,
    },
    Sign {
        leaf: usize,
    },
    Confirm {
        leaf: usize,
    },
    Delete {
        name: Name,
        algorithm: usize,
        shout: bool,
    },
    Destroy,
    List {
        filter: u8,
    },
    /// Sets the clock to this many days after the start.
    Clock {
        days: i64,
    },
    Restart,
    /// The disk keeps the next change or not; then the power fails.
    Crash {
        kept: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![
        3 => (0..ROOTS).prop_map(Name::Root),
        3 => (0..LEAVES).prop_map(Name::Leaf),
        1 => Just(Name::SubCa),
    ];
    prop_oneof![
        6 => (0..ROOTS, 0..USES).prop_map(|(root, use_)| Step::Install { root, use_ }),
        4 => (0..LEAVES).prop_map(|leaf| Step::Request { leaf }),
        5 => (0..LEAVES).prop_map(|leaf| Step::Sign { leaf }),
        2 => (0..2_usize).prop_map(|leaf| Step::Confirm { leaf }),
        4 => (name, 0..3_usize, any::<bool>())
            .prop_map(|(name, algorithm, shout)| Step::Delete { name, algorithm, shout }),
        1 => Just(Step::Destroy),
        1 => (1..16_u8).prop_map(|filter| Step::List { filter }),
        1 => prop_oneof![Just(0), Just(40), Just(-40), Just(400)].prop_map(|days| Step::Clock { days }),
        1 => Just(Step::Restart),
        2 => any::<bool>().prop_map(|kept| Step::Crash { kept }),
    ]
}

/// A small model of a station's content.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// (use, root)
    roots: BTreeSet<(usize, usize)>,
    pending: BTreeMap<usize, String>,
    /// The station's own certificates, with the names of their keys.
    own: BTreeMap<usize, String>,
    condemned: BTreeSet<String>,
}

impl Model {
    fn install(&mut self, root: usize, use_: usize, days: i64) -> bool {
        let room = self.roots.contains(&(use_, root)) || self.roots.len() < MAX_ENTRIES;
        let accepted = room && root_is_valid(root, days);
        if accepted {
            self.roots.insert((use_, root));
        }
        accepted
    }

    fn request(&mut self, leaf: usize, name: String) -> bool {
        let unknown = !self.own.contains_key(&leaf) && !self.pending.contains_key(&leaf);
        unknown && self.pending.insert(leaf, name).is_none()
    }

    fn sign(&mut self, leaf: usize, days: i64) -> bool {
        let Leaf { root, .. } = SAMPLES.leaves[leaf];
        let use_ = if connects(leaf) { 0 } else { 1 };
        let valid = root_is_valid(root, days) && leaf_is_valid(leaf, days);
        let known = self.own.contains_key(&leaf) || self.pending.contains_key(&leaf);
        let accepted = valid && known && self.roots.contains(&(use_, root));
        if accepted && let Some(name) = self.pending.remove(&leaf) {
            self.own.insert(leaf, name);
        }
        accepted
    }

    fn discard(&mut self, gone: impl Fn(usize) -> bool) -> bool {
        let before = self.own.len();
        self.condemned.extend(self.own.iter().filter(|(leaf, _)| gone(**leaf)).map(|(_, name)| name.clone()));
        self.own.retain(|leaf, _| !gone(*leaf));
        self.own.len() < before
    }

    fn delete(&mut self, name: Name) -> DeleteCertificateStatusEnumType {
        let before = self.roots.len();
        let found = match name {
            Name::Leaf(leaf) if connects(leaf) && self.own.contains_key(&leaf) => {
                return DeleteCertificateStatusEnumType::Failed;
            }
            Name::Root(root) => {
                self.roots.retain(|(_, other)| *other != root);
                self.roots.len() < before
            }
            Name::Leaf(leaf) => self.discard(|other| other == leaf),
            Name::SubCa => self.discard(|leaf| !connects(leaf) && SAMPLES.leaves[leaf].below_sub_ca),
        };
        if found {
            DeleteCertificateStatusEnumType::Accepted
        } else {
            DeleteCertificateStatusEnumType::NotFound
        }
    }
}

fn root_is_valid(root: usize, days: i64) -> bool {
    [-40, 0, 40].contains(&days) && [true, days < 40, days == 40][root]
}

fn leaf_is_valid(leaf: usize, days: i64) -> bool {
    [-40, 0, 40].contains(&days) && (leaf != 4 || days < 40)
}

/// The place of the store.
enum Place {
    Memory(Memory),
    /// A disk, through redb.
    Disk(Disk),
}

impl Place {
    fn open(&self, settings: Settings) -> Store {
        match self {
            Self::Memory(memory) => Store::with_storage(memory.clone(), settings).expect("opens"),
            Self::Disk(disk) => Store::on_backend(disk.clone(), settings).expect("opens"),
        }
    }

    fn break_down(&self, kept: bool) {
        match self {
            Self::Memory(memory) => {
                memory.break_down(if kept { Fault::WrittenButNotSynced } else { Fault::Full });
            }
            Self::Disk(disk) => disk.arm(crate::disk::Fault::PowerAt(1)),
        }
    }

    /// The place after the power is back, and whether it may have kept the change.
    fn after_crash(self, kept: bool) -> (Self, bool) {
        match self {
            Self::Memory(memory) => {
                memory.repair();
                (Self::Memory(memory), kept)
            }
            // Nothing can have been kept at the first write.
            Self::Disk(disk) => (Self::Disk(Disk::new(&disk.after_power_loss(1)[usize::from(kept)])), false),
        }
    }
}

fn run(mut place: Place, steps: &[Step]) {
    let our_settings = || settings().max_entries(MAX_ENTRIES);
    let mut store = place.open(our_settings());
    let (mut model, mut days, mut crash, mut names) = (Model::default(), 0, None, 0);
    for step in steps {
        let clock = clock(days);
        let before = model.clone();
        let changes =
            !matches!(step, Step::List { .. } | Step::Clock { .. } | Step::Restart | Step::Crash { .. });
        if let Some(kept) = crash.filter(|_| changes) {
            place.break_down(kept);
        }
        let (accepted, expected) = match *step {
            Step::Install { root, use_ } => {
                (install(&store, use_, &SAMPLES.roots[root].0, clock), model.install(root, use_, days))
            }
            Step::Request { leaf } => {
                names += 1;
                let name = format!("key-{names}");
                let expected = model.request(leaf, uri(&name));
                // The store makes two changes here; only their final result is compared.
                (!expected || crash.is_some() || request(&store, leaf, &name), expected || crash.is_none())
            }
            Step::Sign { leaf } => {
                (signed(&store, &SAMPLES.leaves[leaf].chain, clock), model.sign(leaf, days))
            }
            Step::Confirm { leaf } => {
                let name = model.own.get(&leaf).cloned();
                let own =
                    store.own_certificates().into_iter().find(|own| Some(&own.key_uri) == name.as_ref());
                if name.is_some() {
                    model.discard(|other| connects(other) && other != leaf);
                }
                (own.is_some_and(|own| store.confirm_own(own.id).is_ok()), name.is_some())
            }
            Step::Delete { name, algorithm, shout } => {
                let status = delete(&store, &hash_of(name, algorithm, shout));
                let expected = model.delete(name);
                if crash.is_none() {
                    assert_eq!(status, expected, "{step:?}");
                }
                let accepted = |status| status == DeleteCertificateStatusEnumType::Accepted;
                (accepted(status), accepted(expected))
            }
            Step::Destroy => {
                let name = model.condemned.pop_first();
                (name.as_ref().is_none_or(|name| store.key_destroyed(name).is_ok()), true)
            }
            Step::List { filter } => {
                check_list(&store, &model, filter);
                continue;
            }
            Step::Clock { days: to } => {
                days = to;
                continue;
            }
            Step::Restart => {
                drop(store);
                store = place.open(our_settings());
                check(&store, &model);
                continue;
            }
            Step::Crash { kept } => {
                crash = Some(kept);
                continue;
            }
        };
        match crash.take() {
            None => assert_eq!(accepted, expected, "{step:?} on day {days} in {before:?}"),
            // A request is not compared above, so it must not be half done either.
            Some(_) if matches!(step, Step::Request { .. }) => {
                model = before;
                place = place.after_crash(false).0;
                drop(store);
                store = place.open(our_settings());
            }
            Some(kept) => {
                drop(store);
                let (after, kept) = place.after_crash(kept);
                place = after;
                store = place.open(our_settings());
                if !kept {
                    model = before;
                }
            }
        }
        check(&store, &model);
    }
}

fn clock(days: i64) -> SystemTime {
    let distance = Duration::from_secs(days.unsigned_abs() * 86_400);
    if days < 0 { now() - distance } else { now() + distance }
}

fn install(store: &Store, use_: usize, pem: &str, now: SystemTime) -> bool {
    let types = [Use::CSMSRootCertificate, Use::V2GRootCertificate, Use::MORootCertificate];
    let request = InstallCertificateRequest::new(types[use_], pem.try_into().expect("short"));
    store.install(&request, now).status == InstallCertificateStatusEnumType::Accepted
}

fn request(store: &Store, leaf: usize, name: &str) -> bool {
    let new: NewPending =
        if connects(leaf) { new_pending(name) } else { v2g_pending(name, &format!("SECC-{leaf}")) };
    let spki = SAMPLES.leaves[leaf].key.subject_public_key_info();
    let begun = store.begin_pending(&new);
    begun.is_ok_and(|id| store.complete_pending(id, &spki, "a CSR").is_ok())
}

fn signed(store: &Store, chain: &str, now: SystemTime) -> bool {
    let request = CertificateSignedRequest::new(chain.try_into().expect("short"));
    store.certificate_signed(&request, now).response.status == CertificateSignedStatusEnumType::Accepted
}

fn delete(store: &Store, hash: &CertificateHashDataType) -> DeleteCertificateStatusEnumType {
    store.delete(&DeleteCertificateRequest::new(hash.clone())).status
}

fn hash_of(name: Name, algorithm: usize, shout: bool) -> CertificateHashDataType {
    let id = match name {
        Name::Root(root) => &SAMPLES.roots[root].1,
        Name::Leaf(leaf) => &SAMPLES.leaves[leaf].id,
        Name::SubCa => &SAMPLES.sub_ca,
    };
    let mut hash = hash_data(id.hash_data(HashAlgorithm::ALL[algorithm]));
    if shout {
        let upper = hash.issuer_name_hash.to_uppercase();
        hash.issuer_name_hash = upper.try_into().expect("as long");
    }
    hash
}

/// After every single step, each accepted certificate is listed, and every key has its name.
fn check(store: &Store, model: &Model) {
    check_list(store, model, 0);
    let pending: BTreeSet<_> = store.pending().into_iter().map(|pending| pending.key_uri).collect();
    assert_eq!(pending, model.pending.values().cloned().collect(), "{model:?}");
    let own: BTreeSet<_> = store.own_certificates().into_iter().map(|own| own.key_uri).collect();
    let expected = model.own.iter().filter(|(leaf, _)| connects(**leaf)).map(|(_, name)| name.clone());
    assert_eq!(own, expected.collect());
    assert_eq!(store.condemned_keys().into_iter().collect::<BTreeSet<_>>(), model.condemned);
}

/// Bit 3 of the filter selects the chains, the others select roots; zero selects everything.
fn check_list(store: &Store, model: &Model, filter: u8) {
    use ocpp_types::v201::GetCertificateIdUseEnumType as Listed;
    const TYPES: [Listed; 4] = [
        Listed::CSMSRootCertificate,
        Listed::V2GRootCertificate,
        Listed::MORootCertificate,
        Listed::V2GCertificateChain,
    ];
    let asked = |type_: usize| filter == 0 || filter & 1 << type_ != 0;
    let mut request = GetInstalledCertificateIdsRequest::new();
    if filter != 0 {
        let types: Vec<_> = (0..4).filter(|type_| asked(*type_)).map(|type_| TYPES[type_]).collect();
        request.certificate_type = types.try_into().ok();
    }
    let response = store.installed_certificate_ids(&request);
    let mut found: Vec<_> = response
        .certificate_hash_data_chain
        .iter()
        .flat_map(|chains| chains.iter())
        .map(|chain| {
            let children = chain.child_certificate_hash_data.as_ref().map_or(0, |children| children.len());
            (
                chain.certificate_type,
                children,
                chain.certificate_hash_data.issuer_key_hash.to_string(),
                chain.certificate_hash_data.serial_number.to_string(),
            )
        })
        .collect();
    let entry = |type_: usize, children: usize, id: &CertificateId| {
        let hash = id.hash_data(HashAlgorithm::Sha256).to_text();
        (TYPES[type_], children, hash.issuer_key_hash, hash.serial_number)
    };
    let roots = model.roots.iter().map(|(use_, root)| entry(*use_, 0, &SAMPLES.roots[*root].1));
    let chains = model.own.keys().filter(|leaf| !connects(**leaf)).map(|leaf| {
        let Leaf { below_sub_ca, id, .. } = &SAMPLES.leaves[*leaf];
        entry(3, usize::from(*below_sub_ca), id)
    });
    let mut expected: Vec<_> = roots.chain(chains).collect();
    expected.retain(|(type_, ..)| TYPES.iter().position(|known| known == type_).is_some_and(asked));
    let status = if expected.is_empty() {
        GetInstalledCertificateStatusEnumType::NotFound
    } else {
        GetInstalledCertificateStatusEnumType::Accepted
    };
    assert_eq!(response.status, status);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

fn check_sequences(cases: u32, length: usize, place: fn() -> Place) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let steps = proptest::collection::vec(step(), 1..length);
    runner
        .run(&steps, |steps| {
            run(place(), &steps);
            Ok(())
        })
        .expect("the store does what the model does");
}

// 10,000 sequences, in four parts that may run concurrently.

#[test]
fn accepted_is_listed_is_deletable_in_2500_sequences() {
    check_sequences(2500, 25, || Place::Memory(Memory::default()));
}

#[test]
fn accepted_is_listed_is_deletable_in_2500_more() {
    check_sequences(2500, 25, || Place::Memory(Memory::default()));
}

#[test]
fn accepted_is_listed_is_deletable_in_2500_that_are_short() {
    check_sequences(2500, 12, || Place::Memory(Memory::default()));
}

#[test]
fn accepted_is_listed_is_deletable_in_2500_that_are_long() {
    check_sequences(2500, 40, || Place::Memory(Memory::default()));
}

/// The same through redb, on a disk that loses its power.
#[test]
fn accepted_is_listed_is_deletable_on_disk() {
    check_sequences(100, 40, || Place::Disk(Disk::new(&[])));
}
