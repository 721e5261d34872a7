"""What each operation of the line protocol means on py-libp2p.

The library's own calls swallow failures (a put that no peer took succeeds) and take only keys that are text. So put,
get and burst go one level down, to the requests the calls are made of; everything else uses the public interface.
"""

import base64
import os

import trio
import varint
from libp2p.crypto import rsa
from libp2p.kad_dht.common import MAX_DHT_MESSAGE_SIZE
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.utils.varint import read_varint_prefixed_bytes_limited
from multiaddr import Multiaddr


def to_bytes(text):
    return base64.b64decode(text)


def to_base64(data):
    return base64.b64encode(data).decode()


class Operations:
    def __init__(self, host, dht, protocol):
        self.host = host
        self.dht = dht
        self.protocol = protocol
        self.rsa = None

    async def run(self, request):
        operation = getattr(self, "op_" + request["op"], None)
        if operation is None:
            raise ValueError("unsupported: " + request["op"])
        return await operation(request)

    async def op_connect(self, request):
        info = info_from_p2p_addr(Multiaddr(request["addr"]))
        await self.host.connect(info)
        # The table learns of peers that ask us something; those we dial have to be added by hand.
        await self.dht.add_peer(info.peer_id)

    async def op_table(self, _request):
        buckets = self.dht.routing_table.buckets
        return {"peers": [str(peer) for bucket in buckets for peer in bucket.peer_ids()]}

    async def op_refresh(self, _request):
        await self.dht.refresh_routing_table()

    async def op_find_peer(self, request):
        info = await self.dht.find_peer(ID.from_string(request["peer"]))
        if info is None:
            raise LookupError("not found")
        return {"addrs": [str(addr) for addr in info.addrs]}

    async def op_closest(self, request):
        return {"peers": [str(peer) for peer in await self.closest(to_bytes(request["key"]))]}

    async def op_put(self, request):
        key, value = to_bytes(request["key"]), to_bytes(request["value"])
        stored = await self.for_each(
            await self.closest(key), lambda peer: self.dht.value_store._store_at_peer(peer, key, value)
        )
        if not any(stored):
            raise LookupError("no peer stored the value")
        return {"stored": sum(map(bool, stored))}

    async def op_get(self, request):
        key = to_bytes(request["key"])
        try:
            value = await self.dht.get_value(key.decode())
        except UnicodeDecodeError:  # a key with a binary name: no validation, as the validators take hex only
            values = await self.for_each(
                await self.closest(key), lambda peer: self.dht.value_store._get_from_peer(peer, key)
            )
            value = next((value for value in values if value), None)
        if value is None:
            raise LookupError("not found")
        return {"value": to_base64(value)}

    async def op_provide(self, request):
        if not await self.dht.provide(request["cid"]):
            raise LookupError("no peer took the provider record")

    async def op_providers(self, request):
        found = await self.dht.find_providers(request["cid"], request.get("count") or 20)
        addrs = {}
        for info in found:
            addrs.setdefault(str(info.peer_id), set()).update(str(addr) for addr in info.addrs)
        return {"peers": [{"peer": peer, "addrs": sorted(seen)} for peer, seen in addrs.items()]}

    async def op_own_pk(self, _request):
        # The name of an Ed25519 peer contains its key, so only a longer key gives a record worth looking up.
        self.rsa = self.rsa or rsa.create_new_key_pair(2048)
        peer = ID.from_pubkey(self.rsa.public_key)
        return {
            "key": to_base64(b"/pk/" + peer.to_bytes()),
            "value": to_base64(self.rsa.public_key.serialize()),
            "peer": str(peer),
        }

    async def op_protocols(self, request):
        peer = ID.from_string(request["peer"])
        connected = peer in self.host.get_connected_peers()
        return {"protocols": self.host.get_peerstore().get_protocols(peer), "connected": connected}

    async def op_burst(self, request):
        """With a peer each request has a stream of its own to it; without one, each is a lookup of a random key."""
        if request.get("kind", "closest") != "closest":
            raise ValueError("unsupported kind")
        target = ID.from_string(request["peer"]) if request.get("peer") else None
        succeeded, errors = 0, []

        async def one():
            nonlocal succeeded
            try:
                await (self.ask(target) if target else self.closest(os.urandom(32)))
                succeeded += 1
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}")

        async with trio.open_nursery() as nursery:
            for _ in range(request["count"]):
                nursery.start_soon(one)
        return {"succeeded": succeeded, "failed": len(errors), "first_error": errors[0] if errors else None}

    async def closest(self, key):
        return await self.dht.peer_routing.find_closest_peers_network(key)

    async def ask(self, peer):
        frame = Message(type=Message.MessageType.FIND_NODE, key=os.urandom(32)).SerializeToString()
        stream = await self.host.new_stream(peer, [self.protocol])
        try:
            await stream.write(varint.encode(len(frame)) + frame)
            Message.FromString(await read_varint_prefixed_bytes_limited(stream, MAX_DHT_MESSAGE_SIZE))
        finally:
            await stream.close()

    async def for_each(self, peers, ask):
        results = []

        async def one(peer):
            results.append(await ask(peer))

        async with trio.open_nursery() as nursery:
            for peer in peers:
                if peer != self.host.get_id():
                    nursery.start_soon(one, peer)
        return results
