"""A capacity on the terminal: every probe in its line, the answer and its table within 100 columns."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import answered
import pytest
import queues
import searches
from points import point
from rich.console import Console

from analysis.capacity import meaning, search, show, tried
from analysis.capacity import probe as probing
from analysis.capacity.probe import Step, Term
from analysis.capacity.ranout import edge, paragraph
from analysis.server import Finding, Told

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer

HERE = Path("2026-vllm")
FULL = Finding("kv_cache", "the KV cache was full (95 % or more) from 34 s on, 26 of 60 s in all", 34.0, 26.0)


def said(*findings: Finding) -> Told:
    return Told("vLLM", ("http://gpu:8000/metrics",), {}, (), findings, ())


def probe(*terms: Term, state: Any = "steady", why: str = "", **more: Any) -> probing.Probe:
    """Number 7, a bisection at 5.66/s."""
    step = Step(7, "rate", 5.66, "bisect", 60.0)
    return probing.Probe(step, (point(5.66, state=state, why=why, **more),), terms)


TERM = Term("ttft_p95<2s", 0.948, 0.95, 1200, 240.0, "undecided")


@pytest.fixture(scope="module")
def fast() -> Answer:
    return searches.answer()


def printed(width: int, *answers: Answer, **more: Any) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    show.render(searches.of(HERE, answers, **more), console)
    return console.export_text()


# A line for each.


def test_a_probe_in_a_line_says_what_decided_and_how_sure_that_is() -> None:
    told = show.probe_line(probe(TERM, ttft_s=(0.4, 1.9, 3.0)))

    assert told == (
        "probe 7 bisect 5.66/s: undecided: ttft_p95<2s kept by 94.8 % of 1,200 (95 % needed) · n_eff 240 · "
        "TTFT p95 1,900 ms"
    )


def test_of_an_unstable_probe_the_line_tells_no_latency() -> None:
    told = show.probe_line(probe(replace(TERM, verdict="missed"), state="unstable", why="in flight grew by 1.3/s"))

    assert told == "probe 7 bisect 5.66/s: unstable: in flight grew by 1.3/s"


def test_what_is_broken_comes_before_what_is_kept_and_of_all_kept_that_with_least_to_spare() -> None:
    kept, tight = replace(TERM, text="tpot_p50<1s", share=0.9, needed=0.5, verdict="met"), replace(TERM, verdict="met")
    broken = replace(TERM, text="latency_p99<9s", verdict="missed")

    assert [term.text for term in tried.deciding(probe(kept, tight, broken))] == ["latency_p99<9s"]
    assert [term.text for term in tried.deciding(probe(kept, tight))] == ["ttft_p95<2s"]


def test_a_promise_of_the_whole_run_has_no_share() -> None:
    whole = Term("error_rate<1%", None, None, 300, 0.0, "met")

    assert "error_rate<1% met" in show.probe_line(probe(whole))


@pytest.mark.parametrize(
    ("value", "told"), [(1.0, "100 %"), (0.99996, "99.99 %"), (0.9933, "99.33 %"), (0.948, "94.8 %")]
)
def test_only_all_is_a_hundred_per_cent(value: float, told: str) -> None:
    assert tried.percent(value) == told


def test_progress_narrows_and_ends(fast: Answer) -> None:
    """14 probes at most; before a bracket is known all that may be, after the last one none."""
    asked = search.Asked("rate")
    told = [show.progress(fast.probes[:n], asked) for n in range(len(fast.probes) + 1)]

    assert told[0] == "14 probes at most · about 13 min"  # 20 s alone, then 13 of 60 s
    assert told[3].startswith("at least 1.911/s · 11 probes at most")
    assert told[5].startswith("between 3.822 and 7.643/s")
    assert told[-1] == "the search is over"


# The answer.


def test_the_answer_fits_and_lists_every_probe(fast: Answer) -> None:
    text = printed(100, fast)

    assert text.startswith("fast carries 5.3 (5.0 to 5.6) requests a second.")
    assert max(map(len, text.splitlines())) <= 100
    numbers = [line.split()[0] for line in text[text.index(" # kind") :].splitlines()[1:] if line[1].isdigit()]
    assert numbers == [str(one.step.number) for one in fast.probes]
    assert "kept: share of the requests that met ttft_p95<2s" in text


def test_a_narrow_terminal_has_fewer_columns(fast: Answer) -> None:
    text = printed(80, fast)

    assert "n_eff" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_both_ways_are_reconciled_and_are_no_two_deployments(fast: Answer) -> None:
    text = printed(100, fast, searches.answer(mode="concurrency", seed=2))

    assert "By rate and by users. By rate it carries" in text
    assert "deployment" not in text


def test_deployments_stand_side_by_side(fast: Answer) -> None:
    text = printed(100, fast, searches.answer("slow", slots=5, seed=3))

    assert "deployment" in text
    assert "what slow does." in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_sweep_is_printed_as_its_table() -> None:
    console = Console(width=100, file=io.StringIO(), record=True)
    show.render(searches.campaign(HERE, "sweep", [point(load) for load in (1.0, 2.0, 4.0)]), console)

    assert "TTFT" in console.export_text()


def test_as_plain_values_every_key_is_there(fast: Answer) -> None:
    told = searches.of(HERE, [fast], said={fast.probes[3].points[0].run: said(FULL)})
    plain = show.plain(told, [meaning.mean(fast, meaning.Asked(peak_per_s=30.0))])

    assert json.loads(json.dumps(plain)) == json.loads(json.dumps(plain))
    assert list(plain) == [
        "kind",
        "campaign",
        "is_over",
        "objectives",
        "answers",
        "meanings",
        "beside",
        "both",
        "curves",
        "server",
    ]
    assert plain["answers"][0]["value"] == fast.value
    assert plain["meanings"][0]["sizing"]["replicas"] == 9  # 30 / (5.3 x 0.75) = 7.6, so 8, and one may fail
    assert plain["server"][fast.probes[3].points[0].run]["findings"][0]["role"] == "kv_cache"


# The promise and the edge.


def test_the_promise_told_is_the_one_that_breaks_first(fast: Answer) -> None:
    assert tried.limiting(fast) == searches.OBJECTIVE
    assert tried.limiting(replace(fast, limited_by="stability")) == searches.OBJECTIVE
    assert tried.limiting(answered.answer(8.0, 7.0, 9.0)) is None


def test_figures_of_a_probe_are_means_over_its_runs_by_their_length() -> None:
    """L = (2 x 100 + 5 x 200) / 300 = 4; p95 is sqrt(1 x 4) s."""
    runs = (
        point(5.0, length_s=100.0, requests=400, in_flight=2.0, flow=2.02, little=0.01, ttft_s=(0.1, 1.0, 2.0)),
        point(5.0, length_s=200.0, requests=1200, in_flight=5.0, flow=4.85, little=0.03, ttft_s=(0.1, 4.0, 8.0)),
    )
    one = tried.of(probing.Probe(Step(1, "rate", 5.0, "bisect", 60.0), runs, ()), None)

    assert one.n == 1600
    assert one.in_flight == pytest.approx(4.0)
    assert one.flow == pytest.approx((2.02 + 2 * 4.85) / 3)
    assert one.gap == 0.03
    assert one.ttft_p95_s == pytest.approx(2.0)


def test_the_edge_is_the_lowest_failure_and_the_highest_pass_below_it(fast: Answer) -> None:
    held, failed = edge(fast)
    assert held is not None
    assert failed is not None

    tried_loads = [one.load for one in fast.probes if one.step.kind != "base"]
    assert failed.load == min(one.load for one in fast.probes if one.decision == "fail")
    assert held.load == max(one.load for one in fast.probes if one.decision == "pass" and one.load in tried_loads)
    assert held.load < failed.load


def test_what_ran_out_is_quoted_where_it_was_too_much(fast: Answer) -> None:
    _, failed = edge(fast)
    assert failed is not None
    own = paragraph(fast, {failed.points[0].run: said(FULL)})
    assert own is not None

    assert own.sentences == (
        f"At {tried.at(failed)}, the lowest load that missed the objective, the server (vLLM) says: {FULL.text}.",
    )
    assert paragraph(fast, {}) is None


def test_one_request_at_a_time_is_no_edge() -> None:
    """A search that ended after the first probe has no load of its own."""
    alone = queues.search(searches.Talking(8, 0.5, n=200), search.Asked("rate"), stop_after=1)

    assert edge(replace(answered.answer(None, None, None), probes=tuple(alone))) == (None, None)
