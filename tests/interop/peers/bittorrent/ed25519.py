"""The public key of an Ed25519 seed (RFC 8032, section 5.1.5). Slow and not safe from side channels: for tests."""

import hashlib

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_Y = 4 * pow(5, _P - 2, _P) % _P


def _base():
    square = (_Y * _Y - 1) * pow(_D * _Y * _Y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    return (_P - x if x % 2 else x), _Y


def _add(one, other):
    (x1, y1), (x2, y2) = one, other
    product = _D * x1 * x2 * y1 * y2 % _P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, _P - 2, _P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, _P - 2, _P)
    return x % _P, y % _P


def keys(seed):
    """The expanded private key (64 bytes, what libtorrent wants) and the public key (32 bytes)."""
    if len(seed) != 32:
        raise ValueError("a seed has 32 bytes")
    digest = bytearray(hashlib.sha512(seed).digest())
    digest[0] &= 248
    digest[31] = digest[31] & 63 | 64
    scalar = int.from_bytes(digest[:32], "little")
    point, double = (0, 1), _base()
    while scalar:
        if scalar & 1:
            point = _add(point, double)
        double = _add(double, double)
        scalar >>= 1
    x, y = point
    return bytes(digest), (y | (x & 1) << 255).to_bytes(32, "little")
