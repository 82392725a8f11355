"""Writes requests with RSA keys that are weak on purpose, for CN=CS-0001, O=Example, each with a valid signature.

Libraries no longer generate such keys, so this script generates the primes and writes the DER. Argument: the folder.
"""

import hashlib
import math
import pathlib
import random
import sys

RANDOM = random.Random(2026)
EXPONENT = 65537


def is_prime(n):
    if any(n % p == 0 for p in SMALL_PRIMES):
        return n in SMALL_PRIMES
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for _ in range(12):
        x = pow(RANDOM.randrange(2, n - 1), d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def sieve(limit):
    return [p for p in range(2, limit) if all(p % d for d in range(2, math.isqrt(p) + 1))]


SMALL_PRIMES = sieve(2000)


def usable(p, exponent):
    return is_prime(p) and math.gcd(p - 1, exponent) == 1


def prime(bits, exponent=EXPONENT):
    while True:
        # The two highest bits, so that products have their full length.
        p = RANDOM.getrandbits(bits) | 3 << bits - 2 | 1
        if usable(p, exponent):
            return p


def next_prime(p):
    p += 2
    while not usable(p, EXPONENT):
        p += 2
    return p


def roca_prime(bits):
    """k * M + (65537 ** a mod M), as Infineon's library made them (CVE-2017-15361)."""
    m = math.prod(SMALL_PRIMES[:126])
    while True:
        base = pow(65537, RANDOM.getrandbits(200), m)
        k = RANDOM.randrange((3 << bits - 2) // m, (1 << bits) // m)
        p = k * m + base
        if p.bit_length() == bits and usable(p, EXPONENT):
            return p


def tlv(tag, *parts):
    content = b"".join(parts)
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 | len(octets)]) + octets + content


def integer(n):
    return tlv(2, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def algorithm(oid):
    return tlv(0x30, tlv(6, bytes.fromhex(oid)), tlv(5))


def name(**attributes):
    oids = {"O": "55040a", "CN": "550403"}
    parts = [
        tlv(0x31, tlv(0x30, tlv(6, bytes.fromhex(oids[key])), tlv(12, value.encode())))
        for key, value in attributes.items()
    ]
    return tlv(0x30, *parts)


def request(n, d, exponent=EXPONENT):
    key = tlv(0x30, integer(n), integer(exponent))
    spki = tlv(0x30, algorithm("2a864886f70d010101"), tlv(3, b"\0", key))
    info = tlv(0x30, integer(0), name(O="Example", CN="CS-0001"), spki, tlv(0xA0))
    digest = tlv(0x30, algorithm("608648016503040201"), tlv(4, hashlib.sha256(info).digest()))
    size = (n.bit_length() + 7) // 8
    block = b"\0\1" + b"\xff" * (size - 3 - len(digest)) + b"\0" + digest
    signature = pow(int.from_bytes(block, "big"), d, n).to_bytes(size, "big")
    return tlv(0x30, info, algorithm("2a864886f70d01010b"), tlv(3, b"\0", signature))


def by_factors(p, q, exponent=EXPONENT):
    return request(p * q, pow(exponent, -1, math.lcm(p - 1, q - 1)), exponent)


def main():
    folder = pathlib.Path(sys.argv[1])
    p, q = prime(1024, 3 * EXPONENT), prime(1024, 3 * EXPONENT)
    requests = {
        "sound": by_factors(p, q),
        "exponent-3": by_factors(p, q, 3),
        "even": request(2 * p * q, 1),
        "small-factor": by_factors(743, prime(2040)),
        "close-factors": by_factors(p, next_prime(p)),
        "roca": by_factors(roca_prime(1024), roca_prime(1024)),
        "odd-length": by_factors(prime(1028), prime(1028)),
        "too-long": request(RANDOM.getrandbits(9000) | 1 << 8999 | 1, 1),
    }
    for title, der in requests.items():
        (folder / f"{title}.der").write_bytes(der)


main()
