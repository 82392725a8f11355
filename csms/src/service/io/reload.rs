//! Puts a changed configuration, or changed files that it names, into use while the service runs.

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use certificates::StationIdentity;
use ocpp_transport::{Close, CsmsHandle, Peer};
use program::causes;
use tokio::{
    sync::Mutex,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    config::{Config, io::read_config},
    service::{control::Reloaded, io::server_error::ServerError},
    signing::io::{ocsp::read_authorities, upkeep::Upkeep},
    stations::{io::registry::StationRegistry, registry::Station},
};

/// Puts a changed configuration into use while the service runs.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) registry: Arc<StationRegistry>,
    pub(crate) csms: CsmsHandle,
    pub(crate) upkeep: Arc<Upkeep>,
    /// The file of the configuration; `None`: only the files that the configuration names are read
    /// again.
    pub(crate) file: Option<PathBuf>,
    /// Held during a reload, so that the last one to begin takes effect.
    pub(crate) turn: Mutex<()>,
}

impl Reloader {
    /// Reads everything again, and changes all of it or nothing.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ServerError> {
        let _turn = self.turn.lock().await;
        let (before, file) = (self.registry.config.get(), self.file.clone());
        let former = Arc::clone(&before);
        let read = move || {
            let config = match &file {
                Some(file) => Arc::new(read_config(file)?),
                None => Arc::clone(&before),
            };
            match before.needs_restart(&config) {
                Some(section) => Err(ServerError::NeedsRestart { section }),
                None => Ok(config),
            }
        };
        let config = spawn_blocking(read).await??;
        let mut closed = self.apply(&config).await?;
        let mut unknown = HashSet::new();
        let mut others = HashSet::new();
        for peer in self.registry.fleet.peers() {
            let identity = peer.identity();
            let in_file = |config: &Config| config.station(identity.as_str()).map(Station::from);
            let (before, now) = (in_file(&former), in_file(&config));
            if before.is_none() && now.is_none() {
                // It is in the ledger, which has not changed.
                continue;
            }
            let in_ledger = match before.is_some() && now.is_some() {
                true => None,
                false => self.registry.ledger.registered_station(identity).await?.map(|found| found.station),
            };
            match (before.or_else(|| in_ledger.clone()), now.or(in_ledger)) {
                (_, None) => _ = unknown.insert(identity.clone()),
                (Some(before), Some(now)) if has_to_prove_itself_again(&peer, &before, &now) => {
                    others.insert(identity.clone());
                }
                _ => {}
            }
        }
        let is_unknown = |peer: &Peer| unknown.contains(peer.identity());
        closed.extend(self.close(is_unknown, "it is no longer in the configuration").await);
        let changed = |peer: &Peer| others.contains(peer.identity());
        closed.extend(self.close(changed, "the credentials of its admission have changed").await);
        tracing::info!(stations = config.stations.len(), "the configuration was read again");
        Ok(Reloaded { closed })
    }

    /// Reads again the files that the present configuration names: certificates, roots, revocation
    /// lists. Returns the stations whose connections were closed because their certificates are
    /// revoked.
    pub(crate) async fn refresh(&self) -> Result<Vec<StationIdentity>, ServerError> {
        let _turn = self.turn.lock().await;
        self.apply(&self.registry.config.get()).await
    }

    /// Puts the content of all files into use. Returns the stations whose connections were closed
    /// for this reason.
    pub(crate) async fn serve(&self) -> Result<Vec<StationIdentity>, ServerError> {
        let refreshed = self.refresh().await;
        if refreshed.is_err() {
            self.upkeep.note_unserved();
        }
        refreshed
    }

    /// Closes the selected connections, and returns their stations.
    pub(crate) async fn close(&self, meant: impl Fn(&Peer) -> bool, reason: &str) -> Vec<StationIdentity> {
        let mut closed = Vec::new();
        let mut closing = JoinSet::new();
        for peer in self.registry.fleet.peers().into_iter().filter(meant) {
            let station = peer.identity().clone();
            tracing::warn!(%station, reason, "its connection is closed");
            closed.push(station);
            closing.spawn(async move { peer.close(Close::PolicyViolation).await });
        }
        // Each close has its own deadlines.
        closing.join_all().await;
        closed
    }

    async fn apply(&self, config: &Arc<Config>) -> Result<Vec<StationIdentity>, ServerError> {
        let (upkeep, config) = (Arc::clone(&self.upkeep), Arc::clone(config));
        let read = move || {
            let tls = upkeep.tls(&config)?;
            let authorities = read_authorities(&config.ocsp)?;
            Ok::<_, ServerError>((config, tls, authorities))
        };
        let (config, tls, authorities) = spawn_blocking(read).await??;
        self.registry.config.replace(config);
        self.registry.inquiries.replace_authorities(authorities);
        Ok(self.csms.reload_tls(tls).await?)
    }
}

/// Whether a station was admitted by credentials that are no longer in the configuration: the
/// serial number in its certificate (A00.FR.403), or the password.
fn has_to_prove_itself_again(peer: &Peer, before: &Station, now: &Station) -> bool {
    let password_taken_away = before.password_hash.is_some() && now.password_hash.is_none();
    before.serial_number != now.serial_number || password_taken_away && peer.client_certificate().is_none()
}

/// Calls `reload` each time that the process receives SIGHUP.
pub(crate) async fn reload_signals(mut reload: impl AsyncFnMut()) {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                reload().await;
            }
        }
        Err(error) => {
            tracing::warn!(error = %causes(&error), "SIGHUP cannot be caught; use `ocpp-csms reload`")
        }
    }
    std::future::pending().await
}
