"""A station on the package `ocpp`: requests its certificate from a CSMS, with a request that OpenSSL made.

Prints one JSON line per step: {"step": ..., "result": ...}. The caller checks them.
"""

import argparse
import asyncio
import base64
import json
import ssl

from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from websockets.asyncio.client import connect


def report(step, result):
    print(json.dumps({"step": step, "result": result}), flush=True)


class Station(ChargePoint):
    """A station that waits for its certificate."""

    def __init__(self, identity, connection, verdict):
        super().__init__(identity, connection)
        self.verdict = verdict
        self.chain = asyncio.get_running_loop().create_future()

    @on("CertificateSigned")
    def on_certificate_signed(self, certificate_chain, certificate_type=None, **_):
        report("certificate signed", {"type": certificate_type})
        self.received = certificate_chain
        return call_result.CertificateSigned(status=self.verdict)

    @after("CertificateSigned")
    async def after_certificate_signed(self, **_):
        if not self.chain.done():
            self.chain.set_result(self.received)


async def raw_call(connection, station, text):
    """Sends a frame that the package itself would refuse, and returns the whole answer."""
    answers = station.raw_answers = asyncio.Queue()
    await connection.send(text)
    return await asyncio.wait_for(answers.get(), 10)


async def main():
    parser = argparse.ArgumentParser()
    for name in ("url", "root", "identity"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("password", "csr", "chain-out", "client-chain", "client-key", "serial-number"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--raw", action="append", default=[], help="file with a frame to send as it is; prints the answer")
    parser.add_argument("--verdict", default="Accepted", help="the answer to CertificateSigned")
    parser.add_argument("--hang-up-after-sign", action="store_true", help="answer nothing after SignCertificate")
    parser.add_argument("--no-boot", action="store_true")
    parser.add_argument("--await-certificate", action="store_true", help="wait for a CertificateSigned that is due")
    arguments = parser.parse_args()

    context = ssl.create_default_context(cafile=arguments.root)
    if arguments.client_chain:
        context.load_cert_chain(arguments.client_chain, arguments.client_key)
    headers = {}
    if arguments.password:
        credentials = f"{arguments.identity}:{arguments.password}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(credentials).decode()
    url = f"{arguments.url}/{arguments.identity}"
    try:
        connecting = connect(url, ssl=context, subprotocols=["ocpp2.0.1"], additional_headers=headers)
        connection = await asyncio.wait_for(connecting.__aenter__(), 20)
    except Exception as error:
        report("refused", getattr(getattr(error, "response", None), "status_code", None) or repr(error))
        return
    report("connected", connection.subprotocol)
    station = Station(arguments.identity, connection, arguments.verdict)
    receiver = connection.recv

    async def recv():
        """Passes frames that answer a raw call to that call, and all others to the package."""
        while True:
            text = await receiver()
            frame = json.loads(text)
            if frame[0] == 2 and arguments.hang_up_after_sign:
                continue  # The certificate may arrive before the station has hung up.
            raw = frame[0] in (3, 4) and (str(frame[1]).startswith("raw-") or frame[1] == "-1")
            if not raw:
                return text
            station.raw_answers.put_nowait(frame)

    connection.recv = recv
    running = asyncio.create_task(station.start())
    try:
        if not arguments.no_boot:
            boot = await station.call(
                call.BootNotification(
                    charging_station={
                        "model": "Python",
                        "vendor_name": "Interop",
                        "serial_number": arguments.serial_number or arguments.identity,
                    },
                    reason="PowerUp",
                )
            )
            report("boot", {"status": boot.status, "interval": boot.interval})
        for path in arguments.raw:
            report("raw", await raw_call(connection, station, open(path).read()))
        if arguments.csr:
            answer = await station.call(
                call.SignCertificate(
                    csr=open(arguments.csr).read(), certificate_type="ChargingStationCertificate"
                )
            )
            info = answer.status_info or {}
            report("sign certificate", {"status": answer.status, "reason": info.get("reason_code"),
                                        "info": info.get("additional_info")})
            if arguments.hang_up_after_sign:
                connection.transport.abort()
                return
            arguments.await_certificate = arguments.await_certificate or answer.status == "Accepted"
        if arguments.await_certificate:
            chain = await asyncio.wait_for(station.chain, 20)
            if arguments.chain_out:
                with open(arguments.chain_out, "w") as file:
                    file.write(chain)
        heartbeat = await station.call(call.Heartbeat())
        report("heartbeat", bool(heartbeat.current_time))
    except Exception as error:  # the caller sees which line is missing
        report("ended", repr(error))
    finally:
        running.cancel()
        await connection.close()
    report("finished", True)


asyncio.run(main())
