//! SignCertificate → certificate → CertificateSigned.

use std::{collections::HashMap, sync::Arc};

use ocpp_transport::{CallFailure, Peer, Reply};
use sha2::{Digest as _, Sha256};
use signer_pkcs11::{
    CertificateUse, IssueError, PendingCertificate, ReasonCode, RecordError, Refused, SignCertificate,
    StationIdentity,
};
use tokio::sync::{Mutex, Notify};

use crate::{
    io::{
        admission::Terms,
        authority::Authority,
        handlers::{NotSent, longest_chain, send_certificate},
        unix_now,
    },
    ledger::{Delivery, ForwardedRequest, Ledger, LedgerEntry, LedgerError},
};

/// Decides about stations' requests, issues certificates and delivers them.
#[derive(Debug)]
pub(crate) struct Enrolment<L> {
    pub(crate) authority: Arc<Authority>,
    pub(crate) ledger: L,
    /// A request waits for another authority.
    pub(crate) asked: Notify,
    stations: Mutex<HashMap<String, Arc<Turns>>>,
}

/// One request of a station is decided at a time, and one delivery to it runs at a time. Neither waits for the other: a
/// station may answer CertificateSigned only after its next SignCertificate is answered.
#[derive(Debug, Default)]
struct Turns {
    decision: Mutex<()>,
    delivery: Mutex<()>,
}

impl<L: Ledger> Enrolment<L> {
    pub(crate) fn new(authority: Arc<Authority>, ledger: L) -> Self {
        Self { authority, ledger, asked: Notify::new(), stations: Mutex::default() }
    }

    /// Answers SignCertificate of any version. The certificate is issued and in the ledger before Accepted leaves, and is
    /// sent after the answer has left (FR.05); where it does not arrive, the station gets it when it is connected again.
    pub(crate) async fn answer<R: SignCertificate>(
        self: &Arc<Self>,
        peer: &Peer,
        request: &R,
        station: &StationIdentity,
    ) -> Reply<R::Response> {
        let (response, decision) = self.authority.answer(request, station);
        let pending = match decision {
            Ok(pending) => match peer.context::<Terms>().and_then(|terms| *terms.longest_chain.get()?) {
                // A02.FR.16, where it is known from an earlier delivery.
                Some(longest) => pending.with_longest_chain(longest),
                None => pending,
            },
            Err(refused) => {
                tracing::warn!(station = station.identity, reason = %refused, "a certificate request was refused");
                return Reply::new(response);
            }
        };
        let key = hex::encode(Sha256::digest(pending.csr().spki_der()));
        let turns = self.turns(&station.identity).await;
        let _turn = turns.decision.lock().await;
        match self.issue(pending, key, station).await {
            Ok(()) => {
                let (enrolment, peer) = (Arc::clone(self), peer.clone());
                Reply::new(response).then(async move { enrolment.deliver(&peer).await })
            }
            Err(refused) => {
                tracing::error!(
                    station = station.identity,
                    reason = %refused,
                    "a sound certificate request was not served"
                );
                Reply::new(R::rejected(&refused))
            }
        }
    }

