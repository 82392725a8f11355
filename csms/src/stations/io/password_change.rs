//! A01: changes a station's password over a connection that was opened with the old one.

use ocpp_transport::{CallFailure, Password, Peer};
use zeroize::Zeroizing;

use crate::{
    config::OcppVersion,
    ledger::{Ledger, LedgerError, PasswordAnswer},
    stations::{
        connection::{Terms, version_of},
        io::{
            login::{
                logins::Logins,
                password::{HashPasswordError, hash_random},
            },
            requests::send_password,
        },
        password_text::{from_random, to_send},
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
    #[error(transparent)]
    Version(CallFailure),
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
/// (A01.FR.07), and is not shown.
pub(crate) async fn change(
    ledger: &Ledger,
    logins: &Logins,
    peer: &Peer,
    chosen: Option<Password>,
) -> Result<&'static str, ChangePasswordError> {
    let version = version_of(peer).map_err(ChangePasswordError::Version)?;
    let is_random = chosen.is_none();
    let password = match chosen {
        Some(password) => password,
        None => random(version)?,
    };
    let text = String::from_utf8_lossy(password.expose()).into_owned();
    let text = to_send(text, version).ok_or(ChangePasswordError::NoKey)?;
    // Changes are made one after another. No change begins while the password of the one before may
    // still become valid, because that password would be forgotten.
    let mut pending = match peer.context::<Terms>() {
        Some(terms) => Some(terms.password_pending.lock().await),
        None => None,
    };
    if pending.as_deref() == Some(&true) {
        return Err(ChangePasswordError::Pending);
    }
    let hash = match is_random {
        true => hash_random(&text)?,
        false => logins.hash(Zeroizing::new(text.clone())).await?,
    };
    let station = peer.identity();
    // The password is stored before the station receives it. The station can then log in, whatever
    // happens to the answer. If it cannot be stored it is not sent, and another one may be.
    ledger.offer_password(station, &hash).await?;
    if let Some(pending) = &mut pending {
        **pending = true;
    }
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
            // A01.FR.11 and A01.FR.12 require the station to log the change; this entry is for the
            // operator's log.
            tracing::info!(%station, status, "the station has a new password");
            Ok(status)
        }
        PasswordAnswer::Refused => Err(ChangePasswordError::Refused { status }),
    }
}

fn random(version: OcppVersion) -> Result<Password, ChangePasswordError> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(ChangePasswordError::Random)?;
    Ok(from_random(bytes, version))
}
