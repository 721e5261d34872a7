"""A py-libp2p Kademlia peer that is told what to do by JSON lines on stdin, see ../../README.md for the protocol."""

import argparse
import json
import logging
import sys

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht import common, kad_dht, peer_routing, provider_store, value_store
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.records.validator import Validator
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from operations import Operations

# No operation may outlive this: a test that waits longer has failed anyway.
DEADLINE_SECONDS = 30


def speak(protocol):
    """The library takes a protocol prefix and ignores it: the name is a constant, copied into each module."""
    for module in (common, kad_dht, peer_routing, provider_store, value_store):
        module.PROTOCOL_ID = protocol


class Newest(Validator):
    """The private namespace takes every value. A server asks with the value it holds first and the new one last, and
    resets the stream when the first is chosen."""

    def validate(self, key, value):
        pass

    def select(self, key, values):
        return len(values) - 1


def write(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def answer(operations, request):
    try:
        with trio.fail_after(DEADLINE_SECONDS):
            result = await operations.run(request)
        write({"id": request["id"], "ok": True, **(result or {})})
    except trio.TooSlowError:
        write({"id": request["id"], "ok": False, "error": "deadline of 30 s passed"})
    except Exception as error:  # whatever the library raises is this operation's answer, never the end of the peer
        write({"id": request["id"], "ok": False, "error": f"{type(error).__name__}: {error}"})


async def serve(operations):
    async with trio.open_nursery() as nursery:
        async for line in trio.wrap_file(sys.stdin):
            request = json.loads(line)
            if request["op"] == "quit":
                write({"id": request["id"], "ok": True})
                break
            nursery.start_soon(answer, operations, request)
        nursery.cancel_scope.cancel()


async def main(arguments):
    protocol = arguments.prefix + "/kad/1.0.0"
    speak(protocol)
    host = new_host(key_pair=create_new_key_pair())
    mode = DHTMode.CLIENT if arguments.mode == "client" else DHTMode.SERVER
    async with host.run(listen_addrs=[Multiaddr(arguments.listen)]):
        dht = KadDHT(host, mode)
        if arguments.prefix != "/ipfs":
            dht.register_validator("v", Newest())
        async with background_trio_service(dht) as manager:
            peer = str(host.get_id())
            addrs = [str(addr) for addr in host.get_addrs()]
            addrs = [addr if "/p2p/" in addr else f"{addr}/p2p/{peer}" for addr in addrs]
            write({"event": "ready", "peer": peer, "addrs": addrs})
            await serve(Operations(host, dht, protocol))
            await manager.stop()


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--prefix", default="/ipfs")
    parser.add_argument("--mode", default="server", choices=("server", "client"))
    parser.add_argument("--listen", default="/ip4/127.0.0.1/tcp/0")
    return parser.parse_args()


logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
trio.run(main, parse())
