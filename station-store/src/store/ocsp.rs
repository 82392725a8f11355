//! The revocation status of the certificates for vehicles.

use std::time::SystemTime;

use certificates::HashData;
use certificates::ocsp::CertificateStatus;

use crate::ocsp::answer::{OcspAnswer, OcspDue, OcspError};
use crate::ocsp::plan::decode;
use crate::own::certificate::OwnId;
use crate::store::Store;

impl Store {
    /// The certificates whose revocation status must be requested with GetCertificateStatus
    /// (M06.FR.06, .07, .10): leaf and sub-CAs of each V2G chain, at once after they arrived, then
    /// weekly, and earlier if the last answer ends earlier. Certificates without an OCSP responder
    /// are left out, and so are those whose last request failed ([`Store::ocsp_failed`]), until
    /// their wait is over.
    pub fn ocsp_due(&self, now: SystemTime) -> Vec<OcspDue> {
        self.read().ocsp_due(now, &self.settings, &self.retry_waits())
    }

    /// GetCertificateStatus had no answer about this certificate: it was `Failed` (TC_M_25), or the
    /// CSMS did not reply. The last known status stays. The certificate is due again after one
    /// minute. The wait doubles with each further failure, up to one day. After a restart the
    /// certificate is due at once.
    pub fn ocsp_failed(&self, hash: &HashData, now: SystemTime) {
        let catalog = self.read();
        if let Some(fingerprint) = catalog.ocsp_fingerprint(hash) {
            self.retry_waits().note(fingerprint, now, |name| catalog.has_ocsp_fingerprint(name));
        }
    }

    /// Handles the answer to a request that was due: `ocspResult`, base64 of an OCSPResponse. It is
    /// kept if it is valid by RFC 6960, 3.2, whatever status it contains. Blocks on the disk.
    ///
    /// # Errors
    /// [`OcspError`]. The certificate stays due, and this counts as a failure
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
            // A failing disk is no reason to ask the responder every minute.
            Err(_) => self.ocsp_failed(hash, now),
        }
        answered
    }

    /// The OCSP answers for each certificate of an own chain, leaf first. `None` if no answer is
    /// valid at `now`.
    pub fn ocsp_answers(&self, id: OwnId, now: SystemTime) -> Vec<Option<OcspAnswer>> {
        self.read().ocsp_answers(id, now.into(), self.settings.skew)
    }
}
