"""The line protocol of the BitTorrent peers (see ../../README.md), the same for each wrapper that is written in Python."""

import argparse
import base64
import json
import os
import queue
import sys
import threading

# No operation may outlive this: a test that waits longer has failed anyway.
DEADLINE_SECONDS = 29


class Unsupported(Exception):
    """What the library can not do. The answer says no more than that; the README tells the reason."""


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1:0", help="IP:PORT or [IP6]:PORT, port 0 for a free one")
    parser.add_argument("--dir", required=True, help="an empty folder for everything that the peer writes")
    parser.add_argument("--mode", default="server", choices=("server", "client"), help="client: read-only, BEP 43")
    parser.add_argument("--bootstrap", default="", help="addresses that it knows from the start, with commas between")
    return parser


def endpoint(text):
    """IP:PORT or [IP6]:PORT as a pair."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def encoded(data):
    return base64.b64encode(data).decode()


def decoded(request, field, default=None):
    text = request.get(field, default)
    if text is None:
        raise ValueError(f"{field} is missing")
    return base64.b64decode(text, validate=True)


def write(line):
    # One write per line: threads answer side by side.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _run(operations, request, answers):
    try:
        operation = getattr(operations, "op_" + request["op"], None)
        if operation is None:
            raise Unsupported
        answers.put({"id": request["id"], "ok": True, **(operation(request) or {})})
    except Unsupported:
        answers.put({"id": request["id"], "ok": False, "error": "unsupported"})
    except Exception as error:  # whatever the library raises is this operation's answer, never the end of the peer
        answers.put({"id": request["id"], "ok": False, "error": f"{type(error).__name__}: {error}"})


def _answer(operations, request):
    answers = queue.Queue()
    threading.Thread(target=_run, args=(operations, request, answers), daemon=True).start()
    try:
        answer = answers.get(timeout=DEADLINE_SECONDS)
    except queue.Empty:
        answer = {"id": request["id"], "ok": False, "error": f"deadline of {DEADLINE_SECONDS} s passed"}
    write(answer)


def serve(operations, ready):
    """Says that the peer is ready and answers until `quit` or the end of stdin. `operations` has a method `op_NAME` per
    operation, and `close`."""
    write({"event": "ready", **ready})
    quit_id = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "quit":
            quit_id = request["id"]
            break
        threading.Thread(target=_answer, args=(operations, request), daemon=True).start()
    operations.close()
    if quit_id is not None:
        write({"id": quit_id, "ok": True})
    # Requests that still run hold nothing worth waiting for.
    os._exit(0)
