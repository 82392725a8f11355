//! The messages about certificates, for each version of OCPP.
//!
//! A module per version translates and decides nothing.

mod v16;
mod v201;
mod v21;

use std::fmt::Write;

use crate::{issuing::request::SigningRequest, policy::refused::Refused};

/// A SignCertificateRequest of OCPP 1.6, 2.0.1 or 2.1.
pub trait SignCertificate: sealed::Sealed {
    /// Its response.
    type Response;

    /// The response that announces a certificate (A02.FR.11).
    fn accepted() -> Self::Response;

    /// The response that refuses a certificate (A02.FR.12), with the reason if the version has a
    /// field for it.
    fn rejected(refused: &Refused) -> Self::Response;

    #[doc(hidden)]
    fn signing_request(&self) -> SigningRequest<'_>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for ocpp_types::v16::SignCertificateRequest {}
    impl Sealed for ocpp_types::v201::SignCertificateRequest {}
    impl Sealed for ocpp_types::v21::SignCertificateRequest {}
}

/// The reason in at most `max` characters: it may quote names from the request.
fn shortened(refused: &Refused, max: usize) -> String {
    let mut text = String::new();
    // Writing into a String never fails.
    let _ = write!(text, "{refused}");
    if text.chars().count() > max {
        text = text.chars().take(max - 1).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use ocpp_types::{v21, v201};

    use super::SignCertificate;
    use crate::policy::refused::Refused;

    #[test]
    fn a_long_quotation_is_shortened() {
        let refused = Refused::CommonName { found: "ü".repeat(1200), expected: "SN-0001".into() };
        let info = v201::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        let text = info.additional_info.unwrap();
        assert!(text.chars().count() == 512 && text.ends_with('…'));
        let info = v21::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        assert_eq!(info.additional_info.unwrap().chars().count(), 1024);
    }

    #[test]
    fn every_reason_is_a_word_of_the_version_that_hears_it() {
        let refused = Refused::TooMany { certificates: 1, window: core::time::Duration::from_secs(60) };
        let info = v201::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        assert_eq!(info.reason_code.as_str(), "Unspecified");
        let info = v21::SignCertificateRequest::rejected(&refused).status_info.unwrap();
        assert_eq!(info.reason_code.as_str(), "RateLimitExceeded");
    }
}
