"""Torrents for tests. Version 1 only: Transmission 3.00 and aria2 1.36 refuse or drop hybrid ones."""

import hashlib
import pathlib
import random

from bencode import encode

PIECE = 16 * 1024


def make(folder, name, size):
    """Writes `size` bytes, the same for the same name, and a torrent of them. Returns its path and the info hash."""
    folder = pathlib.Path(folder)
    data = random.Random(name).randbytes(size)
    (folder / name).write_bytes(data)
    pieces = b"".join(hashlib.sha1(data[at : at + PIECE]).digest() for at in range(0, size, PIECE))
    info = {"length": size, "name": name, "piece length": PIECE, "pieces": pieces}
    file = folder / f"{name}.torrent"
    file.write_bytes(encode({"info": info}))
    return {"file": str(file), "info_hash": hashlib.sha1(encode(info)).hexdigest()}
