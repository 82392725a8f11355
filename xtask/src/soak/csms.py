"""A CSMS on the package `ocpp` for a station that is killed repeatedly.

It signs every certificate request that it accepts, and delivers the certificate until the station has answered. It also reads
commands, one JSON line each, from the standard input: `{"id": …, "action": …, "payload": …}` sends a call;
`{"next_request": "Accepted" | "Rejected" | "wrong first"}` sets the answer to the next certificate request;
`{"new_station": true}` announces that another station will connect.

Prints one JSON line per step: {"step": …, …}. The caller checks the steps.
"""

import argparse
import asyncio
import base64
import contextlib
import datetime
import hashlib
import json
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ocpp.charge_point import camel_to_snake_case, snake_to_camel_case
from ocpp.exceptions import OCPPError
from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


def report(step, **result):
    print(json.dumps({"step": step, **result}), flush=True)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def certificate(subject, issuer_name, issuer_key, public_key, authority):
    """A root, or a station's certificate according to OCPP (A00.FR.509, 511, 512, 514)."""
    usage = x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - datetime.timedelta(minutes=5))
        .not_valid_after(now() + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def hash_data(root, algorithm):
    """CertificateHashDataType of a root, computed independently of the station."""
    digest = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}[algorithm]
    point = root.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": digest(root.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": digest(point).hexdigest(),
        "serialNumber": f"{root.serial_number:x}",
    }


def make_roots(count):
    """Roots to be installed and deleted. They issue no certificates."""
    for number in range(count):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Soak Root {number}")])
        root = certificate(name, name, key, key.public_key(), True)
        yield {
            "pem": root.public_bytes(PEM).decode(),
            "hash": {algorithm: hash_data(root, algorithm) for algorithm in ("SHA256", "SHA384", "SHA512")},
        }


class Request:
    """A certificate request that was accepted, with the certificate that answers it."""

    def __init__(self, csr, authority):
        self.csr = csr
        subject, key = csr.subject, csr.public_key()
        self.chain = certificate(subject, authority.name, authority.key, key, False)


class Authority:
    def __init__(self, certificate_path, key_path):
        with open(certificate_path, "rb") as file:
            self.name = x509.load_pem_x509_certificate(file.read()).subject
        with open(key_path, "rb") as file:
            self.key = serialization.load_pem_private_key(file.read(), None)


