"""The checks of the answers: who answered, what, of which prompts, and how far up can it be told?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis import sources, stats
from analysis.checks.rule import Check, Evidence, Rule, imported_from, percentile
from analysis.derived import is_ok, is_stream
from analysis.rundir import flagged, is_later_turn, numbers, seconds, some, where

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

LEAST_COUNTED: Final = 10
"""Answers with two counts that check 31 needs."""


def certified(seen: Evidence) -> Check:
    """13: how far up percentiles are printed."""
    rule = Rule(13, "highest percentile known", "", 0.0, None, limit="as the answers allow")
    latency = numbers(seen.rows, "latency_s")[is_ok(seen.rows)]
    latency = latency[~np.isnan(latency)]
    worth = {p: _worth(latency, p) for p in stats.LADDER if p > 0.5}
    n = latency.size
    if not n or worth[0.9] < stats.least_count(0.9):
        return rule.state("p50", "not_judged", f"{_answers(n, worth[0.9])}; p90 needs ≥ {stats.least_count(0.9)}")
    top, above = _top(worth)
    why = _answers(n, worth[above or top])
    if above:
        why += f"; {percentile(above)} needs ≥ {stats.least_count(above):,}"
    if worth[top] < stats.firm_count(top):
        why += f"; {percentile(top)} is rough (~) below {stats.firm_count(top):,}"
    return rule.state(percentile(top), "ok", why)


def _worth(values: NDArray[np.float64], p: float) -> float:
    """How many independent values these, in order of arrival, are worth for their p-quantile."""
    return stats.effective_count(values <= np.quantile(values, p)) if values.size else 0.0


def _top(worth: dict[float, float]) -> tuple[float, float | None]:
    """The highest percentile that so many values support, and the next one above."""
    held = [p for p in worth if worth[p] >= stats.least_count(p)]
    above = [p for p in worth if p > held[-1]]
    return held[-1], above[0] if above else None


def _answers(n: int, worth: float) -> str:
    return f"{n:,} answers" + (f", clustered: worth {worth:,.0f} independent ones" if worth < 0.9 * n else "")


def errors(seen: Evidence) -> Check:
    """14: the share of failures."""
    advice = "Latencies are those of the survivors, so they are biased: see the errors by kind."
    rule = Rule(14, "failed requests", advice, 0.5, 5.0, " %")
    failed = int(where(seen.rows, "outcome", "error", "lost").sum())
    return rule.judge_share(failed, failed + int(is_ok(seen.rows).sum()), slack=0)


TIMEOUTS: Final = {
    "timeout_connect": "ttft_s", "timeout_first_byte": "ttft_s", "timeout_silence": "max_gap_s",
    "timeout_total": "latency_s",
}  # fmt: skip
"""Each way to give up on an answer, and the metric whose longest values it cuts off."""
OF_TIMEOUTS: Final = (
    "outcome", "error_kind", "ttft_s", "max_gap_s", "latency_s", "scheduled_ns", "headers_ns", "last_token_ns",
    "end_ns",
)  # fmt: skip
NEAR: Final = 2.0


def timeouts(seen: Evidence) -> Check:
    """15: waits that were cut short where the highest percentile known would have been."""
    advice = "The longest waits were cut off by a timeout, so the tail is longer than it looks: raise the timeouts."
    sent = some(seen.rows, where(seen.rows, "outcome", "ok", "error", "lost"), *OF_TIMEOUTS)
    latency = numbers(sent[is_ok(sent)], "latency_s")
    p = stats.highest_supported(int((~np.isnan(latency)).sum()))
    rule = Rule(15, f"timeouts, against {percentile(p)}", advice, 0.0, 100 * (1 - p), " %")
    n = int(where(sent, "error_kind", *TIMEOUTS).sum())
    check = rule.judge_share(n, len(sent), slack=0)
    if check.status != "doubtful" or any(_is_near(sent, kind, p) for kind in TIMEOUTS):
        return check
    far = f"All gave up later than twice the {percentile(p)}, so it is not affected."
    return rule.state(check.value, "ok", far)


def _is_near(sent: pd.DataFrame, kind: str, p: float) -> bool:
    """Whether some gave up in this way so soon that twice the quantile of what was seen lies behind."""
    waited = _waited(sent[where(sent, "error_kind", kind)], kind)
    if not waited.size:
        return False
    ok = sent[is_ok(sent)]
    values = numbers(ok, TIMEOUTS[kind])
    values = numbers(ok, "latency_s") if np.all(np.isnan(values)) else values
    values = values[~np.isnan(values)]
    return bool(not values.size or waited.min() <= NEAR * np.quantile(values, p))


def _waited(gave_up: pd.DataFrame, kind: str) -> NDArray[np.float64]:
    """How long those that timed out were waited for, on the axis of the metric, seconds."""
    end, since = seconds(gave_up, "end_ns"), seconds(gave_up, "scheduled_ns")
    if kind == "timeout_silence":
        last, headers = seconds(gave_up, "last_token_ns"), seconds(gave_up, "headers_ns")
        since = np.where(np.isnan(last), np.where(np.isnan(headers), since, headers), last)
    waited = end - since
    return waited[~np.isnan(waited)]


def models(seen: Evidence) -> Check:
    """16: who answered."""
    rule = Rule(16, "models that answered", "", 1.0, None, limit="the one asked for")
    answered = sorted(str(word) for word in seen.rows["model_answered"].dropna().unique())
    if not answered:
        return rule.skip("no answer names its model")
    asked = str(seen.run.manifest.get("model") or "")
    value = ", ".join(answered[:3]) + (" …" if len(answered) > 3 else "")
    if len(answered) > 1:
        why = "Several models answered, so the numbers mix them: ask for one by its full name."
        return rule.state(value, "invalid" if any(_is_named(asked, name) for name in answered) else "doubtful", why)
    if not asked or _is_named(asked, answered[0]):
        return rule.state(value, "ok")
    return rule.state(value, "doubtful", f"Asked for {asked}: an alias, or another model than you think.")


def _is_named(asked: str, answered: str) -> bool:
    """An answer may name a dated or a shortened form of what was asked for."""
    a, b = (name.lower().rsplit("/", 1)[-1] for name in (asked, answered))
    return a.startswith(b) or b.startswith(a)


def cached(seen: Evidence) -> Check:
    """17: prompt tokens that the server had already."""
    advice = "Prompts were cached, so TTFT flatters the server: use prompts with a nonce."
    rule = Rule(17, "cached prompt tokens", advice, 1.0, 10.0, " %")
    if str(seen.run.plan.get("arrivals") or "").startswith("trace:"):
        return rule.skip("a trace's prompts may share their beginnings")
    cold = ~is_later_turn(seen.rows) & ~where(seen.rows, "workload", *_warm(seen.run.plan))
    first = some(seen.rows, cold, "cached_tokens", "input_tokens")
    if first.empty and len(seen.rows):
        return rule.skip("prompts are meant to be cached")
    known = first[~np.isnan(numbers(first, "cached_tokens")) & (numbers(first, "input_tokens") > 0)]
    if known.empty:
        return rule.skip("the provider doesn't report it")
    return rule.judge(100 * numbers(known, "cached_tokens").sum() / numbers(known, "input_tokens").sum())


def _warm(plan: dict[str, Any]) -> list[str]:
    """The workloads whose prompts are meant to be found in a cache, whole or by their beginning."""
    return [
        str(one.get("name"))
        for one in plan.get("definitions") or ()
        if one.get("cache") == "warm" or float((one.get("prefix") or {}).get("share") or 0) > 0
    ]


def duplicates(seen: Evidence) -> Check:
    """18: prompts asked more than once in the run, which a cache may know."""
    advice = "Prompts were repeated within the run, so a cache may answer them: use more prompts, or a nonce."
    rule = Rule(18, "duplicate prompts", advice, 1.0, 20.0, " %")
    if str(seen.run.plan.get("arrivals") or "").startswith("trace:"):
        return rule.skip("a trace's prompts may repeat")
    asked = ~is_later_turn(seen.all) & ~where(seen.all, "outcome", "unsent")
    new = asked & ~where(seen.all, "workload", *_warm(seen.run.plan))
    if asked.any() and not new.any():
        return rule.skip("prompts are meant to be cached")
    known = some(seen.all, new, "workload", "prompt_hash").dropna()
    files = where(known, "workload", *_of_files(seen.run.plan))
    hashes = numbers(known, "prompt_hash")
    check = rule.judge_share(_again(hashes[~files]), len(known))
    if n := _again(hashes[files]):
        note = f"{n:,} prompts of a dataset were repeated, each behind its own nonce: no cache knows them"
        return replace(check, why=f"{check.why} {note}".strip())
    return check


def _again(hashes: NDArray[np.float64]) -> int:
    """How many were there before."""
    return int(np.count_nonzero(np.diff(np.sort(hashes)) == 0))


def _of_files(plan: dict[str, Any]) -> list[str]:
    """The workloads whose prompts are a dataset's, over and over, each behind a nonce of its own."""
    return [str(one.get("name")) for one in plan.get("definitions") or () if one.get("dataset")]


