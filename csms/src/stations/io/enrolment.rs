//! SignCertificate → certificate → CertificateSigned.

use std::{collections::HashMap, sync::Arc, time::Instant};

use certificates::{KeyHash, SerialNumber, StationIdentity};
use ocpp_transport::{CallFailure, Peer, Reply};
use program::causes;
use signer_pkcs11::{
    Applicant, CertificateUse, IssueError, PendingCertificate, ReasonCode, RecordError, Refused,
    SignCertificate,
};
use tokio::sync::{Mutex, Notify};

use crate::{
    fleet::io::ahead::is_early,
    ledger::{Delivery, ForwardedRequest, Ledger, LedgerEntry, LedgerError, MAX_ATTEMPTS, wait_after},
    service::io::clock::{ServiceClock, unix_now},
    signing::io::authority::Authority,
    stations::io::{
        admission::Terms,
        handlers::{NotSent, longest_chain, send_certificate},
    },
};

/// Decides about stations' requests, issues certificates and delivers them.
#[derive(Debug)]
pub(crate) struct Enrolment<L> {
    pub(crate) authority: Arc<Authority>,
    pub(crate) ledger: L,
    clock: ServiceClock,
    /// A request waits for another authority.
    pub(crate) asked: Notify,
    stations: Mutex<HashMap<StationIdentity, Arc<Turns>>>,
}

/// One request of a station is decided at a time, and one delivery to it runs at a time. Neither
/// waits for the other: a station may answer CertificateSigned only after its next SignCertificate
/// is answered.
#[derive(Debug, Default)]
struct Turns {
    decision: Mutex<()>,
    delivery: Mutex<()>,
}

impl<L: Ledger> Enrolment<L> {
    pub(crate) fn new(authority: Arc<Authority>, ledger: L, clock: ServiceClock) -> Self {
        Self { authority, ledger, clock, asked: Notify::new(), stations: Mutex::default() }
    }

    /// Answers SignCertificate of any version. The certificate is issued and in the ledger before
    /// Accepted leaves, and is sent after the answer has left (FR.05); where it does not arrive,
    /// the station gets it when it is connected again.
    pub(crate) async fn answer<R: SignCertificate>(
        self: &Arc<Self>,
        peer: &Peer,
        request: &R,
        station: &Applicant,
    ) -> Reply<R::Response> {
        let (response, decision) = self.authority.answer(request, station);
        let pending = match decision {
            Ok(pending) => match peer.context::<Terms>().and_then(|terms| *terms.longest_chain.get()?) {
                // A02.FR.16, where it is known from an earlier delivery.
                Some(longest) => pending.with_max_chain_characters(longest),
                None => pending,
            },
            Err(refused) => {
                tracing::warn!(station = %station.identity, reason = %causes(&refused), "a certificate request was refused");
                return Reply::new(response);
            }
        };
        let key = pending.csr().public_key().hash();
        let turns = self.turns(&station.identity).await;
        let _turn = turns.decision.lock().await;
        match self.issue(pending, key, station).await {
            Ok(()) => {
                let (enrolment, peer) = (Arc::clone(self), peer.clone());
                Reply::new(response).then(async move { enrolment.deliver(&peer).await })
            }
            Err(refused) => {
                tracing::error!(
                    station = %station.identity,
                    reason = %causes(&refused),
                    "a sound certificate request was not served"
                );
                Reply::new(R::rejected(&refused))
            }
        }
    }

    /// Has the certificate of an accepted request issued, or passes the request on. Either is in
    /// the ledger when this returns.
    async fn issue(
        &self,
        pending: PendingCertificate,
        key: KeyHash,
        station: &Applicant,
    ) -> Result<(), Refused> {
        let look_up = |source: RecordError| LedgerError { action: "look a key up", source: source.into() };
        let certificate_type = pending.certificate_type().map(CertificateUse::as_str);
        // The same key again: a resend gets what is due already, and nobody else's key is
        // certified.
        match self.ledger.owner_of_key(key).await.map_err(look_up)? {
            Some(owner) if owner != station.identity => return Err(Refused::KeyOfAnother),
            Some(_) => {
                let due = self.ledger.undelivered(&station.identity, unix_now()).await?;
                let present = self.clock.times().present;
                let same = |entry: &&LedgerEntry| {
                    // One of the future helps the station nothing: it gets another one.
                    !is_early(entry, present)
                        && entry.spki_sha256 == key
                        && entry.certificate_type.as_deref() == certificate_type
                };
                let entry = due.iter().find(same);
                if let Some(entry) = entry
                    && self.ledger.check_signed(entry).await?.is_none()
                {
                    self.ledger.asked_again(entry.serial_number, pending.request_id()).await?;
                    return Ok(());
                }
                if self.ledger.is_compromised(key).await? {
                    let info =
                        "a certificate for this key was revoked because others have the key; make a new one";
                    return Err(Refused::ByPolicy { code: ReasonCode::InvalidCsr, info: info.to_owned() });
                }
            }
            None => {}
        }
        let authority = match &*self.authority {
            Authority::Own(authority) => authority,
            Authority::Forwarding(authority) => {
                authority.check_limit(&pending).await.map_err(not_issued)?;
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
                pending.count(Instant::now());
                self.asked.notify_one();
                return Ok(());
            }
        };
        let issued = authority.issue(pending).await.map_err(not_issued)?;
        // It is in the ledger since it was signed, also after a restart.
        authority.delivered(&issued);
        tracing::info!(
            station = %station.identity,
            serial_number = %issued.certificate.serial,
            "certificate issued"
        );
        Ok(())
    }

