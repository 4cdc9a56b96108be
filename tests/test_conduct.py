"""How answers bear on the requests to come: pauses, refusals, throttling, failures; a clock that the test sets."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.conduct import Conduct
from loadtests.plan import Arm, Plan
from loadtests.record import Record
from loadtests.stop import Stop

SECOND = 1_000_000_000


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        """The moment of the run, in ns."""
        return self.ns


def record(status: int | None = 200, kind: str | None = None, **facts: Any) -> Record:
    outcome = facts.pop("outcome", "ok" if kind is None else "error")
    made = Record("default", "chat", 0, 0, "measure", stream=True, scheduled_ns=0, outcome=outcome)
    made.status, made.error_kind, made.error = status, kind, facts.pop("error", kind)
    for name, value in facts.items():
        setattr(made, name, value)
    return made


def throttled(**facts: Any) -> Record:
    return record(429, "throttled", **facts)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def conduct(clock: Clock, *, strict_model: bool = False, **plan: Any) -> Conduct:
    made = Plan.single("m", concurrency=1, mode="closed", **plan)
    return Conduct(made, arm="default", strict_model=strict_model, now_ns=clock)


def test_a_good_answer_changes_nothing(clock: Clock) -> None:
    made = conduct(clock)

    assert all(made.react(record()) is None for _ in range(100))
    assert made.paused_until_ns == made.no_connection_until_ns == -1


@pytest.mark.parametrize(("asked", "waits_s"), [(None, 1.0), (2.5, 2.5), (0.0, 0.0), (1e9, 3600.0)])
def test_a_429_pauses_everybody_as_long_as_it_asks(clock: Clock, asked: float | None, waits_s: float) -> None:
    made, clock.ns = conduct(clock), 7 * SECOND

    assert made.react(throttled(retry_after_s=asked)) is None
    assert made.paused_until_ns == 7 * SECOND + int(waits_s * SECOND)


def test_any_failure_with_retry_after_is_a_pause_and_a_shorter_one_never_ends_a_longer(clock: Clock) -> None:
    made = conduct(clock)
    made.react(record(503, "overloaded", retry_after_s=10.0))
    made.react(record(503, "overloaded", retry_after_s=1.0))
    made.pause(3 * SECOND)

    assert made.paused_until_ns == 10 * SECOND


@pytest.mark.parametrize(
    "refusal",
    [
        *(
            record(status, kind)
            for status, kind in ((401, "auth"), (402, "credit"), (403, "auth"), (426, "bad_request"))
        ),
        record(429, "credit"),
    ],
    ids=lambda made: f"{made.status}-{made.error_kind}",
)
def test_the_first_refusal_ends_the_run(clock: Clock, refusal: Record) -> None:
    stop = conduct(clock).react(refusal)

    assert stop is not None
    assert stop.word == "refused"


def test_another_model_is_a_refusal_only_where_the_profile_is_strict(clock: Clock) -> None:
    answer = record(flags=["model_differs"], model_answered="other")

    assert conduct(clock).react(answer) is None
    stop = conduct(clock, strict_model=True).react(answer)
    assert stop is not None
    assert "'other' answered" in stop.text


def test_three_throttled_answers_in_a_row_end_the_run_and_one_good_answer_breaks_the_row(clock: Clock) -> None:
    made = conduct(clock, accept_errors=True)

    assert [made.react(answer) for answer in (throttled(), throttled(), record(), throttled(), throttled())] == [
        None
    ] * 5
    stop = made.react(throttled())
    assert stop is not None
    assert stop.word == "throttled"
    assert "--accept-throttling" in stop.text


def test_what_was_under_way_when_the_first_429_came_does_not_count(clock: Clock) -> None:
    """Eight requests at once are refused at once: one sign. Two that were sent after the first is known make three."""
    made, clock.ns = conduct(clock, accept_errors=True), SECOND

    assert [made.react(throttled(sent_ns=SECOND - 1)) for _ in range(8)] == [None] * 8
    clock.ns = 3 * SECOND
    assert made.react(throttled(sent_ns=2 * SECOND)) is None
    clock.ns = 5 * SECOND
    assert made.react(throttled(sent_ns=4 * SECOND)) is not None


def test_more_than_one_in_twenty_throttled_ends_the_run(clock: Clock) -> None:
    """38 good ones and 2 throttled are 5.0 % of 40 and stand; the next throttled one makes 3 of 41, 7.3 %."""
    made = conduct(clock, accept_errors=True)
    answers = [record() for _ in range(37)] + [throttled(), record(), throttled(), record()]

    assert [made.react(answer) for answer in answers[:40]] == [None] * 40
    stop = made.react(throttled())
    assert stop is not None
    assert "3 of the 41 answers of the last 30 s" in stop.text


def test_of_few_answers_a_quarter_and_five_throttled_end_the_run(clock: Clock) -> None:
    """Who keeps to the pauses of a small quota has few answers, every other one throttled, and never three in a row."""
    made = conduct(clock, accept_errors=True)
    answers = [record(), throttled()] * 5

    assert [made.react(answer) for answer in answers[:-1]] == [None] * 9
    stop = made.react(answers[-1])
    assert stop is not None
    assert "5 of the 10 answers of the last 30 s" in stop.text


def test_five_throttled_of_twenty_stand(clock: Clock) -> None:
    made = conduct(clock, accept_errors=True)

    assert [made.react(answer) for answer in [record(), record(), record(), throttled()] * 5] == [None] * 20


def test_throttling_is_forgotten_after_thirty_seconds(clock: Clock) -> None:
    made = conduct(clock, accept_errors=True)
    for answer in (throttled(), record(), throttled(), *(record() for _ in range(40))):
        assert made.react(answer) is None
    clock.ns = 31 * SECOND
    for answer in (*(record() for _ in range(40)), throttled()):  # one of 41
        assert made.react(answer) is None


def test_throttling_is_accepted_where_asked(clock: Clock) -> None:
    made = conduct(clock, accept_throttling=True, accept_errors=True)

    assert [made.react(throttled()) for _ in range(50)] == [None] * 50


def test_eleven_failures_of_twenty_end_the_run(clock: Clock) -> None:
    made = conduct(clock)
    answers = [record() for _ in range(9)] + [record(500, "upstream", error="HTTP 500: no") for _ in range(11)]

    assert [made.react(answer) for answer in answers[:-1]] == [None] * 19
    stop = made.react(answers[-1])
    assert stop is not None
    assert stop.word == "failing"
    assert "11 of the last 20 requests failed, the last one with upstream: HTTP 500: no" in stop.text


def test_half_of_the_requests_may_fail_and_all_of_them_where_that_is_accepted(clock: Clock) -> None:
    half, any_number = conduct(clock), conduct(clock, accept_errors=True)
    for _ in range(50):
        assert half.react(record()) is None
        assert half.react(record(500, "upstream")) is None
        assert any_number.react(record(500, "upstream")) is None


def test_cancelled_and_unsent_requests_say_nothing_of_the_provider(clock: Clock) -> None:
    made = conduct(clock)

    assert [made.react(record(None, outcome="cancelled")) for _ in range(50)] == [None] * 50


def test_a_failed_connection_makes_users_wait_and_no_descriptor_ends_the_run(clock: Clock) -> None:
    made, clock.ns = conduct(clock), SECOND

    assert made.react(record(None, "connect", error="ECONNREFUSED Connection refused")) is None
    assert made.no_connection_until_ns == SECOND + 200_000_000
    stop = made.react(record(None, "connect", error="EMFILE Too many open files"))
    assert stop is not None
    assert stop.word == "no_descriptors"


def test_of_several_arms_a_reason_says_whose_it_is(clock: Clock) -> None:
    plan = Plan((Arm("a", "m"), Arm("b", "m")), concurrency=1, mode="closed")
    failing, refused = (Conduct(plan, arm="b", strict_model=False, now_ns=clock) for _ in range(2))
    stops = [failing.react(record(500, "server")) for _ in range(20)]

    assert stops[-1] is not None
    assert (stops[-1].text[:30], stops[-1].arm) == ("arm b: 20 of the last 20 reque", "b")
    assert refused.react(record(401, "auth", error="HTTP 401: no")) == Stop("refused", "arm b: HTTP 401: no", "b")
    assert conduct(clock).react(record(401, "auth", error="HTTP 401: no")) == Stop("refused", "HTTP 401: no")
