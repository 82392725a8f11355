//! What a station presents when it connects.

use ocpp_transport::Credential;

/// With which of its certificates the station connects: the newest, and where the CSMS refuses that, in turn with the one
/// that worked before, so that a renewed certificate never strands it (A02.FR.28 with B10.FR.08).
///
/// `None`: with its password. That is so as long as it has no certificate, and in turn with the first one until that has
/// worked: the password is what worked before (B10.FR.07).
#[must_use]
pub fn presented<T>(
    newest_first: &[T],
    is_in_use: impl Fn(&T) -> bool,
    credential: Credential,
) -> Option<&T> {
    match credential {
        Credential::Newest => newest_first.first(),
        Credential::LastThatWorked => newest_first.iter().find(|own| is_in_use(own)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The newest and the last that worked; `in use` is what the certificate in use is called here.
    fn both<'a>(newest_first: &[&'a str]) -> [Option<&'a str>; 2] {
        [Credential::Newest, Credential::LastThatWorked]
            .map(|credential| presented(newest_first, |own| *own == "in use", credential).copied())
    }

    #[test]
    fn a02_fr_28_renewed_certificate_and_the_one_in_use() {
        let (renewed, in_use) = (Some("renewed"), Some("in use"));
        assert_eq!(both(&["renewed", "in use"]), [renewed, in_use]);
        assert_eq!(both(&["renewed", "renewed earlier", "in use"]), [renewed, in_use]);
        assert_eq!(both(&["in use"]), [in_use; 2]);
    }

    #[test]
    fn b10_fr_07_first_certificate_and_password_until_it_has_worked() {
        assert_eq!(both(&["first"]), [Some("first"), None]);
        assert_eq!(both(&[]), [None; 2]);
    }
}
