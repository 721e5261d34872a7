#!/bin/sh
# Builds the Python environment of line B6 with the pinned libtorrent in the folder that is given, and prints its
# interpreter. A second run only prints.
set -eu
venv=${1:?which folder?}
if ! "$venv/bin/python" -c 'import libtorrent' 2>/dev/null; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check libtorrent==2.1.1 >&2
fi
echo "$venv/bin/python"
