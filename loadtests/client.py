"""
The client's own health, sampled each second: what tells a slow server from a busy load generator.

CPU, event loop lag, the delay between receive stamp and reader, lateness of sending, garbage collection, the clocks'
offset, and what the kernel counts of the whole machine. One sample is one row of client.parquet.
"""

from __future__ import annotations

import gc
from array import array
from typing import TYPE_CHECKING, Any, Final

import gevent
import numpy as np
import psutil

from loadtests import clock
from loadtests.counters import Counters

if TYPE_CHECKING:
    from loadtests.wire.receiver import Receiver

PROBE_S: Final = 0.02
"""Period of the timer whose overshoot is the loop's lag."""

COLLECT_ABOVE: Final = 500_000
"""Objects made since the last collection that are too many to leave: the collector runs once, on purpose."""


class Health:
    """
    Gathers one process' figures between two samples.

    Attributes:
        send_lags_ns: sent - scheduled of every request since the last sample; the engine appends.
        last: The last sample; empty before the first.
    """

    def __init__(self, receiver: Receiver, worker: int) -> None:
        self.send_lags_ns = array("q")
        self._receiver = receiver
        self._worker = worker
        self.last: dict[str, Any] = {}
        self._process = psutil.Process()
        self._counters = Counters()
        self._hub_lag_ns = 0
        self._gc_ns = 0
        self._gc_began = 0
        self._reads = 0
        self._cpu_ns = clock.process_ns()
        self._at_ns = clock.monotonic_ns()
        self._prober: Any = None
        _quantiles("", array("q", [0]))  # numpy loads what it needs at the first call: now, not in the run

    def start(self) -> None:
        """Begin: the collector is left off, so that no request waits for it."""
        gc.collect()
        gc.freeze()
        gc.disable()
        gc.callbacks.append(self._on_gc)
        self._prober = gevent.spawn(self._probe)

    def stop(self) -> None:
        """End, and give the collector back."""
        if self._prober is not None:
            self._prober.kill()
            self._prober = None
            gc.callbacks.remove(self._on_gc)
            gc.enable()
            gc.unfreeze()

    def sample(self, *, in_flight: int, issued: int, done: int) -> dict[str, Any]:
        """The row for the time since the last sample."""
        if gc.get_count()[0] > COLLECT_ABOVE:
            gc.collect(0)
        self._receiver.resync()
        now, cpu = clock.monotonic_ns(), clock.process_ns()
        passed_s = max(now - self._at_ns, 1) / 1e9
        wake, self._receiver.lags_ns = self._receiver.lags_ns, array("q")
        late, self.send_lags_ns = self.send_lags_ns, array("q")
        row = {
            "worker": self._worker,
            "t_ns": now - self._receiver.zero_ns,
            "cpu": (cpu - self._cpu_ns) / 1e9 / passed_s,
            "hub_lag_us": self._hub_lag_ns // 1000,
            **_quantiles("wake_lag", wake),
            **_quantiles("send_lag", late),
            "in_flight": in_flight,
            "issued": issued,
            "done": done,
            "events_per_s": (self._receiver.reads - self._reads) / passed_s,
            "gc_pause_us": self._gc_ns // 1000,
            "clock_offset_ns": self._receiver.offset.offset_ns,
            "clock_error_ns": self._receiver.offset.error_ns,
            "rss_bytes": self._process.memory_info().rss,
            **self._counters.sample(passed_s),
        }
        self._at_ns, self._cpu_ns, self._reads = now, cpu, self._receiver.reads
        self._hub_lag_ns = self._gc_ns = 0
        self.last = row
        return row

    def _probe(self) -> None:
        while True:
            due = clock.monotonic_ns() + int(PROBE_S * 1e9)
            gevent.sleep(PROBE_S)
            self._hub_lag_ns = max(self._hub_lag_ns, clock.monotonic_ns() - due)

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._gc_began = clock.monotonic_ns()
        else:
            self._gc_ns += clock.monotonic_ns() - self._gc_began


def _quantiles(name: str, values_ns: array[int]) -> dict[str, float | None]:
    """p50, p99 (nearest rank) and maximum in microseconds; None without a value."""
    if not values_ns:
        return dict.fromkeys((f"{name}_p50_us", f"{name}_p99_us", f"{name}_max_us"))
    last = len(values_ns) - 1
    ranks = [round(0.5 * last), round(0.99 * last), last]
    p50, p99, top = np.partition(np.frombuffer(values_ns, dtype=np.int64), ranks)[ranks] / 1000
    return {f"{name}_p50_us": float(p50), f"{name}_p99_us": float(p99), f"{name}_max_us": float(top)}
