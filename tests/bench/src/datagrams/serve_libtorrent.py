"""A libtorrent node for line B6: listens where the first argument says, joins through the others, serves until its input
ends. The limits that keep one asker from being served without end are lifted."""

import os
import sys

os.sched_setaffinity(0, {0})

import libtorrent as lt  # noqa: E402

session = lt.session({
    # The address by name: with 0.0.0.0 the node on loopback stays silent.
    "listen_interfaces": sys.argv[1],
    "alert_mask": 0,
    "enable_dht": True,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "dht_bootstrap_nodes": "",
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_upload_rate_limit": 1_000_000_000,
    "dht_block_ratelimit": 1_000_000_000,
})
for node in sys.argv[2:]:
    host, port = node.rsplit(":", 1)
    session.add_dht_node((host, int(port)))
print(sys.argv[1], flush=True)
sys.stdin.read()
