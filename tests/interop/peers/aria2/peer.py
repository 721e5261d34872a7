"""aria2 that is told what to do by JSON lines on stdin, see ../../README.md for the protocol. It runs as a process of
its own and is driven by its RPC."""

import base64
import pathlib
import re
import socket
import sys
import urllib.error

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "bittorrent"))

import bencode  # noqa: E402
import daemon  # noqa: E402
import lines  # noqa: E402
import torrents  # noqa: E402


class Operations:
    def __init__(self, arguments):
        self.host, port = lines.endpoint(arguments.listen)
        self.folder = pathlib.Path(arguments.dir)
        self.udp = port or daemon.free_port(self.host, socket.SOCK_DGRAM)
        self.tcp = daemon.free_port(self.host, socket.SOCK_STREAM)
        self.rpc = daemon.free_port(self.host, socket.SOCK_STREAM)
        self.count = 0
        self.daemon = daemon.Daemon([arguments.program, *self.options()], sys.stderr)

    def options(self):
        given = {
            "enable-rpc": "true",
            "rpc-listen-port": self.rpc,
            "dir": self.folder,
            "interface": self.host,
            "disable-ipv6": "true",
            "enable-dht": "true",
            "dht-listen-port": self.udp,
            "dht-file-path": self.folder / "dht.dat",
            "listen-port": self.tcp,
            "bt-enable-lpd": "false",
            "enable-peer-exchange": "false",
            # A download that is done would end, and its metadata with it.
            "seed-ratio": "0.0",
            # The jobs that only carry nodes never end either.
            "max-concurrent-downloads": 100,
            "console-log-level": "warn",
            "summary-interval": 0,
        }
        return ["--no-conf"] + [f"--{name}={value}" for name, value in given.items()]

    def call(self, method, *parameters):
        body = {"jsonrpc": "2.0", "id": "peer", "method": f"aria2.{method}", "params": list(parameters)}
        try:
            return daemon.post(f"http://{self.host}:{self.rpc}/jsonrpc", body)["result"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def start(self, nodes):
        def answers():
            try:
                return self.call("getVersion")
            except (ConnectionError, urllib.error.URLError):
                return None

        daemon.until(answers, daemon.START_SECONDS, "its RPC does not answer")
        # The DHT starts with the first torrent.
        self.carry(nodes)
        return daemon.until(lambda: daemon.node_id((self.host, self.udp)), daemon.START_SECONDS, "its DHT is silent")

    def carry(self, nodes):
        """The nodes inside a torrent are the only way to tell it of a node once it runs."""
        self.count += 1
        info = {"length": 1, "name": f"nodes-{self.count}-{self.udp}", "piece length": 16384, "pieces": bytes(20)}
        torrent = {"info": info, "nodes": [[host, port] for host, port in map(lines.endpoint, nodes)]}
        self.call("addTorrent", base64.b64encode(bencode.encode(torrent)).decode())

    def op_add_node(self, request):
        self.carry([request["addr"]])

    def op_make_torrent(self, request):
        return torrents.make(request["dir"], request["name"], request["size"])

    def op_seed_torrent(self, request):
        torrent = base64.b64encode(pathlib.Path(request["file"]).read_bytes()).decode()
        options = {"dir": request["dir"], "check-integrity": "true", "bt-hash-check-seed": "true"}
        gid = self.call("addTorrent", torrent, [], options)

        def seeds():
            status = self.call("tellStatus", gid, ["seeder", "status"])
            return True if status.get("seeder") == "true" and status["status"] == "active" else None

        daemon.until(seeds, 20, "it does not have the data")

    def op_fetch_metadata(self, request):
        digest = re.search("btih:([0-9a-fA-F]{40})", request["magnet"])
        if digest is None:
            raise lines.Unsupported
        file = self.folder / f"{digest[1].lower()}.torrent"
        options = {"bt-metadata-only": "true", "bt-save-metadata": "true"}
        gid = self.call("addUri", [request["magnet"]], options)

        def saved():
            # The job is over only after the file is whole.
            done = self.call("tellStatus", gid, ["status"])["status"] == "complete"
            return file.read_bytes() if done and file.exists() else None

        torrent = daemon.until(saved, 28, "nobody gave it")
        return {"info": lines.encoded(bencode.encode(bencode.decode(torrent)[b"info"]))}

    def op_stats(self, _request):
        jobs = self.call("tellActive", ["infoHash", "connections", "seeder", "numSeeders"])
        return {"jobs": jobs}

    def close(self):
        self.daemon.end()


def main():
    parser = lines.arguments()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    if arguments.mode != "server":
        raise ValueError("it has no read-only mode")
    operations = Operations(arguments)
    try:
        name = operations.start([node for node in arguments.bootstrap.split(",") if node])
    except BaseException:
        operations.close()
        raise
    where = lines.address(operations.host, operations.udp)
    lines.serve(operations, {"addr": where, "id": name, "tcp": lines.address(operations.host, operations.tcp)})


main()
