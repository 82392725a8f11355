//! Revokes certificates, and closes the connections that were made with them.

use certificates::{SerialNumber, StationIdentity};
use ocpp_transport::Peer;
use program::in_one_line;
use signer_pkcs11::RevocationReason;

use crate::{
    ledger::io::marks::Reach,
    service::{
        control::Revoked,
        io::{clock::unix_now, reload::Reloader},
    },
    signing::serving::When,
    stations::connection::presented_serial_number,
};

/// Revokes certificates: first in the record, then on the connections and at the same time on the
/// lists.
pub(crate) async fn revoke(
    reloader: &Reloader,
    serial: Option<SerialNumber>,
    station: Option<&StationIdentity>,
    reason: RevocationReason,
) -> Result<Revoked, String> {
    let registry = &reloader.registry;
    let ledger = &registry.ledger;
    let found = ledger.revocable(serial, station, unix_now()).await.map_err(in_one_line)?;
    if let (Some(serial), true) = (serial, found.is_empty()) {
        return Err(format!(
            "no certificate has the serial number {serial}; `ocpp-csms certificates` lists them"
        ));
    }
    // A station whose connection is closed may also be connected with a certificate that was
    // revoked before.
    let mut ended = found.clone();
    if let Some(station) = station
        && let Some(serial) = registry.fleet.peer(station).as_ref().and_then(presented_serial_number)
        && ledger.is_revoked(station, serial).await.map_err(in_one_line)?
    {
        ended.push(serial);
    }
    let serial_numbers = ledger.revoke(&found, reason).await.map_err(in_one_line)?;
    tracing::warn!(?serial_numbers, reason = reason.as_str(), "revoked");
    let revoked = |peer: &Peer| presented_serial_number(peer).is_some_and(|serial| ended.contains(&serial));
    let config = registry.config.get();
    let list = async {
        // The mark is raised before the revocation is confirmed: an older ledger would not contain
        // it.
        let marked = ledger.advance_marks(Reach::File).await;
        let lists = reloader.upkeep.sign_lists(&config, When::Now).await;
        if !lists.as_ref().is_ok_and(|lists| !lists.is_empty()) {
            // If lists were signed, their signatures have already raised the marks.
            ledger.advance_marks(Reach::Everywhere).await.map_err(in_one_line)?;
        }
        marked.map_err(in_one_line)?;
        Ok::<_, String>((lists, reloader.serve().await))
    };
    // The revocation is recorded, and admission reads the record. Connections are closed without
    // waiting for the signatures of the lists.
    let (mut closed, listed) =
        tokio::join!(biased; reloader.close(revoked, "its certificate is revoked"), list);
    let (lists, refreshed) = match listed {
        Ok(listed) => listed,
        Err(problem) => {
            let problem = Some(format!("the ledger's high-water mark is behind: {problem}"));
            return Ok(Revoked { serial_numbers, closed, lists: Vec::new(), problem });
        }
    };
    for other in refreshed.as_ref().into_iter().flatten() {
        if !closed.contains(other) {
            closed.push(other.clone());
        }
    }
    let problem = lists.as_ref().err().map(in_one_line).or(refreshed.as_ref().err().map(in_one_line));
    Ok(Revoked { serial_numbers, closed, lists: lists.unwrap_or_default(), problem })
}
