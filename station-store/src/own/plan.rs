//! Plans that change the station's own certificates: add a renewed one, keep the one that a
//! connection has proved, remove.

use certificates::CertificateId;

use crate::catalog::{Catalog, Transition};
use crate::own::certificate::{EDITIONS, MAX_SECCS, Own, OwnId, OwnState, ids};
use crate::own::chain::Verified;
use crate::pending::error::PendingError;
use crate::pending::key::PendingId;
use crate::uses::CertificateSigningUse;

impl Catalog {
    /// Adds a verified chain. For the connection, it is kept beside the one in use; for vehicles,
    /// it takes effect at once.
    pub(crate) fn plan_renew(
        &self,
        verified: Verified,
        key_uri: String,
        use_: CertificateSigningUse,
        request_id: Option<i64>,
        pending: Option<PendingId>,
    ) -> Result<(Own, Vec<Transition>), TooManyOwn> {
        let own = Own {
            id: OwnId(self.next),
            ids: ids(&verified.chain, verified.anchor_key.as_deref()),
            chain: verified.chain,
            anchor_key: verified.anchor_key,
            key_uri,
            use_,
            request_id,
            state: if use_.connects() { OwnState::Renewed } else { OwnState::InUse },
        };
        let alike: Vec<OwnId> = self
            .own
            .iter()
            .filter(|other| !use_.connects() && other.serves_like(&own))
            .map(|other| other.id)
            .collect();
        let beside = self.own.iter().filter(|other| other.use_.connects() == use_.connects()).count();
        let most = if use_.connects() { MAX_CONNECTING } else { MAX_VEHICLE };
        // A02.FR.15: the newest serves. The one before it stays for sessions that are under way,
        // unless there is no room for it. Older ones are removed.
        let superseded = alike.get(1..).unwrap_or_default();
        let superseded = if beside - superseded.len() < most { superseded } else { &alike[..] };
        if beside - superseded.len() >= most {
            return Err(TooManyOwn);
        }
        let mut transitions = self.without_chains_unless(superseded, &own.key_uri).1;
        transitions.push(Transition::PutOwn(own.clone()));
        transitions.push(Transition::Next(self.next + 1));
        transitions.extend(pending.map(Transition::RemovePending));
        Ok((own, transitions))
    }

    /// Keeps the own certificate `id`, with which the station has connected, and discards the
    /// others for the connection. It does not discard those that are newer than `newest`: they
    /// arrived while the station connected, and were never tried.
    ///
    /// Returns the names of the keys that no remaining record refers to. A discarded certificate
    /// that also served vehicles continues to serve them, unless the one that is kept serves them.
    pub(crate) fn plan_confirm(
        &self,
        id: OwnId,
        newest: OwnId,
    ) -> Result<(Vec<String>, Vec<Transition>), PendingError> {
        let kept = self
            .own
            .iter()
            .find(|own| own.id == id && own.use_.connects())
            .ok_or(PendingError::UnknownOwn { id })?;
        let mut transitions = Vec::new();
        if kept.state != OwnState::InUse {
            transitions.push(Transition::PutOwn(Own { state: OwnState::InUse, ..kept.clone() }));
        }
        let mut discarded = Vec::new();
        for other in self.own.iter().filter(|own| own.id != id && own.id <= newest && own.use_.connects()) {
            if other.use_.is_for_vehicles() && !kept.use_.is_for_vehicles() {
                let use_ = CertificateSigningUse::V2g;
                let state = OwnState::InUse;
                transitions.push(Transition::PutOwn(Own { use_, state, ..other.clone() }));
            } else {
                discarded.push(other.id);
            }
        }
        let (destroy, removals) = self.without_chains(&discarded);
        transitions.extend(removals);
        Ok((destroy, transitions))
    }

    /// The changes that remove the own certificates `gone`, with the OCSP answers and the keys that
    /// nothing else needs; and the names of those keys.
    ///
    /// A key is removed only if no other record in the catalog refers to it: one key may carry two
    /// certificates.
    pub(crate) fn without_chains(&self, gone: &[OwnId]) -> (Vec<String>, Vec<Transition>) {
        self.without_chains_unless(gone, "")
    }

    /// Like [`Catalog::without_chains`], for a change that also adds a certificate for the key
    /// `needed`.
    fn without_chains_unless(&self, gone: &[OwnId], needed: &str) -> (Vec<String>, Vec<Transition>) {
        let (leaving, staying): (Vec<&Own>, Vec<&Own>) =
            self.own.iter().partition(|own| gone.contains(&own.id));
        let still_listed: Vec<&CertificateId> = staying.iter().flat_map(|own| own.listed()).collect();
        let mut transitions = Vec::new();
        let mut destroy: Vec<String> = Vec::new();
        for own in leaving {
            transitions.push(Transition::RemoveOwn(own.id));
            let answers = own.listed().iter().filter(|id| !still_listed.contains(id));
            let known = answers.map(|id| id.fingerprint()).filter(|name| self.ocsp.contains_key(name));
            transitions.extend(known.map(Transition::RemoveOcsp));
            let uri = &own.key_uri;
            let still_used = uri == needed
                || self.pending.iter().any(|pending| pending.key_uri == *uri)
                || staying.iter().any(|own| own.key_uri == *uri);
            if !still_used && !destroy.contains(uri) {
                transitions.push(Transition::Condemn(uri.clone()));
                destroy.push(uri.clone());
            }
        }
        (destroy, transitions)
    }
}

/// [`MAX_CONNECTING`] or [`MAX_VEHICLE`] is reached.
#[derive(Debug)]
pub(crate) struct TooManyOwn;

/// The most certificates for the connection: the one in use, and renewed ones that no connection
/// has proved yet.
pub(crate) const MAX_CONNECTING: usize = 16;

/// The most certificates for vehicles: the newest and the one before it, for each SECC and edition.
/// Certificates under further roots take the room of earlier ones.
pub(crate) const MAX_VEHICLE: usize = MAX_SECCS * EDITIONS * 2;
