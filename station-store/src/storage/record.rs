//! The format of the catalog's entries on disk.
//!
//! A record is a checksum and a JSON object. It contains certificates as base64 of their DER. The
//! checksum also covers table and key. So a damaged or misplaced record is detected, named and left
//! out, and the others can still be used.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use certificates::ocsp::CertificateStatus;
use certificates::{Certificate, CertificateError, Spki, UnixSeconds};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::{Catalog, Transition};
use crate::ocsp::answer::CachedOcsp;
use crate::own::certificate::{Own, OwnId, OwnState, ids};
use crate::pending::key::{Csr, Pending, PendingId, SendNote};
use crate::roots::root::{Root, Standing};
use crate::storage::{Change, Damaged, Loaded, Record, StorageError, Table};
use crate::uses::{CertificateSigningUse, RootUse};

/// Builds the catalog from the loaded records, and names those that it had to leave out.
pub(crate) fn read_all(loaded: Loaded) -> (Catalog, Vec<Damaged>) {
    let mut catalog = Catalog::default();
    let mut damaged = loaded.damaged;
    let mut highest = 0;
    for record in loaded.records {
        match read(&record) {
            Ok(transition) => {
                highest = highest.max(match &transition {
                    Transition::PutRoot(root) => root.sequence.saturating_add(1),
                    Transition::PutOwn(own) => own.id.0.saturating_add(1),
                    Transition::PutPending(pending) => pending.id.0.saturating_add(1),
                    _ => 0,
                });
                catalog.apply(transition);
            }
            Err(source) => {
                damaged.push(Damaged { table: record.table, key: record.key, source: Box::new(source) });
            }
        }
    }
    // The counter is a record like any other, and may itself be damaged.
    catalog.next = catalog.next.max(highest).max(1);
    (catalog, damaged)
}

/// Converts a transition into a change of the storage.
pub(crate) fn write(transition: &Transition) -> Result<Change, StorageError> {
    let put = |table, key: String, value: Result<Vec<u8>, serde_json::Error>| {
        let json = value.map_err(|source| StorageError::Write { source: Box::new(source) })?;
        let value = seal(table, &key, &json);
        Ok(Change::Put(Record { table, key, value }))
    };
    let remove = |table, key| Ok(Change::Remove { table, key });
    match transition {
        Transition::PutRoot(root) => put(
            Table::Roots,
            root_key(root.use_, &root.key().fingerprint),
            serde_json::to_vec(&RootRecord {
                sequence: root.sequence,
                certificate: Base64::encode_string(root.certificate.der()),
                issuer_key: root.issuer_key.as_deref().map(Base64::encode_string),
                fallback: root.standing == Standing::Fallback,
            }),
        ),
        Transition::RemoveRoot(key) => remove(Table::Roots, root_key(key.use_, &key.fingerprint)),
        Transition::PutOwn(own) => put(
            Table::Own,
            number_key(own.id.0),
            serde_json::to_vec(&OwnRecord {
                chain: own.chain.iter().map(|certificate| Base64::encode_string(certificate.der())).collect(),
                anchor_key: own.anchor_key.as_deref().map(Base64::encode_string),
                key_uri: own.key_uri.clone(),
                use_: UseRecord::from(own.use_),
                request_id: own.request_id,
                in_use: own.state == OwnState::InUse,
            }),
        ),
        Transition::RemoveOwn(id) => remove(Table::Own, number_key(id.0)),
        Transition::PutPending(pending) => put(
            Table::Pending,
            number_key(pending.id.0),
            serde_json::to_vec(&PendingRecord {
                key_uri: pending.key_uri.clone(),
                use_: UseRecord::from(pending.use_),
                common_name: pending.common_name.clone(),
                organization: pending.organization.clone(),
                country: pending.country.clone(),
                request_id: pending.request_id,
                csr: pending
                    .csr
                    .as_ref()
                    .map(|csr| CsrRecord { spki: Base64::encode_string(&csr.spki), pem: csr.pem.clone() }),
                sent: pending
                    .sent
                    .map(|note| SentRecord { accepted: note.accepted, due: note.due.map(milliseconds) }),
            }),
        ),
        Transition::RemovePending(id) => remove(Table::Pending, number_key(id.0)),
        Transition::Condemn(uri) => put(Table::Condemned, uri.clone(), Ok(b"{}".to_vec())),
        Transition::Forget(uri) => remove(Table::Condemned, uri.clone()),
        Transition::PutOcsp(answer) => put(
            Table::Ocsp,
            answer.fingerprint.clone(),
            serde_json::to_vec(&OcspRecord {
                response: Base64::encode_string(&answer.response),
                status: answer.status.into(),
                next_update: answer.next_update,
                fetched: answer.fetched,
            }),
        ),
        Transition::RemoveOcsp(fingerprint) => remove(Table::Ocsp, fingerprint.clone()),
        Transition::Next(next) => {
            put(Table::Meta, NEXT.to_owned(), serde_json::to_vec(&NextRecord { next: *next }))
        }
    }
}