def usage(seen: Evidence) -> Check:
    """19: where token counts are from."""
    advice = "Token counts come from several sources: TPOT and tokens/s are split by them."
    rule = Rule(19, "answers without usage", advice, 1.0, 1.0, " %")
    ok = some(seen.rows, is_ok(seen.rows), "tokens_from")
    missing = int((~where(ok, "tokens_from", *sources.TOLD)).sum())
    if len(ok) and missing == len(ok):
        value = f"100 % ({missing} of {missing})"
        if where(ok, "tokens_from", "tokenizer").all():
            name = sources.tokenizer(seen.run)
            return rule.state(value, "ok", f"The provider sends no usage: the tokenizer {name} counts the answers.")
        if whose := imported_from(seen.run):
            return rule.state(value, "ok", f"Imported from {whose}, whose file does not say who counted the tokens.")
        why = "The provider sends no usage: output tokens are estimates, and so are TPOT and tokens/s."
        return rule.state(value, "doubtful", why)
    return rule.judge_share(missing, len(ok))


def counted(seen: Evidence) -> Check:
    """31: the provider's token counts against those of the run's own tokenizer."""
    advice = (
        "The provider counts tokens other than those of the text received: reasoning billed but not shown, "
        "another model's tokenizer here, or a cached answer."
    )
    rule = Rule(31, "token counts, tokenizer off usage by", advice, 30.0, None, " %")
    if not seen.run.plan.get("tokenizer"):
        return rule.skip("no --tokenizer to count with")
    by_usage = is_ok(seen.rows) & where(seen.rows, "tokens_from", *sources.TOLD)
    told = some(seen.rows, by_usage, "counted_tokens", "output_tokens")
    ours, theirs = numbers(told, "counted_tokens"), numbers(told, "output_tokens")
    both = ~np.isnan(ours) & (theirs > 0)
    n = int(both.sum())
    if n < LEAST_COUNTED:
        return rule.skip(f"{n} answers with both counts, need ≥ {LEAST_COUNTED}")
    mine, said = float(ours[both].sum()), float(theirs[both].sum())
    return rule.judge(100 * abs(mine / said - 1), f"{mine:,.0f} counted, {said:,.0f} reported, over {n:,} answers")


