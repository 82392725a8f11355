//! Why the service cannot start or continue.

use std::{
    io,
    path::{Path, PathBuf},
};

use certificates::{CertificateError, PemError};
use ocpp_transport::{BindError, NotTls, tls::TlsConfigError};
use signer_pkcs11::{
    AuthorityError, BlockedKeysError, IssueError, IssuerError, KeyError, ProfilesError, TokenError,
};

use crate::{
    config::ConfigError,
    ledger::{
        LedgerBehind, LedgerError,
        io::{loss::Loss, sqlite::guard::LedgerLost},
    },
    service::io::control::ControlError,
};

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A file cannot be read or created.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The threads that verify passwords cannot be started.
    #[error(
        "cannot start the threads that verify passwords; is the limit of processes (`ulimit -u`) too low?"
    )]
    Workers(#[source] io::Error),
    /// A file is not the PEM that is expected.
    #[error("cannot use {}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The fault, and its line.
        #[source]
        source: PemError,
    },
    /// A certificate in a file cannot be read.
    #[error("cannot use certificate {position} in {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The position, counted from 1.
        position: usize,
        /// The fault.
        #[source]
        source: CertificateError,
    },
    /// A configuration cannot be used.
    #[error("{} cannot be used", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The fault.
        #[source]
        source: ConfigError,
    },
    /// A certificate does not belong to an authority.
    #[error("certificate {position} in {} does not belong to an authority", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// The position, counted from 1.
        position: usize,
    },
    /// The profiles of the certificates cannot be used.
    #[error("{} cannot be used", path.display())]
    Profiles {
        /// The file.
        path: PathBuf,
        /// The fault.
        #[source]
        source: ProfilesError,
    },
    /// The list of blocked keys cannot be read.
    #[error("{} cannot be used", path.display())]
    BlockedKeys {
        /// The file.
        path: PathBuf,
        /// The fault.
        #[source]
        source: BlockedKeysError,
    },
    /// The changed section cannot change while the service runs.
    #[error("{section} in the configuration cannot change while the service runs; start it again")]
    NeedsRestart {
        /// The section with the change.
        section: &'static str,
    },
    /// The transport has no TLS whose certificates could be read again.
    #[error("the certificates cannot be read again")]
    Reload(#[from] NotTls),
    /// The configuration asks for OpenSSL, which is not built in.
    #[error("tls.rsa needs OpenSSL; build this program with `--features openssl`")]
    WithoutOpenSsl,
    /// The ledger is in PostgreSQL, which has its own copies.
    #[error(
        "the ledger is in PostgreSQL: copy and restore it by PostgreSQL's own means, such as pg_basebackup or pg_dump"
    )]
    NoLedgerFile,
    /// There is no PostgreSQL to copy to.
    #[error("the configuration names no PostgreSQL; set ledger.url")]
    NoPostgres,
    /// A key of the token is named, and no token.
    #[error("the configuration names a key of the token, and no token; set token.uri")]
    NoToken,
    /// The token cannot be opened.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A key cannot be used.
    #[error("the key that {field} names cannot be used")]
    Key {
        /// The member.
        field: &'static str,
        /// The cause.
        #[source]
        source: KeyError,
    },
    /// The authority cannot be opened.
    #[error(
        "the authority cannot start; do the key and the certificate_file of [ca] and of each [[ca.issuer]] belong together?"
    )]
    Authority(#[from] AuthorityError),
    /// Two issuers that cannot be distinguished by their lists.
    #[error(
        "{} has the subject of another issuer and another key: give it a name of its own, for a list of revoked certificates names its issuer by it",
        path.display()
    )]
    SameIssuerName {
        /// The file of the second one.
        path: PathBuf,
    },
    /// The roots of another authority cannot be used.
    #[error("the roots of the other authority cannot be used; see ca.certificate_file")]
    Roots(#[source] IssuerError),
    /// Something that the service renews could not be signed.
    #[error("{what} cannot be signed")]
    Sign {
        /// The list or the certificate.
        what: String,
        /// The cause.
        #[source]
        source: IssueError,
    },
    /// The service can issue no certificate for itself.
    #[error("the service cannot issue its own certificate; set tls.names, and keys of its own in [ca]")]
    NoOwnCertificate,
    /// The key in a file cannot be used for the CSMS's certificate.
    #[error("the key in {} cannot be used for the CSMS's certificate", path.display())]
    OwnKey {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up; do tls.key and tls.certificate_file belong together?")]
    Tls(#[from] TlsConfigError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another process uses the ledger.
    #[error("another process uses the ledger in {}; stop it first, or ask it with a command such as `ocpp-csms status`", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The ledger cannot be read.
    #[error(
        "the ledger {ledger} cannot be used; `ocpp-csms audit verify` reports what is wrong, `ocpp-csms restore FILE` replaces it by a backup"
    )]
    Unusable {
        /// The ledger.
        ledger: String,
        /// What is wrong.
        #[source]
        source: LedgerError,
    },
    /// The ledger is older than its marks.
    #[error(
        "nothing is served with the ledger {ledger}, which is not the newest: put the newest one back, or run `ocpp-csms restore FILE` with the newest backup"
    )]
    Behind {
        /// The ledger.
        ledger: String,
        /// How this is known.
        #[source]
        source: LedgerBehind,
    },
    /// The ledger was removed or replaced while the service was running.
    #[error("the service has ended, because its ledger is lost")]
    Lost(#[from] LedgerLost),
    /// The file exists and is not overwritten.
    #[error("{} exists already; name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A restoration would lose promises.
    #[error("this would lose {0}; with `--accept-loss` it is done anyway, and recorded")]
    Loss(Box<Loss>),
    /// There are no random numbers.
    #[error("no random numbers from the operating system")]
    Random,
    /// The address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The control socket cannot be created.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A thread of the service failed.
    #[error("a thread of the service failed while it started")]
    Thread(#[from] tokio::task::JoinError),
}

impl ServerError {
    /// Adds the file to an error of its PEM.
    pub(crate) fn pem(path: &Path) -> impl FnOnce(PemError) -> Self {
        let path = path.to_path_buf();
        |source| Self::Pem { path, source }
    }

    /// Adds the file to an error of one of its certificates.
    pub(crate) fn certificate(path: &Path, position: usize) -> impl FnOnce(CertificateError) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Certificate { path, position, source }
    }

    /// Adds the file to an error of the system.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::File { path, source }
    }
}
