"""A station on the package `ocpp`, of any version of OCPP, that a test controls step by step.

Commands arrive as JSON lines on standard input, {"do": ..., ...}; each is answered by a line {"done": ..., "result": ...}.
Every frame is printed when it passes the socket: {"in": frame} and {"out": frame}. The package `cryptography` makes keys,
requests and hash data.
"""

import argparse
import asyncio
import base64
import hashlib
import importlib
import json
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from ocpp.charge_point import camel_to_snake_case
from ocpp.exceptions import GenericError
from ocpp.routing import after, on
from websockets.asyncio.client import connect

ACTIONS = [
    "CertificateSigned",
    "TriggerMessage",
    "ExtendedTriggerMessage",
    "InstallCertificate",
    "GetInstalledCertificateIds",
    "DeleteCertificate",
    "GetVariables",
    "SetVariables",
    "ChangeConfiguration",
    "GetConfiguration",
    "SetNetworkProfile",
    "Reset",
]


def tell(line):
    print(json.dumps(line), flush=True)


def hash_data(certificate, algorithm):
    """The hash data of a root, which is its own issuer: the bits of the key are hashed, without tag, length and unused bits."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        bits = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    else:
        bits = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    digest = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}[algorithm]
    return {
        "hash_algorithm": algorithm,
        "issuer_name_hash": digest(certificate.issuer.public_bytes()).hexdigest(),
        "issuer_key_hash": digest(bits).hexdigest(),
        "serial_number": format(certificate.serial_number, "x"),
    }


class Puppet:
    """The state that lasts longer than a connection: keys, the inventory, the answers that the test has chosen."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.key = None
        self.csr = None
        self.inventory = []  # [type, certificate]
        self.algorithm = "SHA256"
        self.answers = {}
        self.station = None

    def make_key(self, subject, kind):
        self.key = rsa.generate_private_key(65537, 4096) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())
        attributes = {"O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}
        name = x509.Name([x509.NameAttribute(attributes[part], value) for part, value in subject.items()])
        csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(self.key, hashes.SHA256())
        self.csr = csr.public_bytes(serialization.Encoding.PEM).decode()
        return self.csr

    def certificate_signed(self, certificate_chain, **_):
        leaf = x509.load_pem_x509_certificates(certificate_chain.encode())[0]
        if self.key is None or leaf.public_key() != self.key.public_key():
            return {"status": "Rejected"}
        with open("puppet-chain.pem", "w") as file:
            file.write(certificate_chain)
        with open("puppet-key.pem", "wb") as file:
            file.write(
                self.key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            )
        return {"status": "Accepted"}

    def install_certificate(self, certificate_type, certificate, **_):
        self.inventory.append((certificate_type, x509.load_pem_x509_certificate(certificate.encode())))
        return {"status": "Accepted"}

    def get_installed_certificate_ids(self, certificate_type=None, **_):
        wanted = [certificate_type] if isinstance(certificate_type, str) else certificate_type
        found = [entry for entry in self.inventory if wanted is None or entry[0] in wanted]
        if not found:
            return {"status": "NotFound"}
        data = [(use, hash_data(certificate, self.algorithm)) for use, certificate in found]
        if self.arguments.ocpp == "v16":
            return {"status": "Accepted", "certificate_hash_data": [entry for _, entry in data]}
        chains = [{"certificate_type": use, "certificate_hash_data": entry} for use, entry in data]
        return {"status": "Accepted", "certificate_hash_data_chain": chains}

    def delete_certificate(self, certificate_hash_data, **_):
        # The comparison is exact: the CSMS has to repeat the hash data that it received.
        kept = [
            entry
            for entry in self.inventory
            if hash_data(entry[1], certificate_hash_data["hash_algorithm"]) != certificate_hash_data
        ]
        found = len(kept) < len(self.inventory)
        self.inventory = kept
        return {"status": "Accepted" if found else "NotFound"}


def station_class(puppet, version):
    package = importlib.import_module(f"ocpp.{version}")

    class Station(package.ChargePoint):
        pass

    def handler(action, name):
        async def handle(self, **payload):
            canned = puppet.answers.get(action)
            if canned == "lose the answer":
                getattr(puppet, name)(**payload)
            if canned in ("hang up", "lose the answer"):
                self._connection.transport.abort()
                raise asyncio.CancelledError
            if isinstance(canned, dict) and "error" in canned:
                raise GenericError(description=canned["error"])
            answer = canned if canned is not None else getattr(puppet, name)(**payload)
            return getattr(package.call_result, action)(**answer)

        handle.__name__ = name
        return on(action)(handle)

    for action in ACTIONS:
        if not hasattr(package.call_result, action):
            continue
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in action).lstrip("_")
        setattr(Station, name, handler(action, name))
    Station.package = package
    return Station


