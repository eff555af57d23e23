#!/bin/sh
# Builds the fuzz targets and runs each for some time with the stable toolchain.
#   tests/fuzz/run.sh SECONDS TARGET...
# Targets: query logql promql line file rules exposition receive alertmanager block block_round_trip
# metric_page. What is found is written to
# target/fuzz/found/TARGET; running TARGET with such a file shows it again. Fails while there is
# something in there: delete what is repaired.
set -eu
seconds=${1:?seconds per target}
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/fuzz
# The same versions as the product has.
cp "$root/Cargo.lock" "$here/Cargo.lock"
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module \
 -Cllvm-args=-sanitizer-coverage-level=4 \
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
 -Cllvm-args=-sanitizer-coverage-pc-table \
 -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
features=
for name in "$@"; do
    case $name in
        block*) features="$features --features store" ;;
        metric_page) features="$features --features metrics" ;;
    esac
done
host=$(rustc -vV | sed -n 's/^host: //p')
bins=
for name in "$@"; do bins="$bins --bin $name"; done
# With a named host the flags stay away from build scripts.
# shellcheck disable=SC2086
nice cargo build --release --manifest-path "$here/Cargo.toml" --target "$host" \
    --target-dir "$target" $features $bins
status=0
for name in "$@"; do
    mkdir -p "$target/corpus/$name" "$target/found/$name"
    echo "== $name"
    nice "$target/$host/release/$name" "$target/corpus/$name" "$here/seeds/$name" \
        -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="$target/found/$name/" -print_final_stats=1 2>&1 | tail -n 12
    if [ -n "$(ls "$target/found/$name")" ]; then
        echo "$name: see $target/found/$name"
        status=1
    fi
done
exit "$status"
