//! Decides which stations may connect, and on which security profile. Password hashing and the
//! database are elsewhere.

use crate::stations::registry::Station;

/// The credentials that a station presents when it connects.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof<'a> {
    /// The CN of a client certificate. The TLS handshake has verified its path and O.
    Certificate {
        /// CN of the subject.
        common_name: Option<&'a str>,
    },
    /// The user of the Basic header. The password is verified later.
    Password {
        /// The user; it has to be the identity.
        user: &'a [u8],
    },
    /// No credentials.
    None,
}

/// Whether a station has a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passwords {
    /// It has one in the configuration or the ledger.
    Some,
    /// It has none, and may use security profile 3 only.
    None,
}

/// The remaining step before a station is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Security profile 3: admit the station.
    Admit,
    /// Security profile 2: verify the password against the station's hash.
    VerifyPassword,
    /// The credentials are not this station's.
    BadCredentials(&'static str),
    /// The station has to use a higher profile.
    WrongProfile(&'static str),
}

/// Decides about the credentials of a known station; `reached` is the highest profile that it has
/// connected with.
#[must_use]
pub(crate) fn judge(
    station: &Station,
    reached: Option<u8>,
    passwords: Passwords,
    proof: Proof<'_>,
) -> Verdict {
    match proof {
        // A00.FR.405: the whole CN is the station's serial number.
        Proof::Certificate { common_name } if common_name == Some(&station.serial_number) => Verdict::Admit,
        Proof::Certificate { .. } => {
            Verdict::BadCredentials("the certificate's CN is not its serial number (A00.FR.405)")
        }
        _ if reached >= Some(3) => Verdict::WrongProfile(LOWER_PROFILE),
        _ if station.lowest_security_profile >= 3 => {
            Verdict::WrongProfile("an operator permits security profile 3 only for it (A00.FR.005)")
        }
        _ if passwords == Passwords::None => {
            Verdict::WrongProfile("it has no password and may use security profile 3 only")
        }
        // A00.FR.204: the user is the identity. TC_A_02.
        Proof::Password { user } if user.eq_ignore_ascii_case(station.identity.as_str().as_bytes()) => {
            Verdict::VerifyPassword
        }
        Proof::Password { .. } => Verdict::BadCredentials("the user is not its identity (A00.FR.204)"),
        Proof::None => Verdict::BadCredentials("it showed neither certificate nor password"),
    }
}

/// Why a station that has used a certificate is refused without one.
pub(crate) const LOWER_PROFILE: &str =
    "it has used security profile 3 and may use no lower one (A05.FR.07); `ocpp-csms release` lifts this";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stations::registry::StationFields;

    fn station() -> Station {
        let fields = StationFields {
            identity: "CS001".to_owned(),
            serial_number: "SN-0001".to_owned(),
            ..StationFields::default()
        };
        fields.check().expect("no rule is broken")
    }

    #[test]
    fn a_station_that_may_use_profile_3_only_cannot_use_a_password() {
        let station = Station { lowest_security_profile: 3, ..station() };
        let password = Proof::Password { user: b"CS001" };
        assert!(matches!(judge(&station, None, Passwords::Some, password), Verdict::WrongProfile(_)));
        let own = Proof::Certificate { common_name: Some("SN-0001") };
        assert_eq!(judge(&station, None, Passwords::Some, own), Verdict::Admit);
    }

    #[test]
    fn tc_a_08_certificate_of_another_station_is_refused() {
        for common_name in [Some("SN-0002"), Some("SN-00010"), Some("CS001"), Some("sn-0001"), None] {
            let verdict = judge(&station(), Some(3), Passwords::Some, Proof::Certificate { common_name });
            assert!(matches!(verdict, Verdict::BadCredentials(_)), "{common_name:?}");
        }
        let own = Proof::Certificate { common_name: Some("SN-0001") };
        assert_eq!(judge(&station(), None, Passwords::None, own), Verdict::Admit);
    }

    #[test]
    fn tc_a_02_user_other_than_the_identity_is_refused() {
        let verdict = judge(&station(), None, Passwords::Some, Proof::Password { user: b"CS002" });
        assert!(matches!(verdict, Verdict::BadCredentials(_)));
        assert_eq!(
            judge(&station(), Some(2), Passwords::Some, Proof::Password { user: b"CS001" }),
            Verdict::VerifyPassword
        );
    }

    #[test]
    fn a05_fr_07_no_lower_profile_once_a_certificate_was_used() {
        let verdict = judge(&station(), Some(3), Passwords::Some, Proof::Password { user: b"CS001" });
        assert!(matches!(verdict, Verdict::WrongProfile(_)));
    }

    #[test]
    fn a_station_without_a_password_cannot_use_one() {
        assert!(matches!(
            judge(&station(), None, Passwords::None, Proof::Password { user: b"CS001" }),
            Verdict::WrongProfile(_)
        ));
        assert!(matches!(judge(&station(), None, Passwords::Some, Proof::None), Verdict::BadCredentials(_)));
    }
}
