"""p2pd as a child process, and its control socket: one connection per call, each message behind a uvarint length."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from wire import field, fields, take_uvarint, uvarint

KAD = b"/ipfs/kad/1.0.0"  # the daemon has no option for another prefix
IDENTIFY, CONNECT, STREAM_OPEN, DHT, LIST_PEERS = 0, 1, 2, 4, 5
FIND_PEER, FIND_PROVIDERS, GET_CLOSEST_PEERS, GET_VALUE, PUT_VALUE, PROVIDE = 0, 2, 3, 5, 7, 8
BEGIN, VALUE, END = 0, 1, 2


class Refused(Exception):
    """The daemon answered with an error."""


class Daemon:
    def __init__(self, program, mode, listen, private_key, deadline):
        self.deadline = deadline
        self.folder = tempfile.mkdtemp(prefix="p2pd-")
        self.socket = os.path.join(self.folder, "control")
        identity = os.path.join(self.folder, "identity")
        with open(identity, "wb") as file:
            file.write(private_key)
        quiet = ("relay", "relayService", "relayDiscovery", "natPortMap", "autonat")
        self.process = subprocess.Popen(
            [program, "-dhtServer" if mode == "server" else "-dhtClient"]
            + ["-hostAddrs", listen, "-listen", "/unix" + self.socket, "-id", identity, "-q"]
            + [f"-{name}=0" for name in quiet],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            preexec_fn=die_with_parent,
        )
        self.wait()

    def wait(self):
        end = time.monotonic() + self.deadline
        while True:
            try:
                return self.call(IDENTIFY)
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"p2pd ended with {self.process.returncode}") from None
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, kind, body=b""):
        with Control(self) as control:
            return control.ask(kind, body)

    def dht(self, kind, **arguments):
        """The single answer of a DHT request, as fields of a DHTResponse."""
        return dht_response(self.call(DHT, field(5, dht_request(kind, **arguments))))

    def dht_stream(self, kind, **arguments):
        """All answers of a DHT request that has many: they follow one by one until END."""
        found = []
        with Control(self) as control:
            control.ask(DHT, field(5, dht_request(kind, **arguments)))
            while True:
                part = fields(control.read())
                if part[1] == [END]:
                    return found
                found.append(part)

    def exchange(self, peer, frames, expect):
        """Frames at once on one new stream to a peer, then `expect` replies: after STREAM_OPEN the control connection
        is that stream."""
        with Control(self) as control:
            control.ask(STREAM_OPEN, field(3, field(1, peer) + field(2, KAD) + field(3, self.deadline)))
            control.write(b"".join(uvarint(len(frame)) + frame for frame in frames))
            return [control.read() for _ in range(expect)]


class Control:
    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(daemon.deadline)
        try:
            self.socket.connect(daemon.socket)
        except OSError:
            self.socket.close()
            raise
        self.input = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.input.close()
        self.socket.close()

    def ask(self, kind, body):
        frame = field(1, kind) + body
        self.write(uvarint(len(frame)) + frame)
        response = fields(self.read())
        if response[1] != [0]:
            raise Refused(fields(response[2][0])[1][0].decode(errors="replace"))
        return response

    def write(self, data):
        self.socket.sendall(data)

    def read(self):
        length = b""
        while not length or length[-1] & 0x80:
            length += self.exactly(1)
        return self.exactly(take_uvarint(length, 0)[0])

    def exactly(self, count):
        data = self.input.read(count)
        if len(data) < count:
            raise EOFError("the daemon closed the connection")
        return data


def dht_request(kind, peer=None, cid=None, key=None, value=None, count=None, timeout=None):
    body = field(1, kind)
    for number, argument in enumerate((peer, cid, key, value, count, timeout), start=2):
        if argument is not None:
            body += field(number, argument)
    return body


def dht_response(response):
    return fields(response[5][0]) if 5 in response else {}


def die_with_parent():
    # A test that kills this driver must not leave the daemon behind. Elsewhere than on Linux it may.
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except (AttributeError, OSError):
        pass
