"""One process' share of a run, without Locust: dispatch, pauses, stops, cancels; every arrival ends as one row."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from conftest import attempts, read_request, until

from loadtests import clock, profiles
from loadtests.dispatch import offer
from loadtests.engine import Engine
from loadtests.live import Tally
from loadtests.parts import read_part
from loadtests.plan import Plan
from loadtests.stop import Stop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadtests.record import Record

ANSWER = (
    b'{"model":"m","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],'
    b'"usage":{"completion_tokens":1}}'
)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)


def answering(reply: bytes = OK, delay_s: float = 0.0) -> Callable[[socket.socket], None]:
    def handler(sock: socket.socket) -> None:
        while read_request(sock):
            time.sleep(delay_s)
            sock.sendall(reply)

    return handler


@pytest.fixture
def engine(tmp_path: Path, serve: Any) -> Iterator[Callable[..., Engine]]:
    """Makes an engine against a server with this handler; closes it if the test did not."""
    made: list[Engine] = []

    def make(
        plan: Plan, handler: Callable[[socket.socket], None], on_record: Callable[[Record], None] = lambda _: None,
        worker: int = 0, folder: Path = tmp_path,
    ) -> Engine:  # fmt: skip
        profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{serve(handler).port}/v1")
        made.append(Engine(plan, [profile], folder, worker=worker, environ={}, on_record=on_record))
        return made[-1]

    yield make
    for one in made:
        if one.sink._lock >= 0:
            one.close()


def play(engine: Engine) -> None:
    """Offer the plan to its end."""
    engine.begin(clock.monotonic_ns() + 20_000_000)
    gevent.spawn(offer, engine, engine.send)
    assert engine.wait(60)
    engine.close()


def open_plan(**more: Any) -> Plan:
    return Plan.single("m", arrivals="constant", stream_share=0.0, **({"rate": 50.0, "duration_s": 1.0} | more))


def test_every_arrival_is_sent_at_its_moment_however_slow_the_answers(engine: Any, tmp_path: Path) -> None:
    """50/s with answers after 0.3 s: 15 are in flight at a time, and nobody said how many users that takes."""
    for folder in attempts(tmp_path):  # a machine that stands still for 0.3 s makes half of them late
        play(engine(open_plan(duration_s=0.6), answering(delay_s=0.3), folder=folder))

        rows = read_part(folder / "requests-0.arrows").sort_by("seq").to_pylist()
        assert [row["seq"] for row in rows] == list(range(30))
        assert [row["scheduled_ns"] for row in rows] == [i * 20_000_000 for i in range(30)]
        assert {row["outcome"] for row in rows} == {"ok"}
        late = sorted(row["sent_ns"] - row["scheduled_ns"] for row in rows)
        assert late[0] >= 0  # never early
        if late[15] < 20_000_000:
            break
    assert late[15] < 20_000_000


def test_a_worker_offers_its_own_shard(engine: Any, tmp_path: Path) -> None:
    play(engine(open_plan(duration_s=0.2, workers=3), answering(), worker=1))

    assert sorted(read_part(tmp_path / "requests-1.arrows").column("seq").to_pylist()) == [1, 4, 7]


def test_arrivals_before_the_warm_ups_end_say_so(engine: Any, tmp_path: Path) -> None:
    play(engine(open_plan(duration_s=0.3, warmup_s=0.1), answering()))

    rows = read_part(tmp_path / "requests-0.arrows").to_pylist()
    assert {row["phase"] for row in rows if row["seq"] < 5} == {"warmup"}
    assert {row["phase"] for row in rows if row["seq"] >= 5} == {"measure"}


def test_a_refusal_stops_the_offer(engine: Any) -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}"
    made = engine(open_plan(duration_s=60.0), answering(refused))
    play(made)

    assert made.stopping.word == "refused"
    assert made.stopping.text.startswith("HTTP 403")
    assert made.flight.issued < 1500  # of 3000; a few, on a busy machine more, are launched before the first answer


def test_cancel_records_what_is_in_flight(engine: Any, tmp_path: Path) -> None:
    def never(sock: socket.socket) -> None:
        while read_request(sock):
            pass

    made = engine(open_plan(duration_s=0.2), never)
    made.begin(clock.monotonic_ns())
    gevent.spawn(offer, made, made.send)
    gevent.sleep(0.4)
    until(lambda: made.flight.in_flight == 10)
    made.cancel("run_end")
    assert made.wait(60)
    made.close()

    rows = read_part(tmp_path / "requests-0.arrows").to_pylist()
    assert [(row["outcome"], row["flags"]) for row in rows] == [("cancelled", ["run_end"])] * 10


def test_a_stop_lets_what_is_in_flight_finish(engine: Any, tmp_path: Path) -> None:
    made = engine(open_plan(duration_s=60.0), answering(delay_s=0.3))
    made.begin(clock.monotonic_ns())
    gevent.spawn(offer, made, made.send)
    gevent.sleep(0.2)
    until(lambda: made.flight.in_flight >= 5)
    made.stop(Stop("interrupt", "enough"))
    assert made.wait(60)
    made.close()

    rows = read_part(tmp_path / "requests-0.arrows").to_pylist()
    assert {row["outcome"] for row in rows} == {"ok"}
    assert 5 <= len(rows) <= 1500  # 3000 without the stop
    assert made.stopping.text == "enough"


def test_the_tally_counts_what_the_records_say(engine: Any) -> None:
    tally = Tally()
    made = engine(open_plan(requests=5), answering(), tally.add)
    play(made)

    said = tally.status(made)
    assert (said["ok"], said["errors"], said["issued"], said["in_flight"]) == (5, 0, 5, 0)
    assert said["arms"]["default"]["output_tokens"] == 5
    assert said["answered"] == 5


def test_the_clients_own_health_is_sampled(engine: Any, tmp_path: Path) -> None:
    play(engine(open_plan(duration_s=1.2), answering()))

    samples = read_part(tmp_path / "client-0.arrows").to_pylist()
    assert len(samples) >= 2
    assert samples[-1]["issued"] == samples[-1]["done"] == 60
    assert samples[-1]["in_flight"] == 0
    assert all(0 <= sample["cpu"] < 1.5 for sample in samples)
    assert all(sample["wake_lag_p50_us"] is None or sample["wake_lag_p50_us"] >= 0 for sample in samples)
    assert any(sample["send_lag_p50_us"] is not None for sample in samples)
    assert samples[0]["clock_error_ns"] < 1_000_000
    assert samples[0]["rss_bytes"] > 1 << 20
    assert 0 <= (samples[0]["steal"] or 0.0) <= 1
    # Three score requests went out over this machine's loopback, most of them in the first second.
    assert sum(sample["tcp_sent"] for sample in samples) >= 60


def test_places_of_closed_loop_users_are_given_back(engine: Any) -> None:
    made = engine(Plan.single("m", mode="closed", concurrency=4, workers=2, requests=8), answering(), worker=1)
    places = [made.places.enter(object()) for _ in range(2)]

    def seq(place: int) -> Any:
        return made.places.next_seq(place, made.course.slots[0], tail=False)

    assert places == [1, 3]
    assert seq(1) == 1
    made.leave(1)
    assert made.places.enter(object()) == 1
    assert seq(1) == 5  # the place's next turn, whoever holds it
    assert [seq(3) for _ in range(3)] == [3, 7, None]  # 11 is beyond the 8 requests asked for
    made.leave(1)
    assert made.offering
    made.leave(3)
    assert not made.offering


def test_an_arrival_that_was_launched_and_not_sent_is_cancelled_too(engine: Any, tmp_path: Path) -> None:
    made = engine(open_plan(duration_s=0.2, budget_requests=50), answering())
    made.begin(clock.monotonic_ns())
    assert made.admission.admit(made.arrivals.of_schedule(0, 0, 0))
    made.launch(made.send, made.arrivals.of_schedule(0, 0, 0))
    made.cancel("run_end")
    made.exhausted()
    assert made.wait(60)
    assert [made.admission.admit(made.arrivals.of_schedule(seq, 0, 0)) for seq in range(51)] == [True] * 50 + [
        False
    ]  # its room is free again
    made.close()

    rows = read_part(tmp_path / "requests-0.arrows").to_pylist()
    assert [(row["outcome"], row["flags"], row["sent_ns"]) for row in rows] == [("unsent", ["run_end"], None)]