fn read(record: &Record) -> Result<Transition, BadRecord> {
    let json = unseal(record)?;
    match record.table {
        Table::Roots => {
            let content: RootRecord = parse(json)?;
            let (word, _) = record.key.split_once('/').ok_or(BadRecord::Key)?;
            let use_ = RootUse::ALL.into_iter().find(|use_| use_.word() == word).ok_or(BadRecord::Key)?;
            let issuer_key = content.issuer_key.as_deref().map(octets).transpose()?;
            let mut root = Root::new(use_, certificate(&content.certificate)?, issuer_key, content.sequence);
            if content.fallback {
                root.standing = Standing::Fallback;
            }
            if root_key(use_, &root.key().fingerprint) != record.key {
                return Err(BadRecord::Key);
            }
            Ok(Transition::PutRoot(Box::new(root)))
        }
        Table::Own => {
            let content: OwnRecord = parse(json)?;
            let chain: Vec<_> =
                content.chain.iter().map(|text| certificate(text)).collect::<Result<_, _>>()?;
            if chain.is_empty() {
                return Err(BadRecord::EmptyChain);
            }
            let use_ = CertificateSigningUse::from(content.use_);
            let anchor_key = content.anchor_key.as_deref().map(octets).transpose()?;
            if anchor_key.is_none() && (use_.is_for_vehicles() || chain.len() == 1) {
                return Err(BadRecord::NoIssuer);
            }
            Ok(Transition::PutOwn(Own {
                id: OwnId(number(&record.key)?),
                ids: ids(&chain, anchor_key.as_deref()),
                chain,
                anchor_key,
                key_uri: content.key_uri,
                use_,
                request_id: content.request_id,
                state: if content.in_use { OwnState::InUse } else { OwnState::Renewed },
            }))
        }
        Table::Pending => {
            let content: PendingRecord = parse(json)?;
            let csr = match content.csr {
                None => None,
                Some(csr) => {
                    let spki = octets(&csr.spki)?;
                    Spki::read(&spki).map_err(|source| BadRecord::Certificate { source: source.into() })?;
                    Some(Csr { spki, pem: csr.pem })
                }
            };
            Ok(Transition::PutPending(Pending {
                id: PendingId(number(&record.key)?),
                key_uri: content.key_uri,
                use_: content.use_.into(),
                common_name: content.common_name,
                organization: content.organization,
                country: content.country,
                request_id: content.request_id,
                sent: match content.sent {
                    None => None,
                    Some(SentRecord { accepted, due }) => {
                        let due = due.map(|due| instant(Duration::from_millis(due))).transpose()?;
                        Some(SendNote { accepted, due })
                    }
                },
                csr,
            }))
        }
        Table::Condemned => Ok(Transition::Condemn(record.key.clone())),
        Table::Ocsp => {
            let content: OcspRecord = parse(json)?;
            Ok(Transition::PutOcsp(CachedOcsp {
                fingerprint: record.key.clone(),
                response: octets(&content.response)?,
                status: content.status.into(),
                next_update: content.next_update,
                fetched: content.fetched,
            }))
        }
        Table::Meta if record.key == NEXT => Ok(Transition::Next(parse::<NextRecord>(json)?.next)),
        Table::Meta => Err(BadRecord::Key),
    }
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error("its checksum does not fit")]
    Checksum,
    #[error("its key does not fit its content")]
    Key,
    #[error("it has no certificate")]
    EmptyChain,
    #[error("it does not name the issuer of the chain")]
    NoIssuer,
    #[error("its bytes are not base64")]
    Base64,
    #[error("its time is not valid")]
    Time,
    #[error("it is not the JSON object that is expected")]
    Json {
        #[source]
        source: serde_json::Error,
    },
    #[error("its certificate cannot be read")]
    Certificate {
        #[source]
        source: CertificateError,
    },
}

#[derive(Serialize, Deserialize)]
struct RootRecord {
    sequence: u64,
    certificate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer_key: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    fallback: bool,
}

