//! The words that each version of OCPP uses for the same thing.

use certificates::{HashAlgorithm, HashData};
use serde_json::{Value, value::RawValue};

use crate::config::OcppVersion;

/// Whether a station with this list of certificates would have no CSMS root left after it deletes a
/// certificate.
pub(crate) fn is_last_csms_root(version: OcppVersion, listed: &str, hash_data: &RawValue) -> bool {
    let Ok(listed) = serde_json::from_str::<Value>(listed) else { return false };
    let Ok(wanted) = serde_json::from_str::<Value>(hash_data.get()) else { return false };
    let csms_root = in_words_of(version, "CSMSRootCertificate");
    let chains = listed["certificateHashDataChain"].as_array().into_iter().flatten();
    let roots: Vec<_> = chains
        .filter(|chain| chain["certificateType"] == csms_root)
        .map(|chain| &chain["certificateHashData"])
        .collect();
    let wanted = read_hash_data(&wanted);
    matches!(roots.as_slice(), [only] if wanted.is_some() && read_hash_data(only) == wanted)
}

/// Reads hash data from the field of a message; `None` if it names no certificate.
fn read_hash_data(data: &Value) -> Option<HashData> {
    let member = |name: &str| data[name].as_str().unwrap_or_default();
    let algorithm = member("hashAlgorithm");
    let algorithm = HashAlgorithm::ALL.into_iter().find(|known| known.as_str() == algorithm)?;
    let (name, key) = (member("issuerNameHash"), member("issuerKeyHash"));
    HashData::parse(algorithm, name, key, member("serialNumber")).ok()
}

/// The word of a version for the same thing, so that one command works for stations of all
/// versions.
pub(crate) fn in_words_of(version: OcppVersion, word: &str) -> &str {
    const WORDS: [(&str, &str); 2] = [
        ("SignChargePointCertificate", "SignChargingStationCertificate"),
        ("CentralSystemRootCertificate", "CSMSRootCertificate"),
    ];
    let pair = WORDS.iter().find(|pair| [pair.0, pair.1].contains(&word));
    pair.map_or(word, |pair| match version {
        OcppVersion::V16 => pair.0,
        OcppVersion::V201 | OcppVersion::V21 => pair.1,
    })
}

/// Whether a variable is the password. `identifierString` is not case-sensitive.
pub(crate) fn is_password(variable: &str) -> bool {
    variable.eq_ignore_ascii_case("BasicAuthPassword")
}
