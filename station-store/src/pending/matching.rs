//! Finds the key of a received certificate.

use certificates::Certificate;

use crate::catalog::Catalog;
use crate::own::certificate::{Own, OwnState, SubjectNames};
use crate::own::refused::ChainRefused;
use crate::pending::key::PendingId;
use crate::uses::CertificateSigningUse;

/// The match for a received leaf.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// The certificate was accepted before: the CSMS sends it again because it received no answer.
    Known(Own),
    /// A new certificate for this key, with the requested subject.
    New {
        key_uri: String,
        use_: CertificateSigningUse,
        subject: SubjectNames,
        request_id: Option<i64>,
        pending: Option<PendingId>,
    },
}

/// The data in CertificateSigned about the request that it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// `certificateType`. If it is left out, it means the requested use.
    pub(crate) use_: Option<CertificateSigningUse>,
    /// `requestId`, OCPP 2.1.
    pub(crate) request_id: Option<i64>,
}

impl Catalog {
    /// Finds the key for which `chain` was issued.
    ///
    /// OCPP 2.0.1 has no request id, and an answer to an earlier SignCertificate may come late
    /// (TC_A_23), so the leaf's key is compared with every pending one. The keys of certificates
    /// that are renewed but not yet in use, and of certificates for vehicles, are compared as well:
    /// there may be several answers to one CSR, and the newest is as good as the first.
    pub(crate) fn match_signed(
        &self,
        chain: &[Certificate],
        answered: Answered,
    ) -> Result<Match, ChainRefused> {
        let leaf = chain.first().ok_or(ChainRefused::UnknownKey)?;
        // A02.FR.26: this check comes before that of the certificate.
        if let Some(request_id) = answered.request_id
            && !self.pending.iter().any(|pending| pending.request_id == Some(request_id))
            && !self.own.iter().any(|own| own.request_id == Some(request_id))
        {
            return Err(ChainRefused::UnknownRequest { request_id });
        }
        let check = |use_, request_id: Option<i64>| {
            if answered.use_.is_some_and(|said| said != use_) {
                return Err(ChainRefused::OtherUse);
            }
            match answered.request_id {
                Some(said) if request_id != Some(said) => {
                    Err(ChainRefused::OtherRequest { request_id: said })
                }
                _ => Ok(()),
            }
        };
        if let Some(own) = self.own.iter().find(|own| own.chain == chain) {
            check(own.use_, own.request_id)?;
            return Ok(Match::Known(own.clone()));
        }
        let waiting = self
            .pending
            .iter()
            .find(|pending| pending.csr.as_ref().is_some_and(|csr| csr.spki == leaf.spki()));
        if let Some(pending) = waiting {
            check(pending.use_, pending.request_id)?;
            return Ok(Match::New {
                key_uri: pending.key_uri.clone(),
                use_: pending.use_,
                subject: SubjectNames {
                    common_name: pending.common_name.clone(),
                    organization: pending.organization.clone(),
                    country: pending.country.clone(),
                    // The DC of the use, from the settings.
                    domain_component: None,
                },
                request_id: pending.request_id,
                pending: Some(pending.id),
            });
        }
        let again = |own: &&Own| own.state == OwnState::Renewed || !own.use_.connects();
        let own = self.own.iter().filter(again).find(|own| own.chain[0].spki() == leaf.spki());
        let own = own.ok_or(ChainRefused::UnknownKey)?;
        check(own.use_, own.request_id)?;
        Ok(Match::New {
            key_uri: own.key_uri.clone(),
            use_: own.use_,
            // The same subject that was accepted for this key before.
            subject: own.subject(),
            request_id: own.request_id,
            pending: None,
        })
    }
}
