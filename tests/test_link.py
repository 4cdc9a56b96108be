"""How a run's processes speak: nothing is lost or taken twice, clocks are compared honestly, noise is no message."""

from __future__ import annotations

import os
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import gevent
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtests.link import frames
from loadtests.link.lines import Lines
from loadtests.link.offset import DRIFT, Offsets
from loadtests.link.pipe import Pipe
from loadtests.link.talk import AGAIN_NS, Heard, Said
from loadtests.record import SCHEMA_VERSION
from loadtests.units import PORT, UnitError, endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

MS, S = 1_000_000, 1_000_000_000


# A conversation over a connection that breaks.


class Channel:
    """One way between two who speak: drops, repeats, delays and so reorders, as its dice say; all in whole steps."""

    def __init__(self, dice: random.Random, drop: float, repeat: float, slow: int) -> None:
        self.drop = drop
        self._dice, self._repeat, self._slow = dice, repeat, slow
        self._under_way: list[tuple[int, Any]] = []

    def send(self, what: Any, step: int) -> None:
        """Perhaps it comes, perhaps twice."""
        for _ in range(1 + (self._dice.random() < self._repeat)):
            if self._dice.random() >= self.drop:
                self._under_way.append((step + self._dice.randint(0, self._slow), what))

    def come(self, step: int) -> list[Any]:
        """What has arrived by now, in any order."""
        come = [what for at, what in self._under_way if at <= step]
        self._under_way = [one for one in self._under_way if one[0] > step]
        self._dice.shuffle(come)
        return come


@given(
    seed=st.integers(0, 1 << 32), drop=st.floats(0, 0.7), repeat=st.floats(0, 1), slow=st.integers(0, 8),
    says=st.lists(st.integers(0, 40), max_size=25),
)  # fmt: skip
def test_all_that_was_said_is_taken_once_and_in_order(
    seed: int, drop: float, repeat: float, slow: int, says: list[int]
) -> None:
    """
    However bad the connection is.

    A step is half a second; `says` are the steps in which something is said. From step 60 on nothing is dropped: then
    at the latest one more is taken each time that all is said again, after 4 steps and two ways of up to 8.
    """
    dice = random.Random(seed)
    there, back = Channel(dice, drop, repeat, slow), Channel(dice, drop, repeat, slow)
    said, heard, taken = Said(), Heard(), list[int]()
    for step in range(60 + 20 * (len(says) + 1)):
        now_ns = step * S // 2
        for number in [number for number, at in enumerate(sorted(says)) if at == step]:
            there.send(said.say({"kind": "x", "number": number}, now_ns), step)
        for message in said.again(now_ns):
            there.send(message, step)
        taken += [message["number"] for message in there.come(step) if heard.takes(message)]
        back.send(heard.count, step)
        for count in back.come(step):
            said.taken(count, now_ns)
        if step == 60:
            there.drop = back.drop = 0.0

    assert taken == list(range(len(says)))
    assert not said.open


def test_what_was_taken_is_not_said_again_and_the_rest_not_before_its_time() -> None:
    said = Said()
    first, second = said.say({"kind": "a"}, 0), said.say({"kind": "b"}, 0)
    assert [first["n"], second["n"]] == [0, 1]
    assert list(said.again(AGAIN_NS)) == []
    said.taken(1, AGAIN_NS)
    assert list(said.again(2 * AGAIN_NS)) == []  # since something was taken, not since it was said
    assert list(said.again(2 * AGAIN_NS + 1)) == [second]
    assert list(said.again(3 * AGAIN_NS)) == []
    said.taken(0, 3 * AGAIN_NS)  # late word of earlier
    assert said.open
    said.taken(2, 3 * AGAIN_NS)
    assert not said.open


# How far two clocks are apart.


