# Sourced by the `build` scripts of both libtorrents; they differ in requirements.txt only.
. "$(dirname "$0")/../common.sh"
need python3
venv=$cache/$peer/venv
if stale "$here/requirements.txt" || [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv" >>"$log" 2>&1 || skip "python3 has no venv"
    # Wheels only: its source needs Boost and minutes.
    fetch nice -n 5 "$venv/bin/pip" install --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
    "$venv/bin/python" -c 'import libtorrent' >>"$log" 2>&1 || skip "the wheel does not load here, see $log"
    stamp
fi
# Byte code would land beside the sources; they are small enough to read anew each time.
runs "$venv/bin/python" -B "$here/../libtorrent/peer.py"
