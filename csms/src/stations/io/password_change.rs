//! A01: a station's password is changed over the connection that the old one opened.

use ocpp_transport::{CallFailure, Password, Peer};
use ocpp_types::Version;
use zeroize::Zeroizing;

use crate::{
    ledger::{Ledger, LedgerError, PasswordAnswer},
    stations::io::{
        admission::Terms,
        handlers::send_password,
        login::{logins::Logins, password::HashPasswordError},
    },
};

/// Why a station's password was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangePasswordError {
    #[error(transparent)]
    Hash(#[from] HashPasswordError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("an AuthorizationKey of OCPP 1.6 has 32 to 40 hexadecimal digits, an even number of them")]
    NoKey,
    #[error("no random numbers from the operating system")]
    Random(#[source] getrandom::Error),
    #[error(
        "whether the station has the password that it was sent before is not known until it connects again; have it \
         reset (`ocpp-csms call`), then change the password"
    )]
    Pending,
    // A01.FR.04
    #[error("the station answered {status}; it keeps its old password")]
    Refused { status: &'static str },
    #[error(
        "the station did not answer, so it may have either password; both are accepted until it connects with one"
    )]
    Unanswered(#[source] CallFailure),
}

/// Sends a new password to a station and returns the station's word (A01.FR.02). When it has taken
/// it, the old one counts no longer (A01.FR.03); when it has to reboot first, both count until it
/// connects with the new one. Without one of the operator's it is made of random characters
/// (A01.FR.07), and nobody gets to see it.
pub(crate) async fn change<L: Ledger>(
    ledger: &L,
    logins: &Logins,
    peer: &Peer,
    chosen: Option<Password>,
) -> Result<&'static str, ChangePasswordError> {
    let password = match chosen {
        Some(password) => password,
        None => random(peer.version())?,
    };
    let mut text = String::from_utf8_lossy(password.expose()).into_owned();
    if peer.version() == Version::V16 {
        if !is_key(&text) {
            return Err(ChangePasswordError::NoKey);
        }
        // A station may send the bytes back, which do not tell in which case each digit was
        // written.
        text.make_ascii_uppercase();
    }
    // One change after the other, and none while the one before may yet count: its password would
    // be forgotten.
    let mut pending = match peer.context::<Terms>() {
        Some(terms) => Some(terms.password_pending.lock().await),
        None => None,
    };
    if pending.as_deref() == Some(&true) {
        return Err(ChangePasswordError::Pending);
    }
    let hash = logins.hash(Zeroizing::new(text.clone())).await?;
    let station = peer.identity();
    if let Some(pending) = &mut pending {
        **pending = true;
    }
    // Before the station can have it: whatever happens to the answer, it will be let in.
    ledger.offer_password(station, &hash).await?;
    let (answer, status) = send_password(peer, &text).await.map_err(ChangePasswordError::Unanswered)?;
    let Some(answer) = answer else {
        tracing::info!(%station, status, "the station has a new password when it has rebooted");
        return Ok(status);
    };
    ledger.settle_password(station, answer).await?;
    if let Some(pending) = &mut pending {
        **pending = false;
    }
    match answer {
        PasswordAnswer::Taken => {
            // A01.FR.11, A01.FR.12 ask the station to log the change; here it is for the operator's
            // log.
            tracing::info!(%station, status, "the station has a new password");
            Ok(status)
        }
        PasswordAnswer::Refused => Err(ChangePasswordError::Refused { status }),
    }
}

/// Whether a text is 16 to 20 bytes in hexadecimal, as the security whitepaper of OCPP 1.6 has it
/// (A00.FR.205).
fn is_key(text: &str) -> bool {
    (32..=40).contains(&text.len())
        && text.len().is_multiple_of(2)
        && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// In OCPP 2.x 40 characters of the alphabet that also the third edition allows (A00.FR.205): more
/// than 200 bits. In OCPP 1.6 the 40 digits of 20 bytes.
fn random(version: Version) -> Result<Password, ChangePasswordError> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(ChangePasswordError::Random)?;
    if version == Version::V16 {
        return Ok(Password::new(hex::encode_upper(&bytes[..20])));
    }
    // 64 characters, so each is as likely as the others.
    let text = bytes.map(|byte| ALPHABET[usize::from(byte % 64)]);
    Ok(Password::new(text))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a00_fr_205_a_key_of_1_6_has_16_to_20_bytes() {
        for (text, expected) in [
            ("0001020304050607FFFFFFFFFFFFFFFFFFFFFFFF", true),
            ("0001020304050607ffffffffffffffff", true),
            ("0001020304050607ffffffffffffffff0", false),
            ("0001020304050607ffffffffffffff", false),
            ("0001020304050607FFFFFFFFFFFFFFFFFFFFFFFFFF", false),
            ("correct-horse-battery-staple-and-more", false),
            ("", false),
        ] {
            assert_eq!(is_key(text), expected, "{text}");
        }
        let key = random(Version::V16).expect("random");
        assert!(is_key(&String::from_utf8_lossy(key.expose())));
    }
}
