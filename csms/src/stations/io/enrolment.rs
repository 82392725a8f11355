//! SignCertificate: decides about requests for certificates.

use std::{sync::Arc, time::Instant};

use certificates::KeyHash;
use ocpp_transport::{Peer, Reply};
use program::causes;
use signer_pkcs11::{
    Applicant, CertificateUse, IssuanceRecord as _, IssueError, PendingCertificate, ReasonCode, RecordError,
    Refused, SignCertificate,
};
use tokio::sync::Notify;

use crate::{
    fleet::io::ahead::is_early,
    ledger::{ForwardedRequest, Ledger, LedgerEntry, LedgerError},
    service::io::clock::{ServiceClock, unix_now},
    signing::io::authority::Authority,
    stations::{
        connection::Terms,
        io::{delivery::Deliveries, turns::Turns},
    },
};

/// Decides about stations' requests, and issues certificates.
#[derive(Debug)]
pub(crate) struct Enrolment {
    pub(crate) authority: Arc<Authority>,
    ledger: Ledger,
    clock: ServiceClock,
    deliveries: Arc<Deliveries>,
    /// A request waits for another authority.
    pub(crate) asked: Notify,
    /// One request of a station is decided at a time. The decision does not wait for a delivery: a
    /// station may answer CertificateSigned only after its next SignCertificate is answered.
    decisions: Turns,
}

impl Enrolment {
    pub(crate) fn new(
        authority: Arc<Authority>,
        ledger: Ledger,
        clock: ServiceClock,
        deliveries: Arc<Deliveries>,
    ) -> Self {
        Self { authority, ledger, clock, deliveries, asked: Notify::new(), decisions: Turns::default() }
    }

    /// Answers SignCertificate of any version. The certificate is issued and in the ledger before
    /// Accepted is sent. It is sent after the answer (FR.05). If it does not arrive, the station
    /// receives it when it is connected again.
    pub(crate) async fn answer<R: SignCertificate>(
        &self,
        peer: &Peer,
        request: &R,
        station: &Applicant,
    ) -> Reply<R::Response> {
        let (response, decision) = self.authority.answer(request, station);
        let pending = match decision {
            Ok(pending) => match peer.context::<Terms>().and_then(|terms| *terms.longest_chain.get()?) {
                // A02.FR.16, if the limit is known from an earlier delivery.
                Some(longest) => pending.with_max_chain_characters(longest),
                None => pending,
            },
            Err(refused) => {
                tracing::warn!(station = %station.identity, reason = %causes(&refused), "a certificate request was refused");
                return Reply::new(response);
            }
        };
        let key = pending.csr().public_key().hash();
        let turn = self.decisions.of(&station.identity).await;
        let _turn = turn.lock().await;
        match self.issue(pending, key, station).await {
            Ok(()) => {
                let (deliveries, peer) = (Arc::clone(&self.deliveries), peer.clone());
                Reply::new(response).then(async move { deliveries.deliver(&peer).await })
            }
            Err(refused) => {
                tracing::error!(
                    station = %station.identity,
                    reason = %causes(&refused),
                    "a valid certificate request was not served"
                );
                Reply::new(R::rejected(&refused))
            }
        }
    }

    /// Issues the certificate of an accepted request, or passes the request on to another
    /// authority. The certificate or the request is in the ledger when this returns.
    async fn issue(
        &self,
        pending: PendingCertificate,
        key: KeyHash,
        station: &Applicant,
    ) -> Result<(), Refused> {
        let look_up = |source: RecordError| LedgerError { action: "look a key up", source: source.into() };
        let certificate_type = pending.certificate_type().map(CertificateUse::as_str);
        // The key was certified before. A repeated request gets the certificate that is already
        // due. A key of another station is not certified.
        match self.ledger.owner_of_key(key).await.map_err(look_up)? {
            Some(owner) if owner != station.identity => return Err(Refused::KeyOfAnother),
            Some(_) => {
                let due = self.ledger.undelivered(&station.identity, unix_now()).await?;
                let present = self.clock.times().present;
                let same = |entry: &&LedgerEntry| {
                    // The station cannot use a certificate that is not valid yet. It gets another
                    // one.
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
        // The certificate has been in the ledger since it was signed, and stays there after a
        // restart.
        authority.delivered(&issued);
        tracing::info!(
            station = %station.identity,
            serial_number = %issued.certificate.serial,
            "certificate issued"
        );
        Ok(())
    }
}

/// The answer to the station if the authority has issued nothing.
fn not_issued(error: IssueError) -> Refused {
    match error {
        IssueError::Refused(refused) => refused,
        error => {
            let reason = match error {
                IssueError::Record(_) => "the request cannot be recorded now; ask again later",
                _ => "the authority cannot sign now; ask again later",
            };
            tracing::error!(error = %causes(&error), "the authority issued no certificate");
            not_served(reason)
        }
    }
}

/// The rejection of a valid request that cannot be served.
fn not_served(info: &str) -> Refused {
    Refused::ByPolicy { code: ReasonCode::InternalError, info: info.to_owned() }
}

impl From<LedgerError> for Refused {
    fn from(error: LedgerError) -> Self {
        tracing::error!(error = %causes(&error), "no certificate is issued without the ledger");
        not_served("the request cannot be recorded now; ask again later")
    }
}
