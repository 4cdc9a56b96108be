"""A master's socket and its workers' connections on 127.0.0.1: who joins, who is who, who is gone, what comes home."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests import clock
from loadtests.agent.connection import Connection
from loadtests.fleet.bound import HubError
from loadtests.fleet.hub import Hub
from loadtests.link.frames import GIVE_UP_S, greeting
from loadtests.record import SCHEMA_VERSION
from loadtests.shipping import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

S = 1_000_000_000
PLAN = {"run_id": "20260101-000000-mock"}
INPUTS = {"trace.arrow": b"arrivals", "data.jsonl": b""}
SIDE = {
    "ok": 2, "errors": 0, "cancelled": 0, "unsent": 0, "output_tokens": 9, "kinds": {}, "ttft": [700, 2], "tpot": [],
    "ttft_s": 0.4, "tpot_s": 0.0,
}  # fmt: skip
STATUS = {
    "kind": "status", "t_s": 1.0, "issued": 3, "in_flight": 1, "waiting": 0, "ok": 2, "errors": 0, "cancelled": 0,
    "unsent": 0, "answered": 2, "arms": {"a": SIDE}, "health": {}, "last_due_ns": 5, "slot_ns": 0,
    "paused_until_ns": {"a": 7},
}  # fmt: skip


class Remote:
    """A worker's connection, and all that came over it and is new."""

    def __init__(self, port: int) -> None:
        self.connection = Connection(("127.0.0.1", port))
        self.came: list[tuple[dict[str, Any], list[bytes]]] = []

    def kinds(self) -> list[str]:
        """Of all that came, but for beats."""
        return [message["kind"] for message, _ in self.came if message["kind"] != "beat"]

    def take(self) -> None:
        """What an agent does at each turn, but for its load."""
        self.connection.wait(0.002)
        self.came += self.connection.take()
        if self.number is not None:
            self.connection.ask_time()
            self.connection.beat()

    def asks(self, order: str = "", **more: Any) -> Callable[[], bool]:
        """Joins: there is a connection, and what to do has come over it."""
        told = False

        def joined() -> bool:
            nonlocal told
            told = told or self.connection.send({"kind": "join", "order": order, **greeting(), "host": "h", **more})
            return told

        return joined

    @property
    def number(self) -> int | None:
        """As the master numbered it; None before that."""
        found = [message for message, _ in self.came if message["kind"] == "prepare"]
        return found[-1]["manifest"]["worker"] if found else None


class Scene:
    """A master's hub and who speaks with it, all in one thread."""

    def __init__(self, parts: Path) -> None:
        self.hub = Hub(("127.0.0.1", 0), parts)
        self.parts = parts
        endpoint = self.hub._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self.port = int(endpoint.decode().rpartition(":")[2].strip("\0"))
        self.remotes: list[Remote] = []

    def remote(self) -> Remote:
        """One more who speaks with it."""
        self.remotes.append(Remote(self.port))
        return self.remotes[-1]

    def until(self, *conditions: Callable[[], bool], seconds: float = 60.0) -> None:
        """Let all do what they do until all of this holds."""
        end_ns = clock.monotonic_ns() + int(seconds * S)
        while not all(condition() for condition in conditions):
            assert clock.monotonic_ns() < end_ns, [one.came for one in self.remotes]
            self.hub.listen(0.002)
            for one in self.remotes:
                one.take()

    def joined(self, *orders: str) -> list[Remote]:
        """Workers of a run that was offered to so many, once they know who they are."""
        self.hub.offer(PLAN, INPUTS, len(orders))
        remotes = [self.remote() for _ in orders]
        self.until(*(one.asks(order) for one, order in zip(remotes, orders, strict=True)))
        self.until(*(lambda one=one: one.number is not None for one in remotes))
        return remotes

    def close(self) -> None:
        """At once, whoever is still there."""
        for one in self.remotes:
            one.connection.close()
        self.hub._close_socket()
        self.hub._inbox.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


# Who joins.


def test_workers_are_numbered_in_the_order_that_they_ask_for_once_all_are_there(scene: Scene) -> None:
    came: list[tuple[str, int]] = []
    scene.hub.on_join = lambda host, count: came.append((host, count))
    scene.hub.offer(PLAN, INPUTS, 3)
    last, first, middle = (scene.remote() for _ in range(3))
    scene.until(last.asks("c"), first.asks("a"), lambda: len(came) == 2)
    scene.until(lambda: scene.hub.came() == 2)
    assert scene.hub.members == []
    assert last.kinds() == first.kinds() == []  # nobody begins before all are there

    scene.until(middle.asks("b"), lambda: all(one.number is not None for one in scene.remotes))
    assert [first.number, middle.number, last.number] == [0, 1, 2]
    assert came == [("h", 1), ("h", 2), ("h", 3)]
    for one in scene.remotes:
        ((message, data),) = [(m, d) for m, d in one.came if m["kind"] == "prepare"]
        assert message["manifest"] == PLAN | {"worker": one.number}
        assert dict(zip(message["inputs"], data, strict=True)) == INPUTS
    assert [(one.number, one.where) for one in scene.hub.members] == [(number, "h") for number in range(3)]


