//! The certificate service of a central system (CSMS): the authority's key in a PKCS #11 token,
//! certificates over OCPP 1.6, 2.0.1 and 2.1.
//!
//! It combines the crates as a CSMS would. [`signer_pkcs11`] decides about requests and signs
//! certificates, [`ocpp_transport`] communicates with the stations, and a [`Ledger`] stores each
//! certificate before it is sent to its station. The service has no other functions of a CSMS. A
//! backend can use it as an example, or run it beside its own service.
//!
//! ```no_run
//! use csms::{Config, Server};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::parse(&std::fs::read_to_string("csms.toml")?)?;
//! let server = Server::bind(config, None).await?;
//! println!("listening on {}", server.url());
//! server.serve(program::shutdown_signal()).await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod fleet;
mod ledger;
mod service;
mod signing;
mod stations;

pub use crate::{
    config::{
        CaKeys, CaSection, CaSigner, Config, ConfigError, ExternalSection, IssuerSection, LedgerLocation,
        LedgerSection, LimitsSection, ListenSection, NoCommonSubprotocol, OcppVersion, OcspSection, OwnNames,
        Padding, PasswordHash, PasswordHashError, PostgresUrl, PostgresUrlError, ProfilesSection, RsaSection,
        StationSection, TlsKey, TlsSection, UnknownVersion,
    },
    io::{Server, ServerError},
    ledger::{
        CertificateFilter, CertificateState, ChangedPasswords, Delivery, Finding, ForwardedRequest, Ledger,
        LedgerBehind, LedgerEntry, LedgerError, ListedCertificate, Mismatch, PasswordAnswer, Revocation,
        SchemaError,
    },
    service::{
        certificate_file::{CertificateFileError, certificate_to_install},
        control,
    },
    stations::registry::{
        EnrolmentRule, FieldError, FileFormat, FileProblem, FileProblems, Learnt, RegisteredStation,
        ShownStation, Station, StationChanges, StationFields, StationFile, StationFilter, StationPlace,
        csv_head as station_file_head, line as station_file_line,
    },
};

/// Everything that uses the token, the ledger's file, sockets and the clock.
pub mod io {
    pub use crate::{
        config::io::read_config,
        ledger::io::{
            copy::copy_to_postgres,
            loss::Loss,
            sqlite::{backup::back_up, guard::LedgerLost, pages::DamagedPages, restore::Restoration},
            verify::LedgerReport,
        },
        service::io::{
            control::{ControlError, Conversation, send},
            metrics::{Metrics, MetricsError},
            server::Server,
            server_error::ServerError,
        },
        signing::io::own_certificate::issue_server_certificate,
        stations::io::{
            login::password::{GeneratedPassword, HashPasswordError, generate_password, hash_password},
            stations::{Imported, OfflineStations, StationPage, Stations, StationsError},
        },
    };
}
