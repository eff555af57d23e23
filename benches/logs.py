#!/usr/bin/env python3
"""Measures the log side of a Yagura binary on a folder of container logs, as the kubelet writes it.

    benches/logs.py BINARY PODS [--work DIR] [--keep] [--only PART,PART]

PODS is a folder like /var/log/pods: `<namespace>_<pod>_<uid>/<container>/<restart>.log`, lines in
CRI format. The queries are made for a corpus of web, Java and Kubernetes logs; where a word of
theirs does not occur, the answer is empty and the figure says little.

Parts, in this order:

    ingest   `zstd -1` of the text of each file, one after the other: the floor. Then Yagura reads
             the files, stores and seals them. CPU of both and their ratio, disk, memory.
    query    CPU and wall time of questions over HTTP, warm, on what was stored.
    latency  from a line written to a file until a search finds it and a tail shows it.
    idle     CPU with 100 quiet files.
    steady   memory with 1,000 lines/s, against idle.

CPU is user + system of the whole process from /proc/PID/stat, so wall time and other work on the
machine do not matter. Needs Python 3.8, and `zstd` for the floor. What is written is removed.
"""

import argparse
import base64
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20
# Enough CPU ticks of 10 ms for a figure to be good to some percent.
QUERY_CPU_SECONDS = 1.0
QUERY_REPEATS_MAX = 400
QUERY_REPEATS_MIN = 5
# Files are read without a pause longer than this while there is something to read.
QUIET_SECONDS = 5
CRI = re.compile(rb"^(\S+) (?:stdout|stderr) ([FP]\S*) ")


class Yagura:
    """A running binary with a data folder of its own."""

    def __init__(self, binary, work, files, memory=None):
        self.work = Path(work)
        config = {"logs": {"files": files}, "storage": {"logs": "36500d", "disk": "1000GiB"}}
        if memory:
            config["storage"]["memory"] = memory
        path = self.work / "yagura.yaml"
        path.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [binary, "--config", path, "--data", self.work / "data", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=open(self.work / "stderr.txt", "ab"),
        )
        first = self.process.stdout.readline().decode()
        found = re.search(r"http://([\d.]+):(\d+)", first)
        if not found:
            sys.exit(f"{binary} did not start: {(self.work / 'stderr.txt').read_text()}")
        self.host, self.port = found[1], int(found[2])

    def cpu(self):
        """Seconds of user and system time so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(stat[11]) + int(stat[12])) / TICKS

    def memory(self, name):
        """VmRSS, VmHWM or RssAnon in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) * 1024

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://{self.host}:{self.port}{path}?{query}") as answer:
            return answer.read()

    def metric(self, name):
        for line in self.get("/metrics").decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return 0.0

    def stop(self):
        """Ends it and returns all the CPU seconds that it took."""
        self.process.send_signal(signal.SIGTERM)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.process.stdout.close()
        return usage.ru_utime + usage.ru_stime


def text_of(path):
    """The lines of a file without their envelope."""
    out = bytearray()
    with open(path, "rb") as file:
        for line in file:
            envelope = CRI.match(line)
            out += line[envelope.end():] if envelope else line
            if envelope and envelope[2].startswith(b"P"):
                del out[-1:]
    return out


def time_of(line):
    stamp = CRI.match(line)[1].decode()
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return seconds + float("0." + (fraction or "0"))


def first_and_last_time(files):
    first, last = float("inf"), 0.0
    for path in files:
        with open(path, "rb") as file:
            first = min(first, time_of(file.readline()))
            file.seek(max(0, path.stat().st_size - 2 * MIB))
            last = max(last, time_of(file.read().splitlines()[-1]))
    return first, last


def compress(path, to, floor):
    """Runs `zstd -1` and returns its user time: reading and writing files is not counted."""
    child = subprocess.Popen(["zstd", "-1", "--single-thread", "-q", "-f", "-o", to, path])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit("zstd failed")
    floor["cpu"] += usage.ru_utime


def measure_floor(files, work, floor):
    """Adds to CPU seconds, bytes in and bytes out of `zstd -1` per file, and lines."""
    text_file, packed_file = Path(work) / "text", Path(work) / "packed"
    for path in files:
        text = text_of(path)
        text_file.write_bytes(text)
        compress(text_file, packed_file, floor)
        floor["raw"] += len(text)
        floor["lines"] += text.count(b"\n")
        floor["packed"] += packed_file.stat().st_size
    text_file.unlink()
    packed_file.unlink()


def folder_bytes(folder):
    return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())


