//! The messages that OCPP 2.0.1 and 2.1 define alike, with separate types.

/// Writes the translation for the version whose module of types is given, with the names that only
/// this version has. The calling file defines `request_id`.
macro_rules! words_of_v2 {
    (
        $version:ident,
        roots: [$($root_name:ident: $root:ident),*],
        uses: [$($use_name:ident: $use_:ident),*]
    ) => {
        use ocpp_types::BoundedString;
        use ocpp_types::$version::{
            CertificateHashDataChainType, CertificateHashDataType, CertificateSignedRequest,
            CertificateSignedResponse, CertificateSignedStatusEnumType, CertificateSigningUseEnumType,
            DeleteCertificateRequest, DeleteCertificateResponse, DeleteCertificateStatusEnumType,
            GetCertificateIdUseEnumType, GetInstalledCertificateIdsRequest,
            GetInstalledCertificateIdsResponse, GetInstalledCertificateStatusEnumType,
            HashAlgorithmEnumType, InstallCertificateRequest, InstallCertificateResponse,
            InstallCertificateStatusEnumType, InstallCertificateUseEnumType, OCSPRequestDataType,
            StatusInfoType,
        };

        use certificates::{HashData, HashDataError};
        use crate::message::{
            DeleteAnswer, DeleteMessage, HashDataMessage as _, InstallAnswer, InstallMessage, InventoryMessage,
            Listed, ListedUse, Refusal, SignedMessage,
        };
        use crate::ocsp::answer::OcspDue;
        use crate::settings::RootInUse;
        use crate::uses::{CertificateSigningUse, RootUse};

        super::hash_data::hash_data_message!(CertificateHashDataType, HashAlgorithmEnumType);

        impl From<InstallCertificateUseEnumType> for RootUse {
            fn from(use_: InstallCertificateUseEnumType) -> Self {
                match use_ {
                    InstallCertificateUseEnumType::CSMSRootCertificate => Self::Csms,
                    InstallCertificateUseEnumType::ManufacturerRootCertificate => Self::Manufacturer,
                    InstallCertificateUseEnumType::V2GRootCertificate => Self::V2g,
                    InstallCertificateUseEnumType::MORootCertificate => Self::MobilityOperator,
                    $(InstallCertificateUseEnumType::$root_name => Self::$root,)*
                }
            }
        }

        impl From<GetCertificateIdUseEnumType> for ListedUse {
            fn from(use_: GetCertificateIdUseEnumType) -> Self {
                match use_ {
                    GetCertificateIdUseEnumType::CSMSRootCertificate => Self::Root(RootUse::Csms),
                    GetCertificateIdUseEnumType::ManufacturerRootCertificate => {
                        Self::Root(RootUse::Manufacturer)
                    }
                    GetCertificateIdUseEnumType::V2GRootCertificate => Self::Root(RootUse::V2g),
                    GetCertificateIdUseEnumType::MORootCertificate => {
                        Self::Root(RootUse::MobilityOperator)
                    }
                    GetCertificateIdUseEnumType::V2GCertificateChain => Self::V2gChain,
                    $(GetCertificateIdUseEnumType::$root_name => Self::Root(RootUse::$root),)*
                }
            }
        }

        /// `None`: this version has no name for it.
        fn name(use_: ListedUse) -> Option<GetCertificateIdUseEnumType> {
            Some(match use_ {
                ListedUse::Root(RootUse::Csms) => GetCertificateIdUseEnumType::CSMSRootCertificate,
                ListedUse::Root(RootUse::Manufacturer) => {
                    GetCertificateIdUseEnumType::ManufacturerRootCertificate
                }
                ListedUse::Root(RootUse::V2g) => GetCertificateIdUseEnumType::V2GRootCertificate,
                ListedUse::Root(RootUse::MobilityOperator) => {
                    GetCertificateIdUseEnumType::MORootCertificate
                }
                ListedUse::V2gChain => GetCertificateIdUseEnumType::V2GCertificateChain,
                $(ListedUse::Root(RootUse::$root) => GetCertificateIdUseEnumType::$root_name,)*
                #[allow(unreachable_patterns, reason = "the newest version has a name for every use")]
                _ => return None,
            })
        }

        impl From<CertificateSigningUseEnumType> for CertificateSigningUse {
            fn from(use_: CertificateSigningUseEnumType) -> Self {
                match use_ {
                    CertificateSigningUseEnumType::ChargingStationCertificate => Self::ChargingStation,
                    CertificateSigningUseEnumType::V2GCertificate => Self::V2g,
                    $(CertificateSigningUseEnumType::$use_name => Self::$use_,)*
                }
            }
        }

        /// Fails if this version's `responderURL` is too short for the one in the certificate.
        impl TryFrom<OcspDue> for OCSPRequestDataType {
            type Error = ocpp_types::TooLong;

            fn try_from(due: OcspDue) -> Result<Self, Self::Error> {
                let url = due.responder_url.try_into()?;
                let CertificateHashDataType {
                    hash_algorithm, issuer_name_hash, issuer_key_hash, serial_number, ..
                } = CertificateHashDataType::of_hash_data(&due.hash);
                Ok(Self::new(hash_algorithm, issuer_name_hash, issuer_key_hash, serial_number, url))
            }
        }

        impl InstallMessage for InstallCertificateRequest {
            type Response = InstallCertificateResponse;

            fn root_use(&self) -> RootUse {
                self.certificate_type.into()
            }

            fn pem(&self) -> &str {
                &self.certificate
            }

            fn response(answer: InstallAnswer) -> InstallCertificateResponse {
                let (status, refusal) = match answer {
                    InstallAnswer::Accepted => (InstallCertificateStatusEnumType::Accepted, None),
                    InstallAnswer::Rejected(refusal) => {
                        (InstallCertificateStatusEnumType::Rejected, Some(refusal))
                    }
                    InstallAnswer::Failed(refusal) => {
                        (InstallCertificateStatusEnumType::Failed, Some(refusal))
                    }
                };
                let status_info = refusal.map(status_info);
                InstallCertificateResponse { status_info, ..InstallCertificateResponse::new(status) }
            }
        }

        impl InventoryMessage for GetInstalledCertificateIdsRequest {
            type Response = GetInstalledCertificateIdsResponse;

            fn asks_for(&self, use_: ListedUse) -> bool {
                let Some(name) = name(use_) else { return false };
                // Without a filter, every type.
                self.certificate_type.as_ref().is_none_or(|types| types.iter().any(|asked| *asked == name))
            }

            fn response(entries: Vec<Listed>) -> GetInstalledCertificateIdsResponse {
                let chains = entries.into_iter().filter_map(|entry| {
                    let mut chain =
                        CertificateHashDataChainType::new(CertificateHashDataType::of_hash_data(&entry.hash), name(entry.use_)?);
                    let children: Vec<_> =
                        entry.children.iter().map(CertificateHashDataType::of_hash_data).collect();
                    // An empty list would violate the schema, and chains with more than four were
                    // not accepted.
                    chain.child_certificate_hash_data = children.try_into().ok();
                    Some(chain)
                });
                // The list has at least one item, or is left out (TC_M_19).
                match chains.collect::<Vec<_>>().try_into() {
                    // M03.FR.03
                    Ok(chains) => GetInstalledCertificateIdsResponse {
                        certificate_hash_data_chain: Some(chains),
                        ..GetInstalledCertificateIdsResponse::new(
                            GetInstalledCertificateStatusEnumType::Accepted,
                        )
                    },
                    // M03.FR.02
                    Err(_) => GetInstalledCertificateIdsResponse {
                        status_info: Some(StatusInfoType::new(bounded("NotFound"))),
                        ..GetInstalledCertificateIdsResponse::new(
                            GetInstalledCertificateStatusEnumType::NotFound,
                        )
                    },
                }
            }
        }

        impl DeleteMessage for DeleteCertificateRequest {
            // TC_M_20
            const ROOT_IN_USE: RootInUse = RootInUse::Delete;
            type Response = DeleteCertificateResponse;

            fn hash(&self) -> Result<HashData, HashDataError> {
                self.certificate_hash_data.hash_data()
            }

            fn response(answer: DeleteAnswer) -> DeleteCertificateResponse {
                let (status, refusal) = match answer {
                    DeleteAnswer::Accepted => (DeleteCertificateStatusEnumType::Accepted, None),
                    DeleteAnswer::Failed(refusal) => {
                        (DeleteCertificateStatusEnumType::Failed, Some(refusal))
                    }
                    DeleteAnswer::NotFound => (DeleteCertificateStatusEnumType::NotFound, None),
                };
                let status_info = refusal.map(status_info);
                DeleteCertificateResponse { status_info, ..DeleteCertificateResponse::new(status) }
            }
        }

        impl SignedMessage for CertificateSignedRequest {
            type Response = CertificateSignedResponse;

            fn chain(&self) -> &str {
                &self.certificate_chain
            }

            fn signing_use(&self) -> Option<CertificateSigningUse> {
                self.certificate_type.map(Into::into)
            }

            fn request_id(&self) -> Option<i64> {
                request_id(self)
            }

            fn response(refusal: Option<Refusal>) -> CertificateSignedResponse {
                let status = match refusal {
                    None => CertificateSignedStatusEnumType::Accepted,
                    Some(_) => CertificateSignedStatusEnumType::Rejected,
                };
                let status_info = refusal.map(status_info);
                CertificateSignedResponse { status_info, ..CertificateSignedResponse::new(status) }
            }
        }

        fn status_info(refusal: Refusal) -> StatusInfoType {
            StatusInfoType {
                additional_info: Some(bounded(&refusal.additional_info)),
                ..StatusInfoType::new(bounded(refusal.reason_code))
            }
        }

        /// The first `MAX` characters of a text.
        fn bounded<const MAX: usize>(text: &str) -> BoundedString<MAX> {
            let short: String = text.chars().take(MAX).collect();
            BoundedString::try_from(short).expect("at most MAX characters were taken")
        }
    };
}

pub(super) use words_of_v2;