    /// Has the certificate of an accepted request issued, or passes the request on. Either is in the ledger when this
    /// returns.
    async fn issue(
        &self,
        pending: PendingCertificate,
        key: String,
        station: &StationIdentity,
    ) -> Result<(), Refused> {
        let look_up = |source: RecordError| LedgerError { action: "look a key up", source: source.into() };
        let certificate_type = pending.certificate_type().map(CertificateUse::as_str);
        // The same key again: a resend gets what is due already, and nobody else's key is certified.
        match self.ledger.owner_of_key(&key).await.map_err(look_up)? {
            Some(owner) if owner != station.identity => return Err(Refused::KeyOfAnother),
            Some(_) => {
                let due = self.ledger.undelivered(&station.identity, unix_now()).await?;
                let same = |entry: &&LedgerEntry| {
                    entry.spki_sha256 == key && entry.certificate_type.as_deref() == certificate_type
                };
                if let Some(entry) = due.iter().find(same) {
                    self.ledger.asked_again(&entry.serial_number, pending.request_id()).await?;
                    return Ok(());
                }
                if self.ledger.is_compromised(&key).await? {
                    let info =
                        "a certificate for this key was revoked because others have the key; make a new one";
                    return Err(Refused::ByPolicy { code: ReasonCode::InvalidCsr, info: info.to_owned() });
                }
            }
            None => {}
        }
        let authority = match &*self.authority {
            Authority::Own(authority) => authority,
            Authority::Forwarding(_) => {
                let request = ForwardedRequest {
                    id: 0,
                    station: station.identity.clone(),
                    spki_sha256: key,
                    certificate_type: certificate_type.map(str::to_owned),
                    request_id: pending.request_id(),
                    csr: pending.csr().to_pem(),
                    asked_at: unix_now(),
                    failure: None,
                };
                self.ledger.ask(&request).await?;
                self.asked.notify_one();
                return Ok(());
            }
        };
        let issued = authority.issue(pending).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the authority issued nothing");
            match error {
                IssueError::Refused(refused) => refused,
                IssueError::Record(_) => not_served("the request cannot be recorded now; ask again later"),
                _ => not_served("the authority cannot sign now; ask again later"),
            }
        })?;
        // It is in the ledger since it was signed, also after a restart.
        authority.delivered(&issued);
        tracing::info!(
            station = station.identity,
            serial_number = issued.certificate.serial,
            "certificate issued"
        );
        Ok(())
    }

    /// Sends the station what is due to it, oldest first.
    pub(crate) async fn deliver(&self, peer: &Peer) {
        let station = peer.identity().as_str();
        let turns = self.turns(station).await;
        let _turn = turns.delivery.lock().await;
        let due = match self.ledger.undelivered(station, unix_now()).await {
            Ok(due) => due,
            Err(error) => {
                return tracing::error!(
                    station,
                    error = &error as &dyn std::error::Error,
                    "nothing was delivered"
                );
            }
        };
        for entry in due {
            let state = match self.send(peer, &entry).await {
                Ok(state) => state,
                Err(error) => {
                    tracing::warn!(station, serial_number = entry.serial_number, %error, "the certificate waits for the next connection");
                    // What the station cannot take does not hold up what came after it.
                    match error {
                        NotSent::Version { .. }
                        | NotSent::Chain
                        | NotSent::Call(CallFailure::CallError { .. }) => continue,
                        NotSent::Call(_) => return,
                    }
                }
            };
            tracing::info!(
                station,
                serial_number = entry.serial_number,
                ?state,
                "the station answered CertificateSigned"
            );
            if let Err(error) = self.ledger.answered(&entry.serial_number, &state, unix_now()).await {
                tracing::error!(
                    station,
                    error = &error as &dyn std::error::Error,
                    "the station's answer was not recorded"
                );
            }
        }
    }

    async fn send(&self, peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
        let characters = entry.chain.chars().count();
        if characters > TAKEN_BY_ALL
            && let Some(terms) = peer.context::<Terms>()
        {
            // A02.FR.16: the station would have to reject it; a longer one it may not even be able to read.
            let longest = *terms.longest_chain.get_or_try_init(|| longest_chain(peer)).await?;
            if let Some(longest) = longest.filter(|longest| characters > *longest) {
                return Ok(Delivery::Rejected {
                    reason: Some(format!(
                        "not sent: the chain has {characters} characters, the station takes {longest}"
                    )),
                });
            }
        }
        send_certificate(peer, entry).await
    }

    async fn turns(&self, station: &str) -> Arc<Turns> {
        // Bounded by the stations that the configuration knows.
        Arc::clone(self.stations.lock().await.entry(station.to_owned()).or_default())
    }
}

/// A sound request that is rejected all the same.
fn not_served(info: &str) -> Refused {
    Refused::ByPolicy { code: ReasonCode::InternalError, info: info.to_owned() }
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "without the ledger nothing is issued");
        not_served("the request cannot be recorded now; ask again later")
    }
}

/// In characters: a station that takes less than this is beyond what the specification advises
/// (`MaxCertificateChainSize`), and no station is asked before a longer chain is due to it.
const TAKEN_BY_ALL: usize = 5600;
