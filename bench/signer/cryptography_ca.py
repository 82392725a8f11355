"""An authority by Python's cryptography with a key in software: reads, proves and certifies the requests of a folder.

Prints the CPU time per certificate in microseconds. Arguments: the folder, how often.
"""

import datetime
import pathlib
import sys
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

FOLDER, REPEATS = pathlib.Path(sys.argv[1]), int(sys.argv[2])
REQUESTS = [path.read_bytes() for path in sorted(FOLDER.glob("*.csr"))]
KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Root")])
OCSP = x509.AccessDescription(
    x509.AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example.com/")
)
CRL = x509.DistributionPoint([x509.UniformResourceIdentifier("http://pki.example.com/cso.crl")], None, None, None)
USAGE = x509.KeyUsage(True, *[False] * 8)


def certify(pem):
    request = x509.load_pem_x509_csr(pem)
    if not request.is_signature_valid:
        raise ValueError("possession is not proven")
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(ISSUER)
        .subject_name(request.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(USAGE, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(KEY.public_key()), False)
        .add_extension(x509.CRLDistributionPoints([CRL]), False)
        .add_extension(x509.AuthorityInformationAccess([OCSP]), False)
    )
    return builder.sign(KEY, hashes.SHA256())


certify(REQUESTS[0])
begin = time.process_time()
for _ in range(REPEATS):
    for pem in REQUESTS:
        certify(pem)
print((time.process_time() - begin) / (REPEATS * len(REQUESTS)) * 1e6)
