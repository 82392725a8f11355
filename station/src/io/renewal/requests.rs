//! Begins the renewal of a certificate for the CSMS, the owner or the schedule: records that the
//! certificate will be requested.

use std::sync::Arc;

use station_store::{CertificateSigningUse, MAX_PENDING_OF_SUBJECT, PendingError, PendingId};

use crate::{
    device_model::DeviceModel,
    io::{
        blocking::on_blocking_thread,
        device_model::file::ModelFile,
        disk::store::StationStore,
        enrolment::{
            disposal::KeyDisposal,
            keyring::{EnrolmentError, Keyring, Wanted},
        },
        renewal::{
            state::RenewalState,
            subjects::{use_of, vehicle},
        },
    },
    renewal::{MAX_EARLIER, Target},
};

/// Begins renewals.
#[derive(Debug)]
pub(crate) struct Renewals {
    pub(crate) state: Arc<RenewalState>,
    pub(crate) store: Arc<StationStore>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) model: Arc<ModelFile>,
    pub(crate) disposal: Arc<KeyDisposal>,
}

/// A request that was promised to the CSMS. It is made when this value is dropped: after the answer
/// was sent, or could not be sent (F06.FR.04). The promise is already durable, so a crash before
/// that loses nothing.
#[derive(Debug)]
pub(crate) struct Promise {
    renewals: Arc<Renewals>,
    subject: Target,
    pending: PendingId,
}

/// Why no certificate is requested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenewError {
    /// The station has no such certificate: the configuration has no section `iso15118`, or does
    /// not allow one certificate for both connection and vehicles.
    #[error("this station has no certificates for this use; see [iso15118] in the configuration")]
    NotServed,
    /// No ISO 15118 controller matches, or `V2GCertificateInstallationEnabled` is off for it.
    #[error("no SECC matches, or V2GCertificateInstallationEnabled is off for it")]
    NoSecc,
    /// The announcement of the key could not be stored.
    #[error("the request could not be recorded")]
    Announce(#[from] EnrolmentError),
    /// The thread of this work failed.
    #[error("the thread that records the request failed")]
    Thread(#[from] tokio::task::JoinError),
}

impl Promise {
    /// The certificate that will be requested.
    pub(crate) fn subject(&self) -> &Target {
        &self.subject
    }

    /// The pending key under whose name the key is generated.
    pub(crate) fn pending(&self) -> PendingId {
        self.pending
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.renewals.state.handle_announced(self.subject.clone(), self.pending);
    }
}

impl Renewals {
    /// The state of the renewals.
    pub(crate) fn state(&self) -> &RenewalState {
        &self.state
    }

    /// Asks for a new certificate without a trigger. `evse` has the meaning that it has in
    /// TriggerMessage.
    ///
    /// # Errors
    /// [`RenewError`]. Nothing is requested then.
    ///
    /// # Cancel safety
    /// The certificate may be requested even if the future is dropped.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        use_: CertificateSigningUse,
        evse: Option<i64>,
    ) -> Result<(), RenewError> {
        self.promise(use_, evse).await.map(drop)
    }

    /// Records that certificates for `use_` will be requested. The requests begin when the promises
    /// are dropped. `evse` is the one in TriggerMessage.
    ///
    /// # Errors
    /// [`RenewError`]. Nothing is requested then.
    pub(crate) async fn promise(
        self: &Arc<Self>,
        use_: CertificateSigningUse,
        evse: Option<i64>,
    ) -> Result<Vec<Promise>, RenewError> {
        let model = self.model.current();
        let served = match use_ {
            CertificateSigningUse::ChargingStation => true,
            // TC_F_27
            CertificateSigningUse::Combined => model.combined_certificates(),
            _ => model.has_iso15118(),
        };
        if !served {
            return Err(RenewError::NotServed);
        }
        let subjects: Vec<Target> = match use_ {
            CertificateSigningUse::ChargingStation => vec![Target::Station],
            CertificateSigningUse::Combined => vec![Target::Combined],
            _ => {
                let seccs = model.seccs_of(evse).into_iter().filter(|secc| secc.certificate_installation);
                seccs.map(|secc| vehicle(use_, secc.id)).collect()
            }
        };
        if subjects.is_empty() {
            return Err(RenewError::NoSecc);
        }
        let renewals = Arc::clone(self);
        on_blocking_thread(move || {
            let mut announced = Vec::new();
            for subject in subjects {
                match renewals.announce(&model, &subject) {
                    Ok(pending) => announced.push((subject, pending)),
                    // All or nothing: the answer to the CSMS is Rejected.
                    Err(error) => {
                        for (_, pending) in announced {
                            renewals.give_up(pending);
                        }
                        return Err(error.into());
                    }
                }
            }
            let promise = |(subject, pending)| Promise { renewals: Arc::clone(&renewals), subject, pending };
            Ok(announced.into_iter().map(promise).collect())
        })
        .await?
    }

    /// Records that a key will be generated for `subject`. Blocks.
    pub(super) fn announce(
        &self,
        model: &DeviceModel,
        subject: &Target,
    ) -> Result<PendingId, EnrolmentError> {
        let station = self.keyring.subject();
        let secc = subject.secc_id().and_then(|id| model.seccs().into_iter().find(|secc| secc.id == id));
        let wanted = Wanted {
            use_: use_of(subject),
            common_name: subject.secc_id().unwrap_or(&station.common_name).to_owned(),
            organization: match &secc {
                Some(secc) if !secc.organization.is_empty() => secc.organization.clone(),
                _ => station.organization.clone(),
            },
            country: secc.and_then(|secc| secc.country),
        };
        loop {
            match self.keyring.announce(&wanted) {
                // A02.FR.19: for a station whose CSRs are never answered, only a trigger begins a
                // new request, so there is always room for one.
                Err(error @ EnrolmentError::Pending(PendingError::TooManyPending)) => {
                    let Some(spare) = self.state.with(|core| core.make_room(subject)) else {
                        return Err(error);
                    };
                    tracing::warn!(request = %spare, "an older request is given up: too many wait for their certificates");
                    if let Err(error) = self.store.writable().drop_pending(spare) {
                        // Only the store still has it.
                        self.store.give_up(spare);
                        return Err(error.into());
                    }
                    self.disposal.handle_condemned();
                }
                announced => return announced,
            }
        }
    }

    /// Removes a request. Its key is destroyed later. Blocks.
    pub(super) fn give_up(&self, pending: PendingId) {
        self.store.give_up(pending);
        self.disposal.handle_condemned();
    }
}

/// The store has room for as many keys as each series keeps.
const _: () = assert!(MAX_EARLIER < MAX_PENDING_OF_SUBJECT);
