//! The revocation status of the certificates that vehicles see.

use std::time::SystemTime;

use certificates::HashData;
use certificates::ocsp::CertificateStatus;

use crate::ocsp::answer::{OcspAnswer, OcspDue, OcspError};
use crate::ocsp::plan::decode;
use crate::own::certificate::OwnId;
use crate::store::Store;

impl Store {
    /// The certificates whose revocation status is to be asked for with GetCertificateStatus
    /// (M06.FR.06, .07, .10): leaf and sub-CAs of each V2G chain, at once after they came, then
    /// weekly, and earlier where the last answer ends earlier. A certificate that names no OCSP
    /// responder is left out, and so is one about which nothing could be learnt lately
    /// ([`Store::ocsp_failed`]).
    pub fn ocsp_due(&self, now: SystemTime) -> Vec<OcspDue> {
        self.read().ocsp_due(now, &self.settings, &self.retry_waits())
    }

    /// GetCertificateStatus had no answer about this certificate: it was `Failed` (TC_M_25), or
    /// the CSMS did not reply. What was known of it stays. It is due again after a minute, and
    /// after each further failure in twice the time, at most a day; after a restart at once.
    pub fn ocsp_failed(&self, hash: &HashData, now: SystemTime) {
        let catalog = self.read();
        if let Some(fingerprint) = catalog.ocsp_fingerprint(hash) {
            self.retry_waits().note(fingerprint, now, |name| catalog.has_ocsp_fingerprint(name));
        }
    }

    /// Takes the answer to a request that was due: `ocspResult`, base64 of an OCSPResponse. It is
    /// kept if it is valid by RFC 6960, 3.2, whatever it says of the certificate. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// [`OcspError`]; the certificate stays due, and it counts as a failure
    /// ([`Store::ocsp_failed`]).
    pub fn ocsp_answered(
        &self,
        hash: &HashData,
        ocsp_result: &str,
        now: SystemTime,
    ) -> Result<CertificateStatus, OcspError> {
        let decoded = decode(ocsp_result);
        let answered = decoded.and_then(|response| {
            self.change(|catalog| catalog.plan_ocsp(hash, &response, now.into(), self.settings.skew))
        });
        match &answered {
            Ok(_) => {
                if let Some(fingerprint) = self.read().ocsp_fingerprint(hash) {
                    self.retry_waits().forget(&fingerprint);
                }
            }
            // A disk that fails is not spared by asking the responder every minute.
            Err(_) => self.ocsp_failed(hash, now),
        }
        answered
    }

    /// The OCSP answers for each certificate of an own chain, leaf first; `None` where none holds
    /// at `now`.
    pub fn ocsp_answers(&self, id: OwnId, now: SystemTime) -> Vec<Option<OcspAnswer>> {
        self.read().ocsp_answers(id, now.into(), self.settings.skew)
    }
}
