#!/usr/bin/env python3
"""What 50,000 series every 15 s cost a running Yagura, HTTP included.

    benches/scraping.py BINARY [MINUTES]

Serves a hundred pages of 500 series from this process, lets the binary scrape them for some
minutes (5), and prints its CPU time as a part of one core, and its memory. The first minute, in
which everything is new, is not counted. `cargo bench -p metric_scrape --bench two_hours` simulates
the two hours after which the memory is largest; this adds what a simulation leaves out. Ends with 1
where the bar of 1.5 % of a core is missed.
"""

import http.server
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TARGETS = 100
SERIES = 500
INTERVAL = 15
BAR = 1.5
ROUNDS = 20


def page(target, turn):
    """Half of the series hardly ever move, as everywhere."""
    lines = []
    for place in range(SERIES):
        if place % 10 == 0:
            lines.append(f"# HELP app_requests_{place // 10}_total How many there were.")
            lines.append(f"# TYPE app_requests_{place // 10}_total counter")
        seed = (target * SERIES + place) * 2654435761 % 1000003
        value = [
            seed,
            seed + turn // 10,
            seed,
            seed,
            turn * (seed % 40),
            turn * (seed % 40) + seed % 7,
            (turn * 7 + seed % 1009) / 100,
            (seed ^ turn * 1013) % 4096 * 4096,
        ][place % 8]
        labels = f'method="GET",path="/api/v1/things/{place % 10}",pod="app-{target}-0a1b2"'
        lines.append(f"app_requests_{place // 10}_total{{{labels}}} {value}")
    return ("\n".join(lines) + "\n").encode()


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages = []

    def do_GET(self):
        turn = int(time.monotonic() / INTERVAL) % ROUNDS
        body = self.pages[turn][int(self.path.split("/")[-1])]
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def cpu(process):
    stat = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def memory(process, name):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) / 1000


def main():
    binary, minutes = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 5
    Pages.pages = [[page(target, turn) for target in range(TARGETS)] for turn in range(ROUNDS)]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"
    jobs = [
        {
            "job_name": f"app-{target}",
            "metrics_path": f"/{target}",
            "static_configs": [{"targets": [address]}],
        }
        for target in range(TARGETS)
    ]
    with tempfile.TemporaryDirectory() as work:
        config = Path(work) / "yagura.yaml"
        every = {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"}
        prometheus = {"global": every, "scrape_configs": jobs}
        config.write_text(json.dumps({"logs": {"files": []}, "prometheus": prometheus}))
        command = [binary, "--config", config, "--data", Path(work) / "data"]
        with open(Path(work) / "stderr", "wb") as stderr:
            process = subprocess.Popen(
                command + ["--listen", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=stderr
            )
        time.sleep(60)
        if process.poll() is not None:
            sys.exit((Path(work) / "stderr").read_text())
        before, started = cpu(process), time.monotonic()
        time.sleep(60 * minutes)
        part = 100 * (cpu(process) - before) / (time.monotonic() - started)
        print(
            f"{TARGETS * SERIES} series every {INTERVAL} s: {part:.2f} % of a core, "
            f"{memory(process, 'RssAnon'):.0f} MB anonymous, {memory(process, 'VmRSS'):.0f} MB "
            f"resident after {minutes + 1:.0f} minutes"
        )
        process.send_signal(signal.SIGTERM)
        process.wait()
    if part > BAR:
        print(f"MISSED {BAR} % of a core")
    sys.exit(part > BAR)


if __name__ == "__main__":
    main()
