//! What the service renews by itself: lists of revoked certificates, and its own certificate.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
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
    /// One after the other, so that a list or a certificate is never replaced by an older one.
    turn: Mutex<()>,
    /// Something in the files may be newer than what is served: whoever writes sets it, and only serving all of it clears
    /// it. It outlives an error, and a command that is cut off between the two.
    unserved: AtomicBool,
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
        Self { authority, ledger, token, lists, turn: Mutex::default(), unserved: AtomicBool::default() }
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
            match list.sign(authority, &index, config, when, &self.unserved).await {
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
                let _turn = self.turn.lock().await;
                own_certificate::issue(authority, config, self.token(), when, &self.unserved).await
            }
            _ if when == When::Now => Err(ServerError::NoOwnCertificate),
            _ => Ok(Vec::new()),
        }
    }

    /// Has everything served that is in the files. Returns the stations whose connections were closed for it.
    pub(crate) async fn serve(&self, reloader: &Reloader<SqliteLedger>) -> Result<Vec<String>, ServerError> {
        let refreshed = reloader.refresh().await;
        if refreshed.is_err() {
            self.unserved.store(true, Ordering::Release);
        }
        refreshed
    }

    /// Renews what is due, and has it served, until it is dropped.
    ///
    /// # Cancel safety
    /// What was signed is on record; a file is as it was or new.
    pub(crate) async fn keep(&self, reloader: &Reloader<SqliteLedger>) {
        let mut back_off = SHORTEST_PAUSE;
        loop {
            let due = self.due(&reloader.desk.config.get()).await;
            sleep(pause(&due, SystemTime::now(), &mut back_off)).await;
            let config = reloader.desk.config.get();
            if let Err(error) = self.issue_own(&config, When::Due).await {
                tracing::error!(error = in_one_line(error), "the CSMS's own certificate was not renewed");
            }
            if let Err(error) = self.sign_lists(&config, When::Due).await {
                tracing::error!(error = in_one_line(error), "a list of revoked certificates was not renewed");
            }
            // Cleared before the files are read: what is written meanwhile is read by the next round.
            if self.unserved.swap(false, Ordering::AcqRel)
                && let Err(error) = self.serve(reloader).await
            {
                tracing::error!(error = in_one_line(error), "what was renewed is not served");
            }
        }
    }

    /// When something has to be signed or served.
    async fn due(&self, config: &Config) -> Vec<SystemTime> {
        let mut due = Vec::new();
        if self.unserved.load(Ordering::Acquire) {
            due.push(SystemTime::UNIX_EPOCH);
        }
        if self.own().is_none() {
            return due;
        }
        if let Ok(index) = self.ledger.revocations().await {
            for list in &self.lists {
                due.push(list.due(&index).await.unwrap_or(SystemTime::UNIX_EPOCH));
            }
        }
        let (config, token) = (config.clone(), self.token.clone());
        let own = spawn_blocking(move || own_certificate::next_due(&config, token.as_ref()));
        due.extend(own.await.ok().flatten());
        due
    }

    fn own(&self) -> Option<&CertificateAuthority> {
        match &*self.authority {
            Authority::Own(authority) => Some(authority),
            Authority::Forwarding(_) => None,
        }
    }
}

/// Until something is due, but no longer than a while: the clock may be set, and files may be taken away.
///
/// What is due still, for it failed or is due again at once, is tried again after twice the time each time, for each try
/// may write into the record. It does not keep waiting what becomes due meanwhile.
fn pause(due: &[SystemTime], now: SystemTime, back_off: &mut Duration) -> Duration {
    let later = due.iter().filter_map(|due| due.duration_since(now).ok()).filter(|until| !until.is_zero());
    let later = later.min().map(|until| until.max(SHORTEST_PAUSE));
    if due.iter().all(|due| *due > now) {
        *back_off = SHORTEST_PAUSE;
        return later.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
    }
    let pause = *back_off;
    *back_off = (pause * 2).min(LONGEST_BACK_OFF);
    later.unwrap_or(pause).min(pause)
}

/// Between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Before what is due is tried, and the first pause of those after a failure.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);

/// Between two tries of something that is due and fails.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_tried_less_and_less() {
        let now = SystemTime::now();
        let (failing, later) = (SystemTime::UNIX_EPOCH, now + Duration::from_secs(600));
        let mut back_off = SHORTEST_PAUSE;
        let pauses = (0..13).map(|_| pause(&[failing], now, &mut back_off).as_secs()).collect::<Vec<_>>();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(pause(&[failing, later], now, &mut back_off).as_secs(), 600, "the other one is not late");
        assert_eq!(pause(&[later], now, &mut back_off), LONGEST_PAUSE);
        assert_eq!(pause(&[failing], now, &mut back_off), SHORTEST_PAUSE, "the next failure begins anew");
        assert_eq!(pause(&[], now, &mut back_off), LONGEST_PAUSE);
    }
}
