# Sourced by every `build` script here. Gives them one cache folder, retries, stamps and the meaning of exit codes:
# 0 built, 77 this machine can not build it (no toolchain, no registry), anything else is our own fault.
# stdout stays free for the command that runs the peer, so everything else goes to a log.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
peer=$(basename "$here")
repo=$(cd "$here/../../../.." && pwd)
cache=${INTEROP_CACHE:-$repo/target/interop}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
log=$cache/$peer.log

# Two test binaries may ask for the same peer at once; the second waits and then finds it built.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$cache/$peer.lock"
    flock 9
fi
: >"$log"

skip() {
    echo "$peer: $1" >&2
    exit 77
}

broken() {
    echo "$peer: $1, see $log" >&2
    tail -n 20 "$log" >&2
    exit 1
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || skip "$tool is not installed"
    done
}

# Registries fail for a moment now and then; three tries tell a moment from a machine without one.
thrice() {
    for pause in 1 5 0; do
        "$@" >>"$log" 2>&1 && return 0
        sleep "$pause"
    done
    return 1
}

fetch() {
    thrice "$@" || skip "the package registry failed three times, see $log"
}

# `stale FILE…` is true unless the last finished build saw the same bytes. `stamp` says that this build finished.
# Without a tool that hashes, everything is always stale: slow, but right.
stale() {
    sum=$(cat "$here/build" "$@" | { sha256sum 2>/dev/null || date; })
    [ "$sum" != "$(cat "$cache/$peer.stamp" 2>/dev/null || true)" ]
}

stamp() {
    echo "$sum" >"$cache/$peer.stamp"
}

# The last line of a build: the argv that runs the peer, as JSON.
runs() {
    line=
    for word in "$@"; do
        line="$line,\"$(printf %s "$word" | sed 's/[\\"]/\\&/g')\""
    done
    echo "[${line#,}]"
}
