"""transmission-daemon that is told what to do by JSON lines on stdin, see ../../README.md for the protocol. It runs as
a process of its own and is driven by its RPC. All of it has to run inside `../bittorrent/namespace`."""

import base64
import ipaddress
import json
import os
import pathlib
import re
import socket
import struct
import sys
import urllib.error

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "bittorrent"))

import bencode  # noqa: E402
import daemon  # noqa: E402
import lines  # noqa: E402
import torrents  # noqa: E402

CSRF = "X-Transmission-Session-Id"


class Operations:
    def __init__(self, arguments):
        self.program = arguments.program
        self.host, port = lines.endpoint(arguments.listen)
        self.folder = pathlib.Path(arguments.dir)
        self.config = self.folder / "config"
        self.config.mkdir()
        # TCP and UDP have the same port.
        self.port = port or daemon.free_port(self.host, socket.SOCK_STREAM)
        self.rpc = daemon.free_port(self.host, socket.SOCK_STREAM)
        self.nodes = [lines.endpoint(node) for node in arguments.bootstrap.split(",") if node]
        self.name = os.urandom(20)
        self.csrf = ""
        self.daemon = None

    def settings(self):
        return {
            "bind-address-ipv4": self.host,
            "bind-address-ipv6": "::1",
            "dht-enabled": True,
            "download-dir": str(self.folder),
            "encryption": 1,
            "lpd-enabled": False,
            "peer-port": self.port,
            "pex-enabled": False,
            "port-forwarding-enabled": False,
            "rpc-bind-address": self.host,
            "rpc-port": self.rpc,
            "rpc-whitelist-enabled": False,
            "rpc-host-whitelist-enabled": False,
            "utp-enabled": False,
        }

    def start(self):
        """It reads both files when it starts, and writes them anew when it ends. It asks eight of the nodes in the
        second within seconds, where a `dht.bootstrap` costs a quarter of a minute per line."""
        (self.config / "settings.json").write_text(json.dumps(self.settings()))
        nodes = b"".join(socket.inet_aton(host) + struct.pack(">H", port) for host, port in self.nodes)
        (self.config / "dht.dat").write_bytes(bencode.encode({"id": self.name, "nodes": nodes}))
        command = [self.program, "--foreground", "--config-dir", str(self.config), "--log-info"]
        self.daemon = daemon.Daemon(command, sys.stderr)

        def answers():
            try:
                return self.call("session-get")
            except (ConnectionError, urllib.error.URLError):
                return None

        daemon.until(answers, daemon.START_SECONDS, "its RPC does not answer")
        return daemon.until(lambda: daemon.node_id((self.host, self.port)), daemon.START_SECONDS, "its DHT is silent")

    def call(self, method, **arguments):
        url, body = f"http://{self.host}:{self.rpc}/transmission/rpc", {"method": method, "arguments": arguments}
        try:
            answer = daemon.post(url, body, {CSRF: self.csrf})
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
            # It hands out the word that it wants to hear.
            self.csrf = error.headers[CSRF]
            answer = daemon.post(url, body, {CSRF: self.csrf})
        if answer["result"] != "success":
            raise RuntimeError(answer["result"])
        return answer["arguments"]

    def op_add_node(self, request):
        """Nodes are read only at the start, so it starts again, on the same port and with the same id. What it stored
        for others is gone."""
        if lines.endpoint(request["addr"]) not in self.nodes:
            self.nodes.append(lines.endpoint(request["addr"]))
            self.daemon.end()
            self.start()

    def op_make_torrent(self, request):
        return torrents.make(request["dir"], request["name"], request["size"])

    def torrent(self, identity, *fields):
        return self.call("torrent-get", ids=[identity], fields=list(fields))["torrents"][0]

    def op_seed_torrent(self, request):
        metainfo = base64.b64encode(pathlib.Path(request["file"]).read_bytes()).decode()
        added = self.call("torrent-add", metainfo=metainfo, **{"download-dir": request["dir"]})
        identity = added.get("torrent-added", added.get("torrent-duplicate"))["id"]

        def seeds():
            state = self.torrent(identity, "status", "percentDone", "errorString")
            return True if state["percentDone"] == 1 and state["status"] == 6 else None

        daemon.until(seeds, 20, "it does not have the data")

    def op_fetch_metadata(self, request):
        if re.search("btih:[0-9a-fA-F]{40}", request["magnet"]) is None:
            raise lines.Unsupported
        added = self.call("torrent-add", filename=request["magnet"])
        identity = added.get("torrent-added", added.get("torrent-duplicate"))["id"]

        def saved():
            state = self.torrent(identity, "metadataPercentComplete", "torrentFile")
            file = pathlib.Path(state["torrentFile"])
            return file.read_bytes() if state["metadataPercentComplete"] == 1 and file.exists() else None

        torrent = daemon.until(saved, 28, "nobody gave it")
        return {"info": lines.encoded(bencode.encode(bencode.decode(torrent)[b"info"]))}

    def op_stats(self, _request):
        fields = ["hashString", "status", "peersConnected", "peersFrom", "errorString"]
        return {"jobs": self.call("torrent-get", fields=fields)["torrents"]}

    def close(self):
        if self.daemon is not None:
            self.daemon.end()


def main():
    parser = lines.arguments()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    if arguments.mode != "server":
        raise ValueError("it has no read-only mode")
    if ipaddress.ip_address(lines.endpoint(arguments.listen)[0]).is_loopback:
        print("transmission: it ignores loopback addresses; run in ../bittorrent/namespace", file=sys.stderr)
        sys.exit(77)
    operations = Operations(arguments)
    try:
        name = operations.start()
    except BaseException:
        operations.close()
        raise
    where = lines.address(operations.host, operations.port)
    lines.serve(operations, {"addr": where, "id": name, "tcp": where})


main()
