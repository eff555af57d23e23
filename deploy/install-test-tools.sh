#!/bin/sh
# Installs what the tests need beside a Rust toolchain, Node and a C compiler: a browser, and the
# programs that Yagura is compared with and talks to. Debian and its children; elsewhere install
# Chromium by hand (tests that need one of the other programs are skipped without it and say so).
set -eu
missing=
has() { command -v "$1" >/dev/null 2>&1; }
has chromium || has chromium-browser || missing="$missing chromium"
has promtool || missing="$missing prometheus"
has amtool || missing="$missing prometheus-alertmanager"
has prometheus-node-exporter || missing="$missing prometheus-node-exporter"
[ -n "$missing" ] || exit 0
if ! has apt-get; then
    case "$missing" in
    *chromium*)
        echo "install Chromium with this system's package manager, then run make test again" >&2
        exit 1
        ;;
    esac
    exit 0
fi
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update
# RUNLEVEL: the tests start these programs themselves, on ports of their own.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y --no-install-recommends $missing
