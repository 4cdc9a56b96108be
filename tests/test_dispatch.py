"""Caps, tails, conversations, clients that give up, and arms, against a server whose every answer the test writes."""

from __future__ import annotations

import re
import threading
import time
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import gevent
import orjson
import pytest
from conftest import attempts, read_request, until

from loadtests import clock, profiles
from loadtests.asking import asked, converse, take, turn
from loadtests.dispatch import drive, offer
from loadtests.engine import Engine
from loadtests.missing import rows
from loadtests.parts import read_part
from loadtests.plan import Arm, Plan
from loadtests.played import Played
from loadtests.shards import Deal, Shards
from loadtests.slots import slots
from loadtests.stop import Stop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

S, MS = 1_000_000_000, 1_000_000
A, B = Arm("a", "model-a"), Arm("b", "model-b")


class Provider:
    """
    Answers with the number of the request; remembers what was asked, in order of asking.

    Args:
        delay_s: How long the first answer takes, the second, ...; all that follow take as long as the last of these.
        fail: Whether these messages get an error.
        held: Whether the answer to the request of this number is to wait still; that is asked until it is not.
    """

    def __init__(
        self, *delay_s: float, fail: Callable[[list[Any]], bool] = lambda _messages: False,
        held: Callable[[int], bool] = lambda _number: False,
    ) -> None:  # fmt: skip
        self.delay_s, self.fail, self.held = delay_s or (0.0,), fail, held
        self.asked: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def __call__(self, sock: socket.socket) -> None:
        """Serve a connection."""
        while data := read_request(sock):
            body = orjson.loads(data.partition(b"\r\n\r\n")[2])
            with self._lock:
                number = len(self.asked)
                self.asked.append(body)
            time.sleep(self.delay_s[min(number, len(self.delay_s) - 1)])
            for _ in range(6000):
                if not self.held(number):
                    break
                time.sleep(0.005)
            sock.sendall(self._answer(number, body))

    def _answer(self, number: int, body: dict[str, Any]) -> bytes:
        if self.fail(body["messages"]):
            return b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n{}"
        choice = {"index": 0, "message": {"content": f"answer {number}"}, "finish_reason": "stop"}
        said = orjson.dumps({"model": body["model"], "choices": [choice], "usage": {"completion_tokens": 2}})
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)


@pytest.fixture
def engine(tmp_path: Path, serve: Any) -> Iterator[Callable[..., Engine]]:
    """Makes an engine whose arms are served by these providers; closes it if the test did not."""
    made: list[Engine] = []

    def make(
        plan: Plan, *providers: Provider, worker: int = 0, on_record: Callable[[Any], None] = lambda _: None,
        folder: Path = tmp_path,
    ) -> Engine:  # fmt: skip
        sides = [
            profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{serve(one).port}/v1") for one in providers
        ]
        made.append(Engine(plan, sides, folder, worker=worker, environ={}, on_record=on_record))
        one = made[-1]
        one.course.on_reached = lambda number: one.go(number + 1, one.receiver.now_ns())
        return one

    yield make
    for one in made:
        if one.sink._lock >= 0:
            one.close()


def plan_of(*arms: Arm, **load: Any) -> Plan:
    return Plan(arms or (A,), stream_share=0.0, **({"arrivals": "constant"} | load))


def play(engine: Engine, seconds: float = 60.0) -> None:
    """Offer an open-loop plan to its end."""
    engine.begin(clock.monotonic_ns() + 20 * MS)
    gevent.spawn(offer, engine, engine.send)
    assert engine.wait(seconds)
    engine.close()


def play_closed(engine: Engine, seconds: float = 60.0) -> None:
    """Have a closed-loop plan's users ask until it is over."""

    def user(place: int) -> None:
        while (taken := take(engine, place)) is not None:
            slot, seq = taken
            request, talk = asked(engine, place, slot, seq)
            arrival = turn(engine, request, place, slot)
            if arrival is None:
                engine.places.give_back(place, slot)
                continue
            converse(engine, arrival, talk, place, slot)
            gevent.sleep(engine.places.pause_s(place, engine.course.slot))
        engine.leave(place)

    def start(users: int) -> None:
        for _ in range(len(engine.places.users), users):
            gevent.spawn(user, engine.places.enter(object()))

    engine.begin(clock.monotonic_ns() + 20 * MS)
    gevent.spawn(drive, engine, start)
    assert engine.wait(seconds)
    engine.close()


def recorded(folder: Path, *order: str) -> list[dict[str, Any]]:
    """The rows of all workers."""
    found = [row for path in sorted(folder.glob("requests-*.arrows")) for row in read_part(path).to_pylist()]
    return sorted(found, key=lambda row: tuple(row[name] for name in order or ("seq",)))


