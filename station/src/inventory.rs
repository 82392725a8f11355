//! The inventory of a station, for people and their scripts on site. The CSMS gets hash data only.

use std::time::SystemTime;

use certificates::SerialNumber;
use ocpp_types::{Timestamp, v201::CertificateHashDataType};
use serde::{Deserialize, Serialize};
use station_store::{
    Certificate, CertificateSigningUse, HashData, OwnCertificate, OwnState, PendingCsr, PendingState, Store,
    message::HashDataMessage as _,
};
use x509_cert::{der::Decode as _, name::Name};

use crate::renewal::Note;

/// Everything that the store holds; keys appear by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The roots, by use.
    pub roots: Vec<RootEntry>,
    /// How many roots may be installed (M05.FR.06).
    pub max_roots: usize,
    /// The certificates for the connection, the newest first.
    pub own: Vec<OwnEntry>,
    /// The certificates for vehicles, the preferred one first.
    pub vehicle: Vec<OwnEntry>,
    /// Requests that wait for a certificate, the oldest first.
    pub pending: Vec<PendingEntry>,
    /// The names of condemned keys that still exist in the token.
    pub condemned_keys: Vec<String>,
    /// Records on the disk that cannot be read. They are missing from all other members.
    pub damaged: Vec<String>,
}

/// An entry of an [`Inventory`]. An inventory may have more entries than fit into one line of the
/// control protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InventoryRow {
    /// An entry of [`Inventory::roots`].
    Root(RootEntry),
    /// An entry of [`Inventory::own`].
    Own(OwnEntry),
    /// An entry of [`Inventory::vehicle`].
    Vehicle(OwnEntry),
    /// An entry of [`Inventory::pending`].
    Pending(PendingEntry),
    /// An entry of [`Inventory::condemned_keys`].
    CondemnedKey(String),
    /// An entry of [`Inventory::damaged`].
    Damaged(String),
}

/// A summary of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateEntry {
    /// The subject as RFC 4514 writes it.
    pub subject: String,
    /// The issuer as RFC 4514 writes it.
    pub issuer: String,
    /// Its serial number. `None` if it cannot be read.
    pub serial_number: Option<SerialNumber>,
    /// The first second of its validity.
    pub not_before: Timestamp,
    /// The last second of its validity.
    pub not_after: Timestamp,
    /// Whole days until then; negative after the end.
    pub days_left: i64,
    /// The hash data by which the CSMS names it. `None` if its issuer is not known.
    pub hash_data: Option<CertificateHashDataType>,
}

/// A root certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEntry {
    /// The type as in OCPP, such as `CSMSRootCertificate`.
    pub certificate_type: String,
    /// Whether it is the CSMS root before the present one. It is kept until a connection has proved
    /// the present one (M05.FR.12).
    pub fallback: bool,
    /// The certificate.
    pub certificate: CertificateEntry,
}

/// One of the station's own certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnEntry {
    /// The type as in OCPP, such as `ChargingStationCertificate`.
    pub certificate_type: String,
    /// Whether the station relies on it. If not, the station has not connected with it yet, and
    /// keeps the certificate before it (A02.FR.28).
    pub in_use: bool,
    /// The certificate.
    pub certificate: CertificateEntry,
    /// The sub-CAs of its chain, the nearest first.
    pub children: Vec<CertificateEntry>,
    /// The whole chain as TLS presents it, in PEM, leaf first.
    pub chain_pem: String,
    /// The name of its key in the token.
    pub key_uri: String,
}

/// A request that waits for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEntry {
    /// The type as in OCPP, such as `ChargingStationCertificate`.
    pub certificate_type: String,
    /// The SeccId, for vehicles.
    pub common_name: Option<String>,
    /// `requestId`, if the CSMS was given one (A02.FR.24).
    pub request_id: Option<i64>,
    /// Whether the key exists and the request can be sent.
    pub ready: bool,
    /// How often it was sent, and when it will be sent again.
    pub sends: Sends,
    /// The name of its key in the token.
    pub key_uri: String,
}

/// How often a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sends {
    /// Never. It is sent as soon as the CSMS accepts requests.
    Never,
    /// It was sent, and waits for its certificate or for the next send.
    Sent {
        /// How often the CSMS has accepted it, including a send that is under way.
        times: u32,
        /// When it is sent again. `None`: not before a new trigger (A02.FR.19).
        next: Option<Timestamp>,
    },
    /// The CSMS sent an invalid certificate for it. It is not sent again before a new trigger
    /// (A02.FR.20).
    Stopped,
}

impl Inventory {
    /// The inventory of `store` at `now`. The store accepts at most `max_roots` roots.
    #[must_use]
    pub fn of(store: &Store, max_roots: usize, now: SystemTime) -> Self {
        let roots = store.installed_roots().into_iter().map(|root| RootEntry {
            certificate_type: root.use_.root_name().to_owned(),
            fallback: root.is_fallback,
            certificate: CertificateEntry::of(&root.certificate, Some(root.hash), now),
        });
        let own = |own: OwnCertificate| OwnEntry::of(store, own, now);
        let vehicle = store.vehicle_certificates(now).into_iter();
        Self {
            roots: roots.collect(),
            max_roots,
            own: store.own_certificates().into_iter().map(own).collect(),
            // A certificate for both uses is listed in `own`.
            vehicle: vehicle.filter(|own| !own.use_.connects()).map(own).collect(),
            pending: store.pending().into_iter().map(PendingEntry::from).collect(),
            condemned_keys: store.condemned_keys(),
            damaged: store.damaged().iter().map(ToString::to_string).collect(),
        }
    }
}

