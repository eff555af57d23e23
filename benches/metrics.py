#!/usr/bin/env python3
"""The bars of the metric store, on a cluster's worth of series that are made up.

    benches/metrics.py [HOURS]

Builds and runs `src/metric_store/benches/corpus.rs` with and without jitter, prints what it says,
and ends with 1 where a bar is missed. CPU time, not wall time, so that it can be run beside other
work; only "ready after a kill" depends on how many cores are free, and is judged by its CPU time
divided by two.
"""

import re
import subprocess
import sys

# What a line of the bench begins with: (regular expression of the figure, bar, unit).
BARS = {
    "append:": (r"([\d.]+) CPU s", 0.5, "CPU s per M samples"),
    "memory": (r"([\d.]+) KB per series", 1.0 + 40_000 / 60_000, "KB per series, 40 MB included"),
    "ready": (r"([\d.]+) CPU s", 2.0, "CPU s on two cores"),
    "disk, windows": (r"([\d.]+) bytes", 0.62, "bytes per sample all in"),
    # The bar is 0.25 CPU s for 13.7 k series; this reads 30,000.
    "read": (r"([\d.]+) CPU s", 0.25 * 30_000 / 13_700, "CPU s"),
}


def run(hours, kind):
    command = ["cargo", "bench", "-q", "-p", "metric_store", "--bench", "corpus", "--"]
    done = subprocess.run(command + [hours, kind], stderr=subprocess.PIPE, text=True, check=False)
    print(done.stderr, end="")
    if done.returncode != 0:
        sys.exit(f"the bench failed with {done.returncode}")
    missed = []
    for line in done.stderr.splitlines():
        for begins, (figure, bar, unit) in BARS.items():
            found = re.search(figure, line)
            if line.startswith(begins) and found and float(found[1]) > bar:
                missed.append(f"{kind}: {line!r} is above {bar:.2f} {unit}")
    return missed


def main():
    hours = sys.argv[1] if len(sys.argv) > 1 else "6"
    missed = [what for kind in ("jitter", "steady") for what in run(hours, kind)]
    for what in missed:
        print("MISSED", what)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
