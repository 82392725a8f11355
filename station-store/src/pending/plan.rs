//! Plans that change the waiting keys: announce, rename, complete, note, drop, forget.

use certificates::Spki;

use crate::catalog::{Catalog, Transition};
use crate::pending::bounds::{MAX_CONDEMNED, MAX_CSR, MAX_KEY_URI, MAX_NAME, MAX_PENDING};
use crate::pending::error::PendingError;
use crate::pending::key::{Csr, NewPending, Pending, PendingId, SendNote};

impl Catalog {
    pub(crate) fn plan_begin(&self, new: &NewPending) -> Result<(PendingId, Vec<Transition>), PendingError> {
        let uri = &new.key_uri;
        self.check_new_name(uri)?;
        let names = new.common_name.iter().chain(&new.organization);
        if names.into_iter().any(|name| name.is_empty() || name.chars().count() > MAX_NAME) {
            return Err(PendingError::SubjectName);
        }
        let is_code = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !new.country.iter().all(is_code) {
            return Err(PendingError::Country);
        }
        if let Some(request_id) = new.request_id
            && self.pending.iter().any(|pending| pending.request_id == Some(request_id))
        {
            return Err(PendingError::RequestIdKnown { request_id });
        }
        if self.pending.len() >= MAX_PENDING {
            return Err(PendingError::TooManyPending);
        }
        let id = PendingId(self.next);
        let pending = Pending {
            id,
            key_uri: uri.clone(),
            use_: new.use_,
            common_name: new.common_name.clone(),
            organization: new.organization.clone(),
            country: new.country.clone(),
            request_id: new.request_id,
            csr: None,
            sent: None,
        };
        Ok((id, vec![Transition::PutPending(pending), Transition::Next(self.next + 1)]))
    }

    /// Gives a key that is announced but not completed another name. The same change condemns the
    /// former name.
    pub(crate) fn plan_rename(&self, id: PendingId, uri: &str) -> Result<Vec<Transition>, PendingError> {
        let announced = self.pending.iter().find(|known| known.id == id && known.csr.is_none());
        let announced = announced.ok_or(PendingError::UnknownPending { id })?;
        self.check_new_name(uri)?;
        Ok(vec![
            Transition::PutPending(Pending { key_uri: uri.to_owned(), ..announced.clone() }),
            Transition::Condemn(announced.key_uri.clone()),
        ])
    }

    pub(crate) fn plan_complete(
        &self,
        id: PendingId,
        spki: &[u8],
        csr_pem: &str,
    ) -> Result<Vec<Transition>, PendingError> {
        let pending =
            self.pending.iter().find(|known| known.id == id).ok_or(PendingError::UnknownPending { id })?;
        let characters = csr_pem.chars().count();
        if characters > MAX_CSR {
            return Err(PendingError::CsrTooLong { characters });
        }
        Spki::read(spki).map_err(|source| PendingError::PublicKey { source })?;
        let csr = Csr { spki: spki.to_vec(), pem: csr_pem.to_owned() };
        match &pending.csr {
            Some(known) if *known == csr => return Ok(Vec::new()),
            Some(_) => return Err(PendingError::Completed { id }),
            None => {}
        }
        // A leaf must belong to one key only.
        let elsewhere =
            self.pending.iter().any(|other| other.csr.as_ref().is_some_and(|csr| csr.spki == spki))
                || self.own.iter().any(|own| own.chain[0].spki() == spki);
        if elsewhere {
            return Err(PendingError::KeyKnown);
        }
        Ok(vec![Transition::PutPending(Pending { csr: Some(csr), ..pending.clone() })])
    }

    pub(crate) fn plan_note(&self, id: PendingId, note: SendNote) -> Result<Vec<Transition>, PendingError> {
        let pending = self
            .pending
            .iter()
            .find(|known| known.id == id && known.csr.is_some())
            .ok_or(PendingError::UnknownPending { id })?;
        if pending.sent == Some(note) {
            return Ok(Vec::new());
        }
        Ok(vec![Transition::PutPending(Pending { sent: Some(note), ..pending.clone() })])
    }

    /// Drops a pending key, and returns its name. The same change condemns the name.
    pub(crate) fn plan_drop(&self, id: PendingId) -> Result<(String, Vec<Transition>), PendingError> {
        let pending =
            self.pending.iter().find(|known| known.id == id).ok_or(PendingError::UnknownPending { id })?;
        let uri = pending.key_uri.clone();
        let mut transitions = vec![Transition::RemovePending(id)];
        if !self.own.iter().any(|own| own.key_uri == uri) {
            transitions.push(Transition::Condemn(uri.clone()));
        }
        Ok((uri, transitions))
    }

    /// Removes a condemned key that the token no longer holds.
    pub(crate) fn plan_forget(&self, uri: &str) -> Vec<Transition> {
        if self.condemned.contains(uri) { vec![Transition::Forget(uri.to_owned())] } else { Vec::new() }
    }

    fn check_new_name(&self, uri: &str) -> Result<(), PendingError> {
        if !uri.starts_with("pkcs11:") || uri.len() > MAX_KEY_URI || uri.contains("pin-value") {
            return Err(PendingError::KeyUri);
        }
        if self.names_key(uri) {
            return Err(PendingError::KeyKnown);
        }
        if self.condemned.len() >= MAX_CONDEMNED {
            return Err(PendingError::TooManyCondemned);
        }
        Ok(())
    }

    fn names_key(&self, uri: &str) -> bool {
        self.pending.iter().any(|pending| pending.key_uri == uri)
            || self.own.iter().any(|own| own.key_uri == uri)
            || self.condemned.contains(uri)
    }
}
