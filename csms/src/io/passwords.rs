//! A01: a station's password is changed over the connection that the old one opened.

use ocpp_transport::{CallFailure, Password, Peer};
use ocpp_types::{
    BoundedString,
    v201::{
        ComponentType, SetVariableDataType, SetVariableStatusEnumType, SetVariablesRequest, VariableType,
    },
};
use tokio::task::spawn_blocking;

use crate::{
    io::password::{HashPasswordError, hash_password},
    ledger::{Ledger, LedgerError, PasswordAnswer},
};

/// Why a station's password was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangePasswordError {
    #[error(transparent)]
    Hash(#[from] HashPasswordError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("no random numbers from the operating system")]
    Random(#[source] getrandom::Error),
    #[error("the thread that hashes failed")]
    Thread(#[from] tokio::task::JoinError),
    // A01.FR.04
    #[error("the station answered {status}; it keeps its old password")]
    Refused { status: SetVariableStatusEnumType },
    #[error(
        "the station did not answer, so it may have either password; both are accepted until it connects with one"
    )]
    Unanswered(#[source] CallFailure),
}

/// Sends a new password to a station and accepts the old one no longer (A01.FR.02, A01.FR.03). Without one of the
/// operator's it is made of random characters (A01.FR.07), and nobody gets to see it.
pub(crate) async fn change<L: Ledger>(
    ledger: &L,
    peer: &Peer,
    chosen: Option<Password>,
) -> Result<SetVariableStatusEnumType, ChangePasswordError> {
    let password = match chosen {
        Some(password) => password,
        None => random()?,
    };
    let text = String::from_utf8_lossy(password.expose()).into_owned();
    let value = BoundedString::try_from(text.as_str()).map_err(|_| HashPasswordError::Length)?;
    let hash = spawn_blocking(move || hash_password(&text)).await??;
    let station = peer.identity().as_str();
    // Before the station can have it: whatever happens to the answer, it will be let in.
    ledger.offer_password(station, &hash).await?;
    let component = ComponentType::new(name("SecurityCtrlr"));
    let variable = VariableType::new(name("BasicAuthPassword"));
    let variables = vec![SetVariableDataType::new(value, component, variable)];
    let request = SetVariablesRequest::new(variables.try_into().expect("one or more, and it is one"));
    let answer = peer.call(request).await;
    let status = match answer {
        Ok(response) => response.set_variable_result.first().map(|result| result.attribute_status),
        // Refused by an error of the protocol is refused.
        Err(CallFailure::CallError { .. }) => None,
        Err(failure) => return Err(ChangePasswordError::Unanswered(failure)),
    };
    let status = status.unwrap_or(SetVariableStatusEnumType::Rejected);
    match status {
        SetVariableStatusEnumType::Accepted | SetVariableStatusEnumType::RebootRequired => {
            ledger.settle_password(station, PasswordAnswer::Taken).await?;
            // A01.FR.11, A01.FR.12 ask the station to log the change; here it is for the operator's log.
            tracing::info!(station, ?status, "the station has a new password");
            Ok(status)
        }
        status => {
            ledger.settle_password(station, PasswordAnswer::Refused).await?;
            Err(ChangePasswordError::Refused { status })
        }
    }
}

fn name<const N: usize>(text: &'static str) -> BoundedString<N> {
    BoundedString::try_from(text).expect("both names are short")
}

/// 40 characters of the alphabet that also the third edition allows (A00.FR.205): more than 200 bits.
fn random() -> Result<Password, ChangePasswordError> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(ChangePasswordError::Random)?;
    // 64 characters, so each is as likely as the others.
    let text = bytes.map(|byte| ALPHABET[usize::from(byte % 64)]);
    Ok(Password::new(text))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
