"""What a run's figures are due to: the server, its queue, a quota, the client, or failure; the first that holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import synthetic
from synthetic import Recipe
from test_steady import queue

from analysis import rundir, summary, window
from analysis.capacity import cause, quota
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from analysis.capacity.cause import Cause

OPENAI = "HTTP 429: Rate limit reached for requests per min (RPM): Limit 60, Used 60, Requested 1. (requests, x)"
TGI = "HTTP 429: Model is overloaded (overloaded)"


def throttle(row: record.Record, error: str, wait_s: float | None = None) -> None:
    """The row of an answer that was throttled."""
    row.outcome, row.error_kind, row.status, row.error, row.retry_after_s = "error", "throttled", 429, error, wait_s
    row.first_token_ns = row.last_token_ns = row.chunk_ns = row.chunks = row.output_tokens = None


def each(n: int, error: str, wait_s: float | None = None) -> Any:
    """A change: every n-th answer is throttled."""
    return lambda row, _: throttle(row, error, wait_s) if row.seq % n == n - 1 else None


def of(folder: Path, recipe: Recipe | None = None, stop: tuple[str, str] | None = None, **client: Any) -> Cause:
    """The cause of a synthetic run, with its client's seconds as said, and why it was stopped."""
    recipe = recipe or Recipe()
    if stop is not None:
        recipe = replace(recipe, manifest=recipe.manifest | {"stop": {"reason": stop[0], "text": stop[1]}})
    path = synthetic.write(folder / "r", recipe)
    if client:
        pq.write_table(synthetic.client(20, **client), path / record.CLIENT)
    return cause.cause(summary.judge(rundir.load(path, columns=rundir.JUDGED)))


def test_a_healthy_run_is_the_servers_own(tmp_path: Path) -> None:
    assert of(tmp_path) == cause.Cause("steady", "")


# A quota.


def test_throttled_answers_are_a_quota_and_the_provider_says_which(tmp_path: Path) -> None:
    """Every tenth of 160 answers; 8/s go out for 20 s, of which nine in ten get through: about 432/min."""
    found = of(tmp_path, Recipe(poisson=False, change=each(10, OPENAI, 0.5)))

    assert found.state == "quota"
    assert found.why.startswith("your quota, not the model: 16 of 160 answers were throttled (429); the provider ")
    assert found.why.endswith("it asked to wait up to 0.500 s")
    assert found.quota is not None
    assert (found.quota.of, found.quota.told_per_min, found.quota.per_min) == ("requests", 60.0, 60.0)
    assert found.quota.through_per_min == pytest.approx(432, rel=0.02)


def test_where_nobody_says_the_limit_it_is_what_got_through(tmp_path: Path) -> None:
    found = of(tmp_path, Recipe(poisson=False, change=each(10, "HTTP 429: Too many requests.")))

    assert found.quota is not None
    assert (found.quota.of, found.quota.told_per_min, found.quota.wait_s) == ("", None, None)
    assert found.quota.per_min == pytest.approx(432, rel=0.02)
    assert "about 43" in found.why


def test_tokens_are_told_from_requests(tmp_path: Path) -> None:
    """6,000 a minute, says Groq; what got through is prompt and answer of what was answered."""
    text = "HTTP 429: Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, Used 5500. (tokens, x)"
    found = of(tmp_path, Recipe(poisson=False, change=each(10, text)))
    rows = rundir.load(tmp_path / "r").requests
    through = rows[rows["outcome"] == "ok"][["input_tokens", "output_tokens"]].sum().sum()

    assert found.quota is not None
    assert (found.quota.of, found.quota.told_per_min) == ("tokens", 6000.0)
    assert found.quota.through_per_min == pytest.approx(through * 60 / (159 / 8), rel=0.01)
    assert "the provider allows about 6,000 tokens/min" in found.why


@pytest.mark.parametrize(
    ("text", "of", "per_min"),
    [
        (OPENAI, "requests", 60.0),
        ("Limit: 10 / 1 requests per second", "requests", 600.0),
        ("exceeded your limit of 1,000 requests per day", "requests", None),
        ("You have exceeded 40000 input tokens per minute", "tokens", None),
        ("quota of 90_000 tokens/min is used up: 90_000 tokens per min", "tokens", 90_000.0),
        ("Too many concurrent requests, limit is 4", "requests at once", None),
        ("Rate limit exceeded (requests, rate_limit_exceeded)", "requests", None),
        ("slow down", "", None),
    ],
)
def test_what_providers_say_of_their_limits(tmp_path: Path, text: str, of: str, per_min: float | None) -> None:
    path = synthetic.write(tmp_path / "r", Recipe(n=20, change=each(2, text)))
    found = quota.of_run(rundir.load(path).requests, stopped=False)

    assert found is not None
    assert (found.of, found.told_per_min) == (of, per_min)


