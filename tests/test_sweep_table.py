"""A sweep as text and as plain values."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from points import exponential, point
from rich.console import Console

from analysis.capacity import sweep, table
from analysis.capacity.curve import curves
from analysis.objectives import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.capacity.point import Point

PROMISE = Outcome("ttft_p95<2s", "ttft_s", 0.97, 0.95, 1.5, 0.95, 0.98, 1000, "met", "")
GREW = "in flight grew by 1.3/s"


def shown(points: Sequence[Point], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    table.render_sweep(curves(points), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, load: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [load])


def queue(**changes: Any) -> list[Point]:
    """M/M/1 at 10/s, two runs a load that hardly differ, and one load beyond what it carries."""
    runs = [
        exponential(load, mu, outcomes=(PROMISE,), **changes)
        for mu in (9.99, 10.01)
        for load in (1.0, 3.0, 5.0, 7.0, 9.0)
    ]
    return [*runs, point(12.0, state="unstable", why=GREW, ttft_s=(20.0, 60.0, 90.0), outcomes=(PROMISE,))]


def test_a_load_is_a_line_and_what_follows_from_all_is_said_below() -> None:
    text = shown(queue())

    assert max(len(line) for line in text.splitlines()) <= 100
    # ln(20) / (10 - 1) = 332.9 ms; the two runs lie 0.11 % around it, the interval 12.7 times as far: 1.4 %.
    assert row(text, "1")[:8] == ["1", "2", "1.00", "1.00", "1.00", "100", "77.0", "333"]
    assert row(text, "1")[8] == "±1%"
    assert row(text, "1")[-1] == "steady"
    # The latency of an unstable load has no interval and is marked.
    assert row(text, "12")[6:8] == ["20.0", "s"]
    assert row(text, "12")[-1] == "unstable"
    told = " ".join(text.split())
    # 333 ms doubles between ln(20) / 5 and ln(20) / 3: 5 (7/5)^t with t = ln(10 / 9) / ln(5 / 3) = 0.206.
    assert "p95 TTFT is twice its 333 ms at 1/s from 5.36/s [5.25 to 5.48] on" in told
    assert f"Unstable from 12/s on: {GREW}; latencies there grow with the length of the run." in told
    assert "Goodput is greatest at 9/s: 9.00/s [9.00 to 9.00]; no steady load is higher." in told
    assert "(their mean, by Little's law) follows Gunther's law" in told


def test_every_state_has_its_words() -> None:
    points = [
        point(1.0), point(2.0, state="unstable", why=GREW), point(3.0, verdict="invalid", run="07"), point(4.0),
        point(4.0, state="client", why="its CPU was full"), point(6.0, state="quota", why="60 requests/min"),
        point(8.0, state="failed"),
    ]  # fmt: skip
    text = " ".join(shown(points).split())

    for words in (
        f"Unstable at 2/s, though 4/s was steady: {GREW};",
        "6/s tells nothing about the server (quota): 60 requests/min.",
        "8/s tells nothing about the server (failed).",
        "Invalid, and in no mean of a steady load: 07.",
        "1 run is left out of the means: in another state than the load.",
        "Each load rests on 1 run: no interval over runs.",
        "No knee of p95 TTFT: 2 steady loads with a p95; 5 are needed.",
        "No scalability law: 2 steady loads with a throughput; 5 are needed.",
    ):
        assert words in text
    assert "1/2" in text


@pytest.mark.parametrize(
    ("changes", "there", "gone"),
    [
        ({}, {"offered", "TTFT", "in", "tok/s"}, {"goodput", "attain-", "latency"}),
        ({"mode": "concurrency"}, {"users", "in"}, {"offered", "rate"}),
        ({"ttft_s": (None,) * 3}, {"latency"}, {"TTFT"}),
        ({"outcomes": (PROMISE,)}, {"goodput", "attain-"}, {"latency"}),
    ],
)
def test_only_columns_that_say_something_are_there(changes: dict[str, Any], there: set[str], gone: set[str]) -> None:
    head = set(" ".join(shown([point(1.0, **changes), point(2.0, **changes)]).splitlines()[:2]).split())

    assert there <= head
    assert not gone & head


def test_a_narrow_terminal_has_fewer_columns() -> None:
    text = shown(queue(), width=80)

    assert max(len(line) for line in text.splitlines()) <= 80
    assert row(text, "12")[-1] == "unstable"


def test_several_arms_are_named_and_traded() -> None:
    text = shown([point(1.0, arm="a"), point(2.0, arm="b", output_tokens_per_s=200.0)])

    assert [line for line in text.splitlines() if line in {"a", "b"}] == ["a", "b"]
    assert "Nothing gives more tokens/s both to one user and to all than b at 2/s (50.0 and 200)." in " ".join(
        text.split()
    )


@pytest.mark.parametrize("points", [queue(), [point(1.0, state="quota")]])
def test_plain_values_have_the_same_keys_whatever_is_known(points: list[Point]) -> None:
    (curve,) = curves(points).values()
    told = json.loads(json.dumps(sweep.to_json(curve), allow_nan=False))

    assert list(told) == [
        "arm", "mode", "levels", "goodput_peaks_at", "unstable_from", "knee", "scaling", "no_scaling", "trades",
    ]  # fmt: skip
    assert set(told["knee"]) == {"metric", "low", "low_load", "bend", "double"}
    assert (told["scaling"] is None) is (told["no_scaling"] is not None)
    assert len(told["levels"]) == len(curve.levels)


def test_steps_are_said_and_no_peak_is_named() -> None:
    """Eight slots of 10/s each."""
    runs = [
        point(float(n), mode="concurrency", in_flight=float(n), achieved_per_s=10.0 * min(n, 8) * shift)
        for n in (1, 2, 4, 8, 16, 32, 64)
        for shift in (0.995, 1.005)
    ]
    (law,) = [line for line in sweep.sentences(curves(runs)["mock"]) if "Gunther" in line]

    assert "does not follow Gunther's law" in law
    assert "greatest" not in law