def throttled(seen: Evidence) -> Check:
    """23: the provider's rate limit."""
    advice = "The provider's limiter was measured, not its model: lower the rate or raise the quota."
    rule = Rule(23, "throttled (429)", advice, 0.0, 1.0, " %")
    hit = where(seen.all, "error_kind", "throttled") | (numbers(seen.all, "status") == 429)
    return rule.judge_share(int(hit.sum()), len(seen.all), slack=0)


def buffered(seen: Evidence) -> Check:
    """29: streams that came in one piece."""
    advice = "Something on the way buffers the stream, so TTFT is the whole answer's: look for a buffering proxy."
    rule = Rule(29, "buffered streams", advice, 5.0, 50.0, " %")
    if (seen.run.manifest.get("profile") or {}).get("bursts"):
        return rule.skip("this provider is known to send whole streams in one piece")
    columns = ("chunks", "output_tokens", "first_token_ns", "last_token_ns", "flags")
    streams = some(seen.rows, is_stream(seen.rows) & is_ok(seen.rows), *columns)
    chunks, tokens = numbers(streams, "chunks"), numbers(streams, "output_tokens")
    took = seconds(streams, "last_token_ns") - seconds(streams, "first_token_ns")
    with np.errstate(divide="ignore", invalid="ignore"):
        at_once = ((chunks == 1) & (tokens > 8)) | ((chunks >= 3) & (took / (chunks - 1) < 50e-6))
    found = at_once | flagged(streams, "buffered", "not_streamed")
    return rule.judge_share(int(found.sum()), len(streams))


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (
    certified, errors, timeouts, models, cached, duplicates, usage, counted, throttled, buffered,
)  # fmt: skip
