//! The command line.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use signer_pkcs11::{EntryHash, FileRecord, KeyAlgorithm, RevocationReason, RsaPadding};

use crate::{
    access::{PinArguments, SoPinArguments, TokenArguments},
    examples,
    output::Form,
    wishes::{ProfileName, ProfilesArguments, SubjectArguments},
};

/// Makes PKCS #11 tokens, keys and certificates ready for OCPP stations and CSMSs.
///
/// No private key ever leaves its token, and no PIN is an argument: PINs are read from files, environment variables,
/// descriptors, systemd credentials, or typed.
#[derive(Parser)]
#[command(version, after_help = examples::CEREMONY)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The PKCS #11 module (shared library), for URIs without module-path
    #[arg(long, env = "PKCS11_MODULE", hide_env_values = true, global = true, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
    /// Append what was done to this file: the transcript of a ceremony
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) transcript: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Initialise the first free token: label, security officer's PIN, user PIN
    #[command(after_help = examples::INIT)]
    Init(Init),
    /// Generate a key pair inside a token
    #[command(after_help = examples::KEYGEN)]
    Keygen(Keygen),
    /// Generate a root: a key in the token and its self-signed certificate
    #[command(after_help = examples::ROOT)]
    Root(Root),
    /// Certify an authority below a root: a new key in the same token, or the key of a request
    #[command(after_help = examples::SUB_CA)]
    SubCa(SubCa),
    /// Issue the CSMS's own TLS certificate, its key being in the token (generated at the first call)
    #[command(after_help = examples::SERVER_CERT)]
    ServerCert(ServerCert),
    /// Make a certificate signing request for a key in the token
    #[command(after_help = examples::CSR)]
    Csr(Csr),
    /// List the keys of a token and how they are protected
    #[command(after_help = examples::LIST)]
    List(List),
    /// Sign with each key of a token and verify the signatures
    #[command(after_help = examples::SELFTEST)]
    Selftest(Selftest),
    /// Destroy a key pair, which nothing brings back
    #[command(after_help = examples::DESTROY)]
    Destroy(Destroy),
    /// Put on record that certificates are revoked
    #[command(after_help = examples::REVOKE)]
    Revoke(Revoke),
    /// Sign the list of revoked certificates, from the record
    #[command(after_help = examples::CRL)]
    Crl(Crl),
    /// Look at a record of what was signed
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Args)]
pub(crate) struct Init {
    /// Label of the new token, at most 32 bytes
    #[arg(long)]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) pin: PinArguments,
    #[command(flatten)]
    pub(crate) so_pin: SoPinArguments,
}

#[derive(Args)]
pub(crate) struct Keygen {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the new key
    #[arg(long)]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) kind: KindArguments,
}

/// What sort of key is generated.
#[derive(Args)]
pub(crate) struct KindArguments {
    /// Kind of key: ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072, rsa-4096 or ed25519
    #[arg(long, default_value_t)]
    pub(crate) algorithm: KeyAlgorithm,
}

/// Which authority signs.
#[derive(Args)]
pub(crate) struct AuthorityArguments {
    /// Label of the authority's key
    #[arg(long)]
    pub(crate) ca_label: String,
    /// Certificate of the authority, then those above it, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: PathBuf,
    #[command(flatten)]
    pub(crate) padding: PaddingArguments,
}

/// How an RSA key signs certificates.
#[derive(Args)]
pub(crate) struct PaddingArguments {
    /// Signatures of an RSA authority by RSASSA-PSS (A00.FR.505) in place of PKCS #1 v1.5
    #[arg(long)]
    pss: bool,
}

/// Where it is put on record what is signed.
#[derive(Args)]
pub(crate) struct RecordArguments {
    /// The record: a file that is appended to, before and after each signature
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SubCa {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the new key, in the same token
    #[arg(long, required_unless_present = "csr", conflicts_with = "csr")]
    pub(crate) label: Option<String>,
    /// Request of an authority whose key is in another token
    #[arg(long, value_name = "FILE")]
    pub(crate) csr: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kind: KindArguments,
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
    #[command(flatten)]
    pub(crate) record: RecordArguments,
    /// CN of the new authority
    #[arg(long)]
    pub(crate) common_name: String,
    #[command(flatten)]
    pub(crate) subject: SubjectArguments,
    #[command(flatten)]
    pub(crate) profiles: ProfilesArguments,
    /// Where the CRL of the signing authority is published
    #[arg(long = "crl-url", value_name = "URL")]
    pub(crate) crl_urls: Vec<String>,
    /// How many authorities may stand below it. Default: the profile's, 0
    #[arg(long, value_name = "COUNT")]
    pub(crate) path_len: Option<u8>,
    /// Lifetime in days. Default: the profile's, 1825
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) validity_days: Option<u32>,
    /// Where the chain is written, as PEM, without the root; an existing file is never replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Selftest {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the one key that is to be tested
    #[arg(long)]
    pub(crate) label: Option<String>,
}

