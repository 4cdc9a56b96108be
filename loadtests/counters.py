"""
What the kernel counts of this machine: CPU time that a hypervisor took, time that a cgroup was throttled, TCP segments.

All of it takes some 0.1 ms a second; a file that takes longer than a millisecond (/proc/stat of hundreds of CPUs) is
left alone. What the kernel does not tell is None.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from loadtests import clock

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
SLOW_NS: Final = 1_000_000
TRIES: Final = 3
LEAST_S: Final = 0.1
MOST: Final = 1 << 16
"""Bytes of a file that are read; what is looked for is in its first lines."""


class Tcp(NamedTuple):
    """Segments sent, those of them that were sent again, connections broken by a reset; since the machine's start."""

    sent: int
    again: int
    resets: int


# What the files say.


def stolen(stat: str) -> tuple[int, int]:
    """
    Ticks that other guests of the host had of this machine's CPUs, and ticks in all, from /proc/stat.

    Source: proc_stat(5); guest time is part of user time already.
    """
    ticks = [int(word) for word in stat.partition("\n")[0].split()[1:9]]
    return ticks[7], sum(ticks)


def throttled_ns(stat: str) -> int | None:
    """
    Time that a cgroup's run queues were kept from running, all CPUs together, from its cpu.stat; None without a quota.

    Source: Linux, admin-guide/cgroup-v2 (throttled_usec) and scheduler/sched-bwc (throttled_time, ns).
    """
    told = dict(line.split() for line in stat.splitlines() if line.count(" ") == 1)
    if "throttled_usec" in told:
        return 1000 * int(told["throttled_usec"])
    return int(told["throttled_time"]) if "throttled_time" in told else None


def tcp(snmp: str) -> Tcp:
    """
    What TCP of this network namespace has sent, from /proc/net/snmp.

    Source: RFC 4022: OutSegs (without those sent again), RetransSegs, EstabResets.
    """
    names, values = (line.split() for line in snmp.splitlines() if line.startswith("Tcp:"))
    told = dict(zip(names[1:], values[1:], strict=True))
    return Tcp(int(told["OutSegs"]), int(told["RetransSegs"]), int(told["EstabResets"]))


def cpu_stats(cgroup: str, mounts: str) -> list[Path]:
    """
    Where cpu.stat of this process' cgroup and of those above it may be, from /proc/self/cgroup and mountinfo.

    A quota may be set at any level. In a container the path is often the host's and lies outside of the mount: then
    the mount's own root is what is left.
    """
    found = []
    for line in cgroup.splitlines():
        number, names, path = line.split(":", 2)
        mount = _mount(mounts, None if number == "0" and not names else "cpu", names)
        if mount is not None:
            inside = PurePosixPath(path).relative_to("/") if path.startswith("/") else PurePosixPath()
            found += [mount / level / "cpu.stat" for level in (inside, *inside.parents)]
    return list(dict.fromkeys(found))


def _mount(mounts: str, controller: str | None, names: str) -> Path | None:
    """Where cgroup v2 (no controller) or the v1 controller is mounted; None: it is not, or it is not asked for."""
    if controller is not None and controller not in names.split(","):
        return None
    for line in mounts.splitlines():
        before, _, behind = line.partition(" - ")
        kind, _, options = behind.split(" ", 2)
        if kind == ("cgroup2" if controller is None else "cgroup") and (
            controller is None or controller in options.split()[-1].split(",")
        ):
            return Path(before.split()[4])
    return None


# A second of them.


class Seen(NamedTuple):
    """What was read at one moment; None: not told."""

    ticks: tuple[int, int] | None
    held_ns: int | None
    tcp: Tcp | None


class Counters:
    """What the kernel has counted from one sample to the next."""

    def __init__(self) -> None:
        self._stat = reader(Path("/proc/stat"), stolen)
        self._snmp = reader(Path("/proc/net/snmp"), tcp)
        self._quotas = [reader(path, throttled_ns) for path in _own_cpu_stats()]
        self._last = self._read()

    def sample(self, passed_s: float) -> dict[str, float | int | None]:
        """The columns of client.parquet for the time since the last sample, which was so many seconds ago."""
        before, now = self._last, self._read()
        self._last = now
        return changes(before, now, passed_s)

    def _read(self) -> Seen:
        held = [ns for read in self._quotas if (ns := read()) is not None]
        return Seen(self._stat(), sum(held) if held else None, self._snmp())


def changes(before: Seen, now: Seen, passed_s: float) -> dict[str, float | int | None]:
    """The columns of client.parquet for the time between; shares only of a tenth of a second or more."""
    row: dict[str, float | int | None] = dict.fromkeys(("steal", "throttled", "tcp_sent", "tcp_again", "tcp_resets"))
    long = passed_s >= LEAST_S
    if long and now.ticks and before.ticks:
        row["steal"] = (now.ticks[0] - before.ticks[0]) / max(now.ticks[1] - before.ticks[1], 1)
    if long and now.held_ns is not None and before.held_ns is not None:
        row["throttled"] = (now.held_ns - before.held_ns) / 1e9 / passed_s
    if now.tcp and before.tcp:
        row["tcp_sent"], row["tcp_again"], row["tcp_resets"] = (b - a for a, b in zip(before.tcp, now.tcp, strict=True))
    return row


def reader(path: Path, told: Callable[[str], T | None]) -> Callable[[], T | None]:
    """What reads a file of the kernel anew; of one that is not there, not understood, or slow, always None."""

    def read() -> T | None:
        with suppress(OSError, ValueError, IndexError, KeyError):
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return told(os.read(file, MOST).decode())
            finally:
                os.close(file)
        return None

    return read if read() is not None and min(_took_ns(read) for _ in range(TRIES)) <= SLOW_NS else lambda: None


def _took_ns(call: Callable[[], object]) -> int:
    began = clock.monotonic_ns()
    call()
    return clock.monotonic_ns() - began


def _own_cpu_stats() -> list[Path]:
    with suppress(OSError, ValueError):
        found = cpu_stats(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
        return [path for path in found if path.exists()]
    return []