def test_who_asks_again_is_who_it_was(scene: Scene) -> None:
    """The answer may be under way, or may have got lost: it comes again after a while, and no sooner."""
    (one,) = scene.joined("a")
    peer = scene.hub._peer(scene.hub.members[0])
    scene.until(one.asks("z"))
    for _ in range(20):
        scene.hub.listen(0.002)
        one.take()
    assert one.kinds() == ["prepare"]

    assert peer.prepared_ns is not None
    peer.prepared_ns -= 60 * S
    scene.until(one.asks("z"), lambda: one.kinds() == ["prepare", "prepare"])
    assert one.number == 0
    assert len(scene.hub.members) == 1


def test_who_comes_late_has_the_next_number(scene: Scene) -> None:
    scene.joined("b", "c")
    late = scene.remote()
    scene.until(late.asks("a"), lambda: late.number is not None)

    assert late.number == 2
    assert [member.number for member in scene.hub.members] == [0, 1, 2]


@pytest.mark.parametrize("wrong", [{"schema": SCHEMA_VERSION + 1}, {"protocol": None}])
def test_another_version_is_refused_and_does_not_count(scene: Scene, wrong: dict[str, Any]) -> None:
    scene.hub.offer(PLAN, INPUTS, 1)
    one = scene.remote()
    scene.until(one.asks(**wrong, version="9.9"), lambda: one.kinds() == ["refuse"])

    assert "the worker 9.9; install the same on both" in one.came[0][0]["text"]
    assert scene.hub.members == []
    assert scene.hub.came() == 0


