//! The security of an attempt to connect: its certificate or password, and the CSMS root on which
//! it relies.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use ocpp_transport::{
    Attempt, EndpointError, Security, SecurityProfile,
    name_rule::Wildcards,
    tls::{ClientKey, ProvedBy, TlsConfigError, client_config_proving},
};
use ocpp_types::v201::{InstallCertificateUseEnumType, NetworkConnectionProfileType};
use station_store::{OwnCertificate, OwnId, OwnState};

use crate::{
    device_model::DeviceModel,
    io::{
        EnrolmentError, blocking::on_blocking_thread, disk::store::StationStore, enrolment::keyring::Keyring,
        locking::lock, renewal::subjects::validity,
    },
    reconnect::{CsmsRoot, RootChoice, RootFailure, presented},
};

/// Selects the security of attempts.
#[derive(Debug)]
pub(crate) struct AttemptSecurity {
    store: Arc<StationStore>,
    keyring: Arc<Keyring>,
    /// The permitted difference between the clocks of station and CSMS.
    skew: Duration,
    /// Selects the CSMS root for the next attempt.
    root_choice: Mutex<RootChoice>,
}

/// The certificates and the root of an attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempting {
    /// The certificate that the station presents. `None`: the station uses its password.
    pub(crate) own: Option<OwnCertificate>,
    /// The newest certificate when the attempt began.
    pub(crate) newest: Option<OwnId>,
    /// The root on which the attempt relies.
    pub(crate) root: CsmsRoot,
    /// The root that proved the CSMS.
    pub(crate) proved_by: ProvedBy,
}

impl AttemptSecurity {
    /// `worked`: the slot of the network profile that worked last.
    pub(crate) fn new(
        store: Arc<StationStore>,
        keyring: Arc<Keyring>,
        skew: Duration,
        worked: Option<u32>,
    ) -> Self {
        Self { store, keyring, skew, root_choice: Mutex::new(RootChoice::new(worked)) }
    }

    /// The station is connected by the network profile in `slot`.
    pub(crate) fn handle_connected(&self, slot: u32) {
        lock(&self.root_choice).handle_connected(slot);
    }

    /// An attempt on `slot` that relied on `root` has failed.
    pub(crate) fn handle_failed(&self, slot: u32, root: CsmsRoot, failure: RootFailure) {
        lock(&self.root_choice).handle_failed(slot, root, failure);
    }

    /// The security of an attempt, and its certificates and root.
    pub(crate) async fn choose(
        &self,
        model: &DeviceModel,
        profile: &NetworkConnectionProfileType,
        attempt: &Attempt,
    ) -> Result<(Security, Attempting), PrepareError> {
        // B10.FR.07: the station returns to the profile that worked last, unless that is removed.
        lock(&self.root_choice).retain(|slot| model.network().profile(slot).is_some());
        let fallback = self.store.fallback_root();
        let choice = lock(&self.root_choice).root(attempt.slot, fallback.is_some());
        let present = self.store.roots(InstallCertificateUseEnumType::CSMSRootCertificate);
        let (root, roots) = match fallback {
            // The fallback is also used if the present root is damaged and only the fallback is
            // left.
            Some(fallback) if choice == CsmsRoot::Fallback || present.is_empty() => {
                (CsmsRoot::Fallback, vec![fallback])
            }
            _ => (CsmsRoot::Present, present),
        };
        let wildcards = if model.allows_wildcards() { Wildcards::Allow } else { Wildcards::Refuse };
        let (mut own, mut newest, proved_by) = (None, None, ProvedBy::default());
        if profile.security_profile == i64::from(SecurityProfile::TlsWithClientCertificate.number()) {
            let all = self.store.own_certificates();
            let latest = SystemTime::now() + self.skew;
            let is_early = |own: &OwnCertificate| validity(own).is_some_and(|own| own.not_before > latest);
            own = presented(&all, |own| own.state == OwnState::InUse, is_early, attempt.credential).cloned();
            // A certificate that was skipped because it is not valid yet is kept beside the one
            // that is tried.
            newest = all.iter().find(|own| !is_early(own)).or(all.first()).map(|newest| newest.id);
        }
        let security = match &own {
            // A00.FR.401, A00.FR.402; an expired certificate is presented too (A00.FR.430).
            Some(own) => {
                let (keyring, uri) = (Arc::clone(&self.keyring), own.key_uri.clone());
                let key = on_blocking_thread(move || keyring.key(&uri)).await??;
                let key = ClientKey { chain: own.chain.clone(), key: key.signing_key() };
                let tls = Arc::new(client_config_proving(roots, Some(key), wildcards, proved_by.clone())?);
                Security::TlsWithClientCertificate { tls }
            }
            None => {
                let tls = Arc::new(client_config_proving(roots, None, wildcards, proved_by.clone())?);
                Security::TlsWithBasicAuth { password: model.password().clone(), tls }
            }
        };
        Ok((security, Attempting { own, newest, root, proved_by }))
    }
}

/// Why the agent cannot prepare an attempt to connect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// The slot has lost its profile meanwhile.
    #[error("the slot holds no network profile")]
    NoProfile,
    /// The profile's URL is not valid.
    #[error("ocppCsmsUrl of the network profile cannot be used")]
    Url(#[from] EndpointError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up; is a CSMS root installed? `ocpp-station provision` installs one")]
    Tls(#[from] TlsConfigError),
    /// The key of the certificate is not in the token, or the token fails.
    #[error("the key of the station's certificate cannot be used")]
    Key(#[from] EnrolmentError),
    /// The thread that looked for the key failed.
    #[error("the thread that looked for the key failed")]
    Thread(#[from] tokio::task::JoinError),
}
