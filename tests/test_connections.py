"""What a plan wants of a machine against what it allows: refused where it cannot be, spoken of where it comes near."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from planning import planned

from loadtests import profiles
from loadtests.connections import notes, refuse
from loadtests.contradictions import OptionError
from loadtests.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.profiles import Profile

MOCK, VLLM = profiles.load("mock"), profiles.load("vllm")
NEXT_DOOR = VLLM.with_overrides(base_url="http://10.0.0.7:8000/v1")
OTHER = NEXT_DOOR.with_overrides(base_url="http://10.0.0.8:8000/v1").model_copy(update={"name": "other"})
SAME = NEXT_DOOR.model_copy(update={"name": "same"})
ONE_CLOSES = NEXT_DOOR.model_copy(update={"keep_alive": False})

FILES = Limits(1024, 1064)  # 1,000 connections and 64 besides
PORTS = Limits(None, None, (40_000, 40_999), 0, 2)  # 1,000


def refused(limits: Limits, sides: Sequence[Profile], here: int | None = None, **given: Any) -> str:
    """The line that a plan is refused with; "" where it isn't."""
    plan = planned(*sides, model="m", **given)
    try:
        refuse(plan, sides, limits, here)
    except OptionError as error:
        return str(error)
    return ""


def told(limits: Limits, sides: Sequence[Profile], here: int | None = None, **given: Any) -> list[str]:
    """What is said of a plan that isn't refused."""
    assert not refused(limits, sides, here, **given)
    return notes(planned(*sides, model="m", **given), sides, limits, here)


@pytest.mark.parametrize(
    ("sides", "given", "each"),
    [
        ([VLLM], {"concurrency": 1000}, None),
        ([VLLM], {"concurrency": 1001}, 1001),
        ([VLLM], {"concurrency": 2000, "workers": 2}, None),
        ([VLLM], {"concurrency": 2001, "workers": 2}, 1001),  # one has 1,001, the other 1,000
        ([VLLM], {"concurrency": 5000, "requests": 900}, None),  # no more users come than there are requests
        ([VLLM], {"concurrency": 5000, "budget_requests": 900}, None),
        ([VLLM], {"concurrency": 5000, "think": "60s"}, None),  # who thinks needs no connection
        ([VLLM, OTHER], {"concurrency": 600, "together": True}, 1200),
        ([VLLM, OTHER], {"concurrency": 600}, None),  # by turns: not surely at a time
        ([VLLM], {"rate": 1000.0, "max_in_flight": 1001, "duration": 20.0}, 1001),
        ([VLLM], {"rate": 10.0, "max_in_flight": 5000, "requests": 100}, None),  # there are only 100
    ],
)
def test_more_connections_than_open_files_are_refused(
    sides: list[Profile], given: dict[str, Any], each: int | None
) -> None:
    line = refused(FILES, sides, **given)

    assert "\n" not in line
    if each is None:
        assert not line
    else:
        assert f"needs {each} open files in each worker process and 64 besides, but the hard limit is 1064" in line
        assert all(way in line for way in ("ulimit -n", "LimitNOFILE=", "--ulimit nofile=", "--workers"))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"concurrency": 5000}, "--concurrency 5000 needs"),
        ({"rate": 9000.0, "duration": 9.0, "max_in_flight": 5000}, "--max-in-flight 5000 needs"),
    ],
)
def test_the_option_is_named(given: dict[str, Any], named: str) -> None:
    assert refused(FILES, [VLLM], **given).startswith(named)


@pytest.mark.parametrize(
    ("sides", "given", "each"),
    [
        ([VLLM], {"concurrency": 787}, None),  # 0.8 x 1,064 = 851.2, and 64 are needed besides
        ([VLLM], {"concurrency": 788}, 788),
        ([VLLM], {"concurrency": 5000, "think": "60s"}, 5000),
        ([VLLM, OTHER], {"concurrency": 600}, 1200),  # an arm whose turn is over keeps its connections
        ([VLLM], {"arrivals": "burst:900", "requests": 900}, 900),
        ([VLLM], {"rate": 5000.0, "duration": 1.0}, None),  # nobody knows how long an answer takes
    ],
)
def test_what_comes_near_the_open_files_is_said(sides: list[Profile], given: dict[str, Any], each: int | None) -> None:
    lines = told(FILES, sides, **given)

    assert len(lines) == (each is not None)
    if each is not None:
        assert lines[0].startswith(f"up to {each} connections may be open in a worker process")