def test_a_port_that_is_taken_is_said_in_one_line(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(HubError) as caught:
        Hub(("127.0.0.1", scene.port), tmp_path)
    assert f"--bind 127.0.0.1:{scene.port}: " in str(caught.value)
    assert "Address already in use" in str(caught.value)
    assert "\n" not in str(caught.value)


# What they say.


def test_what_both_say_is_heard_once_and_in_order_also_where_some_of_it_gets_lost(scene: Scene) -> None:
    """The first command is thrown away with all that comes until then: it is said again, and those behind it too."""
    (one,) = scene.joined("a")
    scene.until(lambda: one.connection.offsets.count > 0)
    (member,) = scene.hub.members
    for number in range(2):
        scene.hub.tell(member, {"do": "x", "number": number})
    one.connection.wait(1.0)
    thrown: list[list[bytes]] = []
    for _ in range(1000):
        if one.connection._socket.poll(50):
            thrown.append(one.connection._socket.recv_multipart())
        elif any(b'"number":1' in frames[0] for frames in thrown):
            break
    assert any(b'"number":1' in frames[0] for frames in thrown)
    scene.hub.tell(member, {"do": "x", "number": 2})
    one.connection.tell({"kind": "said", "said": {"kind": "ready"}})
    one.connection.tell({"kind": "said", "said": {"kind": "reached", "slot": 4}})
    one.connection.send({"kind": "status", "said": STATUS})
    peer = scene.hub._peer(member)
    scene.until(lambda: one.kinds().count("do") == 3, lambda: not peer.said.open and not one.connection._said.open)

    done = [message["command"]["number"] for message, _ in one.came if message["kind"] == "do"]
    assert done == [0, 1, 2]
    assert (member.ready, member.reached, member.status["arms"]) == (True, 4, {"a": SIDE})


def test_how_far_a_workers_clock_is_away_is_known_to_both(scene: Scene) -> None:
    """Here there is one clock: what is measured is within its error of 0."""
    (one,) = scene.joined("a")
    scene.until(lambda: scene.hub.members[0].about.get("clock") is not None)
    told = scene.hub.members[0].about["clock"]

    assert abs(told["offset_ns"]) <= told["error_ns"] < S
    assert scene.hub.late_ns() >= 4 * told["error_ns"]
    zero_ns = clock.monotonic_ns() + S
    assert abs(one.connection.start(zero_ns) - zero_ns) <= told["error_ns"] + S // 10
    assert one.connection.silent_s < 5


def test_a_worker_that_has_said_nothing_for_too_long_is_lost_but_may_still_deliver(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    silent, other = scene.joined("a", "b")
    scene.until(lambda: silent.connection.offsets.count > 0)
    for _ in range(10):
        scene.hub.listen(0.01)  # all that it has said by now
    lost = scene.hub.members[0]
    lost.seen_ns -= int((GIVE_UP_S + 1) * S)
    assert scene.hub.settled()  # of whoever was not started nothing comes
    for member in scene.hub.members:
        member.started = True
    assert not scene.hub.settled()
    scene.hub.listen(0)
    assert lost.gone == f"nothing heard of it for {GIVE_UP_S:g} s"
    assert not scene.hub.members[1].gone
    scene.until(lambda: any(m["kind"] == "beat" and m["gone"] for m, _ in silent.came))
    assert not any(m["gone"] for m, _ in other.came if m["kind"] == "beat")

    (tmp_path / "far" / "worker-0.log").write_text("oh\n")
    outbox = Outbox(tmp_path / "far")
    for piece in outbox.pieces(0):
        silent.connection.send({"kind": "rows", "name": piece.name, "offset": piece.offset}, piece.data)
    silent.connection.tell({"kind": "home", "ended": True, "settled": [0, 0, 0.0]})
    scene.until((scene.parts / "ended-0").exists, lambda: "ack" in silent.kinds())
    assert (scene.parts / "worker-0.log").read_text() == "oh\n"
    assert lost.gone


def test_a_worker_that_sends_what_is_anothers_is_lost_and_nothing_is_kept(scene: Scene) -> None:
    one, _ = scene.joined("a", "b")
    one.connection.send({"kind": "rows", "name": "worker-1.log", "offset": 0}, b"not mine\n")
    scene.until(lambda: bool(scene.hub.members[0].gone))

    assert "worker 0 sent a piece of 'worker-1.log'" in scene.hub.members[0].gone
    assert not scene.hub.members[1].gone
    assert [path.name for path in scene.parts.iterdir()] == ["lock"]


def test_a_worker_of_a_run_before_this_one_is_told_so(scene: Scene) -> None:
    one = scene.remote()
    scene.until(lambda: one.connection.send({"kind": "status", "said": STATUS}), lambda: "stranger" in one.kinds())
    assert scene.hub.members == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=4), one, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(
    ("join", "time", "rows", "bye", "status", "beat", "ask", "returned", "said", "gone", "home", "do", "x")
)
KEYS = st.sampled_from(("n", "said", "how", "ended", "settled", "name", "offset", "asked_ns", "heard", "clock", "told"))


@given(
    noise=st.lists(st.tuples(KINDS, st.dictionaries(KEYS, JSON, max_size=5), st.binary(max_size=20)), max_size=30),
    bare=st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=3), max_size=5),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_message_can_end_a_master(
    tmp_path: Path, noise: list[tuple[str, dict[str, Any], bytes]], bare: list[list[bytes]]
) -> None:
    """Whoever sends it: a worker of the run, or somebody who only knows the port."""
    scene = Scene(tmp_path)
    try:
        (one,) = scene.joined("a")
        stranger = scene.remote()
        scene.until(stranger.asks("b", protocol=0), lambda: "refuse" in stranger.kinds())
        for remote in (one, stranger):
            for kind, message, data in noise:
                remote.connection.send({**message, "kind": kind}, data)
            for frames in bare:
                remote.connection._socket.send_multipart(frames)
            remote.connection.send({"kind": "time", "asked_ns": 1})
        took = [False, False]
        end_ns = clock.monotonic_ns() + 60 * S
        while not all(took):
            assert clock.monotonic_ns() < end_ns
            scene.hub.listen(0.002)
            for place, remote in enumerate((one, stranger)):
                while remote.connection._socket.poll(0):
                    frames = remote.connection._socket.recv_multipart()
                    took[place] |= (b'"asked_ns":1,', b"stranger")[place] in frames[0]
        assert len(scene.hub.members) == 1
    finally:
        scene.close()


# The end.


def test_at_the_end_all_say_good_bye_and_nobody_waits(scene: Scene) -> None:
    """One that answers, and one that has gone before."""
    one, gone = scene.joined("a", "b")
    gone.connection.send({"kind": "bye"})
    one.connection.tell({"kind": "said", "said": {"kind": "over"}})
    for remote in (one, gone):
        remote.connection.tell({"kind": "home", "ended": True, "settled": [0, 0, 0.0]})
    scene.until(scene.hub.settled, lambda: scene.hub.members[0].over)
    scene.hub.members[1].over = True

    begun_ns = clock.monotonic_ns()
    ending = threading.Thread(target=scene.hub.close)
    ending.start()
    while ending.is_alive():
        one.take()
        if "bye" in one.kinds():
            one.connection.send({"kind": "bye"})
        time.sleep(0.001)  # the other thread has to get on
    one.take()

    assert "bye" in one.kinds()
    assert "bye" not in gone.kinds()
    assert (clock.monotonic_ns() - begun_ns) / S < 3
    scene.hub = Hub(("127.0.0.1", scene.port), scene.parts)  # the port is free for the next run
