"""An RSA identity for the daemon, made with the standard library.

Old nodes of the network have RSA names: the name is a hash, so the key has to be carried in the handshake and can be
looked up under /pk/. This peer is the one that tests them. The key lives as long as one test: speed of generation
matters here, resistance to side channels does not.
"""

import hashlib
import secrets

from wire import field

SMALL_PRIMES = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]
EXPONENT = 65537


def is_prime(n):
    if any(n % p == 0 for p in SMALL_PRIMES):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    # Eight Miller-Rabin rounds: for random 1024 bit candidates far beyond what a test can notice.
    return all(passes(n, odd, twos) for _ in range(8))


def passes(n, odd, twos):
    x = pow(secrets.randbelow(n - 3) + 2, odd, n)
    if x in (1, n - 1):
        return True
    for _ in range(twos - 1):
        x = x * x % n
        if x == n - 1:
            return True
    return False


def prime(bits):
    while True:
        # The two upper bits make the product of two primes exactly twice as long.
        n = secrets.randbits(bits) | 0b11 << (bits - 2) | 1
        if n % EXPONENT != 1 and is_prime(n):
            return n


def der(tag, body):
    length = len(body)
    if length < 0x80:
        return bytes([tag, length]) + body
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def integers(*numbers):
    # One leading bit more than the number needs keeps it positive.
    return der(0x30, b"".join(der(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))


class RsaKey:
    def __init__(self, bits=2048):
        p, q = prime(bits // 2), prime(bits // 2)
        n, d = p * q, pow(EXPONENT, -1, (p - 1) * (q - 1))
        pkcs1 = integers(0, n, EXPONENT, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
        algorithm = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010101")) + der(0x05, b""))
        spki = der(0x30, algorithm + der(0x03, b"\0" + integers(n, EXPONENT)))
        # libp2p's key messages: type 0 is RSA.
        self.private = field(1, 0) + field(2, pkcs1)
        self.public = field(1, 0) + field(2, spki)
        self.peer = b"\x12\x20" + hashlib.sha256(self.public).digest()
