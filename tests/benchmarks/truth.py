"""
How true the stamps are, against the embedded provider's own log.

    python tests/benchmarks/truth.py [STREAMS [RATE [SECONDS]]]

STREAMS users in closed loop (100), each answer a stream of RATE chunks/s (100), for so many seconds (15). The provider
runs on the first core, the client (parent and worker) on the last. Prints the error of first token, last token and
gaps, and the client's CPU per event. Measure while nothing else runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq

from loadtests.mock import log, process
from loadtests.record import CLIENT, MANIFEST, REQUESTS

HOME = Path(__file__).resolve().parent.parent.parent


def main(streams: int = 100, chunks_per_s: int = 100, seconds: int = 15) -> None:
    """Run once and print."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        truth = Path(folder) / "truth"
        script = [
            "--ttft",
            "0.1",
            "--ttft-sigma",
            "0",
            "--gap",
            str(1 / chunks_per_s),
            "--gap-sigma",
            "0",
            "--prefill",
            "0",
        ]
        with process.start([*script, "--ignore-cap", "--output-tokens", "100"], truth) as mock:
            os.sched_setaffinity(mock.popen.pid, {cores[0]})
            os.sched_setaffinity(0, {cores[-1]})
            subprocess.run(
                [sys.executable, "-m", "loadtests.cli", "run", "--profile", "vllm", "--base-url", mock.base_url,
                 "--model", "mock", "--concurrency", str(streams), "--duration", f"{seconds}s", "--no-report",
                 "--out", folder], check=False, cwd=HOME, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        show(Path(folder) / "latest", truth)


def show(run: Path, truth: Path) -> None:
    """Compare a run with the log."""
    sent = log.read(truth)
    zero = orjson.loads((run / MANIFEST).read_bytes())["started_unix_ns"]
    first, last, gaps = [], [], []
    for row in pq.read_table(run / REQUESTS).to_pylist():
        if row["outcome"] == "ok":
            moments = np.array(sent[int(row["response_id"].split("-")[1])].chunk_ns) - zero
            first.append(row["first_token_ns"] - moments[0])
            last.append(row["last_token_ns"] - moments[-1])
            gaps.extend(np.abs(np.array(row["chunk_gap_us"][1:]) * 1000 - np.diff(moments)))
    print(f"{len(first)} answers, {len(gaps) + len(first)} chunks; error in us: p50 p99 p99.9 max")
    for name, values in (("first token", first), ("last token", last), ("gap", gaps)):
        print(f"  {name:<12}" + " ".join(f"{v / 1000:10.1f}" for v in np.quantile(values, (0.5, 0.99, 0.999, 1.0))))
    steady = pq.read_table(run / CLIENT).to_pandas().iloc[2:-2]
    cost_us = 1e6 * steady.cpu.mean() / steady.events_per_s.mean()
    print(f"  CPU per event {cost_us:.1f} us at {steady.cpu.mean():.0%} of a core")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