class Csms:
    """The state that outlives a connection."""

    def __init__(self, arguments):
        self.authority = Authority(arguments.ca, arguments.ca_key)
        self.undelivered = {}
        self.next_request = "Accepted"
        self.station = None
        self.connections = 0

    def fingerprint(self, csr):
        return hashlib.sha256(csr.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class Station(ChargePoint):
    """The station on one connection."""

    def __init__(self, identity, connection, csms, number):
        super().__init__(identity, connection)
        self.csms = csms
        self.number = number
        self.closed = asyncio.Event()
        # Tasks that still have something to report about this connection.
        self.busy = set()

    @on("BootNotification")
    def on_boot(self, reason, **_):
        return call_result.BootNotification(current_time=now().isoformat(), interval=60, status="Accepted")

    @after("BootNotification")
    async def after_boot(self, reason, **_):
        report("boot", connection=self.number, reason=reason)
        for request in list(self.csms.undelivered.values()):
            await self.deliver(request)

    @on("Heartbeat")
    def on_heartbeat(self):
        return call_result.Heartbeat(current_time=now().isoformat())

    @on("SecurityEventNotification")
    def on_security_event(self, type, **_):
        report("security event", type=type)
        return call_result.SecurityEventNotification()

    @on("SignCertificate")
    def on_sign_certificate(self, csr, **_):
        request = x509.load_pem_x509_csr(csr.encode())
        self.what, self.csms.next_request = self.csms.next_request, "Accepted"
        self.fingerprint = self.csms.fingerprint(request)
        status = "Rejected" if self.what == "Rejected" else "Accepted"
        undelivered = self.csms.undelivered
        if status == "Accepted" and self.fingerprint not in undelivered:
            undelivered[self.fingerprint] = Request(request, self.csms.authority)
        report("request", sound=request.is_signature_valid, status=status, undelivered=len(undelivered))
        return call_result.SignCertificate(status=status)

    @after("SignCertificate")
    async def after_sign_certificate(self, **_):
        request = self.csms.undelivered.get(self.fingerprint)
        if self.what == "Rejected" or request is None:
            return
        if self.what == "wrong first":
            # For a key that the station does not hold (A02.FR.07).
            key = ec.generate_private_key(ec.SECP256R1())
            authority = self.csms.authority
            wrong = certificate(request.csr.subject, authority.name, authority.key, key.public_key(), False)
            await self.send_certificate(wrong)
        await self.deliver(request)

    async def deliver(self, request):
        """Sends the certificate. It stays undelivered until the station has answered."""
        self.is_busy()
        if await self.send_certificate(request.chain):
            self.csms.undelivered.pop(self.csms.fingerprint(request.csr), None)
        report("undelivered", count=len(self.csms.undelivered))

    async def send_certificate(self, chain):
        serial = f"{chain.serial_number:x}"
        report("signing", serial=serial)
        pem = chain.public_bytes(PEM).decode()
        answer = await self.ask(
            call.CertificateSigned(certificate_chain=pem, certificate_type="ChargingStationCertificate")
        )
        report("signed", serial=serial, answer=answer)
        return "status" in answer

    def is_busy(self):
        """Notes that the present task must report before the end of the connection is reported."""
        task = asyncio.current_task()
        self.busy.add(task)
        task.add_done_callback(self.busy.discard)

    async def ask(self, request):
        """The station's answer, or `lost` if the connection ended first: then it is unknown what the station has done."""
        asking = asyncio.create_task(self.call(request, suppress=False))
        closing = asyncio.create_task(self.closed.wait())
        await asyncio.wait({asking, closing}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if not asking.done():
            # An answer that arrived before the end is in the queue already.
            await asyncio.wait({asking}, timeout=0.2)
        if not asking.done():
            asking.cancel()
            return {"lost": True}
        try:
            return snake_to_camel_case(vars(asking.result()))
        except OCPPError as error:
            return {"error": repr(error)}
        except (ConnectionClosed, asyncio.TimeoutError) as error:
            return {"lost": True, "why": repr(error)}


async def main():
    parser = argparse.ArgumentParser()
    for name in ("server-chain", "server-key", "ca", "ca-key", "identity", "password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--roots", type=int, required=True)
    arguments = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.server_chain, arguments.server_key)
    context.load_verify_locations(arguments.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    csms = Csms(arguments)
    waiting = set()

    def on_request(connection, request):
        if connection.transport.get_extra_info("peercert"):
            return None
        header = request.headers.get("Authorization", " ").split(" ", 1)[1]
        user, _, given = base64.b64decode(header).decode().partition(":")
        if (user, given) != (arguments.identity, arguments.password):
            report("refused")
            return connection.respond(401, "")

    async def on_connection(connection):
        csms.connections += 1
        station = csms.station = Station(arguments.identity, connection, csms, csms.connections)
        peer = connection.transport.get_extra_info("peercert")
        serial = peer["serialNumber"].lower().lstrip("0") if peer else None
        report("connected", connection=station.number, profile=3 if peer else 2, serial=serial)
        try:
            await station.start()
        except ConnectionClosed:
            # The package stops when it can no longer answer. Messages that the station has sent
            # before the end still count.
            with contextlib.suppress(ConnectionClosed):
                while True:
                    message = await connection.recv()
                    with contextlib.suppress(ConnectionClosed):
                        await station.route_message(message)
        station.closed.set()
        # The tasks of the last messages can start now. They report before the end of the connection
        # is reported.
        await asyncio.sleep(0)
        if station.busy:
            await asyncio.wait(station.busy)
        report("disconnected", connection=station.number)

    async def call_station(command):
        request = getattr(call, command["action"])(**camel_to_snake_case(command["payload"]))
        station = csms.station
        if station is None:
            answer = {"lost": True}
        else:
            station.is_busy()
            answer = await station.ask(request)
        report("answer", id=command["id"], answer=answer)

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serve(
        on_connection, "localhost", 0, ssl=context, subprotocols=["ocpp2.0.1"], process_request=on_request
    ) as server:
        port = server.sockets[0].getsockname()[1]
        report("listening", port=port, roots=list(make_roots(arguments.roots)))
        async for line in reader:
            command = json.loads(line)
            if "next_request" in command:
                csms.next_request = command["next_request"]
            elif "new_station" in command:
                csms.undelivered.clear()
                csms.next_request = "Accepted"
            else:
                task = asyncio.create_task(call_station(command))
                waiting.add(task)
                task.add_done_callback(waiting.discard)


asyncio.run(main())
