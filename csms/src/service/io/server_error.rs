//! Why the service cannot start or go on.

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
    /// A file cannot be read or made.
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
        /// What is wrong with it, and in which line.
        #[source]
        source: PemError,
    },
    /// A certificate in a file cannot be read.
    #[error("cannot use certificate {position} in {}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: CertificateError,
    },
    /// A configuration cannot be used.
    #[error("{} cannot be used", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ConfigError,
    },
    /// A certificate is none of an authority.
    #[error("certificate {position} in {} is no authority's", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        position: usize,
    },
    /// The profiles of the certificates cannot be used.
    #[error("{} cannot be used", path.display())]
    Profiles {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ProfilesError,
    },
    /// The list of blocked keys cannot be read.
    #[error("{} cannot be used", path.display())]
    BlockedKeys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BlockedKeysError,
    },
    /// What was changed cannot change while the service runs.
    #[error("{section} in the configuration cannot change while the service runs; start it again")]
    NeedsRestart {
        /// Where the change is.
        section: &'static str,
    },
    /// The transport serves no TLS whose certificates could be read again.
    #[error("the certificates cannot be read again")]
    Reload(#[from] NotTls),
    /// The configuration asks for OpenSSL, which is not built in.
    #[error("tls.rsa needs OpenSSL; build this program with `--features openssl`")]
    WithoutOpenSsl,
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
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The authority cannot be put together.
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
    /// Something that the service renews by itself could not be signed.
    #[error("{what} cannot be signed")]
    Sign {
        /// The list or the certificate.
        what: String,
        /// Why.
        #[source]
        source: IssueError,
    },
    /// There is nothing that the service could issue.
    #[error("the service issues no certificate for itself; set tls.names, and have keys of its own in [ca]")]
    NoOwnCertificate,
    /// The key in a file cannot be the CSMS's.
    #[error("the key in {} cannot be the CSMS's", path.display())]
    OwnKey {
        /// The file.
        path: PathBuf,
        /// Why.
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
        "the ledger {} cannot be used; `ocpp-csms audit verify` reports what is wrong, `ocpp-csms restore FILE` replaces it by a backup",
        path.display()
    )]
    Unusable {
        /// The ledger.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: LedgerError,
    },
    /// The ledger is older than it was.
    #[error(
        "nothing is served with the ledger {}, which is not the newest: put the newest one back, or run `ocpp-csms restore FILE` with the newest backup",
        path.display()
    )]
    Behind {
        /// The ledger.
        path: PathBuf,
        /// How this is known.
        #[source]
        source: LedgerBehind,
    },
    /// The ledger was removed or replaced under the service.
    #[error("the service has ended, because its ledger is lost")]
    Lost(#[from] LedgerLost),
    /// A file is there that is not overwritten.
    #[error("{} exists already; name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A restoration would lose what was promised.
    #[error("this would lose {0}; `--accept-loss` does it all the same, and puts it on record")]
    Loss(Box<Loss>),
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The address cannot be taken.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The control socket cannot be made.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A thread of the service failed.
    #[error("a thread of the service failed while it started")]
    Thread(#[from] tokio::task::JoinError),
}

impl ServerError {
    /// What is wrong with the PEM in the file.
    pub(crate) fn pem(path: &Path) -> impl FnOnce(PemError) -> Self {
        let path = path.to_path_buf();
        |source| Self::Pem { path, source }
    }

    /// What is wrong with a certificate in the file.
    pub(crate) fn certificate(path: &Path, position: usize) -> impl FnOnce(CertificateError) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Certificate { path, position, source }
    }

    /// What the system says of the file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::File { path, source }
    }
}