@given(
    apart_ns=st.integers(-(10**18), 10**18), drift=st.floats(-DRIFT, DRIFT),
    asks=st.lists(
        st.tuples(st.integers(0, 20 * S), st.integers(0, 3 * S), st.integers(0, 3 * S)), min_size=1, max_size=60
    ),
    later_ns=st.integers(0, 100 * S),
)  # fmt: skip
@example(apart_ns=0, drift=DRIFT, asks=[(0, 0, 2 * S)], later_ns=0)
def test_an_offset_is_as_right_as_it_says(
    apart_ns: int, drift: float, asks: list[tuple[int, int, int]], later_ns: int
) -> None:
    """
    Whatever the two ways take, and however the other clock drifts within what quartz may.

    Their clock shows t + apart + drift t when ours shows t. An ask leaves after a wait, takes one time to them and
    another one back; clocks are whole nanoseconds, so that one is forgiven.
    """
    offsets, now_ns = Offsets(), 0
    for wait_ns, there_ns, back_ns in asks:
        asked_ns = now_ns + wait_ns
        seen_ns = asked_ns + there_ns
        now_ns = seen_ns + back_ns
        offsets.answered(asked_ns, seen_ns + apart_ns + int(drift * seen_ns), now_ns)
    now_ns += later_ns
    best = offsets.best(now_ns)

    assert offsets.count == len(asks)
    assert abs(best.offset_ns - apart_ns - drift * now_ns) <= best.worst_ns(now_ns) + 2
    last_ns = asks[-1][1] + asks[-1][2]
    assert best.worst_ns(now_ns) <= last_ns / 2 + DRIFT * (last_ns + later_ns) + 3  # no wider than it must be


def test_the_quickest_answer_is_the_best_until_it_is_too_old() -> None:
    """10 ms of way and back are ± 5 ms; 100 µs/s later than 300 s after it they are worse than 70 ms of now: ± 35."""
    offsets = Offsets()
    offsets.answered(0, 7 * S + 5 * MS, 10 * MS)
    offsets.answered(S, 8 * S + 60 * MS, S + 70 * MS)
    assert offsets.best(S + 70 * MS).offset_ns == 7 * S

    later_ns = 305 * S
    offsets.answered(later_ns - 70 * MS, later_ns + 7 * S, later_ns)
    assert offsets.best(later_ns).offset_ns == 7 * S + 35 * MS


# Lines over pipes.

SAID = [{"kind": "status", "text": "grüße\n" * 3, "n": 1}, {"kind": "x"}, {"kind": "long", "text": "y" * 70_000}]
STREAM = b"".join(orjson.dumps(one) + b"\n" for one in SAID)


def split(data: bytes, at: Iterable[int]) -> list[bytes]:
    """Bytes cut at these places."""
    edges = [0, *sorted({min(place, len(data)) for place in at}), len(data)]
    return [data[low:high] for low, high in pairwise(edges)]


CUTS = st.lists(st.integers(0, len(STREAM)) | st.integers(0, 120), max_size=12)


@given(cuts=CUTS)
def test_lines_are_the_same_however_their_bytes_come(cuts: list[int]) -> None:
    from_fd, to_fd = os.pipe()
    with os.fdopen(from_fd, "rb", 0) as source, os.fdopen(to_fd, "wb", 0) as target:
        lines = Lines(source, target)
        found = []
        for piece in split(STREAM, cuts):
            assert not piece or os.write(to_fd, piece[:60_000]) == min(len(piece), 60_000)
            found += lines.take()
            if len(piece) > 60_000:  # more than a pipe holds
                os.write(to_fd, piece[60_000:])
                found += lines.take()
        assert not lines.closed
        assert lines.take() == []
        os.write(to_fd, b'{"kind": "cut o')
        lines.hang_up()
        found += lines.take()
        found += lines.take()

    assert found == SAID
    assert lines.closed


def test_saying_something_to_nobody_is_harmless() -> None:
    here, there = os.pipe()
    with os.fdopen(here, "rb", 0) as source, os.fdopen(there, "wb", 0) as target:
        lines = Lines(source, target)
        source.close()
        lines.tell({"kind": "x"})
        lines.close()
        lines.tell({"kind": "x"})


@given(cuts=CUTS)
def test_a_workers_pipe_hears_the_same_however_the_bytes_come(cuts: list[int]) -> None:
    from_fd, to_fd = os.pipe()
    pipe = Pipe(from_fd, to_fd)

    def feed() -> None:
        for piece in split(STREAM, cuts):
            left = piece
            while left:
                try:
                    left = left[os.write(to_fd, left) :]
                except BlockingIOError:
                    gevent.sleep(0.001)
            gevent.sleep(0)
        os.close(to_fd)

    feeder = gevent.spawn(feed)
    try:
        assert [pipe.hear() for _ in range(4)] == [*SAID, None]
    finally:
        feeder.join()
        os.close(from_fd)


