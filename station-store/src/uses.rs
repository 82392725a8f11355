//! What certificates are for: the uses of roots, and those of the station's own certificates.

/// What a root certificate is trusted for. The same certificate may be installed for several uses.
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
    /// Vehicles that prove themselves in TLS (ISO 15118-20): `OEMRootCertificate`, OCPP 2.1.
    Oem,
}

impl RootUse {
    /// Each use, in the order in which the inventory reports them.
    pub const ALL: [Self; 5] = [Self::Csms, Self::Manufacturer, Self::V2g, Self::MobilityOperator, Self::Oem];

    /// The word that keys in the database and names of trust bundles begin with. It must never
    /// change.
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

/// What a certificate of the station's own is for.
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

    /// Whether vehicles see such a certificate. Those are listed as `V2GCertificateChain`.
    pub fn is_for_vehicles(self) -> bool {
        !matches!(self, Self::ChargingStation)
    }
}
