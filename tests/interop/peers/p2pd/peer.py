"""go-libp2p-kad-dht 0.25.1, as compiled into p2pd, behind the line protocol of ../../README.md. Standard library only."""

import argparse
import base64
import json
import os
import sys
import threading

from daemon import (
    CONNECT,
    FIND_PEER,
    FIND_PROVIDERS,
    GET_CLOSEST_PEERS,
    GET_VALUE,
    IDENTIFY,
    PROVIDE,
    PUT_VALUE,
    Daemon,
)
from rsa_key import RsaKey
from wire import addr_bytes, addr_text, base58, cid, field, fields, from_base58

# No operation may outlive this: a test that waits longer has failed anyway.
DEADLINE_SECONDS = 30
# The daemon counts in seconds too, and must give up before we do so that its reason is told.
DAEMON_SECONDS = 28


def to_bytes(text):
    return base64.b64decode(text)


def to_base64(data):
    return base64.b64encode(data).decode()


def peer_entry(info):
    parts = fields(info)
    return {"peer": base58(parts[1][0]), "addrs": [addr_text(addr) for addr in parts.get(2, [])]}


class Operations:
    def __init__(self, daemon, key):
        self.daemon = daemon
        self.key = key

    def run(self, request):
        operation = getattr(self, "op_" + request["op"], None)
        if operation is None:
            raise ValueError("unsupported: " + request["op"])
        return operation(request)

    def ready(self):
        identity = fields(self.daemon.call(IDENTIFY)[4][0])
        peer = base58(identity[1][0])
        addrs = [f"{addr_text(addr)}/p2p/{peer}" for addr in identity.get(2, [])]
        return {"event": "ready", "peer": peer, "addrs": addrs}

    def op_connect(self, request):
        addr, peer = addr_bytes(request["addr"])
        body = field(1, peer) + field(2, addr) + field(3, DAEMON_SECONDS)
        self.daemon.call(CONNECT, field(2, body))

    def op_find_peer(self, request):
        found = self.daemon.dht(FIND_PEER, peer=from_base58(request["peer"]), timeout=DAEMON_SECONDS)
        return {"addrs": peer_entry(found[2][0])["addrs"]}

    def op_closest(self, request):
        return {"peers": self.closest(to_bytes(request["key"]))}

    def op_put(self, request):
        key, value = to_bytes(request["key"]), to_bytes(request["value"])
        self.daemon.dht(PUT_VALUE, key=key, value=value, timeout=DAEMON_SECONDS)

    def op_get(self, request):
        found = self.daemon.dht(GET_VALUE, key=to_bytes(request["key"]), timeout=DAEMON_SECONDS)
        return {"value": to_base64(found[3][0])}

    def op_provide(self, request):
        self.daemon.dht(PROVIDE, cid=cid(request["cid"]), timeout=DAEMON_SECONDS)

    def op_providers(self, request):
        count = request.get("count") or 20
        parts = self.daemon.dht_stream(FIND_PROVIDERS, cid=cid(request["cid"]), count=count, timeout=DAEMON_SECONDS)
        return {"peers": [peer_entry(part[2][0]) for part in parts]}

    def op_own_pk(self, _request):
        key = b"/pk/" + self.key.peer
        return {"key": to_base64(key), "value": to_base64(self.key.public), "peer": base58(self.key.peer)}

    def op_raw(self, request):
        addr, peer = addr_bytes(request["addr"])
        self.op_connect(request)
        frames = [to_bytes(frame) for frame in request["frames"]]
        replies = self.daemon.exchange(peer, frames, request["expect"])
        return {"replies": [to_base64(reply) for reply in replies]}

    def op_burst(self, request):
        """With a peer each request has a stream of its own to it; without one, each is a lookup of a random key."""
        if request.get("kind", "closest") != "closest":
            raise ValueError("unsupported kind")
        target = from_base58(request["peer"]) if request.get("peer") else None
        succeeded, errors = [], []

        def one():
            try:
                if target:
                    self.daemon.exchange(target, [field(1, 4) + field(2, os.urandom(32))], 1)
                else:
                    self.closest(os.urandom(32))
                succeeded.append(True)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=one, daemon=True) for _ in range(request["count"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        failed = request["count"] - len(succeeded)
        return {"succeeded": len(succeeded), "failed": failed, "first_error": errors[0] if errors else None}

    def closest(self, key):
        parts = self.daemon.dht_stream(GET_CLOSEST_PEERS, key=key, timeout=DAEMON_SECONDS)
        return [base58(part[3][0]) for part in parts]


class Output:
    """Keeps lines whole although requests finish in any order."""

    def __init__(self):
        self.lock = threading.Lock()

    def write(self, line):
        with self.lock:
            print(json.dumps(line), flush=True)


def answer(operations, output, request):
    try:
        output.write({"id": request["id"], "ok": True, **(operations.run(request) or {})})
    except Exception as error:  # whatever goes wrong is this operation's answer, never the end of the peer
        output.write({"id": request["id"], "ok": False, "error": f"{type(error).__name__}: {error}"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", default="/ipfs")
    parser.add_argument("--mode", default="server", choices=("server", "client"))
    parser.add_argument("--listen", default="/ip4/127.0.0.1/tcp/0")
    parser.add_argument("--p2pd", required=True, help="the daemon's program; `build` prints it")
    arguments = parser.parse_args()
    if arguments.prefix != "/ipfs":
        sys.exit("p2pd speaks /ipfs/kad/1.0.0 only")
    key = RsaKey()
    daemon = Daemon(arguments.p2pd, arguments.mode, arguments.listen, key.private, DEADLINE_SECONDS)
    try:
        operations, output = Operations(daemon, key), Output()
        output.write(operations.ready())
        for line in sys.stdin:
            request = json.loads(line)
            if request["op"] == "quit":
                output.write({"id": request["id"], "ok": True})
                break
            threading.Thread(target=answer, args=(operations, output, request), daemon=True).start()
    finally:
        daemon.close()


main()
