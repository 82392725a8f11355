//! The chains of `path`: each allowed or forbidden by RFC 5280 for one reason.

use certificates::path::Purpose;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

use crate::made::{oid, sequence, tlv};

/// The argument is the position: 0 is the leaf, then come the sub-CAs, and the root is last.
pub(crate) type Edit = fn(usize, &mut CertificateParams);

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    /// Refused, with this text in the error.
    Refused(&'static str),
}

pub(crate) struct Case {
    /// The clause of RFC 5280, and the subject of the case.
    pub(crate) name: &'static str,
    pub(crate) sub_cas: usize,
    pub(crate) purpose: Purpose,
    pub(crate) edit: Edit,
    pub(crate) verdict: Verdict,
}

pub(crate) const fn valid(name: &'static str, sub_cas: usize, edit: Edit) -> Case {
    Case { name, sub_cas, purpose: Purpose::Station, edit, verdict: Verdict::Valid }
}

const fn refused(name: &'static str, sub_cas: usize, reason: &'static str, edit: Edit) -> Case {
    Case { verdict: Verdict::Refused(reason), ..valid(name, sub_cas, edit) }
}

/// The certificate of a CSMS, identified by its common name.
const fn csms(case: Case) -> Case {
    Case { purpose: Purpose::Csms, ..case }
}

const POLICIES: &[u8] = &[0x55, 0x1d, 32];
const MAPPINGS: &[u8] = &[0x55, 0x1d, 33];
const POLICY_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 36];
const INHIBIT_ANY: &[u8] = &[0x55, 0x1d, 54];
const ANY: &[u8] = &[0x55, 0x1d, 32, 0];
/// 1.3.6.1.4.1.99999.1, .2
const GOLD: &[u8] = &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1];
const IRON: &[u8] = &[0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 2];

fn critical(params: &mut CertificateParams, arcs: &[u8], value: Vec<u8>) {
    // Each arc of the extensions here fits into one octet.
    let arcs = [u64::from(arcs[0] / 40), u64::from(arcs[0] % 40)]
        .into_iter()
        .chain(arcs[1..].iter().map(|arc| u64::from(*arc)));
    let arcs = match arcs.collect::<Vec<_>>() {
        // 0x55 is 2.5.
        arcs if arcs[0] == 2 => arcs,
        _ => unreachable!("extensions of X.509"),
    };
    let mut extension = CustomExtension::from_oid_content(&arcs, value);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

fn policies(params: &mut CertificateParams, all: &[&[u8]]) {
    let all = all.iter().map(|policy| sequence(&[&oid(policy)])).collect::<Vec<_>>();
    critical(params, POLICIES, sequence(&[&all.concat()]));
}

/// requireExplicitPolicy
fn require(params: &mut CertificateParams, skip: u8) {
    critical(params, POLICY_CONSTRAINTS, sequence(&[&tlv(0x80, &[&[skip]])]));
}

fn map(params: &mut CertificateParams, from: &[u8], to: &[u8]) {
    critical(params, MAPPINGS, sequence(&[&sequence(&[&oid(from), &oid(to)])]));
}

fn path_length(params: &mut CertificateParams, length: u8) {
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
}

pub(crate) fn name(organization: &str, common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    name.push(DnType::CommonName, common_name);
    name
}

fn directory(organization: DnValue) -> GeneralSubtree {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    GeneralSubtree::DirectoryName(name)
}

fn organization(text: &str) -> GeneralSubtree {
    directory(DnValue::Utf8String(text.to_owned()))
}

fn host(text: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(text.to_owned())
}

fn permit(params: &mut CertificateParams, subtrees: Vec<GeneralSubtree>) {
    let excluded_subtrees = Vec::new();
    params.name_constraints = Some(NameConstraints { permitted_subtrees: subtrees, excluded_subtrees });
}

fn exclude(params: &mut CertificateParams, subtrees: Vec<GeneralSubtree>) {
    let permitted_subtrees = Vec::new();
    params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: subtrees });
}

fn ia5(text: &str) -> Ia5String {
    text.try_into().expect("ASCII")
}

/// otherName with a value of an unknown type.
fn with_alternative(params: &mut CertificateParams, general_name: &[u8]) {
    critical(params, &[0x55, 0x1d, 17], sequence(&[general_name]));
}

