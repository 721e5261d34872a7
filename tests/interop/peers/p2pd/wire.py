"""The few encodings the control socket needs: varints, protobuf fields, base58, CIDs and loopback addresses."""

import base64
import ipaddress

ALPHABET = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
IP4, TCP, UDP, IP6, P2P, QUIC_V1 = 4, 6, 273, 41, 421, 461


def uvarint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def take_uvarint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def field(number, value):
    """One protobuf field: an int is a varint, bytes are length-delimited."""
    if isinstance(value, int):
        return uvarint(number << 3) + uvarint(value)
    return uvarint(number << 3 | 2) + uvarint(len(value)) + value


def fields(message):
    """All fields of a protobuf message as {number: [values]}."""
    found, at = {}, 0
    while at < len(message):
        tag, at = take_uvarint(message, at)
        if tag & 7 == 0:
            value, at = take_uvarint(message, at)
        elif tag & 7 == 2:
            length, at = take_uvarint(message, at)
            value, at = message[at : at + length], at + length
        else:
            raise ValueError(f"wire type {tag & 7}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def base58(data):
    number, out = int.from_bytes(data, "big"), bytearray()
    while number:
        number, digit = divmod(number, 58)
        out.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return (b"1" * zeros + bytes(reversed(out))).decode()


def from_base58(text):
    number = 0
    for digit in text.encode():
        number = number * 58 + ALPHABET.index(digit)
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def cid(text):
    """CIDv0, or CIDv1 in base32, which is what tests write."""
    if text.startswith("Qm"):
        return from_base58(text)
    if not text.startswith("b"):
        raise ValueError("only CIDv0 and base32 CIDv1 are understood")
    return base64.b32decode(text[1:].upper() + "=" * (-(len(text) - 1) % 8))


def addr_bytes(text):
    """`/ip4/…/tcp/…` as bytes, and the peer named behind it."""
    parts = iter(text.split("/")[1:])
    out, peer = b"", None
    for name in parts:
        value = next(parts)
        if name == "ip4":
            out += uvarint(IP4) + ipaddress.IPv4Address(value).packed
        elif name == "tcp":
            out += uvarint(TCP) + int(value).to_bytes(2, "big")
        elif name == "p2p":
            peer = from_base58(value)
        else:
            raise ValueError(f"address part {name}")
    return out, peer


def addr_text(data):
    out, at = "", 0
    while at < len(data):
        code, at = take_uvarint(data, at)
        if code == IP4:
            out, at = f"{out}/ip4/{ipaddress.IPv4Address(data[at : at + 4])}", at + 4
        elif code == IP6:
            out, at = f"{out}/ip6/{ipaddress.IPv6Address(data[at : at + 16])}", at + 16
        elif code in (TCP, UDP):
            name = "tcp" if code == TCP else "udp"
            out, at = f"{out}/{name}/{int.from_bytes(data[at : at + 2], 'big')}", at + 2
        elif code == QUIC_V1:
            out += "/quic-v1"
        elif code == P2P:
            length, at = take_uvarint(data, at)
            out, at = f"{out}/p2p/{base58(data[at : at + length])}", at + length
        else:  # a part nobody here speaks; the rest can not be cut without knowing its length
            return f"{out}/unknown-{code}"
    return out
