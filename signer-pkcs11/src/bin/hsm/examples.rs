//! The examples in the help of each command. A test runs the ceremony in a shell.

pub(crate) const CEREMONY: &str = "\
A ceremony for a CSMS, with a transcript in transcript.txt and a record:

  export PKCS11_MODULE=/usr/lib/softhsm/libsofthsm2.so
  TOKEN='pkcs11:token=csms?pin-source=file:/etc/csms/pin'
  hsm init --label csms --pin-file /etc/csms/pin --so-pin-source prompt: --transcript transcript.txt
  hsm root --token \"$TOKEN\" --label root --common-name 'Example Root' --organization Example --record record --out root.pem --transcript transcript.txt
  hsm sub-ca --token \"$TOKEN\" --label sub --ca-label root --ca-cert root.pem --common-name 'Example Sub-CA' --organization Example --record record --out sub.pem --transcript transcript.txt
  cat sub.pem root.pem > chain.pem
  hsm server-cert --token \"$TOKEN\" --label tls --ca-label sub --ca-cert chain.pem --name csms.example.com --organization Example --record record --out tls.pem --transcript transcript.txt
  hsm selftest --token \"$TOKEN\"
  hsm audit verify --record record

A station:

  TOKEN='pkcs11:token=station?pin-source=credential:pin'
  hsm keygen --token \"$TOKEN\" --label cs-2026
  hsm csr --token \"$TOKEN\" --label cs-2026 --common-name SN-0001 --organization Example --out cs.csr

hsm COMMAND --help has an example of each command.";

pub(crate) const INIT: &str = "\
Example: hsm init --label station --pin-file pin --so-pin-source prompt:";

pub(crate) const KEYGEN: &str = "\
Example: hsm keygen --token 'pkcs11:token=station?pin-source=file:pin' --label cs-2026 --algorithm ecdsa-p384";

pub(crate) const ROOT: &str = "\
Example: hsm root --token 'pkcs11:token=csms?pin-source=file:pin' --label root --common-name 'Example Root' --organization Example --record record --out root.pem";

pub(crate) const SUB_CA: &str = "\
Examples:
  hsm sub-ca --token 'pkcs11:token=csms?pin-source=file:pin' --label sub --ca-label root --ca-cert root.pem --common-name 'Example Sub-CA' --organization Example --out sub.pem
  hsm sub-ca --token 'pkcs11:token=csms?pin-source=file:pin' --csr far.csr --ca-label root --ca-cert root.pem --common-name Far --organization Example --profiles profiles.toml --out far.pem

In the profiles:
  [sub-ca]
  validity = \"1825d\"
  path_len = 0
  crl_urls = [\"http://pki.example.com/root.crl\"]";

pub(crate) const SERVER_CERT: &str = "\
Example: hsm server-cert --token 'pkcs11:token=csms?pin-source=file:pin' --label tls --ca-label sub --ca-cert chain.pem --name csms.example.com --organization Example --record record --out tls.pem

In the profiles:
  [server]
  organization = \"Example\"
  validity = \"23h\"
  ocsp_urls = [\"http://ocsp.example.com/\"]";

pub(crate) const CSR: &str = "\
Examples:
  hsm csr --token 'pkcs11:token=station?pin-source=file:pin' --label cs-2026 --common-name SN-0001 --organization Example
  hsm csr --token 'pkcs11:token=station?pin-source=file:pin' --label v2g --common-name 'DE*ABC*S0001' --profile v2g --profiles profiles.toml --out v2g.csr";

pub(crate) const TOKENS: &str = "\
Example: hsm tokens --module /usr/lib/softhsm/libsofthsm2.so";

pub(crate) const LIST: &str = "\
Example: hsm list --token 'pkcs11:token=station?pin-source=file:pin' --json";

pub(crate) const SELFTEST: &str = "\
Examples:
  hsm selftest --token 'pkcs11:token=station?pin-source=file:pin'
  hsm selftest --token 'pkcs11:token=station?pin-source=file:pin' --label cs-2026";

pub(crate) const DESTROY: &str = "\
Example: hsm destroy --token 'pkcs11:token=station?pin-source=file:pin' --key 'pkcs11:token=station;object=cs-2025;id=%01'";

pub(crate) const REVOKE: &str = "\
Examples:
  hsm revoke --record record --serial 4f0c... --reason key-compromise
  hsm revoke --record record --station CS001 --reason cessation-of-operation";

pub(crate) const CRL: &str = "\
Example: hsm crl --token 'pkcs11:token=csms?pin-source=file:pin' --ca-label sub --ca-cert chain.pem --record record --url http://pki.example.com/sub.crl --out sub.crl --der";

pub(crate) const AUDIT_VERIFY: &str = "\
Example: hsm audit verify --record record --head 5f7a...";