pub(crate) const CASES: &[Case] = &[
    valid("6.1: a leaf below the root", 0, |_, _| {}),
    valid("6.1: two sub-CAs", 2, |_, _| {}),
    // Validity.
    valid("4.1.2.5.1: notBefore in 1950", 1, |at, params| {
        if at < 2 {
            params.not_before = date_time_ymd(1950, 1, 1);
        }
    }),
    valid("4.1.2.5: notAfter 9999-12-31", 1, |_, params| {
        params.not_after = date_time_ymd(9999, 12, 31);
    }),
    refused("4.1.2.5: an expired sub-CA", 1, "expired", |at, params| {
        if at == 1 {
            params.not_after = date_time_ymd(2026, 6, 1);
        }
    }),
    // Policies.
    valid("4.2.1.4: a critical policy in the leaf", 1, |at, params| {
        if at == 0 {
            policies(params, &[GOLD]);
        }
    }),
    valid("4.2.1.4: a critical policy in leaf, sub-CA and root", 1, |_, params| policies(params, &[GOLD])),
    valid("4.2.1.4: policies that do not fit, and none demanded", 1, |at, params| match at {
        0 => policies(params, &[GOLD]),
        1 => policies(params, &[IRON]),
        _ => {}
    }),
    valid("4.2.1.11: a policy is demanded and holds", 1, |at, params| match at {
        0 => policies(params, &[GOLD]),
        1 => {
            policies(params, &[GOLD, IRON]);
            require(params, 0);
        }
        _ => {}
    }),
    valid("4.2.1.4: anyPolicy of the sub-CA covers the leaf's", 1, |at, params| match at {
        0 => policies(params, &[GOLD]),
        1 => {
            policies(params, &[ANY]);
            require(params, 0);
        }
        _ => {}
    }),
    refused("4.2.1.11: a policy is demanded, the leaf has none", 1, "no certificate policy", |at, params| {
        if at == 1 {
            policies(params, &[GOLD]);
            require(params, 0);
        }
    }),
    refused(
        "4.2.1.11: a policy is demanded, the leaf has another",
        1,
        "no certificate policy",
        |at, params| match at {
            0 => policies(params, &[IRON]),
            1 => {
                policies(params, &[GOLD]);
                require(params, 0);
            }
            _ => {}
        },
    ),
    valid("4.2.1.11: a policy is demanded further below", 1, |at, params| {
        if at == 1 {
            policies(params, &[GOLD]);
            require(params, 2);
        }
    }),
    refused("6.1.5 (b): the leaf demands a policy of its path", 1, "no certificate policy", |at, params| {
        if at == 0 {
            policies(params, &[GOLD]);
            require(params, 0);
        }
        if at == 1 {
            policies(params, &[IRON]);
        }
    }),
    valid("4.2.1.5: a policy is mapped", 2, |at, params| match at {
        0 => policies(params, &[IRON]),
        1 => policies(params, &[IRON]),
        2 => {
            policies(params, &[GOLD]);
            map(params, GOLD, IRON);
            require(params, 0);
        }
        _ => {}
    }),
    refused("4.2.1.11: mapping is inhibited", 2, "no certificate policy", |at, params| match at {
        0 => policies(params, &[IRON]),
        1 => {
            policies(params, &[GOLD]);
            map(params, GOLD, IRON);
        }
        2 => {
            policies(params, &[GOLD]);
            let value = sequence(&[&tlv(0x80, &[&[0]]), &tlv(0x81, &[&[0]])]);
            critical(params, POLICY_CONSTRAINTS, value);
        }
        _ => {}
    }),
    refused("4.2.1.14: anyPolicy is inhibited", 2, "no certificate policy", |at, params| match at {
        0 => policies(params, &[GOLD]),
        1 => policies(params, &[ANY]),
        2 => {
            policies(params, &[ANY]);
            require(params, 0);
            critical(params, INHIBIT_ANY, tlv(2, &[&[0]]));
        }
        _ => {}
    }),
    refused("6.1.4 (a): anyPolicy is mapped", 1, "2.5.29.33 of certificate 1", |at, params| {
        if at == 1 {
            policies(params, &[ANY]);
            map(params, ANY, GOLD);
        }
    }),
    refused("4.2: a critical extension that nobody knows", 1, "2.5.29.99", |at, params| {
        if at == 1 {
            critical(params, &[0x55, 0x1d, 99], vec![5, 0]);
        }
    }),
    // Names.
    valid("4.2.1.10: a permitted directoryName", 1, |at, params| {
        if at == 2 {
            permit(params, vec![organization("Demo CSO")]);
        }
    }),
    refused("4.2.1.10: another directoryName", 1, "not allowed by its issuers", |at, params| {
        if at == 2 {
            permit(params, vec![organization("Other CSO")]);
        }
    }),
    valid("7.1: case, spaces and string type of a directoryName", 1, |at, params| {
        if at == 2 {
            permit(params, vec![directory(DnValue::Ia5String(ia5("demo  CSO")))]);
        }
    }),
    refused("4.2.1.10: an excluded directoryName", 1, "not allowed by its issuers", |at, params| {
        if at == 1 {
            exclude(params, vec![organization("Demo CSO")]);
        }
    }),
    // TeletexString beyond ASCII is T.61 or Latin-1, which a reader cannot distinguish.
    refused(
        "4.2.1.10: an excluded directoryName that may be the same text",
        1,
        "cannot be compared",
        |at, params| match at {
            0 => params.distinguished_name = name("Säule CSO", "SN-0001"),
            1 => {
                let value = tlv(0x14, &[b"S\xe4ule CSO"]);
                let attribute = sequence(&[&[6, 3, 0x55, 4, 10], &value]);
                let base = tlv(0xa4, &[&sequence(&[&tlv(0x31, &[&attribute])])]);
                let value = sequence(&[&tlv(0xa1, &[&sequence(&[&base])])]);
                critical(params, &[0x55, 0x1d, 30], value);
            }
            _ => {}
        },
    ),
    valid("4.2.1.10: directoryName and dNSName constrained at once", 1, |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::DnsName(ia5("cs.demo.example"))],
        1 => permit(params, vec![organization("Demo CSO"), host("demo.example")]),
        _ => {}
    }),
    refused("4.2.1.10: two issuers permit different names", 2, "not allowed by its issuers", |at, params| {
        match at {
            0 => params.subject_alt_names = vec![SanType::DnsName(ia5("cs.demo.example"))],
            1 => permit(params, vec![host("cs.demo.example")]),
            2 => permit(params, vec![host("other.example")]),
            _ => {}
        }
    }),
    refused("4.2.1.10: a domain that only ends alike", 1, "baddemo.example", |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::DnsName(ia5("baddemo.example"))],
        1 => permit(params, vec![host("demo.example")]),
        _ => {}
    }),
    valid("4.2.1.10: a permitted address", 1, |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::IpAddress([192, 0, 2, 7].into())],
        1 => permit(
            params,
            vec![GeneralSubtree::IpAddress(CidrSubnet::V4([192, 0, 2, 0], [255, 255, 255, 0]))],
        ),
        _ => {}
    }),
    refused("4.2.1.10: an address outside", 1, "192.0.3.7", |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::IpAddress([192, 0, 3, 7].into())],
        1 => permit(
            params,
            vec![GeneralSubtree::IpAddress(CidrSubnet::V4([192, 0, 2, 0], [255, 255, 255, 0]))],
        ),
        _ => {}
    }),
    valid("4.2.1.10: a permitted mailbox", 1, |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::Rfc822Name(ia5("ops@demo.example"))],
        1 => permit(params, vec![GeneralSubtree::Rfc822Name("demo.example".to_owned())]),
        _ => {}
    }),
    refused("4.2.1.10: a mailbox of another host", 1, "ops@sub.demo.example", |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::Rfc822Name(ia5("ops@sub.demo.example"))],
        1 => permit(params, vec![GeneralSubtree::Rfc822Name("demo.example".to_owned())]),
        _ => {}
    }),
    valid("4.2.1.10: a URI of a permitted host", 1, |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::URI(ia5("https://cs.demo.example:8443/x"))],
        1 => {
            let base = tlv(0x86, &[b".demo.example"]);
            let value = sequence(&[&tlv(0xa0, &[&sequence(&[&base])])]);
            critical(params, &[0x55, 0x1d, 30], value);
        }
        _ => {}
    }),
    refused("4.2.1.10: a URI without a host", 1, "cannot be compared", |at, params| match at {
        0 => params.subject_alt_names = vec![SanType::URI(ia5("urn:station:7"))],
        1 => {
            let base = tlv(0x86, &[b".demo.example"]);
            let value = sequence(&[&tlv(0xa0, &[&sequence(&[&base])])]);
            critical(params, &[0x55, 0x1d, 30], value);
        }
        _ => {}
    }),
    refused("4.2.1.10: a constrained kind that cannot be compared", 1, "cannot be compared", |at, params| {
        match at {
            // registeredID
            0 => with_alternative(params, &tlv(0x88, &[&[0x2a, 3, 4]])),
            1 => {
                let base = tlv(0x88, &[&[0x2a, 3]]);
                let value = sequence(&[&tlv(0xa0, &[&sequence(&[&base])])]);
                critical(params, &[0x55, 0x1d, 30], value);
            }
            _ => {}
        }
    }),
    // The common name of a CSMS is its host name (A00.FR.510).
    csms(valid("a00_fr_510: a permitted host in the common name", 1, |at, params| match at {
        0 => params.distinguished_name = name("Demo CSO", "csms.allowed.example"),
        1 => permit(params, vec![host("allowed.example")]),
        _ => {}
    })),
    csms(refused(
        "a00_fr_510: another host in the common name",
        1,
        "csms.other.example",
        |at, params| match at {
            0 => params.distinguished_name = name("Demo CSO", "csms.other.example"),
            1 => permit(params, vec![host("allowed.example")]),
            _ => {}
        },
    )),
    csms(refused(
        "a00_fr_309: another host beside a permitted dNSName",
        1,
        "csms.other.example",
        |at, params| match at {
            0 => {
                params.distinguished_name = name("Demo CSO", "csms.other.example");
                params.subject_alt_names = vec![SanType::DnsName(ia5("csms.allowed.example"))];
            }
            1 => permit(params, vec![host("allowed.example")]),
            _ => {}
        },
    )),
    csms(refused(
        "a00_fr_510: an address in the common name, outside",
        1,
        "192.0.3.7",
        |at, params| match at {
            0 => params.distinguished_name = name("Demo CSO", "192.0.3.7"),
            1 => permit(
                params,
                vec![GeneralSubtree::IpAddress(CidrSubnet::V4([192, 0, 2, 0], [255, 255, 255, 0]))],
            ),
            _ => {}
        },
    )),
    csms(valid("a00_fr_510: an address in the common name, inside", 1, |at, params| match at {
        0 => params.distinguished_name = name("Demo CSO", "192.0.2.7"),
        1 => permit(
            params,
            vec![GeneralSubtree::IpAddress(CidrSubnet::V4([192, 0, 2, 0], [255, 255, 255, 0]))],
        ),
        _ => {}
    })),
    valid("a00_fr_511: the serial number of a station is no host", 1, |at, params| {
        if at == 1 {
            permit(params, vec![host("allowed.example")]);
        }
    }),
    // Path length.
    refused("4.2.1.9: pathLen 0 of the root, one sub-CA", 1, "pathLenConstraint", |at, params| {
        if at == 2 {
            path_length(params, 0);
        }
    }),
    valid("4.2.1.9: pathLen 1 of the root, one sub-CA", 1, |at, params| {
        if at == 2 {
            path_length(params, 1);
        }
    }),
    // The sub-CA at 2 has the root's name: its new key.
    valid("4.2.1.9: a self-issued sub-CA does not count", 2, |at, params| match at {
        2 => params.distinguished_name = name("PKI", "root"),
        3 => {
            params.distinguished_name = name("PKI", "root");
            path_length(params, 1);
        }
        _ => {}
    }),
    valid("6.1.4 (h): nor does it bring a demand for a policy nearer", 2, |at, params| match at {
        1 => params.distinguished_name = name("Demo CSO", "sub-CA 2"),
        2 => {
            policies(params, &[GOLD]);
            require(params, 2);
        }
        _ => {}
    }),
    // The purpose of the leaf.
    refused("4.2.1.12: serverAuth only", 1, "clientAuth", |at, params| {
        if at == 0 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
    }),
    csms(refused("4.2.1.12: clientAuth only", 1, "serverAuth", |at, params| {
        if at == 0 {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
    })),
    refused("a00_fr_512: keyEncipherment only", 1, "digitalSignature", |at, params| {
        if at == 0 {
            params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        }
    }),
    csms(refused("a00_fr_512: keyEncipherment only, of a CSMS", 1, "digitalSignature", |at, params| {
        if at == 0 {
            params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        }
    })),
    refused("6.1: the leaf is an authority", 1, "certification authority", |at, params| {
        if at == 0 {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
    }),
];
