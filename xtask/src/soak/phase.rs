//! The moments at which a station is killed.

/// The activity of the station when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Start,
    Install,
    Delete,
    SetVariable,
    KeyGeneration,
    CertificateSigned,
    Reconnect,
    Everything,
}

impl Phase {
    pub(super) const ALL: [Self; 8] = [
        Self::Start,
        Self::Install,
        Self::Delete,
        Self::SetVariable,
        Self::KeyGeneration,
        Self::CertificateSigned,
        Self::Reconnect,
        Self::Everything,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Start => "it starts",
            Self::Install => "InstallCertificate",
            Self::Delete => "DeleteCertificate",
            Self::SetVariable => "SetVariables",
            Self::KeyGeneration => "it makes a key and a request",
            Self::CertificateSigned => "CertificateSigned",
            Self::Reconnect => "it reconnects with a certificate",
            Self::Everything => "several of these",
        }
    }
}
