"""What the kernel's files say, read as their manuals have them, and what is left of a file that says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic

from loadtests import assembly, clock, counters, record
from loadtests.counters import Counters, Seen, Tcp
from loadtests.sink import Part

STAT = "cpu  100 5 40 800 3 0 2 50 7 0\ncpu0 50 2 20 400 1 0 1 25 3 0\nintr 12345 0 0\n"
SNMP = """Ip: Forwarding DefaultTTL
Ip: 1 64
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs \
RetransSegs InErrs OutRsts InCsumErrors
Tcp: 1 200 120000 -1 6 5 3 15 2 2555 2548 37 0 14 0
"""
V2 = "25 30 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 /box /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 /box /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def test_steal_is_of_all_ticks_but_guests_which_are_user_time_already() -> None:
    """100 + 5 + 40 + 800 + 3 + 0 + 2 + 50 = 1,000."""
    assert counters.stolen(STAT) == (50, 1000)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("usage_usec 9\nnr_periods 4\nnr_throttled 2\nthrottled_usec 1500\n", 1_500_000),
        ("nr_periods 4\nnr_throttled 2\nthrottled_time 1500000\n", 1_500_000),
        ("usage_usec 9\nuser_usec 5\n", None),  # no CPU controller: no quota
        ("", None),
    ],
)
def test_both_versions_of_cgroups_tell_how_long_they_held(text: str, ns: int | None) -> None:
    assert counters.throttled_ns(text) == ns


def test_segments_are_those_of_tcp() -> None:
    assert counters.tcp(SNMP) == Tcp(sent=2548, again=37, resets=15)


@pytest.mark.parametrize(
    ("cgroup", "mounts", "found"),
    [
        ("0::/a.slice/b.scope\n", V2, ["a.slice/b.scope/cpu.stat", "a.slice/cpu.stat", "cpu.stat"]),
        ("0::/\n", V2, ["cpu.stat"]),
        ("8:cpu,cpuacct:/docker/x\n7:memory:/docker/x\n", V1, [
            "cpu,cpuacct/docker/x/cpu.stat", "cpu,cpuacct/docker/cpu.stat", "cpu,cpuacct/cpu.stat",
        ]),
        ("7:memory:/docker/x\n", V1, []),
        ("0::/a\n", V1, []),
        ("", "", []),
    ],
)  # fmt: skip
def test_a_quota_is_looked_for_at_every_level(cgroup: str, mounts: str, found: list[str]) -> None:
    assert counters.cpu_stats(cgroup, mounts) == [Path("/sys/fs/cgroup") / path for path in found]


def test_a_second_is_what_came_since_the_last() -> None:
    """10 of 200 ticks stolen; 30 ms withheld in half a second; 100 segments, 2 again, 1 reset."""
    before, now = Seen((50, 1000), 10**9, Tcp(5, 1, 0)), Seen((60, 1200), 10**9 + 30_000_000, Tcp(105, 3, 1))

    assert counters.changes(before, now, 0.5) == {
        "steal": 0.05, "throttled": pytest.approx(0.06), "tcp_sent": 100, "tcp_again": 2, "tcp_resets": 1,
    }  # fmt: skip


def test_what_is_not_told_is_none_and_a_blink_has_no_shares() -> None:
    told = Seen((50, 1000), 10**9, Tcp(5, 1, 0))

    assert set(counters.changes(Seen(None, None, None), told, 1.0).values()) == {None}
    assert counters.changes(told, told, 0.003) == {
        "steal": None, "throttled": None, "tcp_sent": 0, "tcp_again": 0, "tcp_resets": 0,
    }  # fmt: skip


@pytest.mark.parametrize("text", [None, "", "something else\n"])
def test_a_file_that_is_not_there_or_not_understood_says_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "stat").write_text(text)

    assert counters.reader(tmp_path / "stat", counters.stolen)() is None


def test_this_machine_is_sampled_within_a_fraction_of_a_millisecond() -> None:
    """The columns of client.parquet; 0.2 ms a second is the bound, the least of a few tries being what it takes."""
    counted, took = Counters(), []
    for _ in range(20):
        began = clock.monotonic_ns()
        row = counted.sample(1.0)
        took.append(clock.monotonic_ns() - began)

    assert set(row) <= {column.name for column in record.CLIENT_COLUMNS}
    assert row["tcp_sent"] is not None
    assert min(took) < 200_000


def test_a_run_that_an_earlier_version_began_is_finished_with_nulls(tmp_path: Path) -> None:
    """Its parts have none of these columns; a worker's that came later has them."""
    now = synthetic.client(3, steal=0.01)
    before = now.drop_columns(["steal", "throttled", "tcp_sent", "tcp_again", "tcp_resets"])
    for number, table in enumerate((before, now)):
        part = Part(tmp_path / f"client-{number}.arrows", table.schema)
        part.append(table.combine_chunks().to_batches()[0])
        part.close()

    found = assembly._client(tmp_path)
    assert found.schema.equals(record.client_schema())
    assert found.column("steal").null_count == before.num_rows + 1  # and the parent's, which samples nothing
    assert assembly._client(tmp_path / "none").num_rows == 0
    assert (found.num_rows, found.column("rss_bytes").null_count) == (8, 0)