    /// Sends the station what is due to it, oldest first.
    pub(crate) async fn deliver(&self, peer: &Peer) {
        let turns = self.turns(peer.identity()).await;
        let _turn = turns.delivery.lock().await;
        self.deliver_due(peer).await;
    }

    /// Sends the station what is due to it again, unless it is being sent something.
    pub(crate) async fn deliver_again(&self, peer: &Peer) {
        let turns = self.turns(peer.identity()).await;
        if let Ok(_turn) = turns.delivery.try_lock() {
            self.deliver_due(peer).await;
        }
    }

    async fn deliver_due(&self, peer: &Peer) {
        let station = peer.identity();
        let due = match self.ledger.due(station, unix_now()).await {
            Ok(due) => due,
            Err(error) => {
                return tracing::error!(
                    %station,
                    error = %causes(&error),
                    "nothing was delivered"
                );
            }
        };
        let present = self.clock.times().present;
        for entry in due {
            if is_early(&entry, present) {
                tracing::warn!(
                    %station,
                    serial_number = %entry.serial_number,
                    "the certificate was issued while the clock was ahead, and is not sent before it is valid"
                );
                continue;
            }
            match self.ledger.check_signed(&entry).await {
                Ok(None) => {}
                Ok(Some(mismatch)) => {
                    metrics::counter!("csms_certificates_not_as_signed_total").increment(1);
                    tracing::error!(
                        %station,
                        serial_number = %entry.serial_number,
                        reason = %mismatch,
                        "a certificate in the ledger is not what was signed, and is not sent; run `ocpp-csms audit verify`"
                    );
                    continue;
                }
                Err(error) => {
                    return tracing::error!(
                        %station,
                        error = %causes(&error),
                        "nothing was delivered"
                    );
                }
            }
            let state = match self.send(peer, &entry).await {
                Ok(state) => state,
                Err(error) => {
                    if error.was_sent() {
                        self.count_attempt(station, entry.serial_number, &error).await;
                    } else {
                        tracing::warn!(%station, serial_number = %entry.serial_number, error = %causes(&error), "the certificate waits for the next connection");
                    }
                    // What the station cannot take does not hold up what came after it.
                    match error {
                        NotSent::Version { .. }
                        | NotSent::Chain
                        | NotSent::Call(
                            CallFailure::CallError { .. }
                            | CallFailure::InvalidResponse(_)
                            | CallFailure::Unreadable(_),
                        ) => continue,
                        NotSent::Call(_) => return,
                    }
                }
            };
            tracing::info!(
                %station,
                serial_number = %entry.serial_number,
                ?state,
                "the station answered CertificateSigned"
            );
            if let Err(error) = self.ledger.answered(entry.serial_number, &state, unix_now()).await {
                tracing::error!(
                    %station,
                    error = %causes(&error),
                    "the station's answer was not recorded"
                );
            }
        }
    }

    /// A certificate was sent, and no answer tells what the station has made of it.
    async fn count_attempt(&self, station: &StationIdentity, serial_number: SerialNumber, error: &NotSent) {
        let reason = causes(error).to_string();
        match self.ledger.not_answered(serial_number, &reason, unix_now()).await {
            Ok(MAX_ATTEMPTS..) => tracing::error!(
                %station,
                %serial_number,
                reason,
                "the certificate was sent {MAX_ATTEMPTS} times without an answer, and is not sent again; \
                 `ocpp-csms trigger` with SignChargingStationCertificate begins anew"
            ),
            Ok(attempts) => tracing::warn!(
                %station,
                %serial_number,
                reason,
                attempts,
                wait_seconds = wait_after(attempts).as_secs(),
                "the certificate brought no answer, and is sent again"
            ),
            Err(error) => tracing::error!(
                %station,
                error = %causes(&error),
                "an attempt to deliver was not recorded"
            ),
        }
    }

    async fn send(&self, peer: &Peer, entry: &LedgerEntry) -> Result<Delivery, NotSent> {
        let characters = entry.chain.chars().count();
        if characters > TAKEN_BY_ALL
            && let Some(terms) = peer.context::<Terms>()
        {
            // A02.FR.16: the station would have to reject it; a longer one it may not even be able
            // to read.
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

    async fn turns(&self, station: &StationIdentity) -> Arc<Turns> {
        // Bounded by the stations that the configuration knows.
        Arc::clone(self.stations.lock().await.entry(station.clone()).or_default())
    }
}

/// What the station is told where the authority has issued nothing.
fn not_issued(error: IssueError) -> Refused {
    match error {
        IssueError::Refused(refused) => refused,
        error => {
            let reason = match error {
                IssueError::Record(_) => "the request cannot be recorded now; ask again later",
                _ => "the authority cannot sign now; ask again later",
            };
            tracing::error!(error = %causes(&error), "the authority issued nothing");
            not_served(reason)
        }
    }
}

/// A sound request that is rejected all the same.
fn not_served(info: &str) -> Refused {
    Refused::ByPolicy { code: ReasonCode::InternalError, info: info.to_owned() }
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        tracing::error!(error = %causes(&error), "without the ledger nothing is issued");
        not_served("the request cannot be recorded now; ask again later")
    }
}

/// In characters: a station that takes less than this is beyond what the specification advises
/// (`MaxCertificateChainSize`), and no station is asked before a longer chain is due to it.
const TAKEN_BY_ALL: usize = 5600;