def test_a_full_pipe_drops_statuses_and_nothing_else() -> None:
    """A pipe holds 64 KiB: the second status finds it full, and so does what was said behind it; that goes later."""
    from_fd, to_fd = os.pipe()
    pipe = Pipe(from_fd, to_fd)
    heard, rest = list[dict[str, Any]](), b""
    pipe.tell("status", text="a" * 60_000)
    pipe.tell("status", text="b" * 60_000)
    pipe.tell("status", text="c")
    pipe.tell("reached", slot=1)
    drained = gevent.spawn(pipe.drain)
    for _ in range(100):
        try:
            *lines, rest = (rest + os.read(from_fd, 30_000)).split(b"\n")
        except BlockingIOError:
            lines = []
        heard += [orjson.loads(line) for line in lines]
        gevent.sleep(0.002)
    drained.join(1)
    os.close(from_fd)
    pipe.tell("over")
    pipe.drain()  # nobody is there: nothing is kept for them
    os.close(to_fd)

    assert [(one["kind"], one.get("text", "")[:1]) for one in heard] == [
        ("status", "a"),
        ("status", "b"),
        ("reached", ""),
    ]


# Frames.


@given(message=st.dictionaries(st.text(max_size=5), st.integers(-(2**53), 2**53) | st.text(max_size=5), max_size=4),
       data=st.lists(st.binary(max_size=20), max_size=3))  # fmt: skip
def test_a_message_comes_as_it_was_packed(message: dict[str, Any], data: list[bytes]) -> None:
    message["kind"] = "x"
    assert frames.unpack([bytes(frame) for frame in frames.pack(message, *data)]) == (message, data)


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_noise_is_no_message(junk: list[bytes]) -> None:
    found = frames.unpack(junk)
    assert found is None or isinstance(found[0]["kind"], str)


@pytest.mark.parametrize(
    "head", [b"", b"[]", b"null", b'"kind"', b"{}", b'{"kind": 1}', b'{"kind": null}', b"\xff", b"[" * 100_000,
             b'{"kind": "x"} more', b'{"kind": "x"', b'{"kind": "x", "n": 1e999}'],
)  # fmt: skip
def test_what_is_no_message_of_ours_is_none(head: bytes) -> None:
    assert frames.unpack([head]) is None
    assert frames.unpack([]) is None


def test_only_the_protocol_and_the_schema_must_be_the_same() -> None:
    ours = frames.greeting()
    assert frames.mismatch(ours) == frames.mismatch(ours | {"version": "0.0.1"}) == ""
    for other in ({"protocol": 0}, {"schema": SCHEMA_VERSION + 1}, {"protocol": None}, {"schema": "1"}):
        assert "install the same on both" in frames.mismatch(ours | other)
    assert "the worker None" in frames.mismatch({})


# Where a master is.


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("10.0.0.5", "10.0.0.5", PORT), ("10.0.0.5:1", "10.0.0.5", 1), ("load-1.lan:65535", "load-1.lan", 65535),
        ("localhost", "localhost", PORT), ("[::1]:80", "[::1]", 80), ("[::1]", "[::1]", PORT), ("*:80", "*", 80),
        ("*", "*", PORT), ("[fe80::1%eth0]:7", "[fe80::1%eth0]", 7),
    ],
)  # fmt: skip
def test_an_endpoint_is_a_host_and_perhaps_a_port(text: str, host: str, port: int) -> None:
    assert endpoint(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":", ":80", "host:", "host:0", "host:65536", "host:x", "host:-1", "host:\u0661", "host: 80", "::1",
     "fe80::1:80", "[::1", "[]:80", "[host]:80", "a b:80", "tcp://host:80", "user@host", "a,b:80", "-h:80", "..:80",
     "h\0", "*x"],
)  # fmt: skip
def test_what_is_no_endpoint_is_said_in_one_line(text: str) -> None:
    with pytest.raises(UnitError) as caught:
        endpoint(text)
    assert str(caught.value) == f"{text!r} is no HOST or HOST:PORT, such as 10.0.0.5, 10.0.0.5:{PORT} or [::1]:{PORT}"


@given(st.text(max_size=12) | st.from_regex(r"[\[\]:%*.a0-]{0,12}", fullmatch=True))
def test_an_endpoint_is_read_or_refused(text: str) -> None:
    try:
        host, port = endpoint(text)
    except UnitError:
        return
    assert endpoint(f"{host}:{port}") == (host, port)