def test_a_run_longer_than_a_minute_is_told_by_its_best_one(tmp_path: Path) -> None:
    """2/s for 120 s, all of it throttled in the second half: 120 got through in the first, which is a minute's."""
    recipe = Recipe(n=240, rate=2, poisson=False)
    recipe.change = lambda row, _: throttle(row, "no") if row.seq >= 120 else None
    found = quota.of_run(rundir.load(synthetic.write(tmp_path / "r", recipe)).requests, stopped=False)

    assert found is not None
    assert found.through_per_min == 120


@pytest.mark.parametrize(("every", "n", "stopped", "is_one"), [(100, 400, False, False), (60, 400, False, True),
    (60, 120, False, False), (60, 120, True, True)])  # fmt: skip
def test_a_stray_429_is_none_unless_it_ended_the_run(
    tmp_path: Path, every: int, n: int, stopped: bool, is_one: bool
) -> None:
    """4 of 400 are 1 %; 6 of 400 are more; 2 of 120 are too few to tell."""
    path = synthetic.write(tmp_path / "r", Recipe(n=n, change=each(every, OPENAI)))

    assert (quota.of_run(rundir.load(path).requests, stopped=stopped) is not None) == is_one


def test_what_was_kept_back_in_a_pause_counts_and_is_not_the_clients_doing(tmp_path: Path) -> None:
    """One 429 that asks for half a minute: all that was to come meanwhile was not sent, and the rate is off."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        if row.seq == 40:
            throttle(row, OPENAI, 30.0)
        if row.seq > 42:
            row.outcome, row.flags = "unsent", ["paused"]
            row.sent_ns = row.started_ns = row.headers_ns = row.end_ns = row.first_token_ns = row.chunk_ns = None

    assert of(tmp_path, Recipe(change=change)).state == "quota"


def test_a_429_of_a_server_that_is_too_busy_is_no_quota(tmp_path: Path) -> None:
    found = of(tmp_path, Recipe(change=each(4, TGI)), ("throttled", "3 answers in a row were throttled"))

    assert found.state == "failed"
    assert found.why == "the server said it was too busy, 40 times: 3 answers in a row were throttled"


@pytest.mark.parametrize(
    ("text", "busy"),
    [
        (TGI, True), ("The engine is currently overloaded, please try again later", True),
        ("We're experiencing high traffic right now (queue_exceeded)", True), ("Server busy", True),
        ("Rate limit reached: capacity of your quota", False), ("Resource has been exhausted (check quota)", False),
        (OPENAI, False), ("Too many requests", False), ("", False),
    ],
)  # fmt: skip
def test_busy_is_told_from_limited(text: str, busy: bool) -> None:
    assert quota.is_busy(text) == busy


# The client.


def test_a_client_that_sends_late_is_the_cause(tmp_path: Path) -> None:
    found = of(tmp_path, Recipe(lag_us=40_000))

    assert found.state == "client"
    assert found.why.startswith("the client, not the server: send lag ")


@pytest.mark.parametrize(("name", "value", "says"), [("cpu", 0.99, "CPU of a worker 99"),
    ("hub_lag_us", 60_000, "event loop lag 60"), ("steal", 0.2, "CPU time stolen")])  # fmt: skip
def test_a_client_that_could_not_keep_up_is_the_cause(tmp_path: Path, name: str, value: float, says: str) -> None:
    found = of(tmp_path, None, None, **{name: value})

    assert found.state == "client"
    assert found.why.startswith(f"the client, not the server: {says}")


def test_arrivals_that_nobody_held_back_are_the_clients(tmp_path: Path) -> None:
    def change(row: record.Record, _: np.random.Generator) -> None:
        if row.seq % 20 == 0:
            row.outcome = "unsent"
            row.sent_ns = row.started_ns = row.headers_ns = row.end_ns = row.first_token_ns = row.chunk_ns = None

    assert of(tmp_path, Recipe(change=change)).why == "the client, not the server: 8 of 160 arrivals were never sent"


@pytest.mark.parametrize("reason", ["worker_lost", "disk_full", "no_descriptors"])
def test_a_run_that_the_client_could_not_finish_is_its_own(tmp_path: Path, reason: str) -> None:
    assert of(tmp_path, stop=(reason, "it is full")).why == "the client, not the server: it is full"


# The queue.


def growing(share: float = 1.0) -> Recipe:
    """Answers that take a fifth of a second longer with each second that passes: in flight goes from 6 to 40."""
    return Recipe(warm=lambda at_s: 1 + share * at_s)


def test_a_queue_that_grows_is_told_with_its_counts(tmp_path: Path) -> None:
    found = of(tmp_path, growing())

    assert found.state == "unstable"
    assert found.why.startswith("more is offered than served: ")
    assert "in flight +" in found.why


def test_a_flood_that_makes_the_client_late_is_still_the_servers(tmp_path: Path) -> None:
    """Its CPU is full, but its stamps are the kernel's; where it sends late, its own queue is what grew."""
    assert of(tmp_path / "a", growing(), cpu=0.99).state == "unstable"
    assert of(tmp_path / "b", replace(growing(), lag_us=200_000)).state == "client"


