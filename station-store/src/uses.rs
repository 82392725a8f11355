//! The uses of certificates: those of roots, and those of the station's own certificates.

/// The use for which a root certificate is trusted. A certificate may be installed for several
/// uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RootUse {
    /// The CSMS and this station's own certificate: `CSMSRootCertificate`, in OCPP 1.6
    /// `CentralSystemRootCertificate`.
    Csms,
    /// Signed firmware: `ManufacturerRootCertificate`.
    Manufacturer,
    /// The charging station's ISO 15118 certificate: `V2GRootCertificate`.
    V2g,
    /// Contract certificates of vehicles: `MORootCertificate`.
    MobilityOperator,
    /// Vehicles that authenticate in TLS (ISO 15118-20): `OEMRootCertificate`, OCPP 2.1.
    Oem,
}

impl RootUse {
    /// All uses, in the order in which the inventory reports them.
    pub const ALL: [Self; 5] = [Self::Csms, Self::Manufacturer, Self::V2g, Self::MobilityOperator, Self::Oem];

    /// The prefix of keys in the database and of the names of trust bundles. It must never change.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Csms => "csms",
            Self::Manufacturer => "manufacturer",
            Self::V2g => "v2g",
            Self::MobilityOperator => "mo",
            Self::Oem => "oem",
        }
    }

    /// The name in OCPP 2.x.
    pub fn root_name(self) -> &'static str {
        match self {
            Self::Csms => "CSMSRootCertificate",
            Self::Manufacturer => "ManufacturerRootCertificate",
            Self::V2g => "V2GRootCertificate",
            Self::MobilityOperator => "MORootCertificate",
            Self::Oem => "OEMRootCertificate",
        }
    }
}

/// The use of one of the station's own certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CertificateSigningUse {
    /// TLS towards the CSMS: `ChargingStationCertificate`.
    ChargingStation,
    /// TLS towards vehicles by ISO 15118-2: `V2GCertificate`.
    V2g,
    /// TLS towards vehicles by ISO 15118-20: `V2G20Certificate`, OCPP 2.1.
    V2g20,
    /// Both TLS towards the CSMS and TLS towards vehicles: `certificateType` left out.
    Combined,
}

impl CertificateSigningUse {
    /// Whether the station connects to its CSMS with such a certificate. Those are never deleted on
    /// request (M04.FR.06).
    pub fn connects(self) -> bool {
        matches!(self, Self::ChargingStation | Self::Combined)
    }

    /// Whether the certificate is for vehicles. Those are listed as `V2GCertificateChain`.
    pub fn is_for_vehicles(self) -> bool {
        !matches!(self, Self::ChargingStation)
    }
}