def added(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """What finishing adds."""
    table = read_part(folder / "requests-0.arrows")
    found = rows(Played(plan, folder, table, read_part(folder / "client-0.arrows"), [True])).to_pylist()
    return sorted(found, key=lambda row: row["seq"])


# --max-in-flight.


def test_with_one_in_flight_who_waits_for_it_is_late_by_the_schedule(engine: Any, tmp_path: Path) -> None:
    """
    Who waits for its turn waits by the schedule's clock.

    Constant 20/s and one answer after 100 ms at a time: request i is meant for 50 i ms and can go out when the one
    before it is over, at 100 i ms; so it takes 100 + 50 i ms from its moment, and 100 ms from its sending.
    """
    play(engine(plan_of(rate=20.0, duration_s=0.4, max_in_flight=1), Provider(0.1)))

    found = recorded(tmp_path)
    assert [row["scheduled_ns"] for row in found] == [i * 50 * MS for i in range(8)]
    assert all((row["end_ns"] - row["scheduled_ns"]) / MS >= 100 + 50 * i for i, row in enumerate(found))
    gaps_ms = [(after["sent_ns"] - before["end_ns"]) / MS for before, after in pairwise(found)]
    took_ms = [(row["end_ns"] - row["sent_ns"]) / MS for row in found]
    assert min(gaps_ms) >= 0
    assert median(gaps_ms) < 50  # a busy machine delays one or the other
    assert 90 <= median(took_ms) < 200  # what was sent may be known a little late on a busy machine
    assert [row["flags"] for row in found] == [None, *[["in_flight_cap"]] * 7]


def test_the_cap_is_shared_by_the_workers() -> None:
    assert [plan_of(rate=1.0, max_in_flight=7, workers=3).share_of_cap(worker) for worker in range(3)] == [3, 2, 2]
    assert plan_of(rate=1.0).share_of_cap(0) is None


def test_who_joins_late_gets_its_share_of_the_cap_among_all_who_offer(engine: Any) -> None:
    """Seven in flight: 4 and 3 of two workers; a third that joins gets 2, and the others have 3 and 2 left."""
    plan = plan_of(rate=1.0, duration_s=1.0, max_in_flight=7, workers=2)
    late = engine(plan, Provider(), worker=2)
    late.begin(clock.monotonic_ns(), live=(0, 1, 2))
    first = engine(plan, Provider())
    first.deal(Deal(0, 0, (0, 1), (0, 1, 2)), (0, 1, 2))

    assert (first.flight._most, late.flight._most) == (3, 2)


@pytest.mark.parametrize("at_start", [True, False])
def test_who_has_no_share_of_the_cap_sends_nothing_and_says_why(engine: Any, tmp_path: Path, at_start: bool) -> None:
    """
    Two may be in flight, one each of the two workers; with a third one there is no room for the last.

    Where it has a share until 150 ms, one of its ten arrivals is sent by then, as the provider answers after that.
    """
    provider = Provider(held=lambda _number: not dealt.is_set())
    dealt = threading.Event()
    made = engine(plan_of(rate=50.0, duration_s=0.2, max_in_flight=2, workers=2), provider, worker=1)
    made.begin(clock.monotonic_ns(), live=(0, -1, 1) if at_start else (0, 1))
    made.shards.add(Deal(0, 0, (0,), (1,)))
    gevent.spawn(offer, made, made.send)
    if not at_start:
        gevent.sleep(0.15)
        until(lambda: bool(provider.asked))
        made.deal(Deal(0, 10, (0,), (0,)), (0, -1, 1))
    dealt.set()
    assert made.wait(60)
    made.close()

    found = recorded(tmp_path)
    sent = 0 if at_start else 1
    assert [row["seq"] for row in found] == list(range(10))
    assert [row["outcome"] for row in found] == ["ok"] * sent + ["unsent"] * (10 - sent)
    assert {tuple(row["flags"]) for row in found[sent:]} == {("in_flight_cap",)}


def test_who_waits_for_the_cap_when_the_run_is_stopped_is_not_sent(engine: Any, tmp_path: Path) -> None:
    stopped = threading.Event()
    provider = Provider(0.2, held=lambda number: number == 1 and not stopped.is_set())
    made = engine(plan_of(rate=50.0, duration_s=0.2, max_in_flight=1), provider)
    made.begin(clock.monotonic_ns())
    gevent.spawn(offer, made, made.send)
    until(lambda: len(provider.asked) == 2 and made.flight.waiting == 8)
    made.stop(Stop("interrupt", "enough"))
    stopped.set()
    assert made.wait(60)
    made.close()

    found = recorded(tmp_path)
    assert len(found) == 10
    assert len(provider.asked) == 2  # at 0 and at 200 ms
    assert [row["outcome"] for row in found] == ["ok"] * 2 + ["unsent"] * 8
    assert found[-1]["flags"] == ["in_flight_cap", "run_end"]


# --hold.


class Known:
    """Hears of records; remembers when it was known that the last of what is measured was over."""

    of: Engine
    at_ns = 0

    def __call__(self, record: Any) -> None:
        """A record of this engine."""
        if record.phase == "measure":
            self.at_ns = self.of.receiver.now_ns()


def test_under_hold_the_load_stays_on_until_all_that_was_measured_is_over(engine: Any, tmp_path: Path) -> None:
    """
    The tail lasts as long as the last measured answer.

    50/s for 0.2 s are 10 arrivals, the last at 180 ms; with answers after 300 ms it is over at 480 ms, and until then
    14 more came, at 200, 220, ... 460 ms; whatever comes late, all answers wait for these.
    """
    provider, known = Provider(0.3, held=lambda _number: len(provider.asked) < 24), Known()
    made = engine(plan_of(rate=50.0, duration_s=0.2, hold=True), provider, on_record=known)
    known.of = made
    play(made)

    found = recorded(tmp_path)
    assert [row["phase"] for row in found[:10]] == ["measure"] * 10
    tail = found[10:]
    assert len(tail) >= 14
    assert {row["phase"] for row in tail} == {"drain"}
    assert [row["scheduled_ns"] for row in tail] == [(200 + 20 * i) * MS for i in range(len(tail))]
    assert tail[-1]["scheduled_ns"] <= known.at_ns + 100 * MS
    assert {row["outcome"] for row in found} == {"ok"}


def test_the_tail_does_not_go_on_behind_the_end_because_it_waits_for_the_cap(engine: Any, tmp_path: Path) -> None:
    """4 arrivals, one by one in 100 ms each, are over after 400 ms; by then dozens of the tail wait for their turn."""
    provider = Provider(0.1)
    play(engine(plan_of(rate=40.0, duration_s=0.1, hold=True, max_in_flight=1), provider))

    assert 4 <= len(provider.asked) <= 9
    dropped = [row for row in recorded(tmp_path) if row["outcome"] == "unsent"]
    assert {row["phase"] for row in dropped} == {"drain"}
    assert dropped[-1]["flags"] == ["in_flight_cap", "run_end"]


def talk_plan(**load: Any) -> Plan:
    """Conversations of three turns with pauses of 50 ms."""
    pause = {"law": "fixed", "value": load.pop("think", 0.05)}
    definition = {
        "name": "talk", "weight": 1.0, "input": {"law": "fixed", "value": 20}, "output": {"law": "fixed", "value": 10},
        "conversation": {"turns": {"law": "fixed", "value": 3}, "think": pause},
    }  # fmt: skip
    return plan_of(workload="talk", definitions=(definition,), **load)


def test_conversations_of_the_tail_do_not_keep_the_load_on(engine: Any, tmp_path: Path) -> None:
    """
    What is waited for is every measured turn, and nothing else.

    Two conversations at 0 and 50 ms of three turns, each 100 ms with 50 ms between: the second is over after 450 ms.
    The tail's conversations never stop talking, and are not what is waited for; the measured turns are.
    """
    known = Known()
    known.of = made = engine(talk_plan(rate=20.0, duration_s=0.1, hold=True), Provider(0.1), on_record=known)
    play(made)

    found = recorded(tmp_path)
    measured = [(row["conversation"], row["turn"]) for row in found if row["phase"] == "measure"]
    assert measured == [(a, t) for a in range(2) for t in range(3)]
    assert {row["outcome"] for row in found} == {"ok"}
    assert max(row["scheduled_ns"] for row in found if row["phase"] == "drain") <= known.at_ns + 150 * MS


def test_a_tail_waits_for_a_turn_that_is_still_to_come(engine: Any, tmp_path: Path) -> None:
    """One conversation with pauses of 200 ms: the tail's arrivals, every 50 ms, come before its next turn."""
    play(engine(talk_plan(rate=20.0, duration_s=0.05, hold=True, think=0.2), Provider(0.01)))

    found = recorded(tmp_path)
    assert [row["turn"] for row in found if row["phase"] == "measure"] == [0, 1, 2]
    assert sum(row["phase"] == "drain" for row in found) > 5


def test_under_hold_a_closed_loops_users_go_on_until_the_last_measured_answer(engine: Any, tmp_path: Path) -> None:
    """Three requests of two users: user 1 has done its one while user 0 still has another to make."""
    plan = plan_of(mode="closed", concurrency=2, requests=3, hold=True)
    provider, known = Provider(0.1, held=lambda number: number >= 2 and len(provider.asked) < 4), Known()
    known.of = made = engine(plan, provider, on_record=known)
    play_closed(made)

    found = recorded(tmp_path)
    assert [row["seq"] for row in found if row["phase"] == "measure"] == [0, 1, 2]
    tail = [row for row in found if row["phase"] == "drain"]
    assert [(row["seq"], row["user"]) for row in tail][:1] == [(3, 1)]
    assert {row["outcome"] for row in found} == {"ok"}
    assert max(row["scheduled_ns"] for row in tail) <= known.at_ns + 150 * MS


# Conversations.


def test_a_turn_brings_all_that_was_said_and_comes_a_think_time_after_the_answer(engine: Any, tmp_path: Path) -> None:
    provider = Provider(0.02)
    plan = talk_plan(rate=20.0, duration_s=0.2)
    play(engine(plan, provider))

    found = recorded(tmp_path)
    assert [(row["seq"], row["conversation"], row["turn"]) for row in found] == [
        (3 * a + t, a, t) for a in range(4) for t in range(3)
    ]
    for one, following in pairwise(found):
        if following["turn"]:
            assert following["scheduled_ns"] == one["end_ns"] + 50 * MS
        else:
            assert following["scheduled_ns"] == following["conversation"] * 50 * MS
    whole = [body["messages"] for body in provider.asked]
    for messages in whole:
        before = [message for message in messages if message["role"] == "assistant"]
        asked_before = [other for other in whole if other != messages and messages[: len(other)] == other]
        assert len(before) == len(asked_before)  # each turn before it, as it was asked
        for said, of in zip(before, sorted(asked_before, key=len), strict=True):
            assert said == {"role": "assistant", "content": f"answer {whole.index(of)}"}  # as it was answered
    assert sorted(sum(m["role"] == "assistant" for m in messages) for messages in whole) == [0] * 4 + [1] * 4 + [2] * 4


def test_a_turn_that_fails_ends_its_conversation(engine: Any, tmp_path: Path) -> None:
    """The second turn of every conversation fails, so that the third never comes; the others go on."""
    plan = talk_plan(rate=20.0, duration_s=0.1, accept_errors=True)
    provider = Provider(fail=lambda messages: sum(m["role"] == "assistant" for m in messages) == 1)
    play(engine(plan, provider))

    found = recorded(tmp_path)
    assert [(row["seq"], row["outcome"]) for row in found] == [(0, "ok"), (1, "error"), (3, "ok"), (4, "error")]
    missing = added(plan, tmp_path)
    assert [(row["seq"], row["conversation"], row["turn"]) for row in missing] == [(2, 0, 2), (5, 1, 2)]
    assert {(row["outcome"], *row["flags"]) for row in missing} == {("unsent", "turn_failed")}
    assert [row["scheduled_ns"] for row in missing] == [found[1]["end_ns"], found[3]["end_ns"]]


def test_a_stop_ends_conversations_after_the_turn_under_way(engine: Any, tmp_path: Path) -> None:
    plan = talk_plan(rate=20.0, duration_s=0.05)
    stopped = threading.Event()
    provider = Provider(0.05, held=lambda _number: not stopped.is_set())
    made = engine(plan, provider)
    made.begin(clock.monotonic_ns())
    gevent.spawn(offer, made, made.send)
    until(lambda: bool(provider.asked))
    made.stop(Stop("interrupt", "enough"))
    stopped.set()
    assert made.wait(60)
    made.close()

    assert [(row["turn"], row["outcome"]) for row in recorded(tmp_path)] == [(0, "ok")]
    assert [(row["turn"], row["outcome"], row["flags"]) for row in added(plan, tmp_path)] == [
        (1, "unsent", None), (2, "unsent", None),
    ]  # fmt: skip


def test_closed_loop_users_talk_too(engine: Any, tmp_path: Path) -> None:
    """Two users with three turns each: six requests, two conversations, each with the answers that were given to it."""
    provider = Provider(0.02)
    play_closed(engine(talk_plan(mode="closed", concurrency=2, requests=6), provider))

    found = recorded(tmp_path, "user", "turn")
    assert [(row["user"], row["turn"], row["conversation"]) for row in found] == [
        (user, t, user) for user in range(2) for t in range(3)
    ]
    for one, following in pairwise(found):
        if following["turn"]:
            assert following["scheduled_ns"] >= one["end_ns"] + 50 * MS
    last = max((body["messages"] for body in provider.asked), key=len)
    assert all(re.fullmatch(r"answer \d", m["content"]) for m in last if m["role"] == "assistant")


# Clients that give up.


def giving_up(after_s: float, **load: Any) -> Plan:
    """Everybody gives up then."""
    definition = {
        "name": "hasty", "weight": 1.0, "input": {"law": "fixed", "value": 20}, "output": {"law": "fixed", "value": 10},
        "cancel": {"share": 1.0, "after": {"law": "fixed", "value": after_s}},
    }  # fmt: skip
    return plan_of(workload="hasty", definitions=(definition,), **load)


def test_a_client_gives_up_at_its_moment_and_comes_again(engine: Any, tmp_path: Path) -> None:
    """
    It is cancelled and flagged, and its user goes on.

    One user, answers after 300 ms, patience of 100 ms, for 350 ms: four requests at 0, 100, 200 and 300 ms, none
    answered, each over 100 ms after it was meant to go out.
    """
    for folder in attempts(tmp_path):  # a busy machine may delay all of them
        over = threading.Event()
        provider = Provider(0.3, held=lambda _number, over=over: not over.is_set())  # type: ignore[misc]
        play_closed(engine(giving_up(0.1, mode="closed", concurrency=1, duration_s=0.35), provider, folder=folder))
        over.set()

        found = recorded(folder)
        assert {(row["outcome"], *row["flags"]) for row in found} == {("cancelled", "gave_up")}
        assert 1 <= len(found) <= 4
        took_ms = [(row["end_ns"] - row["scheduled_ns"]) / MS for row in found]
        assert min(took_ms) >= 100
        if min(took_ms) < 200:
            break
    assert min(took_ms) < 200


def test_a_client_that_was_answered_before_does_not_give_up(engine: Any, tmp_path: Path) -> None:
    play(engine(giving_up(10.0, rate=20.0, duration_s=0.2), Provider(0.01)))

    assert [(row["outcome"], row["flags"]) for row in recorded(tmp_path)] == [("ok", None)] * 4


def test_nobody_gives_up_an_answer_that_is_there_however_long_it_is_looked_at(engine: Any) -> None:
    """Who listens to records may take longer than the client's patience would have lasted."""
    plan = giving_up(0.8, rate=20.0, duration_s=0.05)
    made = engine(plan, Provider(0.01), on_record=lambda _: gevent.sleep(1.0))
    made.begin(clock.monotonic_ns())

    assert made.send(made.arrivals.of_schedule(0, 0, 0)).outcome == "ok"


def test_a_client_gives_up_while_it_waits_for_a_connection(tmp_path: Path, serve: Any) -> None:
    """What ends a request while it is being connected is the client, and no failure of the network."""
    over = threading.Event()

    def never(_sock: socket.socket) -> None:
        over.wait(30)  # the handshake's first answer does not come

    url = f"https://127.0.0.1:{serve(never).port}/v1"
    side = profiles.load("vllm").with_overrides(base_url=url)
    made = Engine(giving_up(0.1, rate=20.0, duration_s=0.05), [side], tmp_path, worker=0, environ={},
                  on_record=lambda _: None)  # fmt: skip
    play(made)
    over.set()

    (row,) = recorded(tmp_path)
    assert (row["outcome"], row["flags"], row["sent_ns"]) == ("cancelled", ["gave_up"], None)
    assert 100 <= (row["end_ns"] - row["scheduled_ns"]) / MS < 5000  # a busy machine ends it late


# Arms.


def test_arms_take_turns_and_nobody_is_asked_while_the_other_still_answers(engine: Any, tmp_path: Path) -> None:
    """40/s for 0.4 s in 4 blocks: 16 arrivals an arm, 4 a block, answers after 60 ms."""
    plan = plan_of(A, B, rate=40.0, duration_s=0.4, blocks=4)
    sides = Provider(0.06), Provider(0.06)
    made = engine(plan, *sides)
    play(made)

    found = recorded(tmp_path, "arm", "seq")
    assert [(row["arm"], row["seq"], row["block"]) for row in found] == [
        (arm, seq, seq // 4) for arm in "ab" for seq in range(16)
    ]
    assert {row["outcome"] for row in found} == {"ok"}
    assert [{body["model"] for body in side.asked} for side in sides] == [{"model-a"}, {"model-b"}]
    assert [row["prompt_hash"] for row in found[:16]] == [row["prompt_hash"] for row in found[16:]]
    began_ns = -1
    for slot in made.course.slots:
        mine = [row for row in found if row["arm"] == "ab"[slot.arms[0]] and row["block"] == slot.block]
        assert [row["scheduled_ns"] - mine[0]["scheduled_ns"] for row in mine] == [i * 25 * MS for i in range(4)]
        assert mine[0]["scheduled_ns"] >= began_ns
        began_ns = max(row["end_ns"] for row in mine)


def test_together_both_arms_get_each_arrival_at_its_moment(engine: Any, tmp_path: Path) -> None:
    sides = Provider(), Provider(0.1)
    play(engine(plan_of(A, B, rate=50.0, duration_s=0.4, together=True), *sides))

    found = recorded(tmp_path, "seq", "arm")
    assert [(row["seq"], row["arm"], row["scheduled_ns"], row["block"]) for row in found] == [
        (seq, arm, seq * 20 * MS, None) for seq in range(20) for arm in "ab"
    ]
    assert [row["prompt_hash"] for row in found[::2]] == [row["prompt_hash"] for row in found[1::2]]
    assert {row["outcome"] for row in found} == {"ok"}
    assert len(sides[0].asked) == len(sides[1].asked) == 20


def test_conversations_of_a_block_are_over_before_the_next_one_begins(engine: Any, tmp_path: Path) -> None:
    plan = talk_plan(rate=20.0, duration_s=0.2, think=0.02)
    plan = Plan((A, B), **{name: getattr(plan, name) for name in plan.__slots__ if name != "arms"} | {"blocks": 2})
    made = engine(plan, Provider(0.01), Provider(0.01))
    play(made)

    found = recorded(tmp_path, "arm", "seq")
    assert [(row["arm"], row["seq"]) for row in found] == [(arm, seq) for arm in "ab" for seq in range(12)]
    assert [row["block"] for row in found[:12]] == [0] * 6 + [1] * 6
    spans = sorted(
        (min(row["scheduled_ns"] for row in mine), max(row["end_ns"] for row in mine))
        for slot in made.course.slots
        if (mine := [row for row in found if (row["arm"], row["block"]) == ("ab"[slot.arms[0]], slot.block)])
    )
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@pytest.mark.parametrize("bound", [{"requests": 12}, {"duration_s": 0.4}])
def test_users_serve_one_arm_after_the_other(engine: Any, tmp_path: Path, bound: dict[str, Any]) -> None:
    plan = plan_of(A, B, mode="closed", concurrency=3, blocks=2, **bound)
    for folder in attempts(tmp_path):  # where this machine stands still for all of a slot's 0.2 s, nobody asks in it
        made = engine(plan, Provider(0.03), Provider(0.03), folder=folder)
        play_closed(made)

        found = recorded(folder, "arm", "seq")
        for arm in "ab":
            seqs = [row["seq"] for row in found if row["arm"] == arm]
            assert len(set(seqs)) == len(seqs)
            if "requests" in bound:
                assert seqs == list(range(12))
        assert {row["phase"] for row in found} == {"measure"}
        spans = [
            (min(row["scheduled_ns"] for row in mine), max(row["end_ns"] for row in mine))
            for slot in made.course.slots
            if (mine := [row for row in found if (row["arm"], row["block"]) == ("ab"[slot.arms[0]], slot.block)])
        ]
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
        if len(spans) == 4 or "requests" in bound:
            break
    assert len(spans) == 4


def test_a_worker_without_users_passes_every_slot(engine: Any) -> None:
    """Of 3 users and 2 requests worker 2 has nobody; the others must not wait for it between two slots."""
    plan = plan_of(A, B, mode="closed", concurrency=3, requests=2, blocks=2, workers=3)
    made = engine(plan, Provider(), Provider(), worker=2)
    play_closed(made)
    assert made.course.over


def test_nobody_asks_before_a_slot_begins_or_after_its_time(engine: Any, tmp_path: Path) -> None:
    """The next slot is told 100 ms ahead, as the parent of several workers does it."""
    plan = plan_of(A, B, mode="closed", concurrency=2, duration_s=0.2, blocks=1)
    starts: list[int] = []

    def go(number: int) -> None:
        starts.append(made.receiver.now_ns() + 100 * MS)
        made.go(number + 1, starts[-1])

    for folder in attempts(tmp_path):  # where this machine stands still for all of a slot's 0.2 s, nobody asks in it
        made = engine(plan, Provider(0.02), Provider(0.02), folder=folder)
        made.course.on_reached = go
        starts[:] = [0]
        play_closed(made)

        arms = ["ab"[slot.arms[0]] for slot in made.course.slots]
        found = [[row["scheduled_ns"] for row in recorded(folder) if row["arm"] == arm] for arm in arms]
        assert all(min(mine, default=start_ns) >= start_ns for mine, start_ns in zip(found, starts, strict=False))
        late_ns = [max(mine, default=S) - start_ns for mine, start_ns in zip(found, starts, strict=False)]
        if max(late_ns) <= 450 * MS:
            break
    assert max(late_ns) <= 450 * MS


def test_a_user_that_was_paused_over_the_end_of_its_slot_does_not_ask_in_it(engine: Any, tmp_path: Path) -> None:
    """
    An arm's turn may be over while one of its users waits.

    A turn of 0.2 s and two users: the second request is answered after 0.8 s, long after that; the other user goes on
    until nothing can be connected from 0.1 to 0.6 s. It must not ask then, although the slot is still at hand.
    """
    plan = plan_of(A, B, mode="closed", concurrency=2, duration_s=0.2, blocks=1)
    first = made_first(plan)

    def nothing_there() -> None:
        made.conducts[first].no_connection_until_ns = 600 * MS

    for folder in attempts(tmp_path):  # where this machine stands still, nobody asks a second time within the turn
        slow = Provider(0.02, 0.8, 0.02), Provider(0.02)
        made = engine(plan, *(slow if first == "a" else slow[::-1]), folder=folder)
        gevent.spawn_later(0.12, nothing_there)
        play_closed(made)

        found = [row for row in recorded(folder) if row["arm"] == first]
        assert {row["phase"] for row in found} <= {"measure"}
        last_ns, over_ns = (max((row[name] for row in found), default=0) for name in ("scheduled_ns", "end_ns"))
        if last_ns < 600 * MS and over_ns >= 800 * MS:
            break
    assert last_ns < 600 * MS  # on a busy machine one may go out well after the turn's end
    assert over_ns >= 800 * MS


def made_first(plan: Plan) -> str:
    """The name of the arm that has the first turn."""
    return plan.arms[slots(plan, None)[0].arms[0]].name


# Users over time.


def test_users_come_when_the_plan_says_whatever_else_happens(engine: Any, tmp_path: Path) -> None:
    """Three users within 0.6 s come at 0, 200 and 400 ms, while answers wake the process every 10 ms."""
    for folder in attempts(tmp_path):  # where this machine stands still for the last 0.2 s, the last one does not come
        provider = Provider(0.01)
        play_closed(engine(plan_of(mode="closed", concurrency=3, duration_s=0.6, ramp_s=0.6), provider, folder=folder))

        found = recorded(folder)
        assert all(row["scheduled_ns"] >= 200 * MS * row["user"] for row in found)  # never early
        came = {row["user"] for row in found}
        if came == {0, 1, 2}:
            break
    assert came == {0, 1, 2}


def test_stages_of_concurrency_end_the_run(engine: Any) -> None:
    stages = ({"kind": "concurrency", "start": 2, "end": 2, "duration_s": 0.3, "n": 0},)
    play_closed(engine(plan_of(mode="closed", stages=stages), Provider(0.01)))


# Dealt anew.


def issued(
    engine: Engine, deals: list[Deal], when: Callable[[int, int], bool], live: tuple[int, ...] = (0, 1, 2)
) -> tuple[list[tuple[int, int, str]], list[int]]:
    """
    Offer an open-loop plan and send nothing of it; each deal is made once `when` says so.

    That is told how many were made before, and how many arrivals have gone out. Returned are the moment, seq and arm of
    each arrival that went out, and the moments of the deals.
    """
    found: list[tuple[int, int, str]] = []
    dealt: list[int] = []

    def deliver(arrival: Any) -> None:
        found.append((engine.receiver.now_ns(), arrival.request.seq, arrival.arm))

    def deal() -> None:
        for number, one in enumerate(deals):
            while engine.offering and not when(number, len(found)):
                gevent.sleep(0)
            dealt.append(engine.receiver.now_ns())
            engine.deal(one, live)
            gevent.sleep(0)

    engine.begin(clock.monotonic_ns() + 20 * MS)
    dealer = gevent.spawn(deal)
    gevent.spawn(offer, engine, deliver)
    assert engine.wait(20)
    dealer.join()
    return found, dealt


def owned(plan: Plan, deals: list[Deal], n: int, worker: int = 0) -> set[int]:
    return set(Shards(plan.workers, deals).own(worker, 0, n).tolist())


FOREVER_NS = 1 << 62
DEALS = [
    [Deal(0, 320, (1,), (0, 2))],  # more of what is to come
    [Deal(0, 0, (1,), (0,))],  # more, some of which was due before
    [Deal(0, 360, (0, 1), (0, 1, 2))],  # less
    [Deal(0, 80, (2,), (0,)), Deal(0, 400, (0,), (1,)), Deal(0, 440, (1,), (0,)), Deal(0, 520, (0, 1), (1, 0))],
    [Deal(0, 0, (1,), (0,)), Deal(0, 0, (2,), (0,))],
]


@pytest.mark.parametrize("deals", DEALS)
def test_who_is_dealt_more_or_less_sends_each_of_its_own_once_and_nothing_else(engine: Any, deals: list[Deal]) -> None:
    """600 arrivals of three workers within 0.3 s; what is dealt is dealt after 15, 30, ... have gone out."""
    plan = plan_of(rate=2000.0, duration_s=0.3, workers=3)
    found, dealt = issued(engine(plan, Provider()), deals, lambda number, gone: gone >= 15 * (number + 1))

    seqs = [seq for _, seq, _ in found]
    assert len(set(seqs)) == len(seqs)
    assert owned(plan, deals, 600) <= set(seqs)
    known = [owned(plan, deals[:k], 600) for k in range(len(deals) + 1)]
    edges_ns = [-S, *dealt, FOREVER_NS]
    for at_ns, seq, _ in found:
        now = [k for k in range(len(known)) if edges_ns[k] <= at_ns <= edges_ns[k + 1] + 20 * MS]
        assert any(seq in known[k] for k in now), seq


@pytest.mark.parametrize("gone", [1, 17])
def test_arms_that_play_together_each_get_all_whenever_it_is_dealt(engine: Any, gone: int) -> None:
    """
    A burst to three arms, sent 16 in a row.

    Both deals come between two rows, when an arrival may have gone out to one or two of the arms, and give what was due
    before that.
    """
    deals = [Deal(0, 0, (1,), (0,)), Deal(0, 0, (2,), (0,))]
    plan = plan_of(A, B, Arm("c", "model-c"), rate=50_000.0, duration_s=0.001, together=True, workers=3)
    made = engine(plan, Provider(), Provider(), Provider())
    found, dealt = issued(made, deals, lambda number, so_far: so_far >= gone + 16 * number)

    assert len(dealt) == 2
    assert sorted((seq, arm) for _, seq, arm in found) == [(seq, arm) for seq in range(50) for arm in "abc"]


def test_turns_of_conversations_stay_with_whoever_had_the_first(engine: Any, tmp_path: Path) -> None:
    """Of eight conversations worker 0 has the even ones; from the sixth on all are dealt to the other."""
    plan = talk_plan(rate=20.0, duration_s=0.4, think=0.1, workers=2)
    dealt: list[int] = []

    def on_record(_record: Any) -> None:
        if not dealt:
            dealt.append(made.receiver.now_ns())
            made.deal(Deal(0, 5, (0,), (1,)), (0, 1))

    for folder in attempts(tmp_path):  # on a busy machine the sixth may be due before anything is answered
        dealt.clear()
        made = engine(plan, Provider(0.01), on_record=on_record, folder=folder)
        play(made)
        if dealt[0] < 300 * MS:
            break

    assert [(row["conversation"], row["turn"]) for row in recorded(folder)] == [
        (a, t) for a in (0, 2, 4) for t in range(3)
    ]


@pytest.mark.parametrize("deal_ms", [-10, 50, 250])
def test_a_deal_brings_users_at_once_and_never_before_their_moment(engine: Any, deal_ms: int) -> None:
    """
    Four users come at 0, 100, 200 and 300 ms, two to each worker; then worker 1's are dealt to worker 0.

    From then on all that are wanted are worker 0's: nobody before the start, one at 50 ms, three at 250 ms.
    """
    made = engine(plan_of(mode="closed", concurrency=4, duration_s=0.6, ramp_s=0.4, workers=2), Provider())
    came: list[tuple[int, int]] = []
    made.begin(clock.monotonic_ns() + 30 * MS)
    gevent.spawn(drive, made, lambda users: came.append((made.receiver.now_ns(), users)))
    gevent.sleep(0.03 + deal_ms / 1000)
    before = [users for _, users in came]
    made.deal(Deal(0, 0, (1,), (0,)), (0,))
    after, wanted = [users for _, users in came], made.places.wanted
    gevent.sleep(0.4 - deal_ms / 1000)
    until(lambda: came[-1][1] == 4)

    assert before == sorted(set(before))
    assert max(before, default=0) <= 2
    assert after[-1:] == ([] if wanted is None else [wanted])
    assert [users for _, users in came][-1] == 4
    assert all(at_ns >= (users - 1) * 100 * MS for at_ns, users in came)
