//! Random sequences of messages and restarts against a model of a few lines.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use ocpp_types::v201::InstallCertificateUseEnumType as Use;
use ocpp_types::v201::{
    CertificateHashDataType, DeleteCertificateStatusEnumType, GetCertificateIdUseEnumType,
    GetInstalledCertificateStatusEnumType, InstallCertificateStatusEnumType,
};
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestRunner};
use station_store::{Certificate, CertificateId, HashAlgorithm};

use crate::pki::{Station, entries, hash_data, root, settings};

const MAX_ENTRIES: usize = 5;
const USES: [(Use, GetCertificateIdUseEnumType); 4] = [
    (Use::CSMSRootCertificate, GetCertificateIdUseEnumType::CSMSRootCertificate),
    (Use::ManufacturerRootCertificate, GetCertificateIdUseEnumType::ManufacturerRootCertificate),
    (Use::V2GRootCertificate, GetCertificateIdUseEnumType::V2GRootCertificate),
    (Use::MORootCertificate, GetCertificateIdUseEnumType::MORootCertificate),
];

struct Sample {
    pem: String,
    id: CertificateId,
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    (0..4)
        .map(|number| {
            let pem = root(&format!("Root {number}")).pem();
            let id = CertificateId::of_root(&Certificate::from_pem(&pem).expect("root"));
            Sample { pem, id }
        })
        .collect()
});

#[derive(Clone, Debug)]
enum Step {
    Install { certificate: usize, use_: usize },
    Delete { certificate: usize, algorithm: usize, shout: bool },
    List { filter: u8 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize, 0..4_usize).prop_map(|(certificate, use_)| Step::Install { certificate, use_ }),
        3 => (0..4_usize, 0..3_usize, any::<bool>())
            .prop_map(|(certificate, algorithm, shout)| Step::Delete { certificate, algorithm, shout }),
        2 => (0..16_u8).prop_map(|filter| Step::List { filter }),
        1 => proptest::strategy::Just(Step::Restart),
    ]
}

/// (use, certificate)
type Model = BTreeSet<(usize, usize)>;

fn run(steps: Vec<Step>) {
    let mut station = Station::with(settings().max_entries(MAX_ENTRIES));
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Install { certificate, use_ } => {
                let room = model.contains(&(use_, certificate)) || model.len() < MAX_ENTRIES;
                let status = station.install(USES[use_].0, &SAMPLES[certificate].pem).status;
                if room {
                    assert_eq!(status, InstallCertificateStatusEnumType::Accepted);
                    model.insert((use_, certificate));
                } else {
                    assert_eq!(status, InstallCertificateStatusEnumType::Rejected);
                }
            }
            Step::Delete { certificate, algorithm, shout } => {
                let mut hash = hash_data(SAMPLES[certificate].id.hash(HashAlgorithm::ALL[algorithm]));
                if shout {
                    let upper = hash.issuer_name_hash.to_uppercase();
                    hash.issuer_name_hash = upper.try_into().expect("as long");
                }
                let known = model.iter().any(|(_, other)| *other == certificate);
                let expected = if known {
                    DeleteCertificateStatusEnumType::Accepted
                } else {
                    DeleteCertificateStatusEnumType::NotFound
                };
                assert_eq!(station.delete(&hash).status, expected);
                model.retain(|(_, other)| *other != certificate);
            }
            Step::List { filter } => check_list(&station, &model, filter),
            Step::Restart => station = station.restart(),
        }
        // Accepted means listed, after every single step.
        check_list(&station, &model, 0);
    }
}

fn check_list(station: &Station, model: &Model, filter: u8) {
    let wanted: Vec<usize> = (0..USES.len()).filter(|use_| filter == 0 || filter & 1 << use_ != 0).collect();
    let types: Vec<_> =
        if filter == 0 { Vec::new() } else { wanted.iter().map(|use_| USES[*use_].1).collect() };
    let response = station.list(&types);
    let mut found: Vec<(GetCertificateIdUseEnumType, CertificateHashDataType)> = entries(&response);
    let mut expected: Vec<_> = model
        .iter()
        .filter(|(use_, _)| wanted.contains(use_))
        .map(|(use_, certificate)| {
            (USES[*use_].1, hash_data(SAMPLES[*certificate].id.hash(HashAlgorithm::Sha256)))
        })
        .collect();
    let status = if expected.is_empty() {
        GetInstalledCertificateStatusEnumType::NotFound
    } else {
        GetInstalledCertificateStatusEnumType::Accepted
    };
    assert_eq!(response.status, status);
    let key = |(type_, hash): &(GetCertificateIdUseEnumType, CertificateHashDataType)| {
        (*type_, hash.issuer_key_hash.to_string())
    };
    found.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!(found, expected);
}

#[test]
fn accepted_is_listed_is_deletable() {
    // Each case opens, syncs and reopens real files.
    let mut runner = TestRunner::new(Config { cases: 64, ..Config::default() });
    let steps = proptest::collection::vec(step(), 1..30);
    runner
        .run(&steps, |steps| {
            run(steps);
            Ok(())
        })
        .expect("the store does what the model does");
}
