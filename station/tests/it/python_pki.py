"""Valid and invalid certificates of an authority, and an OCSP responder for them; all with `cryptography`."""

import datetime
import http.server
import pathlib
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

ATTRIBUTES = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "C": NameOID.COUNTRY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
}
ALGORITHMS = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def load(name):
    """The certificate and key of `NAME.pem` and `NAME.key`."""
    certificate = x509.load_pem_x509_certificate(pathlib.Path(f"{name}.pem").read_bytes())
    return certificate, serialization.load_pem_private_key(pathlib.Path(f"{name}.key").read_bytes(), None)


def describe(csr):
    """The content of a CSR."""
    key = csr.public_key()
    return {
        "valid": csr.is_signature_valid,
        "subject": {name: [part.value for part in csr.subject.get_attributes_for_oid(oid)] for name, oid in ATTRIBUTES.items()},
        "elliptic": isinstance(key, ec.EllipticCurvePublicKey),
        "bits": key.key_size,
        "fingerprint": key_fingerprint(key),
    }


def key_fingerprint(key):
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex()


def issue(wanted, responder=None):
    """Issues a certificate; the options:

    csr        the request, PEM; without it the authority generates a key and writes it to `file`
    issuer     the authority, by the name of its files; without it the certificate is self-signed
    subject    {"CN": …, "O": …}; default: that of the request
    from, to   the validity, in seconds from now; default: five minutes ago, in a day
    ca         it is a certification authority
    keyUsage   "none": without the extension; "agreement": without digitalSignature
    ocsp       the path of its OCSP URL, at the responder of this process; without it the certificate has none
    revoked    the responder reports it as revoked
    file       write it to FILE.pem
    chain      names of files that follow it in the PEM text
    """
    csr = x509.load_pem_x509_csr(wanted["csr"].encode()) if "csr" in wanted else None
    key = None if csr else ec.generate_private_key(ec.SECP256R1())
    public_key = (csr or key).public_key()
    if "subject" in wanted:
        parts = [x509.NameAttribute(ATTRIBUTES[name], value) for name, value in wanted["subject"].items()]
        subject = x509.Name(parts)
    else:
        subject = csr.subject
    issuer, issuer_key = load(wanted["issuer"]) if "issuer" in wanted else (None, key)
    ca = wanted.get("ca", False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + datetime.timedelta(seconds=wanted.get("from", -300)))
        .not_valid_after(now() + datetime.timedelta(seconds=wanted.get("to", 86_400)))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    usage = wanted.get("keyUsage")
    if usage != "none":
        usages = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "encipher_only", "decipher_only"), False
        )
        builder = builder.add_extension(
            x509.KeyUsage(
                digital_signature=not ca and usage != "agreement",
                key_agreement=usage == "agreement",
                key_cert_sign=ca,
                crl_sign=ca,
                **usages,
            ),
            critical=True,
        )
    if "ocsp" in wanted:
        url = x509.UniformResourceIdentifier(f"http://localhost:{responder.port}/{wanted['ocsp']}")
        access = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, url)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    if "ocsp" in wanted:
        responder.add(certificate, issuer, issuer_key, wanted.get("revoked", False))
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    if "file" in wanted:
        pathlib.Path(f"{wanted['file']}.pem").write_text(pem)
        if key:
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            pathlib.Path(f"{wanted['file']}.key").write_bytes(key.private_bytes(*form))
    following = "".join(pathlib.Path(f"{name}.pem").read_text() for name in wanted.get("chain", ()))
    return {
        "pem": pem + following,
        "serial": f"{certificate.serial_number:x}",
        "csr": describe(csr) if csr else None,
    }


class Responder:
    """An OCSP responder (RFC 6960) over HTTP, for certificates that were issued with its URL."""

    def __init__(self):
        self.issued = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = outer.answer(ocsp.load_der_ocsp_request(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/ocsp-response")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def add(self, certificate, issuer, issuer_key, revoked):
        self.issued[certificate.serial_number] = (certificate, issuer, issuer_key, revoked)

    def answer(self, request):
        """Signed by the issuer; `unauthorized` if this responder does not know the certificate, or if the hashes are not its issuer's."""
        certificate, issuer, issuer_key, revoked = self.issued.get(request.serial_number, [None] * 4)
        if certificate is None or not is_of(request, issuer):
            refusal = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
            return refusal.public_bytes(serialization.Encoding.DER)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=issuer,
                algorithm=request.hash_algorithm,
                cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
                this_update=now(),
                next_update=now() + datetime.timedelta(days=7),
                revocation_time=now() if revoked else None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.NAME, issuer)
            .sign(issuer_key, hashes.SHA256())
        )
        return response.public_bytes(serialization.Encoding.DER)


def is_of(request, issuer):
    """Whether the hashes of a request are those of this issuer, computed here from its certificate."""
    parts = ((issuer.subject.public_bytes(), request.issuer_name_hash), (key_bits(issuer), request.issuer_key_hash))
    for content, given in parts:
        digest = hashes.Hash(request.hash_algorithm)
        digest.update(content)
        if digest.finalize() != given:
            return False
    return True


def key_bits(certificate):
    """The subject's public key as RFC 6960 hashes it: the point of an elliptic curve."""
    form = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return certificate.public_key().public_bytes(*form)


def hash_data(wanted):
    """The certificate hash data of `certificate` under `issuer`, by the names of their files, as OCPP defines them."""
    certificate, issuer = (
        x509.load_pem_x509_certificate(pathlib.Path(f"{wanted[name]}.pem").read_bytes()) for name in ("certificate", "issuer")
    )

    def digest(content):
        state = hashes.Hash(ALGORITHMS[wanted["algorithm"]])
        state.update(content)
        return state.finalize().hex()

    return {
        "hashAlgorithm": wanted["algorithm"],
        "issuerNameHash": digest(issuer.subject.public_bytes()),
        "issuerKeyHash": digest(key_bits(issuer)),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def ocsp_request(data):
    """The request that GetCertificateStatus asks a CSMS to make, DER."""
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        bytes.fromhex(data["issuer_name_hash"]),
        bytes.fromhex(data["issuer_key_hash"]),
        int(data["serial_number"], 16),
        ALGORITHMS[data["hash_algorithm"]],
    )
    return builder.build().public_bytes(serialization.Encoding.DER)