def test_a_closed_loop_cannot_be_unstable(tmp_path: Path) -> None:
    recipe = growing()
    plan = synthetic.manifest_of(recipe, recipe.n)["plan"] | {"mode": "closed", "rate": None, "concurrency": 40}

    assert of(tmp_path, replace(recipe, manifest={"plan": plan})).state != "unstable"


def test_a_run_that_its_limits_ended_says_so(tmp_path: Path) -> None:
    told = "63 of at most 60 late: ttft_s < 0.5"
    still, grown = of(tmp_path / "a", stop=("decided", told)), of(tmp_path / "b", growing(), ("decided", told))
    full = of(tmp_path / "c", stop=("decided", "61 in flight, more than 60: the queue is out of control"))

    assert (still.state, still.decided) == ("steady", told)
    assert (grown.state, grown.decided) == ("unstable", told)
    assert (full.state, full.why) == ("unstable", full.decided)


def unstable(load_share: float, over_s: float, servers: int, seeds: int) -> int:
    """How many of so many simulated queues that begin empty are called unstable; planned at their true rate."""
    found = 0
    for seed in range(seeds):
        run = queue(seed, load_share, over_s, servers)
        run.manifest["plan"]["rate"] = load_share * servers
        found += bool(cause.grew(run, window.find(run)))
    return found


def test_an_overload_of_a_fifth_is_found_within_sixty_services_and_half_a_load_never() -> None:
    assert unstable(1.2, 60, 10, 10) >= 9
    assert unstable(0.5, 60, 10, 10) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("load_share", "over_s", "servers", "least", "most"), [
    (0.9, 60, 4, 0, 2), (0.9, 60, 10, 0, 2), (0.95, 60, 4, 0, 6), (0.95, 60, 10, 0, 5), (0.95, 60, 32, 0, 4),
    (0.95, 500, 10, 0, 3), (1.2, 60, 10, 94, 100), (1.2, 60, 32, 99, 100)])  # fmt: skip
def test_how_often_a_queue_is_called_unstable(
    load_share: float, over_s: float, servers: int, least: int, most: int
) -> None:
    """The rates that `grew` claims, of 100 seeds."""
    assert least <= unstable(load_share, over_s, servers, 100) <= most


# Failure.


def test_one_in_ten_that_fails_is_a_failure(tmp_path: Path) -> None:
    def change(row: record.Record, _: np.random.Generator) -> None:
        if row.seq % 10 == 0:
            row.outcome, row.error_kind, row.status, row.error = "error", "overloaded", 503, "HTTP 503: busy"

    assert of(tmp_path, Recipe(change=change)).why == "failed requests: 10.0 % (16 of 160)"


def test_nothing_answered_and_a_refusal_are_failures(tmp_path: Path) -> None:
    def change(row: record.Record, _: np.random.Generator) -> None:
        row.outcome, row.error_kind, row.error = "error", "connect", "ECONNREFUSED"

    assert of(tmp_path / "a", Recipe(change=change)) == cause.Cause("failed", "nothing was answered")
    assert of(tmp_path / "b", stop=("refused", "HTTP 401: no")) == cause.Cause("failed", "HTTP 401: no")