class Wire:
    """The connection; the test receives every frame."""

    def __init__(self, connection):
        self.connection = connection
        self.transport = connection.transport
        self.answers = asyncio.Queue()

    async def recv(self):
        while True:
            text = await self.connection.recv()
            frame = json.loads(text)
            tell({"in": frame})
            # Answers to the test's own calls are passed to it.
            if frame[0] in (3, 4) and (str(frame[1]).startswith("test-") or frame[1] == "-1"):
                self.answers.put_nowait(frame)
                continue
            return text

    async def send(self, text):
        tell({"out": json.loads(text)})
        await self.connection.send(text)


class Session:
    def __init__(self, puppet):
        self.puppet = puppet
        self.connection = self.wire = self.running = None
        self.number = 0

    async def connect(self, subprotocols, password=None, key=None, client_chain=None, client_key=None, identity=None):
        arguments = self.puppet.arguments
        identity = identity or arguments.identity
        context = ssl.create_default_context(cafile=arguments.root)
        if client_chain:
            context.load_cert_chain(client_chain, client_key)
        headers = {}
        secret = bytes.fromhex(key) if key is not None else (password or "").encode()
        if secret:
            credentials = identity.encode() + b":" + secret
            headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
        url = f"{arguments.url}/{identity}"
        try:
            connecting = connect(url, ssl=context, subprotocols=subprotocols, additional_headers=headers)
            self.connection = await asyncio.wait_for(connecting.__aenter__(), 20)
        except Exception as error:
            return {"refused": getattr(getattr(error, "response", None), "status_code", None) or repr(error)}
        versions = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
        arguments.ocpp = versions[self.connection.subprotocol]
        self.wire = Wire(self.connection)
        station = station_class(self.puppet, arguments.ocpp)(identity, self.wire)
        self.running = asyncio.create_task(station.start())
        return {"connected": self.connection.subprotocol}

    async def call(self, action, payload, suffix=""):
        """Sends a frame of the test and returns the whole answer."""
        self.number += 1
        await self.wire.send(json.dumps([2, f"test-{self.number}{suffix}", action, payload]))
        return await asyncio.wait_for(self.wire.answers.get(), 20)

    async def closed(self):
        await asyncio.wait_for(self.connection.wait_closed(), 20)
        return self.connection.close_code

    async def close(self):
        self.running.cancel()
        await self.connection.close()


async def main():
    parser = argparse.ArgumentParser()
    for name in ("url", "root", "identity"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    puppet = Puppet(arguments)
    session = Session(puppet)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        do = command.pop("do")
        if do == "connect":
            result = await session.connect(**command)
        elif do == "call":
            result = await session.call(**command)
        elif do == "closed":
            result = await session.closed()
        elif do == "close":
            result = await session.close()
        elif do == "key":
            result = puppet.make_key(command["subject"], command.get("kind"))
        elif do == "answer":
            result = puppet.answers[command["action"]] = camel_to_snake_case(command["payload"])
        elif do == "algorithm":
            result = puppet.algorithm = command["name"]
        elif do == "url":
            result = arguments.url = command["url"]
        tell({"done": do, "result": result})


asyncio.run(main())
