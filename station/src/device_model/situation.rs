//! The facts outside the model on which the answers depend.

use ocpp_transport::SecurityProfile;

/// Whether security profile 2 may follow profile 3 (A05.FR.08). Profile 1 never follows a higher
/// one (A05.FR.09).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Downgrade {
    /// A profile is never followed by a lower one (A05.FR.10).
    #[default]
    Refused,
    /// Profile 2 may follow profile 3.
    ThreeToTwo,
}

/// The facts outside the model on which the answers depend.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// How many certificates are installed.
    pub certificates: usize,
    /// How many may be installed.
    pub certificate_capacity: usize,
    /// Whether a CSMS root that is valid now is installed.
    pub csms_root: Installed,
    /// Whether the station has a certificate of its own that is valid now.
    pub own_certificate: Installed,
    /// `SecurityCtrlr.AdditionalRootCertificateCheck`.
    pub additional_root_check: bool,
    /// `SecurityCtrlr.MaxCertificateChainSize`, in characters.
    pub max_chain_size: usize,
    /// The security profile of the connection.
    pub profile: SecurityProfile,
    /// The slot of the connection.
    pub slot: u32,
}

/// Whether something is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// It is.
    Yes,
    /// It is not.
    No,
}