impl Inventory {
    /// Takes all entries out, in their order.
    #[must_use]
    pub fn take_rows(&mut self) -> Vec<InventoryRow> {
        let Self { roots, max_roots: _, own, vehicle, pending, condemned_keys, damaged } = self;
        let rows = roots.drain(..).map(InventoryRow::Root);
        rows.chain(own.drain(..).map(InventoryRow::Own))
            .chain(vehicle.drain(..).map(InventoryRow::Vehicle))
            .chain(pending.drain(..).map(InventoryRow::Pending))
            .chain(condemned_keys.drain(..).map(InventoryRow::CondemnedKey))
            .chain(damaged.drain(..).map(InventoryRow::Damaged))
            .collect()
    }

    /// Appends an entry to those of its kind.
    pub fn push(&mut self, row: InventoryRow) {
        match row {
            InventoryRow::Root(entry) => self.roots.push(entry),
            InventoryRow::Own(entry) => self.own.push(entry),
            InventoryRow::Vehicle(entry) => self.vehicle.push(entry),
            InventoryRow::Pending(entry) => self.pending.push(entry),
            InventoryRow::CondemnedKey(key) => self.condemned_keys.push(key),
            InventoryRow::Damaged(record) => self.damaged.push(record),
        }
    }
}

impl CertificateEntry {
    /// The certificate `der` with the hash data `hash`, at `now`. An entry for a certificate that
    /// cannot be read reports this; the store accepts no such certificate.
    #[must_use]
    pub fn of(der: &[u8], hash: Option<HashData>, now: SystemTime) -> Self {
        let Ok(certificate) = Certificate::from_der(der) else {
            let epoch = timestamp(SystemTime::UNIX_EPOCH);
            return Self {
                subject: UNREADABLE.to_owned(),
                issuer: UNREADABLE.to_owned(),
                serial_number: None,
                not_before: epoch,
                not_after: epoch,
                days_left: 0,
                hash_data: hash.as_ref().map(CertificateHashDataType::of_hash_data),
            };
        };
        let not_after = certificate.not_after().to_system_time();
        let days_left = match not_after.duration_since(now) {
            Ok(left) => i64::try_from(left.as_secs() / DAY_S).unwrap_or(i64::MAX),
            // The count rounds away from zero: 0 days would look valid.
            Err(over) => i64::try_from(over.duration().as_secs() / DAY_S).map_or(i64::MIN, |days| -1 - days),
        };
        Self {
            subject: name(certificate.subject().as_der()),
            issuer: name(certificate.issuer().as_der()),
            serial_number: Some(certificate.serial_number()),
            not_before: timestamp(certificate.not_before().to_system_time()),
            not_after: timestamp(not_after),
            days_left,
            hash_data: hash.as_ref().map(CertificateHashDataType::of_hash_data),
        }
    }
}

impl OwnEntry {
    fn of(store: &Store, own: OwnCertificate, now: SystemTime) -> Self {
        let mut hashes = store.own_hashes(own.id).into_iter();
        let mut chain = own.chain.iter().map(|der| CertificateEntry::of(der, hashes.next(), now));
        let certificate = chain.next().unwrap_or_else(|| CertificateEntry::of(&[], None, now));
        Self {
            certificate_type: type_name(own.use_).to_owned(),
            in_use: own.state == OwnState::InUse,
            certificate,
            children: chain.collect(),
            chain_pem: own.chain.iter().filter_map(|der| pem(der)).collect(),
            key_uri: own.key_uri,
        }
    }
}

impl From<PendingCsr> for PendingEntry {
    fn from(pending: PendingCsr) -> Self {
        Self {
            certificate_type: type_name(pending.use_).to_owned(),
            common_name: pending.common_name,
            request_id: pending.request_id,
            ready: matches!(pending.state, PendingState::CsrReady { .. }),
            sends: match pending.sent {
                None => Sends::Never,
                Some(note) if note.accepted == Note::STOPPED.accepted => Sends::Stopped,
                Some(note) => Sends::Sent { times: note.accepted, next: note.due.map(timestamp) },
            },
            key_uri: pending.key_uri,
        }
    }
}

/// The type as in SignCertificate. A certificate for both uses has no type there.
fn type_name(use_: CertificateSigningUse) -> &'static str {
    match use_ {
        CertificateSigningUse::ChargingStation => "ChargingStationCertificate",
        CertificateSigningUse::V2g => "V2GCertificate",
        CertificateSigningUse::V2g20 => "V2G20Certificate",
        _ => "CombinedCertificate",
    }
}

fn pem(der: &[u8]) -> Option<String> {
    Certificate::from_der(der).ok().map(|certificate| certificate.to_pem())
}

/// The time, to the millisecond.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from(time).to_milliseconds()
}

/// A Name as RFC 4514 writes it.
fn name(der: &[u8]) -> String {
    Name::from_der(der).map_or_else(|_| UNREADABLE.to_owned(), |name| name.to_string())
}

const UNREADABLE: &str = "(cannot be read)";

const DAY_S: u64 = 24 * 3600;
