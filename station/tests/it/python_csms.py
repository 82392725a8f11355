"""A CSMS on the package `ocpp`: asks a station for its certificate, signs it, then manages certificates on it.

Prints one JSON line per step: {"step": ..., "result": ...}. The caller judges them.
"""

import argparse
import asyncio
import base64
import datetime
import json
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.enums import InstallCertificateUseEnumType, MessageTriggerEnumType
from websockets.asyncio.server import serve


def report(step, result):
    print(json.dumps({"step": step, "result": result}), flush=True)


def sign(csr_pem, ca_certificate, ca_key):
    """A station certificate by the rules of OCPP (A00.FR.509, 511, 512, 514)."""
    csr = x509.load_pem_x509_csr(csr_pem.encode())
    report("csr", {"valid": csr.is_signature_valid, "subject": csr.subject.rfc4514_string()})
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(ca_certificate.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(csr.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_certificate.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Station(ChargePoint):
    """The station as this CSMS sees it."""

    def __init__(self, identity, connection, arguments, booted):
        super().__init__(identity, connection)
        self.arguments = arguments
        self.booted = booted
        self.signed = asyncio.Event()

    @on("BootNotification")
    def on_boot(self, charging_station, reason, **_):
        report("boot", {"serialNumber": charging_station.get("serial_number"), "reason": reason})
        now = datetime.datetime.now(datetime.timezone.utc)
        self.rejected = self.arguments.reject_first_boot
        self.arguments.reject_first_boot = False
        status, interval = ("Rejected", 3) if self.rejected else ("Accepted", 60)
        return call_result.BootNotification(current_time=now.isoformat(), interval=interval, status=status)

    @after("BootNotification")
    async def after_boot(self, **_):
        if self.rejected:
            report("trigger before acceptance", await raw_call(
                self._connection, self, "TriggerMessage", {"requestedMessage": "Heartbeat"}
            ))
        else:
            self.booted.set()

    @on("Heartbeat")
    def on_heartbeat(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        return call_result.Heartbeat(current_time=now.isoformat())

    @on("SecurityEventNotification")
    def on_security_event(self, type, timestamp, **_):
        report("security event", type)
        return call_result.SecurityEventNotification()

    @on("SignCertificate")
    def on_sign_certificate(self, csr, certificate_type=None, **_):
        self.csr = csr
        self.certificate_type = certificate_type
        return call_result.SignCertificate(status="Accepted")

    @after("SignCertificate")
    async def after_sign_certificate(self, **_):
        arguments = self.arguments
        if arguments.send_wrong_certificate_first:
            # A certificate for a key that the station does not hold (A02.FR.07).
            wrong = sign(open(arguments.wrong_csr).read(), arguments.ca_certificate, arguments.ca_key)
            answer = await self.call(
                call.CertificateSigned(certificate_chain=wrong, certificate_type=self.certificate_type)
            )
            report("wrong certificate", {"status": answer.status, "reason": (answer.status_info or {}).get("reason_code")})
        chain = sign(self.csr, arguments.ca_certificate, arguments.ca_key)
        answer = await self.call(
            call.CertificateSigned(certificate_chain=chain, certificate_type=self.certificate_type)
        )
        report("certificate signed", {"type": self.certificate_type, "status": answer.status})
        self.signed.set()


async def raw_call(connection, station, action, payload):
    """A request that the package itself would refuse to send; returns the whole answer."""
    identifier = f"raw-{action}"[:36]
    answers = station.raw_answers = asyncio.Queue()
    await connection.send(json.dumps([2, identifier, action, payload]))
    return await asyncio.wait_for(answers.get(), 10)


async def manage(station, connection, arguments):
    """InstallCertificate, GetInstalledCertificateIds, DeleteCertificate and what a careless CSMS gets wrong."""
    empty = await station.call(
        call.GetInstalledCertificateIds(certificate_type=["MORootCertificate"])
    )
    report("nothing of a type", {"status": empty.status, "chain": empty.certificate_hash_data_chain})
    root = open(arguments.manufacturer_root).read()
    installed = await station.call(
        call.InstallCertificate(
            certificate_type=InstallCertificateUseEnumType.manufacturer_root_certificate, certificate=root
        )
    )
    report("install", installed.status)
    listed = await station.call(call.GetInstalledCertificateIds())
    report("list", listed.certificate_hash_data_chain)
    for entry in listed.certificate_hash_data_chain:
        if entry["certificate_type"] == "ManufacturerRootCertificate":
            data = entry["certificate_hash_data"]
            for step in ("delete", "delete again"):
                answer = await station.call(call.DeleteCertificate(certificate_hash_data=data))
                report(step, answer.status)
            bad = {
                "hashAlgorithm": data["hash_algorithm"],
                "issuerNameHash": data["issuer_name_hash"],
                "issuerKeyHash": data["issuer_key_hash"],
                "serialNumber": "a" * 41,
            }
            answer = await raw_call(connection, station, "DeleteCertificate", {"certificateHashData": bad})
            report("serial number of 41 characters", answer)
    report("unknown type", await raw_call(
        connection, station, "InstallCertificate", {"certificateType": "NoSuchType", "certificate": "x"}
    ))
    report("unknown action", await raw_call(connection, station, "FlyToTheMoon", {}))
    report("not offered", await raw_call(connection, station, "GetLocalListVersion", {}))
    await connection.send("this is no JSON")
    report("not JSON", await asyncio.wait_for(station.raw_answers.get(), 10))
    combined = await station.call(call.TriggerMessage(requested_message=MessageTriggerEnumType.sign_combined_certificate))
    report("trigger combined", combined.status)


async def main():
    parser = argparse.ArgumentParser()
    for name in ("server-chain", "server-key", "ca", "ca-key", "manufacturer-root", "identity", "password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--wrong-csr")
    parser.add_argument("--send-wrong-certificate-first", action="store_true")
    parser.add_argument("--reject-first-boot", action="store_true")
    parser.add_argument("--refuse-certificate", action="store_true", help="HTTP 403 for who comes with one")
    parser.add_argument("--trigger-only", action="store_true", help="keep serving after the certificate was accepted")
    arguments = parser.parse_args()
    arguments.ca_certificate = x509.load_pem_x509_certificate(open(arguments.ca, "rb").read())
    arguments.ca_key = serialization.load_pem_private_key(open(arguments.ca_key, "rb").read(), None)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.server_chain, arguments.server_key)
    context.load_verify_locations(arguments.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    finished = asyncio.Event()
    booted = asyncio.Event()

    async def on_connection(connection):
        identity = connection.request.path.rsplit("/", 1)[-1]
        certificate = connection.transport.get_extra_info("peercert")
        subject = {key: value for part in (certificate or {}).get("subject", ()) for key, value in part}
        authorization = connection.request.headers.get("Authorization")
        if authorization:
            user, _, password = base64.b64decode(authorization.split(" ", 1)[1]).decode().partition(":")
            good = user == arguments.identity and password == arguments.password
            report("connected", {"profile": 2, "identity": identity, "credentials": good})
        else:
            report("connected", {"profile": 3, "identity": identity, "cn": subject.get("commonName")})
        station = Station(identity, connection, arguments, booted)
        receiver = connection.recv

        async def recv():
            """Frames that answer a raw call go to it, all others to the package."""
            while True:
                text = await receiver()
                frame = json.loads(text)
                raw = frame[0] in (3, 4) and (str(frame[1]).startswith("raw-") or frame[1] == "-1")
                if not raw:
                    return text
                station.raw_answers.put_nowait(frame)

        connection.recv = recv
        running = asyncio.create_task(station.start())
        try:
            await asyncio.wait_for(booted.wait(), 20)
            if certificate is None:
                answer = await station.call(
                    call.TriggerMessage(requested_message=MessageTriggerEnumType.sign_charging_station_certificate)
                )
                report("trigger", answer.status)
                await running
            elif not arguments.trigger_only:
                await manage(station, connection, arguments)
                finished.set()
            else:
                await running
        except Exception as error:  # the connection ends, or a step failed: the caller sees which line is missing
            report("ended", repr(error))
        finally:
            running.cancel()

    def on_request(connection, request):
        if arguments.refuse_certificate and connection.transport.get_extra_info("peercert"):
            report("certificate refused", True)
            return connection.respond(403, "")

    async with serve(
        on_connection, "localhost", 0, ssl=context, subprotocols=["ocpp2.0.1"], process_request=on_request
    ) as server:
        report("listening", server.sockets[0].getsockname()[1])
        await asyncio.wait_for(finished.wait(), 120)
    report("finished", True)


asyncio.run(main())
