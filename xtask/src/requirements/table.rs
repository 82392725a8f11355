//! The list of requirements.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::workspace::on_path;

/// A command that needs more from the system than Rust and a C compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Use {
    /// `cargo xtask test`
    Test,
    /// `cargo xtask demo --check`
    Check,
    /// `cargo xtask fuzz`
    Fuzz,
    /// `cargo xtask soak`
    Soak,
    /// `cargo xtask bench`
    Bench,
}

/// A program, library or package that a command needs from the system.
pub(crate) struct Requirement {
    /// Its common name.
    pub(crate) name: &'static str,
    /// Its purpose, as the rest of a sentence that begins with "which".
    pub(crate) purpose: &'static str,
    pub(crate) used_by: &'static [Use],
    found: Found,
    /// The tests that need it, as a filter of nextest; `None`: all tests need it.
    pub(crate) tests: Option<&'static str>,
    pub(crate) debian: &'static [&'static str],
    pub(crate) fedora: &'static [&'static str],
    pub(crate) macos: &'static [&'static str],
}

/// How to find out whether it is there.
enum Found {
    /// A program on the PATH.
    Program(&'static str),
    /// A file in one of the folders for libraries.
    Library(&'static str),
    /// A module that pkg-config knows, with its headers.
    PkgConfig(&'static str),
    /// Modules of Python.
    Python(&'static str),
    /// SoftHSM, or the tools that unpack it.
    Softhsm,
    /// User namespaces, in which `unshare` may mount.
    Namespaces,
    /// The programs of PostgreSQL, which Debian keeps off the PATH.
    Postgres,
}

impl Requirement {
    /// Its program, if it is a program.
    pub(crate) fn program(&self) -> Option<&'static str> {
        match self.found {
            Found::Program(program) => Some(program),
            Found::Library(_)
            | Found::PkgConfig(_)
            | Found::Python(_)
            | Found::Softhsm
            | Found::Namespaces
            | Found::Postgres => None,
        }
    }

    /// What a person does about it where no package of any system is the answer.
    pub(crate) const fn fix(&self) -> Option<&'static str> {
        match self.found {
            Found::Namespaces => Some(
                "start a container with `--privileged`; elsewhere, as root, type \
                 `sysctl kernel.unprivileged_userns_clone=1` (Debian) or \
                 `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu); \
                 or leave out their tests: `cargo xtask test --skip-missing`",
            ),
            Found::Program(_)
            | Found::Library(_)
            | Found::PkgConfig(_)
            | Found::Python(_)
            | Found::Softhsm
            | Found::Postgres => None,
        }
    }

    /// Whether it is there.
    pub(crate) fn is_met(&self) -> bool {
        match self.found {
            Found::Program(program) => on_path(program),
            Found::Library(file) => library(file).is_some(),
            Found::PkgConfig(module) => succeeds(Command::new("pkg-config").args(["--exists", module])),
            Found::Python(modules) => {
                succeeds(Command::new("python3").args(["-c", &format!("import {modules}")]))
            }
            Found::Softhsm => crate::softhsm::is_available(),
            // Without unshare, unshare is what is missing.
            Found::Namespaces => {
                let mounts = ["--user", "--map-root-user", "--mount", "true"];
                !on_path("unshare") || succeeds(Command::new("unshare").args(mounts))
            }
            Found::Postgres => {
                let mut versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
                on_path("initdb") || versions.any(|version| version.path().join("bin/initdb").is_file())
            }
        }
    }
}

/// A file whose name begins with `file`, in the folders where distributions put libraries, modules
/// of PKCS #11 and engines of OpenSSL.
fn library(file: &str) -> Option<PathBuf> {
    let mut folders =
        ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib"].map(PathBuf::from).to_vec();
    // Debian has a folder for each architecture.
    let architectures = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    folders.extend(architectures.map(|entry| entry.path()).filter(|path| path.is_dir()));
    let below = ["", "pkcs11", "faketime", "engines-3"];
    let places = folders.iter().flat_map(|folder| below.map(|below| folder.join(below)));
    places.filter_map(|folder| starting_with(&folder, file)).next()
}

fn starting_with(folder: &Path, file: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    entries
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(file)))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Everything beyond Rust and a C compiler.
pub(crate) const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        name: "openssl",
        purpose: "judges certificates, requests and the TLS of both sides",
        used_by: &[Use::Test, Use::Check, Use::Soak, Use::Bench],
        found: Found::Program("openssl"),
        tests: None,
        debian: &["openssl"],
        fedora: &["openssl"],
        macos: &["openssl@3"],
    },
    Requirement {
        name: "pkg-config",
        purpose: "finds the OpenSSL that the CSMS's second TLS is linked with",
        used_by: &[Use::Test],
        found: Found::Program("pkg-config"),
        tests: None,
        debian: &["pkg-config"],
        fedora: &["pkgconf-pkg-config"],
        macos: &["pkgconf"],
    },
    Requirement {
        name: "OpenSSL's headers",
        purpose: "are what the CSMS's second TLS is built with",
        used_by: &[Use::Test],
        found: Found::PkgConfig("openssl"),
        tests: None,
        debian: &["libssl-dev", "pkg-config"],
        fedora: &["openssl-devel", "pkgconf-pkg-config"],
        macos: &["openssl@3", "pkgconf"],
    },
    Requirement {
        name: "cc",
        purpose: "compiles a token with a fault, and the parts of the programs that are C",
        used_by: &[Use::Test],
        found: Found::Program("cc"),
        tests: None,
        debian: &["gcc"],
        fedora: &["gcc"],
        // Part of the command line tools of Xcode. Rust cannot link without them.
        macos: &["gcc"],
    },
    Requirement {
        name: "SoftHSM",
        purpose: "is the token of the tests and of the demo",
        used_by: &[Use::Test, Use::Check, Use::Soak, Use::Bench],
        found: Found::Softhsm,
        tests: None,
        debian: &["softhsm2"],
        fedora: &["softhsm"],
        macos: &["softhsm"],
    },
    Requirement {
        name: "pkcs11-tool",
        purpose: "looks into a token beside our programs: OpenSC",
        used_by: &[Use::Check, Use::Soak],
        found: Found::Program("pkcs11-tool"),
        tests: None,
        debian: &["opensc"],
        fedora: &["opensc"],
        macos: &["opensc"],
    },
    Requirement {
        name: "Python 3",
        purpose: "runs peers and judges that are not ours: ocpp, websockets, cryptography, pkilint, jsonschema",
        used_by: &[Use::Test, Use::Soak, Use::Bench],
        found: Found::Program("python3"),
        tests: None,
        debian: &["python3"],
        fedora: &["python3"],
        macos: &["python"],
    },
    Requirement {
        name: "Python's venv and pip",
        purpose: "keep these packages apart from the system's",
        used_by: &[Use::Test, Use::Soak, Use::Bench],
        found: Found::Python("venv, ensurepip"),
        tests: None,
        debian: &["python3", "python3-venv"],
        fedora: &["python3", "python3-pip"],
        macos: &["python"],
    },
    Requirement {
        name: "Node.js",
        purpose: "runs peers that are not ours: ws, ocpp-rpc",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Program("node"),
        tests: Some("package(ocpp-transport) and (test(/^deflate::/) or test(/^ocpp_rpc::/))"),
        debian: &["nodejs"],
        fedora: &["nodejs"],
        macos: &["node"],
    },
    Requirement {
        name: "npm",
        purpose: "installs these peers",
        used_by: &[Use::Test, Use::Bench],
        // A Node.js from another source contains npm, and conflicts with Debian's package.
        found: Found::Program("npm"),
        tests: Some("package(ocpp-transport) and (test(/^deflate::/) or test(/^ocpp_rpc::/))"),
        debian: &["npm"],
        fedora: &["nodejs-npm"],
        macos: &["node"],
    },
    Requirement {
        name: "testssl",
        purpose: "looks for the known weaknesses of TLS",
        used_by: &[Use::Test],
        found: Found::Program("testssl"),
        tests: Some("package(ocpp-transport) and test(/^testssl::/)"),
        debian: &["testssl.sh"],
        fedora: &["testssl"],
        macos: &["testssl"],
    },
    Requirement {
        name: "p11-kit",
        purpose: "serves a token from another process, which can be stopped and killed",
        used_by: &[Use::Test, Use::Soak],
        found: Found::Program("p11-kit"),
        tests: Some(IN_ANOTHER_PROCESS),
        debian: &["p11-kit"],
        fedora: &["p11-kit", "p11-kit-server"],
        macos: &["p11-kit"],
    },
    Requirement {
        name: "p11-kit-client.so",
        purpose: "is the module for a token in another process",
        used_by: &[Use::Test, Use::Soak],
        found: Found::Library("p11-kit-client.so"),
        tests: Some(IN_ANOTHER_PROCESS),
        debian: &["p11-kit-modules"],
        fedora: &["p11-kit-server"],
        macos: &["p11-kit"],
    },
    Requirement {
        name: "certtool",
        purpose: "judges chains of certificates beside OpenSSL: GnuTLS",
        used_by: &[Use::Test],
        found: Found::Program("certtool"),
        tests: Some(PATHS),
        debian: &["gnutls-bin"],
        fedora: &["gnutls-utils"],
        macos: &["gnutls"],
    },
    Requirement {
        name: "vfychain",
        purpose: "judges chains of certificates beside OpenSSL: NSS",
        used_by: &[Use::Test],
        found: Found::Program("vfychain"),
        tests: Some(PATHS),
        debian: &["libnss3-tools"],
        fedora: &["nss-tools"],
        macos: &["nss"],
    },
    Requirement {
        name: "chromium",
        purpose: "is a browser, which stops where a server asks for a client certificate",
        used_by: &[Use::Test],
        found: Found::Program("chromium"),
        tests: Some("package(csms) and test(/^browser::/)"),
        debian: &["chromium"],
        fedora: &["chromium"],
        macos: &[],
    },
    Requirement {
        name: "postgres",
        purpose: "is the database of several nodes: each test starts a server of its own",
        used_by: &[Use::Test],
        found: Found::Postgres,
        tests: Some(POSTGRES),
        debian: &["postgresql"],
        fedora: &["postgresql-server"],
        macos: &[],
    },
    Requirement {
        name: "setpriv",
        purpose: "starts PostgreSQL as another user than root",
        used_by: &[Use::Test],
        found: Found::Program("setpriv"),
        tests: Some(POSTGRES),
        debian: &["util-linux"],
        fedora: &["util-linux"],
        macos: &[],
    },
    Requirement {
        name: "pkcsslotd",
        purpose: "is the daemon of opencryptoki, a token of RSA alone",
        used_by: &[Use::Test],
        found: Found::Program("pkcsslotd"),
        tests: Some(OPENCRYPTOKI),
        debian: &["opencryptoki"],
        fedora: &["opencryptoki", "opencryptoki-swtok"],
        macos: &[],
    },
    Requirement {
        name: "pkcsconf",
        purpose: "sets the PINs of that token",
        used_by: &[Use::Test],
        found: Found::Program("pkcsconf"),
        tests: Some(OPENCRYPTOKI),
        debian: &["opencryptoki"],
        fedora: &["opencryptoki"],
        macos: &[],
    },
    Requirement {
        name: "libopencryptoki.so",
        purpose: "is its PKCS #11 module",
        used_by: &[Use::Test],
        found: Found::Library("libopencryptoki.so"),
        tests: Some(OPENCRYPTOKI),
        debian: &["libopencryptoki0"],
        fedora: &["opencryptoki-libs"],
        macos: &[],
    },
    Requirement {
        name: "libsoftokn3.so",
        purpose: "is NSS's token, whose keys are extractable unless one asks otherwise",
        used_by: &[Use::Test],
        found: Found::Library("libsoftokn3.so"),
        tests: Some(NSS),
        debian: &["libnss3"],
        fedora: &["nss-softokn"],
        macos: &[],
    },
    Requirement {
        name: "certutil",
        purpose: "makes the database of that token",
        used_by: &[Use::Test],
        found: Found::Program("certutil"),
        tests: Some(NSS),
        debian: &["libnss3-tools"],
        fedora: &["nss-tools"],
        macos: &[],
    },
    Requirement {
        name: "p11-kit-proxy.so",
        purpose: "initializes NSS's token with the words that it wants",
        used_by: &[Use::Test],
        found: Found::Library("p11-kit-proxy.so"),
        tests: Some(NSS),
        debian: &["libp11-kit0"],
        fedora: &["p11-kit"],
        macos: &[],
    },
    Requirement {
        name: "swtpm",
        purpose: "is a TPM in software",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Program("swtpm"),
        tests: Some(TPM),
        debian: &["swtpm"],
        fedora: &["swtpm"],
        macos: &["swtpm"],
    },
    Requirement {
        name: "swtpm_setup",
        purpose: "makes the state of that TPM",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Program("swtpm_setup"),
        tests: Some(TPM),
        debian: &["swtpm-tools"],
        fedora: &["swtpm-tools"],
        macos: &["swtpm"],
    },
    Requirement {
        name: "tpm2-abrmd",
        purpose: "is the TPM's resource manager",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Program("tpm2-abrmd"),
        tests: Some(TPM),
        debian: &["tpm2-abrmd"],
        fedora: &["tpm2-abrmd"],
        macos: &[],
    },
    Requirement {
        name: "libtpm2_pkcs11.so",
        purpose: "is the PKCS #11 module of a TPM",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Library("libtpm2_pkcs11.so"),
        tests: Some(TPM),
        debian: &["libtpm2-pkcs11-1"],
        fedora: &["tpm2-pkcs11"],
        macos: &[],
    },
    Requirement {
        name: "libtss2-tcti-swtpm.so",
        purpose: "connects the resource manager with the TPM",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Library("libtss2-tcti-swtpm.so"),
        tests: Some(TPM),
        debian: &["libtss2-tcti-swtpm0"],
        fedora: &["tpm2-tss"],
        macos: &[],
    },
    Requirement {
        name: "libtss2-tcti-tabrmd.so",
        purpose: "connects the module with the resource manager",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Library("libtss2-tcti-tabrmd.so"),
        tests: Some(TPM),
        debian: &["libtss2-tcti-tabrmd0"],
        fedora: &["tpm2-abrmd"],
        macos: &[],
    },
    Requirement {
        name: "dbus-run-session",
        purpose: "is the bus on which the resource manager is found",
        used_by: &[Use::Test, Use::Bench],
        found: Found::Program("dbus-run-session"),
        tests: Some(TPM),
        debian: &["dbus"],
        fedora: &["dbus-daemon"],
        macos: &[],
    },
    Requirement {
        name: "libfaketimeMT.so",
        purpose: "gives a program a clock of its own, which is moved while it runs",
        used_by: &[Use::Test],
        found: Found::Library("libfaketimeMT.so"),
        tests: Some(CLOCK),
        debian: &["libfaketime"],
        fedora: &["libfaketime"],
        macos: &[],
    },
    Requirement {
        name: "unshare",
        purpose: "gives tests of full and read-only file systems mounts of their own",
        used_by: &[Use::Test],
        found: Found::Program("unshare"),
        tests: Some(MOUNTS),
        debian: &["util-linux"],
        fedora: &["util-linux"],
        macos: &[],
    },
    Requirement {
        name: "user namespaces",
        purpose: "are where these mounts are allowed",
        used_by: &[Use::Test],
        found: Found::Namespaces,
        tests: Some(MOUNTS),
        debian: &[],
        fedora: &[],
        macos: &[],
    },
    Requirement {
        name: "setpriv",
        purpose: "runs a program as a user who may not read a token's files",
        used_by: &[Use::Test],
        found: Found::Program("setpriv"),
        tests: Some("package(signer-pkcs11) and test(=faults::tokens_that_are_not_readable)"),
        debian: &["util-linux"],
        fedora: &["util-linux"],
        macos: &[],
    },
    Requirement {
        name: "prlimit",
        purpose: "limits the files of a program as a full disk does",
        used_by: &[Use::Test],
        found: Found::Program("prlimit"),
        tests: Some(LIMITS),
        debian: &["util-linux"],
        fedora: &["util-linux"],
        macos: &[],
    },
    Requirement {
        name: "mount",
        purpose: "mounts these file systems",
        used_by: &[Use::Test],
        found: Found::Program("mount"),
        tests: Some(MOUNTS),
        debian: &["mount"],
        fedora: &["util-linux-core"],
        macos: &[],
    },
    Requirement {
        name: "umount",
        purpose: "takes these file systems away again",
        used_by: &[Use::Test],
        found: Found::Program("umount"),
        tests: Some(MOUNTS),
        debian: &["mount"],
        fedora: &["util-linux-core"],
        macos: &[],
    },
    Requirement {
        name: "OpenSSL's engine pkcs11",
        purpose: "lets `openssl ca`, which ours is measured beside, sign with a key in the token",
        used_by: &[Use::Bench],
        found: Found::Library("pkcs11.so"),
        tests: None,
        debian: &["libengine-pkcs11-openssl"],
        fedora: &["openssl-pkcs11"],
        macos: &["libp11"],
    },
    Requirement {
        name: "cfssl",
        purpose: "is an authority that ours is measured beside",
        used_by: &[Use::Bench],
        found: Found::Program("cfssl"),
        tests: None,
        debian: &["golang-cfssl"],
        fedora: &[],
        macos: &["cfssl"],
    },
    Requirement {
        name: "c++",
        purpose: "builds libFuzzer",
        used_by: &[Use::Fuzz],
        found: Found::Program("c++"),
        tests: None,
        debian: &["g++"],
        fedora: &["gcc-c++"],
        macos: &[],
    },
];