#[derive(Serialize, Deserialize)]
struct OwnRecord {
    chain: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor_key: Option<String>,
    key_uri: String,
    #[serde(rename = "use")]
    use_: UseRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<i64>,
    in_use: bool,
}

#[derive(Serialize, Deserialize)]
struct PendingRecord {
    key_uri: String,
    #[serde(rename = "use")]
    use_: UseRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<i64>,
    csr: Option<CsrRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<SentRecord>,
}

#[derive(Serialize, Deserialize)]
struct SentRecord {
    accepted: u32,
    /// Milliseconds since 1970.
    due: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct CsrRecord {
    spki: String,
    pem: String,
}

#[derive(Serialize, Deserialize)]
struct OcspRecord {
    response: String,
    status: StatusRecord,
    next_update: Option<UnixSeconds>,
    fetched: UnixSeconds,
}

#[derive(Serialize, Deserialize)]
struct NextRecord {
    next: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum UseRecord {
    ChargingStation,
    V2g,
    V2g20,
    Combined,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StatusRecord {
    Good,
    Revoked,
    Unknown,
}

impl From<CertificateSigningUse> for UseRecord {
    fn from(use_: CertificateSigningUse) -> Self {
        match use_ {
            CertificateSigningUse::ChargingStation => Self::ChargingStation,
            CertificateSigningUse::V2g => Self::V2g,
            CertificateSigningUse::V2g20 => Self::V2g20,
            CertificateSigningUse::Combined => Self::Combined,
        }
    }
}

impl From<UseRecord> for CertificateSigningUse {
    fn from(use_: UseRecord) -> Self {
        match use_ {
            UseRecord::ChargingStation => Self::ChargingStation,
            UseRecord::V2g => Self::V2g,
            UseRecord::V2g20 => Self::V2g20,
            UseRecord::Combined => Self::Combined,
        }
    }
}

impl From<CertificateStatus> for StatusRecord {
    fn from(status: CertificateStatus) -> Self {
        match status {
            CertificateStatus::Good => Self::Good,
            CertificateStatus::Revoked => Self::Revoked,
            CertificateStatus::Unknown => Self::Unknown,
        }
    }
}

impl From<StatusRecord> for CertificateStatus {
    fn from(status: StatusRecord) -> Self {
        match status {
            StatusRecord::Good => Self::Good,
            StatusRecord::Revoked => Self::Revoked,
            StatusRecord::Unknown => Self::Unknown,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn instant(since_1970: Duration) -> Result<SystemTime, BadRecord> {
    UNIX_EPOCH.checked_add(since_1970).ok_or(BadRecord::Time)
}

/// Rounded up, so that nothing is due earlier after a restart.
fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

pub(crate) fn seal(table: Table, key: &str, json: &[u8]) -> Vec<u8> {
    let mut value = checksum(table, key, json).to_vec();
    value.extend_from_slice(json);
    value
}

pub(crate) fn unseal(record: &Record) -> Result<&[u8], BadRecord> {
    let (found, json) = record.value.split_at_checked(CHECKSUM_LEN).ok_or(BadRecord::Checksum)?;
    if found == checksum(record.table, &record.key, json) { Ok(json) } else { Err(BadRecord::Checksum) }
}

fn checksum(table: Table, key: &str, json: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut digest = Sha256::new();
    for part in [table.name().as_bytes(), key.as_bytes(), json] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut checksum = [0; CHECKSUM_LEN];
    checksum.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
    checksum
}

fn parse<T: for<'de> Deserialize<'de>>(json: &[u8]) -> Result<T, BadRecord> {
    serde_json::from_slice(json).map_err(|source| BadRecord::Json { source })
}

fn octets(base64: &str) -> Result<Vec<u8>, BadRecord> {
    Base64::decode_vec(base64).map_err(|_| BadRecord::Base64)
}

fn certificate(base64: &str) -> Result<Certificate, BadRecord> {
    Certificate::from_der(octets(base64)?).map_err(|source| BadRecord::Certificate { source })
}

fn root_key(use_: RootUse, fingerprint: &str) -> String {
    format!("{}/{fingerprint}", use_.word())
}

/// Twenty digits, so that the order of the keys equals that of the numbers.
fn number_key(number: u64) -> String {
    format!("{number:020}")
}

fn number(key: &str) -> Result<u64, BadRecord> {
    let number = key.parse().map_err(|_| BadRecord::Key)?;
    if number_key(number) == key { Ok(number) } else { Err(BadRecord::Key) }
}

/// Against decay, not against an attacker: a program that can write the file can write checksums.
const CHECKSUM_LEN: usize = 8;

const NEXT: &str = "next";
