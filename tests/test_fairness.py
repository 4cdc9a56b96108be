"""The fairness sheet: what each side was, and what differs enough to bias a comparison."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import synthetic

from analysis import fairness
from analysis.campaign import runs_of
from analysis.units import NONE

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.fairness import Sheet
    from loadtests.record import Record

PRICES = {"input_per_million": 0.5, "output_per_million": 1.5, "currency": "USD", "date": "2026-11-01"}


def change(row: Record, _: np.random.Generator) -> None:
    """A far, slow-spoken provider: TLS and 90 ms to connect, half of the prompts cached, every tenth answer 429."""
    if not row.conn_reused:
        row.connect_s, row.tls_s = 0.09 + row.seq * 1e-5, 0.12
    row.http_version, row.cached_tokens, row.input_tokens, row.model_answered = "1.1", 50, 100, "far-1"
    if row.seq % 10 == 0:
        row.outcome, row.error_kind, row.status, row.retry_after_s = "error", "throttled", 429, 2.0


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    profile = {"name": "far", "base_url": "https://key@far.example:8443/v1", "prices": PRICES}
    recipe = synthetic.Recipe(change=change, manifest={"profile": profile, "model": "far"})
    return one(synthetic.write(tmp_path_factory.mktemp("far") / "run", recipe))


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Sheet:
    return one(synthetic.write(tmp_path_factory.mktemp("near") / "run"))


def one(path: Path) -> Sheet:
    (run,) = runs_of(path)
    return fairness.of(run)


def cells(**sheets: Sheet) -> dict[str, tuple[str, ...]]:
    return dict(fairness.entries(sheets))


def test_a_side_tells_where_it_was_and_over_what(far: Sheet) -> None:
    """160 requests, every tenth throttled: 16, and 144 full answers with half of their prompts from a cache."""
    found = cells(far=far)

    assert found["endpoint"] == ("far.example:8443",)
    assert found["round trip (TCP connect), p50"][0].startswith("90.")
    assert found["TLS"][0].startswith("yes, handshake p50 120 ms")
    assert found["HTTP version"] == ("1.1",)
    assert found["cached prompt tokens"] == ("50.0 %",)
    assert found["throttled (429)"] == ("16 of 160; asked to wait 2.00 to 2.00 s",)
    assert found["failed"] == ("10.0 % (16 of 160)",)
    assert found["run"] == ("2026-11-22 13:47 UTC",)
    assert found["prices"] == ("0.5 in / 1.5 out USD per M tokens, read 2026-11-01",)


def test_runs_of_a_side_add_up(far: Sheet) -> None:
    both = fairness.add(far, far)

    assert (both.runs, both.sent, both.throttled) == (2, 320, 32)
    assert both.connect_s.size == 2 * far.connect_s.size
    assert np.all(np.diff(both.connect_s) >= 0)
    assert cells(both=both)["cached prompt tokens"] == cells(far=far)["cached prompt tokens"]


def test_what_nobody_tells_is_no_line(near: Sheet) -> None:
    assert "cached prompt tokens" not in cells(near=near)
    assert "endpoint" in cells(near=near)


def test_a_long_way_and_a_limiter_are_said(far: Sheet, near: Sheet) -> None:
    told = " ".join(fairness.biases({"near": near, "far": far}))

    assert "A round trip to far takes 90." in told
    assert "to near 0.200 ms" in told
    assert "Answered 429: far 16 of 160." in told
    assert "TLS was used for far, not for near" in told
    assert "No known prices for near: cost is not compared." in told


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"tokens": 2.0}, "Output lengths differ"),
        ({"fresh": 1.1}, "a token is not the same unit on both sides"),
        ({"cut": 80}, "were cut at the cap"),
        ({"cached_tokens": 900.0, "input_tokens": 1000.0}, "came from a cache"),
        ({"reasoning_tokens": 500.0, "output_tokens": 1000.0}, "on reasoning"),
        ({"reused": 0}, "mostly over new ones"),
        ({"cold": 3}, "Cold sessions: b 3."),
        (
            {"started_unix_ns": (synthetic.manifest_of(synthetic.Recipe(), 1)["started_unix_ns"] + 10**13,)},
            "All runs of a began before",
        ),
    ],
)
def test_what_differs_enough_is_a_sentence_and_the_same_is_none(near: Sheet, other: dict[str, Any], words: str) -> None:
    base = replace(near, cached_tokens=0.0, input_tokens=1000.0)
    base = fairness.add(base, base)
    changed = {key: getattr(base, key) * value if key in {"tokens", "fresh"} else value for key, value in other.items()}

    assert fairness.biases({"a": base, "b": base}) == []
    (told,) = fairness.biases({"a": base, "b": replace(base, **changed)})
    assert words in told


def test_of_many_values_the_mean_is_theirs_and_n_is_how_many_there_were(tmp_path: Path) -> None:
    """2,500 answers of 10 tokens and one of 50,010: 30 on average. Of 2,501 new connections 2,000 times are kept."""

    def many(row: Record, _: np.random.Generator) -> None:
        row.connect_s, row.tls_s, row.conn_reused = 0.001, 0.002, False
        row.output_tokens = 50_010 if row.seq == 7 else 10

    found = one(synthetic.write(tmp_path / "r", synthetic.Recipe(n=2501, rate=500.0, stream_share=0.0, change=many)))

    told = cells(many=found)
    assert found.connect_s.size == 2000
    assert told["round trip (TCP connect), p50"] == ("1.00 ms, min 1.00 (n 2,501)",)
    assert told["TLS"][0].endswith("(n 2,501)")
    assert told["output tokens per answer"] == ("p50 10.0, mean 30.0",)


def test_what_nobody_knows_of_a_side_is_no_difference(near: Sheet) -> None:
    """An imported side tells neither its prompts nor its URL: not that they are others, nor that they are the same."""
    bare = replace(near, schemes=Counter([""]), prompts=Counter([""]))
    other = replace(bare, fresh=1.5 * bare.fresh)
    secure = replace(near, schemes=Counter(["https"]))

    assert fairness.biases({"bare": bare, "other": other}) == []
    assert fairness.biases({"bare": bare, "secure": secure}) == []


def test_a_side_that_does_not_tell_of_reasoning_is_not_said_to_do_none(near: Sheet) -> None:
    thinks = replace(near, reasoning_tokens=500.0, output_tokens=1000.0)

    (told,) = fairness.biases({"near": near, "thinks": thinks})
    assert told.startswith("thinks spends 50.0 % of its output on reasoning, near reports none: ")
    (told,) = fairness.biases({"near": replace(near, output_tokens=1000.0), "thinks": thinks})
    assert "near 0 %: " in told


def test_prices_in_another_currency_are_why_there_is_no_cost(tmp_path: Path, far: Sheet) -> None:
    profile = {"name": "euro", "base_url": "https://euro.example/v1", "prices": PRICES | {"currency": "EUR"}}
    euro = one(synthetic.write(tmp_path / "r", synthetic.Recipe(n=20, manifest={"profile": profile})))

    told = fairness.biases({"euro": euro, "far": far})
    assert "Prices are not in USD (euro EUR) and are not converted: cost is given for prices in USD only." in told


def test_other_prompts_say_nothing_of_how_tokens_are_counted(near: Sheet) -> None:
    other = replace(near, fresh=1.1 * near.fresh, prompts=Counter(["another set"]))

    assert fairness.biases({"a": near, "b": other}) == []


def test_a_longer_run_of_the_same_seed_sent_other_prompts(tmp_path: Path) -> None:
    """The hash is of the first prompts alone; those of 60 and 160 requests are not the same set, and mean nothing."""

    def growing(row: Record, _: np.random.Generator) -> None:
        row.input_tokens = 100 + row.seq

    told = {"hashes": {"prompts": "the first 100"}}
    short, long, again = (
        one(synthetic.write(tmp_path / name, synthetic.Recipe(n=n, change=growing, manifest=told)))
        for name, n in (("short", 60), ("long", 160), ("again", 160))
    )
    more = replace(again, fresh=1.1 * again.fresh)

    assert not [words for words in fairness.biases({"short": short, "long": long}) if "same prompts" in words]
    assert [words for words in fairness.biases({"long": long, "more": more}) if "same prompts" in words]
    failing = replace(more, ok=more.ok - 10, failed=10)
    assert not [words for words in fairness.biases({"long": long, "failing": failing}) if "same prompts" in words]


def test_where_nobody_knows_the_url_nobody_knows_of_tls(near: Sheet) -> None:
    """As of imported runs: the line is only there for the side that tells."""
    bare = replace(near, schemes=Counter([""]), tls=Counter(), tls_s=np.empty(0))

    assert "TLS" not in cells(bare=bare)
    assert cells(bare=bare, plain=replace(bare, schemes=Counter(["http"])))["TLS"] == (NONE, "no")


def test_sides_that_ran_one_after_another_are_told_once_each(near: Sheet) -> None:
    """Three of two runs, an hour after one another: two sentences, not one for every pair."""
    when = {name: (1 + 10 * k, 2 + 10 * k) for k, name in enumerate("abc")}
    told = fairness.biases({name: replace(near, started_unix_ns=at) for name, at in when.items()})

    assert [one for one in told if "over time" in one] == [
        "All runs of a began before the first of b, c: changes over time are part of the difference.",
        "All runs of b began before the first of c: changes over time are part of the difference.",
    ]


def test_answers_that_the_client_cut_say_why_they_ended(tmp_path: Path) -> None:
    """Of 4 answers one stopped, one was cut by the client, one ended for length, one is silent."""
    ends: list[dict[str, Any]] = [{"finish_reason": "stop"}, {"flags": ["cut_at_cap"]}, {"finish_reason": "length"}, {}]

    def change(row: Record, _: np.random.Generator) -> None:
        row.finish_reason, row.flags = ends[row.seq % 4].get("finish_reason"), ends[row.seq % 4].get("flags")

    sheet = one(synthetic.write(tmp_path / "r", synthetic.Recipe(n=40, change=change)))

    assert (sheet.cut, sheet.explained) == (20, 30)
    assert sheet.cut_share == pytest.approx(2 / 3)