def measure_ingest(binary, pods, files, work, memory):
    # Half of the files before and half after, so that both see the same machine.
    floor = {"cpu": 0.0, "raw": 0, "packed": 0, "lines": 0}
    measure_floor(files[::2], work, floor)
    yagura = Yagura(binary, work, [f"{pods}/*/*/*.log"], memory)
    idle = yagura.memory("VmRSS")
    started, anonymous = time.time(), 0
    # Lines of one record are joined, so their number is not known beforehand: it is done when
    # nothing is left to read and nothing has come for some seconds.
    stored, changed, behind = 0.0, started, 1.0
    while stored == 0 or behind > 0 or time.time() - changed < QUIET_SECONDS:
        anonymous = max(anonymous, yagura.memory("RssAnon"))
        now = yagura.metric("yagura_log_store_lines_total")
        behind = yagura.metric("yagura_log_tail_lag_bytes")
        if now != stored:
            stored, changed = now, time.time()
        if time.time() - started > 600:
            sys.exit(f"only {stored:,.0f} records in 10 min")
        time.sleep(0.1)
    wall, peak = changed - started, yagura.memory("VmHWM")
    cpu = yagura.stop()
    measure_floor(files[1::2], work, floor)
    raw, packed, floor_cpu = floor["raw"], floor["packed"], floor["cpu"]
    print(f"corpus: {floor['lines']:,} lines, {raw / 1e6:.1f} MB of text, {len(files)} files")
    print(f"zstd -1 per stream: {floor_cpu:.2f} CPU s, {packed / 1e6:.1f} MB ({packed / raw:.1%})")
    print(
        f"ingest, files to committed partitions: {cpu:.2f} CPU s = {cpu / floor_cpu:.1f} x zstd -1"
        f", {raw / 1e6 / cpu:.0f} MB per CPU s, {wall:.1f} s wall, {stored:,.0f} records"
    )
    disk = folder_bytes(Path(work) / "data" / "logs")
    parts = {}
    for file in (Path(work) / "data" / "logs").rglob("*"):
        if file.is_file():
            kind = file.suffix or file.name
            parts[kind] = parts.get(kind, 0) + file.stat().st_size
    largest = sorted(parts.items(), key=lambda part: -part[1])[:5]
    told = ", ".join(f"{kind} {size / 1e6:.1f}" for kind, size in largest)
    print(f"disk: {disk / 1e6:.1f} MB = {disk / raw:.1%} of the text ({told} MB)")
    print(
        f"memory while catching up: {peak / MIB:.0f} MiB resident at most, of it anonymous"
        f" {anonymous / MIB:.0f} MiB; {idle / MIB:.0f} MiB just after the start"
    )


def measure_queries(binary, files, work):
    yagura = Yagura(binary, work, [f"{work}/no-such-file"])
    first, last = first_and_last_time(files)
    span = {"from": f"{first:.3f}", "to": f"{last + 1:.3f}"}
    trace = a_trace(files)

    def lines(q, **more):
        return "query", {"q": q, "limit": 100, **span, **more}

    def count(q, step="1h"):
        return "histogram", {"q": q, "step": step, **span}

    questions = [
        ("rare id", 4, lines(trace)),
        ("word + namespace, newest 100", 8, lines("completed ns:shop")),
        ("phrase, newest 100", 20, lines('"connection refused"')),
        ("phrase, count", 190, count('"connection refused"')),
        ("prefix", 8, lines(trace[:6] + "*")),
        ("substring", 300, lines(f"/{trace[10:22]}/")),
        ("regex, count", 700, count(r'/"status":50[34],.*"trace_id":"a[0-9]b/')),
        ("errors per minute", 3, count("level:error", step="1m")),
        ("top 10 of a field, filtered", 28, lines("ns:shop | top 10 status")),
        ("top 10 of 14,000 values", None, lines("level:error | top 10 path")),
        ("newest 100", 8, lines("")),
        ("common word, count", 200, count("request")),
    ]
    print(f"{'query':30} {'CPU ms':>8} {'bar':>5} {'wall ms':>8}  answer")
    for name, bar, (kind, parameters) in questions:
        path = f"/api/v1/logs/{kind}"
        try:
            for _ in range(3):
                answer = yagura.get(path, **parameters)
        except urllib.error.HTTPError as error:
            print(f"{name:30} {'-':>8} {bar or '-':>5}           {error.read().decode()[:90]}")
            continue
        before, walls = yagura.cpu(), []
        while len(walls) < QUERY_REPEATS_MAX:
            started = time.perf_counter()
            yagura.get(path, **parameters)
            walls.append((time.perf_counter() - started) * 1e3)
            if len(walls) >= QUERY_REPEATS_MIN and yagura.cpu() - before > QUERY_CPU_SECONDS:
                break
        cpu = (yagura.cpu() - before) * 1e3 / len(walls)
        mark = " " if bar is None or cpu <= bar else "!"
        wall = statistics.median(walls)
        print(f"{name:30} {cpu:8.1f}{mark}{bar or '-':>5} {wall:8.1f}  {summary(kind, answer)}")
    yagura.stop()


