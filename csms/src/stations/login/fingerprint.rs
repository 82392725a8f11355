//! Recognises passwords that were verified recently, without hashing.
//!
//! A station whose password is recognised neither waits for a worker nor needs a guess, so no other
//! peer can delay it. A fingerprint is keyed with random bytes that never leave the process. It is
//! valid for one hash only, and is lost when the process ends.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use certificates::StationIdentity;
use ocpp_transport::Password;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The fingerprints of passwords that were verified, one for each station. The caller passes the
/// time.
pub(crate) struct Fingerprints {
    key: Zeroizing<[u8; 32]>,
    known: HashMap<StationIdentity, Known>,
}

struct Known {
    hash: String,
    fingerprint: [u8; 32],
    since: Instant,
}

impl Fingerprints {
    /// No fingerprint yet. `key` is random.
    pub(crate) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key, known: HashMap::new() }
    }

    /// Notes that a station's password was verified against this hash.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        station: &StationIdentity,
        password: &Password,
        hash: &str,
    ) {
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(station) {
            self.known.retain(|_, known| now.saturating_duration_since(known.since) < KNOWN_FOR);
            if self.known.len() >= MAX_KNOWN {
                let mut since = self.known.values().map(|known| known.since).collect::<Vec<_>>();
                // Several entries are removed at once, so that not every login scans the map.
                let (_, last, _) = since.select_nth_unstable(MAX_KNOWN / PART);
                let last = *last;
                self.known.retain(|_, known| known.since > last);
            }
        }
        let fingerprint = self.fingerprint(password, hash);
        self.known.insert(station.clone(), Known { hash: hash.to_owned(), fingerprint, since: now });
    }

    /// The hash against which this password was verified recently. The comparison takes the same
    /// time wherever they differ.
    pub(crate) fn find(
        &self,
        now: Instant,
        station: &StationIdentity,
        password: &Password,
    ) -> Option<String> {
        let recent = |known: &&Known| now.saturating_duration_since(known.since) < KNOWN_FOR;
        let known = self.known.get(station).filter(recent)?;
        let is_it: bool = self.fingerprint(password, &known.hash).ct_eq(&known.fingerprint).into();
        is_it.then(|| known.hash.clone())
    }

    /// HMAC-SHA-256 in its nested form over two texts. The first text cannot contain the byte that
    /// separates them.
    fn fingerprint(&self, password: &Password, hash: &str) -> [u8; 32] {
        let [inner, outer] = [0x36_u8, 0x5c].map(|pad| {
            let mut block = Zeroizing::new([pad; 64]);
            block.iter_mut().zip(self.key.iter()).for_each(|(byte, key)| *byte ^= key);
            block
        });
        let message = Sha256::new().chain_update(*inner).chain_update(hash).chain_update([0]);
        let message = message.chain_update(password.expose()).finalize();
        Sha256::new().chain_update(*outer).chain_update(message).finalize().into()
    }
}

impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fingerprints").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

/// Stations that are remembered, about 300 bytes each; more than a service has connections. Only a
/// station with the right password can evict another one.
const MAX_KNOWN: usize = 32_768;

/// A full map loses one entry in `PART` at once.
const PART: usize = 8;

/// How long a password is recognised before it is verified again.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_for_its_station_and_a_day() {
        let start = Instant::now();
        let mut fingerprints = Fingerprints::new(Zeroizing::new([7; 32]));
        let station = |name| StationIdentity::try_from(name).expect("an identity");
        let right = Password::from("0123456789abcdef");
        fingerprints.insert(start, &station("CS1"), &right, "hash 1");
        let find = |now, name, password: &Password| {
            fingerprints.find(now, &station(name), password).is_some_and(|hash| hash == "hash 1")
        };
        assert!(find(start, "cs1", &right));
        assert!(!find(start, "CS2", &right));
        assert!(!find(start, "CS1", &Password::from("0123456789abcdeF")));
        assert!(!find(start + KNOWN_FOR, "CS1", &right));
    }

    #[test]
    fn a_fingerprint_is_hmac_sha_256() {
        // printf 'h\0p' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07
        let fingerprints = Fingerprints::new(Zeroizing::new([7; 32]));
        let found = fingerprints.fingerprint(&Password::from("p"), "h");
        assert_eq!(hex::encode(found), "b4b130491886d26645d01aee8792d35aca8b476c07b3f82c5c64481c2f667c9d");
    }
}
