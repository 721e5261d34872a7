"""What a test can ask of libtorrent. Its Python interface has no request to one node (`find_node`, BEP 33 `scrape`);
`sample` is the only one."""

import hashlib
import time

import libtorrent as lt

import bencode
import ed25519
import torrents
from lines import Unsupported, address, decoded, encoded, endpoint

# How often something is looked at that has no alert.
PAUSE = 0.05
# A lookup that libtorrent has not started within this will not show in its list: it was over sooner.
START = 0.3
# Flags of an announce; only 2.1 has names for them.
SEED, IMPLIED_PORT = 1, 2
WRAPS = lt.__version__.startswith("2.0.")


def sha1(hex_digits):
    return lt.sha1_hash(bytes.fromhex(hex_digits))


def octets(text):
    """2.0 hands some bytes over as text."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


def found_item(alert):
    """What a lookup found, None for nothing. 2.1 hands over the item, an empty string for nothing; 2.0 hands over the
    fields of the alert, and fails on nothing."""
    if not WRAPS:
        return alert.item if alert.item != b"" else None
    try:
        return alert.item["value"]
    except RuntimeError:
        return None


class Operations:
    def __init__(self, session, alerts, folder):
        self.session = session
        self.alerts = alerts
        self.folder = folder

    def close(self):
        self.session.pause()

    # The node and its table.

    def own_ids(self):
        """One id per socket, each followed by the address in the saved state."""
        return [entry[:20] for entry in self.session.dht_state().get(b"node-id", [])]

    def nodes(self):
        found = []
        for own in self.own_ids():
            digest = lt.sha1_hash(own)
            with self.alerts.listen(
                lt.dht_live_nodes_alert,
                lambda alert: [(str(node["nid"]), address(*node["endpoint"])) for node in alert.nodes],
                lambda alert, digest=digest: alert.node_id == digest,
            ) as answers:
                self.session.dht_live_nodes(digest)
                found += answers.get(timeout=5)
        return found

    def op_table(self, _request):
        return {"nodes": [{"id": name, "addr": where} for name, where in self.nodes()]}

    def op_add_node(self, request):
        self.session.add_dht_node(endpoint(request["addr"]))

    def op_ping(self, request):
        """It adds the node, which makes libtorrent ask it something; the node enters the table by its answer."""
        self.session.add_dht_node(endpoint(request["addr"]))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if any(where == request["addr"] for _, where in self.nodes()):
                return
            time.sleep(PAUSE)
        raise TimeoutError("it is not in the table")

    def counters(self):
        names = {metric.value_index: metric.name for metric in lt.session_stats_metrics()}
        read = lambda alert: dict(alert.values)
        with self.alerts.listen(lt.session_stats_alert, read) as answers:
            self.session.post_session_stats()
            values = answers.get(timeout=5)
        # 2.x keys the values by name already, older ones by index.
        named = {names.get(key, key): value for key, value in values.items()}
        return {key: value for key, value in named.items() if key.startswith("dht.")}

    def op_stats(self, _request):
        return self.counters()

    # Peers.

    def lookups(self):
        with self.alerts.listen(lt.dht_stats_alert, lambda alert: len(alert.active_requests)) as answers:
            self.session.post_dht_stats()
            return answers.get(timeout=5)

    def settle(self):
        """Waits until no lookup runs: a lookup without a find ends without an alert."""
        begun = time.monotonic()
        seen = False
        while True:
            running = self.lookups()
            seen = seen or running > 0
            if running == 0 and (seen or time.monotonic() - begun > START):
                return
            time.sleep(PAUSE)

    def op_get_peers(self, request):
        digest = sha1(request["info_hash"])
        with self.alerts.listen(
            lt.dht_get_peers_reply_alert,
            lambda alert: [address(*peer) for peer in alert.peers()],
            lambda alert: alert.info_hash == digest,
        ) as answers:
            self.session.dht_get_peers(digest)
            self.settle()
            peers = set()
            while not answers.empty():
                peers.update(answers.get())
        return {"peers": sorted(peers)}

    def op_announce(self, request):
        flags = (SEED if request.get("seed") else 0) | (IMPLIED_PORT if request.get("implied_port") else 0)
        before = self.counters()["dht.dht_announce_peer_out"]
        self.session.dht_announce(sha1(request["info_hash"]), request.get("port") or 0, flags)
        self.settle()
        return {"sent": self.counters()["dht.dht_announce_peer_out"] - before}

    def op_sample(self, request):
        if not request.get("addr"):
            raise Unsupported
        where = endpoint(request["addr"])
        target = request.get("target") or "00" * 20
        read = lambda alert: {
            "hashes": [str(digest) for digest in alert.samples],
            "num": alert.num_infohashes,
            "interval": int(alert.interval.total_seconds()) if alert.interval else 0,
            "nodes": alert.num_nodes,
        }
        match = lambda alert: tuple(alert.endpoint) == where
        with self.alerts.listen(lt.dht_sample_infohashes_alert, read, match) as answers:
            self.session.dht_sample_infohashes(where, sha1(target))
            return answers.get(timeout=20)

    # Items.

    def op_put_immutable(self, request):
        value = bencode.decode(decoded(request, "value"))
        read = lambda alert: (str(alert.target), alert.num_success)
        with self.alerts.listen(lt.dht_put_alert, read) as answers:
            target = str(self.session.dht_put_immutable_item(value))
            while True:
                found, stored = answers.get(timeout=28)
                if found == target:
                    return {"target": target, "stored": stored}

    def op_get_immutable(self, request):
        digest = sha1(request["target"])
        match = lambda alert: alert.target == digest
        with self.alerts.listen(lt.dht_immutable_item_alert, found_item, match) as answers:
            self.session.dht_get_immutable_item(digest)
            item = answers.get(timeout=28)
        if item is None:
            raise LookupError("not found")
        return {"value": encoded(bencode.encode(item))}

    def op_put_mutable(self, request):
        """libtorrent reads the newest item first and signs the next seq: neither seq nor cas can be chosen."""
        if request.get("cas") is not None:
            raise Unsupported
        value = bencode.decode(decoded(request, "value"))
        if not isinstance(value, bytes):
            raise Unsupported
        salt = decoded(request, "salt", "")
        private, public = ed25519.keys(bytes.fromhex(request["seed"]))
        read = lambda alert: (octets(alert.salt), alert.seq, alert.num_success)
        match = lambda alert: octets(alert.public_key) == public
        with self.alerts.listen(lt.dht_put_alert, read, match) as answers:
            self.session.dht_put_mutable_item(private, public, value, salt)
            while True:
                found, seq, stored = answers.get(timeout=28)
                if found == salt:
                    target = hashlib.sha1(public + salt).hexdigest()
                    return {"target": target, "key": public.hex(), "seq": seq, "stored": stored}

    def op_get_mutable(self, request):
        key, salt = bytes.fromhex(request["key"]), decoded(request, "salt", "")
        read = lambda alert: (octets(alert.salt), alert.authoritative, alert.seq, found_item(alert))
        match = lambda alert: octets(alert.key) == key
        with self.alerts.listen(lt.dht_mutable_item_alert, read, match) as answers:
            self.session.dht_get_mutable_item(key, salt)
            # An early find is told at once, the newest of all at the end.
            while True:
                found, final, seq, item = answers.get(timeout=28)
                if found == salt and final:
                    break
        if item is None:
            raise LookupError("not found")
        return {"value": encoded(bencode.encode(item)), "seq": seq}

    # Torrents.

    def op_make_torrent(self, request):
        return torrents.make(request["dir"], request["name"], request["size"])

    def torrent(self, parameters):
        parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        return self.session.add_torrent(parameters)

    def op_seed_torrent(self, request):
        parameters = lt.add_torrent_params()
        parameters.ti = lt.torrent_info(request["file"])
        parameters.save_path = request["dir"]
        handle = self.torrent(parameters)
        until = time.monotonic() + 20
        while not handle.status().is_seeding:
            if time.monotonic() > until:
                raise TimeoutError(f"it does not have the data: {handle.status().state}")
            time.sleep(PAUSE)
        before = self.counters()["dht.dht_announce_peer_out"]
        handle.force_dht_announce()
        self.settle()
        return {"sent": self.counters()["dht.dht_announce_peer_out"] - before}

    def op_fetch_metadata(self, request):
        parameters = lt.parse_magnet_uri(request["magnet"])
        parameters.save_path = self.folder
        handle = self.torrent(parameters)
        try:
            asked = time.monotonic()
            while not handle.status().has_metadata:
                # On its own it asks again after a quarter of an hour only.
                if time.monotonic() - asked > 2:
                    handle.force_dht_announce()
                    asked = time.monotonic()
                time.sleep(PAUSE)
                if not handle.is_valid():
                    raise LookupError("the torrent is gone")
            info = handle.torrent_file().info_section()
            return {"info": encoded(octets(info))}
        finally:
            self.session.remove_torrent(handle)