@pytest.mark.parametrize(
    ("sides", "here", "given", "opened"),
    [
        ([NEXT_DOOR], None, {"concurrency": 1000}, None),
        ([NEXT_DOOR], None, {"concurrency": 1001}, 1001),
        ([NEXT_DOOR], None, {"concurrency": 1001, "workers": 4}, 1001),  # ports are the machine's, not a process'
        ([NEXT_DOOR], 1, {"concurrency": 4000, "workers": 4}, None),  # a worker on each of four machines
        ([NEXT_DOOR], 1, {"concurrency": 4001, "workers": 4}, 1001),
        ([NEXT_DOOR], 0, {"concurrency": 4001, "workers": 4}, None),  # all load is made elsewhere
        ([NEXT_DOOR, SAME], None, {"concurrency": 600, "together": True}, 1200),
        ([NEXT_DOOR, OTHER], None, {"concurrency": 600, "together": True}, None),  # to each address as many
        ([MOCK, MOCK.model_copy(update={"name": "two"})], None, {"concurrency": 600, "together": True}, None),
        ([NEXT_DOOR], None, {"rate": 9e4, "duration": 1.0, "max_in_flight": 2000}, None),  # it may never be reached
    ],
)
def test_more_users_than_local_ports_are_refused(
    sides: list[Profile], here: int | None, given: dict[str, Any], opened: int | None
) -> None:
    line = refused(PORTS, sides, here, **given)

    assert "\n" not in line
    assert bool(line) is (opened is not None)
    if opened is not None:
        assert f"needs {opened} connections to 10.0.0.7:8000 at a time, but this machine has 1000" in line
        assert "(40000-40999); widen the range (sysctl -w net.ipv4.ip_local_port_range=" in line


@pytest.mark.parametrize(
    ("side", "reuse", "closed"),
    [
        # Constant 20/s for 100 s: 1,200 in any 60 s, 20 in any second.
        (ONE_CLOSES, 0, 1200),
        (ONE_CLOSES, 2, 1200),  # on loopback alone
        (ONE_CLOSES, 1, None),
        (ONE_CLOSES.with_overrides(base_url="http://127.0.0.1:8000/v1"), 2, None),
        (ONE_CLOSES.with_overrides(base_url="http://127.0.0.1:8000/v1"), 0, 1200),
        (NEXT_DOOR, 0, None),  # connections are kept alive
    ],
)
def test_ports_that_closed_connections_keep_are_said(side: Profile, reuse: int, closed: int | None) -> None:
    lines = told(PORTS._replace(tcp_tw_reuse=reuse), [side], rate=20.0, duration=100.0, arrivals="constant")

    assert len(lines) == (closed is not None)
    if closed is not None:
        assert f"up to {closed} opened anew within 60 s of TIME_WAIT, and this machine has 1000 local ports" in lines[0]
        assert f"tcp_tw_reuse is {reuse}" in lines[0]
        assert "keep connections alive" in lines[0]


def test_a_proxy_is_what_is_connected_to() -> None:
    """Two hosts behind one proxy share its address and port: 600 and 600 are more than 1,000."""
    sides = [side.with_overrides(proxy="http://10.0.0.1:3128") for side in (NEXT_DOOR, OTHER)]

    assert "connections to 10.0.0.1:3128" in refused(PORTS, sides, concurrency=600, together=True)


def test_turns_of_conversations_open_connections_too(tmp_path: Any) -> None:
    """5/s for 100 s are 300 arrivals in 60 s, of three turns each."""
    file = tmp_path / "talk.toml"
    file.write_text("name = 'talk'\n[conversation]\nturns = 3\nthink = 1\n")

    lines = told(PORTS, [ONE_CLOSES], rate=5.0, duration=100.0, arrivals="constant", workload=str(file))

    assert "up to 900 opened anew" in lines[0]


def test_a_machine_that_says_nothing_refuses_nothing() -> None:
    assert told(Limits(), [ONE_CLOSES], concurrency=100_000) == []
