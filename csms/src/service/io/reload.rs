//! Puts a changed configuration, or new files that it names, into force while the service runs.

use std::{path::PathBuf, sync::Arc};

use certificates::StationIdentity;
use ocpp_transport::{Close, CsmsHandle, Peer};
use program::causes;
use tokio::{
    sync::Mutex,
    task::{JoinSet, spawn_blocking},
};

use crate::{
    config::{Config, io::read_config},
    ledger::Ledger,
    service::{control::Reloaded, io::server_error::ServerError},
    signing::io::{ocsp::read_authorities, upkeep::Upkeep},
    stations::io::registry::StationRegistry,
};

/// Puts a changed configuration into force while the service runs.
#[derive(Debug)]
pub(crate) struct Reloader<L> {
    pub(crate) registry: Arc<StationRegistry<L>>,
    pub(crate) csms: CsmsHandle,
    pub(crate) upkeep: Arc<Upkeep>,
    /// Where the configuration is read from; without it, only the files that it names are read
    /// again.
    pub(crate) file: Option<PathBuf>,
    /// One after the other, so that the last one to begin is the one that counts.
    pub(crate) turn: Mutex<()>,
}

impl<L: Ledger> Reloader<L> {
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
        let unknown = |peer: &Peer| config.station(peer.identity().as_str()).is_none();
        closed.extend(self.close(unknown, "it is not in the configuration any more").await);
        let changed = |peer: &Peer| has_to_prove_itself_again(peer, &former, &config);
        closed.extend(self.close(changed, "what it was admitted by has changed").await);
        tracing::info!(stations = config.stations.len(), "the configuration was read again");
        Ok(Reloaded { closed })
    }

    /// Reads the files again that the configuration in force names: certificates, roots, revocation
    /// lists. Returns the stations whose connections were closed, for their certificates are
    /// revoked.
    pub(crate) async fn refresh(&self) -> Result<Vec<StationIdentity>, ServerError> {
        let _turn = self.turn.lock().await;
        self.apply(&self.registry.config.get()).await
    }

    /// Has everything served that is in the files. Returns the stations whose connections were
    /// closed for it.
    pub(crate) async fn serve(&self) -> Result<Vec<StationIdentity>, ServerError> {
        let refreshed = self.refresh().await;
        if refreshed.is_err() {
            self.upkeep.note_unserved();
        }
        refreshed
    }

    /// Closes the connections that are meant, and returns their stations.
    pub(crate) async fn close(&self, meant: impl Fn(&Peer) -> bool, reason: &str) -> Vec<StationIdentity> {
        let mut closed = Vec::new();
        let mut closing = JoinSet::new();
        for peer in self.registry.fleet.peers().into_iter().filter(meant) {
            let station = peer.identity().clone();
            tracing::warn!(%station, reason, "its connection is closed");
            closed.push(station);
            closing.spawn(async move { peer.close(Close::PolicyViolation).await });
        }
        // Each within its own deadlines.
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

/// Whether a station was admitted by what is no longer in the configuration: the serial number that
/// its certificate names (A00.FR.403), or the password.
fn has_to_prove_itself_again(peer: &Peer, former: &Config, config: &Config) -> bool {
    let identity = peer.identity().as_str();
    let (Some(before), Some(now)) = (former.station(identity), config.station(identity)) else {
        return false;
    };
    let password_taken_away = before.password_hash.is_some() && now.password_hash.is_none();
    before.serial_number != now.serial_number || password_taken_away && peer.client_certificate().is_none()
}

/// Each time that the process is asked to read its configuration again: SIGHUP.
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
