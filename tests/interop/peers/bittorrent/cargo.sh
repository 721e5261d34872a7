# Sourced by the `build` scripts of the peers in Rust. Cargo decides what is stale; only fetching can fail for lack of a
# registry.
. "$(dirname "$0")/../common.sh"
need cargo
cd "$here"
export CARGO_TARGET_DIR="$cache/$peer"
program=$CARGO_TARGET_DIR/debug/interop-peer-$peer
if stale Cargo.toml Cargo.lock src/*.rs ../bittorrent/lines.rs || [ ! -x "$program" ]; then
    # --locked: the versions are the ones of Cargo.lock, whatever is newer today.
    fetch cargo fetch --locked
    nice -n 5 cargo build --offline --locked >>"$log" 2>&1 || broken "does not compile"
    stamp
fi
runs "$program"
