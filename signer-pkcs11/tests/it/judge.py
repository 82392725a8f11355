"""Checks certificates and revocation lists with two libraries that the project did not write: cryptography and pkilint.

Argument: a folder. For each chain it contains `NAME.root.pem`, `NAME.chain.pem` (leaf first, without the root) and
optionally `NAME.crl.pem`; for each request `NAME.csr.pem`. Prints one finding per line, then the number of checked
objects.
"""

import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader, pkix
from pkilint.pkix import certificate, crl, extension, name

FINDINGS = []
COUNTS = {"certificates": 0, "signatures": 0, "lists": 0, "requests": 0}


def certificate_validator():
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def crl_validator():
    return crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


CERTIFICATE = certificate_validator()
CRL = crl_validator()


# Findings that do not apply to OCPP, each with the reason.
ALLOWED = {
    # ISO 15118-2 requires DC=CPO in the certificates of stations, which is not a domain name.
    "pkix.name_domain_components_invalid_domain_name",
}


def findings(title, results):
    for result in results:
        for finding in result.finding_descriptions:
            severity = finding.finding.severity
            if severity.name != "INFO" and finding.finding.code not in ALLOWED:
                FINDINGS.append(f"{title}: {severity.name} {finding.finding.code} {finding.message or ''}")


def judge_certificate(title, found):
    COUNTS["certificates"] += 1
    # Reading every extension makes cryptography parse it.
    list(found.extensions)
    if any(extension.oid._name == "extendedKeyUsage" for extension in found.extensions):
        FINDINGS.append(f"{title}: has an extended key usage")
    document = loader.load_certificate(found.public_bytes(Encoding.DER), title)
    findings(title, CERTIFICATE.validate(document.root))


def judge_signature(title, issuer, below):
    COUNTS["signatures"] += 1
    below.verify_directly_issued_by(issuer)
    key_id = below.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    if key_id != issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest:
        FINDINGS.append(f"{title}: the AKI is not the issuer's SKI")
    if below.not_valid_after_utc > issuer.not_valid_after_utc:
        FINDINGS.append(f"{title}: lasts longer than its issuer")


def judge_chain(path):
    title = path.name.removesuffix(".chain.pem")
    root = x509.load_pem_x509_certificate((path.parent / f"{title}.root.pem").read_bytes())
    chain = x509.load_pem_x509_certificates(path.read_bytes())
    for place, (found, issuer) in enumerate(zip(chain, [*chain[1:], root], strict=True)):
        judge_certificate(f"{title} {place}", found)
        judge_signature(f"{title} {place}", issuer, found)
    judge_certificate(f"{title} root", root)
    root.verify_directly_issued_by(root)
    if len(chain[0].serial_number.to_bytes(20, "big").lstrip(b"\0")) != 17:
        FINDINGS.append(f"{title}: the serial number has not 17 octets")
    lists = path.parent / f"{title}.crl.pem"
    if lists.exists():
        judge_crl(title, lists.read_bytes(), chain[1] if len(chain) > 1 else root)


def judge_crl(title, pem, issuer):
    COUNTS["lists"] += 1
    found = x509.load_pem_x509_crl(pem)
    if not found.is_signature_valid(issuer.public_key()):
        FINDINGS.append(f"{title}: the list's signature does not verify")
    if found.issuer != issuer.subject:
        FINDINGS.append(f"{title}: the list has another issuer")
    list(found.extensions)
    document = loader.load_crl(found.public_bytes(Encoding.DER), title)
    findings(f"{title} list", CRL.validate(document.root))


def judge_request(path):
    COUNTS["requests"] += 1
    if not x509.load_pem_x509_csr(path.read_bytes()).is_signature_valid:
        FINDINGS.append(f"{path.name}: the signature does not verify")


def main():
    folder = pathlib.Path(sys.argv[1])
    for path in sorted(folder.glob("*.chain.pem")):
        judge_chain(path)
    for path in sorted(folder.glob("*.csr.pem")):
        judge_request(path)
    for finding in FINDINGS:
        print(finding)
    print(", ".join(f"{count} {what}" for what, count in COUNTS.items()))
    sys.exit(1 if FINDINGS else 0)


main()
