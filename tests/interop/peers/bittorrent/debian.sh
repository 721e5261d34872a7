# Sourced by the `build` scripts of the peers that come as Debian packages. Nothing is installed: the packages of the
# file `packages` that the machine lacks are unpacked into the cache.
. "$(dirname "$0")/../common.sh"
root=$cache/$peer
libraries=$root/usr/lib/$(uname -m)-linux-gnu:$root/usr/lib

download() {
    (cd "$root" && apt-get download -q "$@")
}

# `debian PROGRAM` unpacks, and skips unless the program finds all its libraries.
debian() {
    need apt-get dpkg ldd python3
    program=$root/usr/bin/$1
    if stale "$here/packages" || [ ! -x "$program" ]; then
        mkdir -p "$root"
        missing=
        while read -r package; do
            dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
        done <"$here/packages"
        # The program itself is unpacked also where it is installed, so that there is one place to run it from.
        missing="$missing $(head -n 1 "$here/packages")"
        # shellcheck disable=SC2086 # one word per package
        set -- $missing
        if ! download "$@" >>"$log" 2>&1; then
            # A fresh machine has no lists yet; only root can fetch them.
            apt-get update -q >>"$log" 2>&1 || true
            fetch download "$@"
        fi
        for file in "$root"/*.deb; do
            dpkg -x "$file" "$root" >>"$log" 2>&1 || broken "$file can not be unpacked"
        done
        if LD_LIBRARY_PATH=$libraries ldd "$program" | grep 'not found' >>"$log"; then
            skip "libraries are missing, see $log"
        fi
        stamp
    fi
}
