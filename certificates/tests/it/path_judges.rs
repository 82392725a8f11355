//! Path validation by other implementations: OpenSSL, GnuTLS and NSS, each through its own program.

use std::{fs, path::Path, process::Command};

use certificates::{Certificate, UnixSeconds, path::Purpose};

use crate::made::NOW;

/// Another implementation of path validation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    OpenSsl,
    GnuTls,
    /// Its PKIX library, which checks policies too.
    Nss,
}

/// Cases in which one differs from the clause, which decides: the case, the implementation, and the
/// reason.
pub(crate) const DIFFER: &[(&str, Judge, &str)] = &[
    ("4.2.1.11: a policy is demanded and holds", Judge::GnuTls, NO_POLICIES),
    ("4.2.1.4: anyPolicy of the sub-CA covers the leaf's", Judge::GnuTls, NO_POLICIES),
    ("4.2.1.11: a policy is demanded further below", Judge::GnuTls, NO_POLICIES),
    ("4.2.1.5: a policy is mapped", Judge::GnuTls, NO_POLICIES),
    ("6.1.4 (h): nor does it bring a demand for a policy nearer", Judge::GnuTls, NO_POLICIES),
    ("4.2.1.10: another directoryName", Judge::GnuTls, "it does not compare directoryName"),
    ("4.2.1.10: a URI without a host", Judge::GnuTls, "it does not compare URIs"),
    ("7.1: case, spaces and string type of a directoryName", Judge::Nss, "it compares the bytes"),
    (
        "4.2.1.10: a constrained kind that cannot be compared",
        Judge::Nss,
        "it passes over constraints of registeredID",
    ),
    ("a00_fr_309: another host beside a permitted dNSName", Judge::OpenSsl, DNS_NAME_WINS),
    ("a00_fr_309: another host beside a permitted dNSName", Judge::GnuTls, DNS_NAME_WINS),
    ("a00_fr_309: another host beside a permitted dNSName", Judge::Nss, DNS_NAME_WINS),
    ("a00_fr_510: an address in the common name, outside", Judge::OpenSsl, NO_ADDRESS),
    ("a00_fr_510: an address in the common name, outside", Judge::GnuTls, NO_ADDRESS),
    ("a00_fr_510: an address in the common name, outside", Judge::Nss, NO_ADDRESS),
    (
        "a00_fr_511: the serial number of a station is no host",
        Judge::GnuTls,
        "it takes the common name of a client for a host",
    ),
    ("4.2.1.9: a self-issued sub-CA does not count", Judge::GnuTls, "it counts self-issued sub-CAs"),
    ("a00_fr_512: keyEncipherment only", Judge::GnuTls, "it does not look at keyUsage"),
    (
        "a00_fr_512: keyEncipherment only, of a CSMS",
        Judge::OpenSsl,
        "it allows static RSA, with which a server does not sign",
    ),
    ("a00_fr_512: keyEncipherment only, of a CSMS", Judge::GnuTls, "it does not look at keyUsage"),
    ("6.1: the leaf is an authority", Judge::OpenSsl, AUTHORITY),
    ("6.1: the leaf is an authority", Judge::GnuTls, AUTHORITY),
    ("6.1: the leaf is an authority", Judge::Nss, AUTHORITY),
];

const NO_POLICIES: &str = "it does not know policyConstraints, which is critical";
const DNS_NAME_WINS: &str = "it looks at the common name only where there is no dNSName; OCPP always does";
const NO_ADDRESS: &str = "it takes a common name for the name of a host only, never for an address";
const AUTHORITY: &str = "it lets a client present the certificate of an authority";

impl Judge {
    pub(crate) const ALL: [Self; 3] = [Self::OpenSsl, Self::GnuTls, Self::Nss];

    /// Whether a chain is valid at [`NOW`], and the output of the program. The leaf is first, the
    /// root last; `folder` is for files.
    pub(crate) fn accepts(self, folder: &Path, chain: &[Certificate], purpose: Purpose) -> (bool, String) {
        let (below, root) = chain.split_at(chain.len() - 1);
        let files =
            chain.iter().enumerate().map(|(at, certificate)| (format!("{at}.pem"), certificate.to_pem()));
        let pem = |part: &[Certificate]| part.iter().map(Certificate::to_pem).collect::<String>();
        let joined = [("root.pem", pem(root)), ("below.pem", pem(below)), ("subs.pem", pem(&below[1..]))];
        let joined = joined.map(|(file, text)| (file.to_owned(), text));
        for (file, text) in files.chain(joined) {
            fs::write(folder.join(file), text).expect("writes");
        }
        let is_client = purpose == Purpose::Station;
        let (mut command, package) = match self {
            Self::OpenSsl => (openssl(is_client, below.len() > 1), "openssl"),
            Self::GnuTls => (gnutls(is_client), "gnutls-bin"),
            Self::Nss => (nss(is_client, below.len()), "libnss3-tools"),
        };
        let output = command.current_dir(folder).output();
        let output =
            output.unwrap_or_else(|error| panic!("{error}; install it: sudo apt-get install {package}"));
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), said.concat())
    }
}

fn openssl(is_client: bool, has_subs: bool) -> Command {
    let mut command = Command::new("openssl");
    command.args(["verify", "-policy_check", "-policy", "2.5.29.32.0", "-attime", &NOW.to_string()]);
    command.args(["-purpose", if is_client { "sslclient" } else { "sslserver" }]);
    command.args(["-no-CApath", "-no-CAstore", "-CAfile", "root.pem"]);
    if has_subs {
        command.args(["-untrusted", "subs.pem"]);
    }
    command.arg("below.pem");
    command
}

/// GnuTLS's program has no option for the time.
fn gnutls(is_client: bool) -> Command {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let mut found = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1")).into_iter();
    let faketime = found
        .find(|file| file.exists())
        .expect("libfaketime is missing; install it: sudo apt-get install libfaketime");
    let at = UnixSeconds::new(NOW).to_string().replace('T', " ").replace('Z', "");
    let mut command = Command::new("certtool");
    command.env("LD_PRELOAD", faketime).env("FAKETIME", at).env("TZ", "UTC");
    command.args(["--verify", "--load-ca-certificate", "root.pem", "--infile", "below.pem"]);
    command.args(["--verify-purpose", if is_client { "1.3.6.1.5.5.7.3.2" } else { "1.3.6.1.5.5.7.3.1" }]);
    command
}

fn nss(is_client: bool, below: usize) -> Command {
    let at = UnixSeconds::new(NOW).to_string();
    let digits = at.chars().filter(char::is_ascii_digit).collect::<String>();
    let mut command = Command::new("vfychain");
    command.args(["-pp", "-u", if is_client { "0" } else { "1" }, "-b", &format!("{}Z", &digits[2..12])]);
    for at in 0..below {
        command.args(["-a", &format!("{at}.pem")]);
    }
    command.args(["-t", "-a", "root.pem"]);
    command
}
