//! What the service renews by itself: lists of revoked certificates, and its own certificate.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use signer_pkcs11::{CertificateAuthority, Token};
use tokio::{sync::Mutex, task::spawn_blocking, time::sleep};

use crate::{
    causes::in_one_line,
    config::Config,
    control::SignedList,
    io::{
        authority::Authority, lists::ListFile, own_certificate, reload::Reloader, server_error::ServerError,
        sqlite::SqliteLedger,
    },
};

/// Lists of revoked certificates, and the CSMS's own certificate.
#[derive(Debug)]
pub(crate) struct Upkeep {
    authority: Arc<Authority>,
    ledger: SqliteLedger,
    token: Option<Token>,
    lists: Vec<ListFile>,
    /// One after the other, so that a list is never replaced by an older one.
    turn: Mutex<()>,
}

/// When something is signed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Whether it is due or not.
    Now,
    /// Where it is missing, or lacks something, or two thirds of its time are over.
    Due,
}

impl Upkeep {
    pub(crate) fn new(
        authority: Arc<Authority>,
        ledger: SqliteLedger,
        token: Option<Token>,
        config: &Config,
    ) -> Self {
        let lists = match &*authority {
            Authority::Own(authority) => ListFile::of(authority, config),
            Authority::Forwarding(_) => Vec::new(),
        };
        Self { authority, ledger, token, lists, turn: Mutex::default() }
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// The files of the lists, which may not be there yet.
    pub(crate) fn list_files(&self) -> Vec<PathBuf> {
        self.lists.iter().map(|list| list.path().to_path_buf()).collect()
    }

    /// Signs the lists of all issuers. One that cannot be signed does not keep the others from it; the first error is
    /// returned.
    pub(crate) async fn sign_lists(
        &self,
        config: &Config,
        when: When,
    ) -> Result<Vec<SignedList>, ServerError> {
        let Some(authority) = self.own() else { return Ok(Vec::new()) };
        let _turn = self.turn.lock().await;
        let index = self.ledger.revocations().await?;
        let (mut signed, mut failed) = (Vec::new(), None);
        for list in &self.lists {
            match list.sign(authority, &index, config, when).await {
                Ok(list) => signed.extend(list),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(signed), Err)
    }

    /// Issues the CSMS's own certificates, and returns the files that were written.
    pub(crate) async fn issue_own(&self, config: &Config, when: When) -> Result<Vec<PathBuf>, ServerError> {
        match self.own() {
            Some(authority) if !config.tls.names.is_empty() => {
                own_certificate::issue(authority, config, self.token(), when).await
            }
            _ if when == When::Now => Err(ServerError::NoOwnCertificate),
            _ => Ok(Vec::new()),
        }
    }

    /// Renews what is due, and has it served, until it is dropped.
    ///
    /// # Cancel safety
    /// What was signed is on record; a file is as it was or new.
    pub(crate) async fn keep(&self, reloader: &Reloader<SqliteLedger>) {
        loop {
            let config = reloader.desk.config.get();
            sleep(self.pause(&config).await).await;
            let config = reloader.desk.config.get();
            let mut renewed = false;
            match self.issue_own(&config, When::Due).await {
                Ok(files) => renewed |= !files.is_empty(),
                Err(error) => {
                    tracing::error!(error = in_one_line(error), "the CSMS's own certificate was not renewed")
                }
            }
            match self.sign_lists(&config, When::Due).await {
                Ok(lists) => renewed |= !lists.is_empty(),
                Err(error) => {
                    tracing::error!(
                        error = in_one_line(error),
                        "a list of revoked certificates was not renewed"
                    );
                }
            }
            if renewed && let Err(error) = reloader.refresh().await {
                tracing::error!(error = in_one_line(error), "what was renewed is not served");
            }
        }
    }

    /// Until something is due, but no longer than a while: the clock may be set, and files may be taken away.
    async fn pause(&self, config: &Config) -> Duration {
        let Some(authority) = self.own() else { return LONGEST_PAUSE };
        let mut due = Vec::new();
        if let Ok(index) = self.ledger.revocations().await {
            for list in &self.lists {
                due.push(list.due(&index).await.unwrap_or(SystemTime::UNIX_EPOCH));
            }
        }
        let lifetime = authority.settings().profiles.server.validity;
        let (config, token) = (config.clone(), self.token.clone());
        let own = spawn_blocking(move || own_certificate::next_due(&config, token.as_ref(), lifetime));
        due.extend(own.await.ok().flatten());
        let next = due.into_iter().min();
        let until = next.map(|next| next.duration_since(SystemTime::now()).unwrap_or_default());
        // What could not be renewed is tried again after a pause, too.
        until.unwrap_or(LONGEST_PAUSE).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
    }

    fn own(&self) -> Option<&CertificateAuthority> {
        match &*self.authority {
            Authority::Own(authority) => Some(authority),
            Authority::Forwarding(_) => None,
        }
    }
}

/// Between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Between two tries of something that is due and fails.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);