/// The tests with a token in another process.
const IN_ANOTHER_PROCESS: &str = "package(signer-pkcs11) and (test(/^(counted|hangs|keep_alive|remote)::/) or test(=suite::on_softhsm_in_another_process))";
/// The tests with opencryptoki.
const OPENCRYPTOKI: &str =
    "package(signer-pkcs11) and (test(/^opencryptoki::/) or test(=suite::on_opencryptoki))";
/// The tests with NSS.
const NSS: &str = "package(signer-pkcs11) and test(=suite::on_nss)";
/// The tests of chains, which other implementations verify too.
const PATHS: &str = "package(certificates) and test(/^path::/)";
/// The tests with PostgreSQL.
const POSTGRES: &str = "package(csms) and (binary(postgres) or test(/::on_postgres::/) or test(=copy::a_ledger_is_copied_from_sqlite_with_its_whole_record))";
/// The tests with a TPM.
const TPM: &str = "package(signer-pkcs11) and (test(/^tpm::/) or test(=suite::on_a_tpm))";
/// The tests of real programs whose clock is moved.
const CLOCK: &str = "((package(csms) or package(station)) and test(/^clock::/)) \
                     or (package(signer-pkcs11) and test(/^hsm_keys::clock/))";
/// The tests that limit the files of a program.
const LIMITS: &str = "(package(csms) and test(/^disk_full::/)) or (package(station) and test(/^files::/)) \
                      or (package(signer-pkcs11) and test(/^hsm_keys::disk_full/))";
/// The tests with mounts of their own.
const MOUNTS: &str = "(package(signer-pkcs11) and (test(/^opencryptoki::/) or test(=suite::on_opencryptoki) or test(=suite::on_nss))) \
                      or (package(station-store) and test(/^mounts::/)) \
                      or ((package(csms) or package(station)) and test(/^disk_full::/)) \
                      or (package(csms) and test(/^rollback::/))";