#[derive(Args)]
pub(crate) struct Revoke {
    /// The record in which the certificates are
    #[arg(long, value_name = "FILE")]
    pub(crate) record: PathBuf,
    /// Serial number in hexadecimal
    #[arg(long, required_unless_present = "station", conflicts_with = "station")]
    pub(crate) serial: Option<String>,
    /// Identity of a station, all of whose valid certificates are revoked
    #[arg(long)]
    pub(crate) station: Option<String>,
    /// unspecified, key-compromise, affiliation-changed, superseded or cessation-of-operation
    #[arg(long, default_value = "unspecified")]
    pub(crate) reason: RevocationReason,
}

#[derive(Args)]
pub(crate) struct Crl {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
    /// The record in which the revocations are
    #[arg(long, value_name = "FILE")]
    pub(crate) record: PathBuf,
    /// Where the list is published, if certificates name it
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Until the next list, in hours
    #[arg(long, default_value_t = 168, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=87600))]
    pub(crate) validity_hours: u32,
    /// Where the list is written; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Write DER, as web servers hand it out, in place of PEM
    #[arg(long)]
    pub(crate) der: bool,
}

#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Prove that no entry was removed or changed
    #[command(after_help = examples::AUDIT_VERIFY)]
    Verify(AuditVerify),
}

#[derive(Args)]
pub(crate) struct AuditVerify {
    /// The record
    #[arg(long, value_name = "FILE")]
    pub(crate) record: PathBuf,
    /// A hash that was kept elsewhere: nothing up to that entry was taken away
    #[arg(long, value_name = "HASH")]
    pub(crate) head: Option<EntryHash>,
}

#[derive(Args)]
pub(crate) struct Root {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the new key
    #[arg(long)]
    pub(crate) label: String,
    /// CN of the root
    #[arg(long)]
    pub(crate) common_name: String,
    /// O of the root: the operator's name
    #[arg(long)]
    pub(crate) organization: String,
    /// C of the root: two letters
    #[arg(long)]
    pub(crate) country: Option<String>,
    #[command(flatten)]
    pub(crate) kind: KindArguments,
    #[command(flatten)]
    pub(crate) padding: PaddingArguments,
    #[command(flatten)]
    pub(crate) record: RecordArguments,
    /// Lifetime in days
    #[arg(long, default_value_t = 3650, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) validity_days: u32,
    /// Where the certificate is written, as PEM; an existing file is never replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct ServerCert {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the CSMS's TLS key; generated if there is none, else used again
    #[arg(long)]
    pub(crate) label: String,
    #[command(flatten)]
    pub(crate) kind: KindArguments,
    #[command(flatten)]
    pub(crate) authority: AuthorityArguments,
    #[command(flatten)]
    pub(crate) record: RecordArguments,
    /// Fully qualified domain name of the CSMS: CN and dNSName
    #[arg(long, value_name = "FQDN")]
    pub(crate) name: String,
    /// Further dNSName, for a CSMS that is reachable by several names
    #[arg(long = "dns-name", value_name = "FQDN")]
    pub(crate) dns_names: Vec<String>,
    /// Leave the subject alternative name out; many TLS clients want it, OCPP does not
    #[arg(long, conflicts_with = "dns_names")]
    pub(crate) common_name_only: bool,
    /// O of the certificate: the operator's name. Default: the profile's
    #[arg(long)]
    pub(crate) organization: Option<String>,
    #[command(flatten)]
    pub(crate) profiles: ProfilesArguments,
    /// Lifetime in hours; below 24 stations need no revocation check (A00.FR.701). Default: the profile's, 23
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=87600))]
    pub(crate) validity_hours: Option<u32>,
    /// Where the chain is written, as PEM; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Csr {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// Label of the key
    #[arg(long)]
    pub(crate) label: String,
    /// CN: a station's serial number
    #[arg(long)]
    pub(crate) common_name: String,
    #[command(flatten)]
    pub(crate) subject: SubjectArguments,
    /// The profile by which the request is to be certified: it fills the subject in, and refuses other keys
    #[arg(long, value_enum)]
    pub(crate) profile: Option<ProfileName>,
    #[command(flatten)]
    pub(crate) profiles: ProfilesArguments,
    /// Where the request is written, as PEM; an existing file is replaced. Default: printed
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
    /// The key's whole URI, with token, object and id, as `hsm list` prints it
    #[arg(long, value_name = "URI")]
    pub(crate) key: String,
}

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) token: TokenArguments,
}

impl Arguments {
    pub(crate) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}

impl PaddingArguments {
    pub(crate) fn padding(&self) -> RsaPadding {
        if self.pss { RsaPadding::Pss } else { RsaPadding::Pkcs1 }
    }
}

impl RecordArguments {
    /// Opens the record, if one was named.
    pub(crate) fn open(&self) -> Result<Option<FileRecord>> {
        self.record.as_ref().map(|path| Ok(FileRecord::open(path)?)).transpose()
    }
}