def a_trace(files):
    """An identifier from the middle of the first file that has one."""
    for path in files:
        with open(path, "rb") as file:
            file.seek(path.stat().st_size // 2)
            found = re.search(rb'"trace_id":"([0-9a-f]{32})"', file.read(MIB))
        if found:
            return found[1].decode()
    return "0123456789abcdef0123456789abcdef"


def summary(kind, answer):
    if kind == "query":
        n = answer.count(b"\n")
        return f"{n} lines"
    buckets = json.loads(answer)["data"]["buckets"]
    return f"{sum(sum(counts) for _, counts in buckets):,} lines counted"


def cri(text):
    now = datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return f"{now} stdout F {text}\n"


class Tail:
    """Notes when lines come on a live tail."""

    def __init__(self, yagura, query):
        self.seen = {}
        self.socket = socket.create_connection((yagura.host, yagura.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /api/v1/logs/tail?q={query} HTTP/1.1\r\nHost: {yagura.host}:{yagura.port}\r\n"
            f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while data := self.socket.recv(65536):
            for word in re.findall(rb"needle\d+", data):
                self.seen.setdefault(word.decode(), time.time())


def measure_latency(binary, work):
    pod = Path(work) / "pods/bench_writer_0/app"
    pod.mkdir(parents=True)
    yagura = Yagura(binary, work, [f"{work}/pods/*/*/*.log"])
    found, tailed = [], []
    with open(pod / "0.log", "w", buffering=1) as log:
        log.write(cri("the first line"))
        time.sleep(2)
        tail = Tail(yagura, "needle*")
        time.sleep(1)
        for n in range(20):
            word = f"needle{n}"
            written = time.time()
            log.write(cri(f"line with {word} in it"))
            while not yagura.get("/api/v1/logs/query", q=word, limit=1):
                time.sleep(0.005)
            found.append(time.time() - written)
            time.sleep(0.3)
            tailed.append(tail.seen.get(word, float("inf")) - written)
    yagura.stop()
    told = lambda all: f"{statistics.median(all) * 1e3:.0f} ms (worst {max(all) * 1e3:.0f})"
    print(f"a written line is found after {told(found)}, is in the tail after {told(tailed)}")


def measure_idle(binary, work):
    for n in range(100):
        pod = Path(work) / f"pods/bench_quiet-{n}_0/app"
        pod.mkdir(parents=True)
        (pod / "0.log").write_text(cri("the only line"))
    yagura = Yagura(binary, work, [f"{work}/pods/*/*/*.log"])
    time.sleep(20)
    before, started = yagura.cpu(), time.time()
    time.sleep(60)
    share = (yagura.cpu() - before) / (time.time() - started)
    yagura.stop()
    print(f"idle with 100 quiet files: {share:.2%} of a core, scrapes of itself included")


def measure_steady(binary, files, work):
    pod = Path(work) / "pods/bench_steady_0/app"
    pod.mkdir(parents=True)
    yagura = Yagura(binary, work, [f"{work}/pods/*/*/*.log"])
    time.sleep(10)
    idle, before = yagura.memory("VmRSS"), yagura.cpu()
    texts = text_of(files[0]).decode(errors="replace").splitlines()
    seconds = 120
    with open(pod / "0.log", "w") as log:
        for second in range(seconds):
            started = time.time()
            log.write("".join(cri(texts[(second * 1000 + n) % len(texts)]) for n in range(1000)))
            log.flush()
            time.sleep(max(0.0, 1 - (time.time() - started)))
    busy, cpu = yagura.memory("VmHWM"), yagura.cpu() - before
    yagura.stop()
    print(
        f"1,000 lines/s for {seconds} s: {(busy - idle) / MIB:.0f} MiB above idle"
        f" ({idle / MIB:.0f} MiB), {cpu / seconds:.2%} of a core"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("pods", type=Path)
    parser.add_argument("--work", help="where the data folder goes; the system's temporary folder")
    parser.add_argument("--keep", action="store_true", help="keep the data folder, use it if there")
    parser.add_argument("--memory", help="storage.memory while ingesting; the default if not given")
    parser.add_argument("--only", default="ingest,query,latency,idle,steady")
    asked = parser.parse_args()
    parts = asked.only.split(",")
    files = sorted(asked.pods.glob("*/*/*.log"))
    if not files:
        sys.exit(f"no files like {asked.pods}/*/*/*.log")
    work = asked.work or tempfile.mkdtemp(prefix="yagura-bench-")
    Path(work).mkdir(parents=True, exist_ok=True)
    try:
        if "ingest" in parts:
            shutil.rmtree(Path(work) / "data", ignore_errors=True)
            measure_ingest(asked.binary, asked.pods, files, work, asked.memory)
        if "query" in parts:
            measure_queries(asked.binary, files, work)
        for part in [measure_latency, measure_idle]:
            if part.__name__.removeprefix("measure_") in parts:
                with tempfile.TemporaryDirectory(prefix="yagura-bench-") as other:
                    part(asked.binary, other)
        if "steady" in parts:
            with tempfile.TemporaryDirectory(prefix="yagura-bench-") as other:
                measure_steady(asked.binary, files, other)
    finally:
        if not asked.keep:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
