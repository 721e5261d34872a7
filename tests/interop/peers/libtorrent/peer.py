"""A libtorrent session that is told what to do by JSON lines on stdin, see ../../README.md for the protocol."""

import pathlib
import sys
import time
import warnings

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "bittorrent"))

import libtorrent as lt  # noqa: E402

import lines  # noqa: E402
from alerts import Alerts  # noqa: E402
from operations import Operations  # noqa: E402


def settings(arguments):
    categories = lt.alert.category_t
    return {
        # The address by name: with 0.0.0.0 the node on the loopback interface opens and stays silent.
        "listen_interfaces": arguments.listen,
        "alert_mask": categories.status_notification | categories.dht_notification | categories.stats_notification
        | categories.dht_operation_notification | categories.error_notification,
        "enable_dht": True,
        "dht_read_only": arguments.mode == "client",
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "dht_bootstrap_nodes": "",
        # All nodes of a test share one IP.
        "dht_restrict_routing_ips": False,
        "dht_restrict_search_ips": False,
        "allow_multiple_connections_per_ip": True,
        # By default it drops queries over 8 kB/s, and ignores whoever sends more than five a second.
        "dht_upload_rate_limit": 100_000_000,
        "dht_block_ratelimit": 100_000_000,
        # Peers that know no encryption are welcome.
        "in_enc_policy": 1,
        "out_enc_policy": 1,
        "alert_queue_size": 100_000,
    }


def start(arguments):
    session = lt.session(settings(arguments))
    until = time.monotonic() + 10
    while not (session.is_dht_running() and session.listen_port() and session.dht_state().get(b"node-id")):
        if time.monotonic() > until:
            raise TimeoutError("the DHT does not start")
        time.sleep(0.01)
    return session


def main():
    arguments = lines.arguments().parse_args()
    # Version 2 dislikes functions that have no other way in Python, as the one that tells the node's id.
    warnings.simplefilter("ignore")
    session = start(arguments)
    operations = Operations(session, Alerts(session), arguments.dir)
    where = lines.address(lines.endpoint(arguments.listen)[0], session.listen_port())
    for node in filter(None, arguments.bootstrap.split(",")):
        session.add_dht_node(lines.endpoint(node))
    # TCP and UDP have the same port.
    lines.serve(operations, {"addr": where, "id": operations.own_ids()[0].hex(), "tcp": where})


main()
