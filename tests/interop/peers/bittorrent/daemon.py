"""A client that is a process of its own: free ports, its RPC over HTTP, and its end."""

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

import bencode

# It says its first word within this.
START_SECONDS = 15


def free_port(host, kind):
    """A port that nobody uses now."""
    if ":" in host:
        raise ValueError("it is driven on IPv4 only")
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind((host, 0))
        return free.getsockname()[1]


def post(url, body, headers=None):
    # No proxy: the peer is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, json.dumps(body).encode(), headers or {})
    with opener.open(request, timeout=10) as answer:
        return json.load(answer)


def node_id(where):
    """The id of the DHT node at an address, by a ping; None when it does not answer. Only so one learns when the DHT
    of these clients is up. The ping is read-only (BEP 43): nobody lives at its address."""
    ping = bencode.encode({"a": {"id": b"interop-peer-starts!"}, "q": "ping", "ro": 1, "t": b"ping", "y": "q"})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind((where[0], 0))
        asker.settimeout(0.3)
        asker.sendto(ping, where)
        try:
            return bencode.decode(asker.recv(2048))[b"r"][b"id"].hex()
        except (TimeoutError, ConnectionError):
            return None


def until(what, seconds, error):
    """The first result of `what` that is not None."""
    end = time.monotonic() + seconds
    while True:
        result = what()
        if result is not None:
            return result
        if time.monotonic() > end:
            raise TimeoutError(error)
        time.sleep(0.1)


# Ends the client when its stdin does: also when the wrapper is killed, and cannot end it by itself.
GUARD = """
"$@" </dev/null & client=$!
read -r _
kill $client
(sleep 1; kill -9 $client) 2>/dev/null & late=$!
wait $client
kill $late
"""


class Daemon:
    def __init__(self, command, log):
        command = ["sh", "-c", GUARD, "guard", *command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def end(self):
        self.process.stdin.close()
        self.process.wait(5)
