//! Carries out operators' commands about the stations of the ledger.

use ocpp_transport::Peer;
use program::in_one_line;
use serde_json::value::{RawValue, to_raw_value};
use signer_pkcs11::RevocationReason;

use crate::{
    ledger::io::marks::Reach,
    service::{
        control::{Listed, StationCommand},
        io::{control::Rows, reload::Reloader, revoke::revoke},
    },
    stations::{
        io::stations::{Stations, StationsError},
        registry::{ShownStation, StationFields, StationFilter},
    },
};

/// Carries out a command of the command line.
pub(crate) async fn carry_out(
    reloader: &Reloader,
    stations: &Stations,
    command: StationCommand,
    rows: &mut Rows,
) -> Result<Box<RawValue>, String> {
    match command {
        StationCommand::Add(fields) => {
            let station = stations.add(fields, BY).await.map_err(in_one_line)?;
            to_raw_value(&station.identity).map_err(in_one_line)
        }
        StationCommand::Set { station, changes } => {
            let (station, names) = stations.set(&station, changes, BY).await.map_err(in_one_line)?;
            if names.iter().any(|name| CREDENTIALS.contains(name)) {
                let is_it = |peer: &Peer| *peer.identity() == station.identity;
                reloader.close(is_it, "the credentials of its admission have changed").await;
            }
            to_raw_value(&names).map_err(in_one_line)
        }
        StationCommand::Remove { station, revoke: with_certificates } => {
            if with_certificates {
                // A station of the file is not touched.
                match stations.remove(&station, BY).await {
                    Err(StationsError::HasCertificates { .. }) => {
                        let reason = RevocationReason::CessationOfOperation;
                        revoke(reloader, None, Some(&station), reason).await?;
                        stations.remove(&station, BY).await.map_err(in_one_line)?;
                    }
                    removed => drop(removed.map_err(in_one_line)?),
                }
            } else {
                stations.remove(&station, BY).await.map_err(in_one_line)?;
            }
            let is_it = |peer: &Peer| *peer.identity() == station;
            reloader.close(is_it, "an operator has removed it").await;
            reloader.registry.ledger.advance_marks(Reach::File).await.map_err(in_one_line)?;
            to_raw_value(&station).map_err(in_one_line)
        }
        StationCommand::Show { station } => {
            to_raw_value(&stations.get(&station).await.map_err(in_one_line)?).map_err(in_one_line)
        }
        StationCommand::List { filter, after, limit } => {
            let (mut after, mut sent) = (after.map(|after| after.key()).unwrap_or_default(), 0);
            loop {
                let page = stations.list(&filter, &after, ROWS_AT_ONCE).await.map_err(in_one_line)?;
                for station in page.stations {
                    if limit.is_some_and(|limit| sent >= limit) {
                        return to_raw_value(&Listed { rows: sent, whole: false }).map_err(in_one_line);
                    }
                    rows.send(&ShownStation::from(station)).await?;
                    sent += 1;
                }
                match page.next {
                    Some(next) => after = next,
                    None => return to_raw_value(&Listed { rows: sent, whole: true }).map_err(in_one_line),
                }
            }
        }
        StationCommand::Export { with_password_hashes } => {
            let (mut after, mut sent) = (String::new(), 0);
            loop {
                let filter = StationFilter::default();
                let page = stations.list(&filter, &after, ROWS_AT_ONCE).await.map_err(in_one_line)?;
                for found in &page.stations {
                    let mut fields = StationFields::from(&found.station);
                    fields.password_hash = fields.password_hash.filter(|_| with_password_hashes);
                    rows.send(&fields).await?;
                    sent += 1;
                }
                match page.next {
                    Some(next) => after = next,
                    None => return to_raw_value(&Listed { rows: sent, whole: true }).map_err(in_one_line),
                }
            }
        }
        StationCommand::Import { file, format } => {
            let imported = stations.import(&file, format, BY).await.map_err(in_one_line)?;
            tracing::info!(count = imported.count, file = %file.display(), "stations were imported");
            to_raw_value(&imported).map_err(in_one_line)
        }
    }
}

/// Who gives the commands of the control socket.
const BY: &str = "cli";

/// The fields by which a connection was admitted.
const CREDENTIALS: &[&str] = &["serial_number", "password_hash", "lowest_security_profile"];

/// The number of rows that are read from the ledger at once.
const ROWS_AT_ONCE: u32 = 500;
