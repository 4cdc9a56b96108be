"""The checks of load and answers: was it the planned load, and who answered what?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis import series, sources, stats
from analysis.checks.rule import CAPPED, Check, Evidence, Rule, is_new_connection, percentile, relief
from analysis.metrics import is_ok, is_stream
from analysis.runs import flagged, is_later_turn, numbers, seconds, where
from analysis.units import digits
from analysis.window import LEAST_S, changes, held_back_by_stop

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


# The load.

HANDSHAKE: Final = 0.01
"""Share of the wait below which opening a connection does not matter; check 21."""


def unsent(seen: Evidence) -> Check:
    """3: arrivals that never went out; turns behind one that failed or was given up are none."""
    advice = "The load was less than planned: the provider asked for a pause, a budget held, or the run was stopped."
    rule = Rule(3, "unsent arrivals", advice, 0.0, 0.1, " %")
    behind = flagged(seen.all, "turn_failed")
    meant = seen.all[~held_back_by_stop(seen.run, seen.all) & ~behind]
    n = int(behind.sum())
    note = f"Left out: {n:,} turn{'s' if n > 1 else ''} behind one that failed or was given up." if n else ""
    return rule.judge_share(int(where(meant, "outcome", "unsent").sum()), len(meant), slack=0, note=note)


def rate(seen: Evidence) -> Check:
    """4: the rate that went out against the schedule's."""
    advice = f"The client did not keep the rate: {relief(seen.run)}, or a lower rate."
    rule = Rule(4, "rate sent, off the plan by", advice, 1.0, 3.0, " %")
    if not seen.run.is_open:
        return rule.skip("closed loop: the answers set the rate")
    meant = seen.all[~held_back_by_stop(seen.run, seen.all) & ~is_later_turn(seen.all)]
    if flagged(meant, CAPPED).any():
        return rule.skip("--max-in-flight had arrivals wait, see there")
    scheduled, sent = seconds(meant, "scheduled_ns"), seconds(meant, "sent_ns")
    # A request that could get no connection was still offered, at its moment.
    tried = seconds(meant, "started_ns")
    went = np.where(np.isnan(sent), tried, sent)
    went = went[~np.isnan(went)]
    if went.size < stats.least_count(0.9):
        return rule.skip(f"{went.size} requests, need ≥ {stats.least_count(0.9)}")
    if np.ptp(scheduled) == 0:
        return rule.skip("a burst: all are meant for one instant")
    planned = len(meant) / max(np.ptp(scheduled), 1e-9)
    achieved = went.size / max(np.ptp(went), 1e-9)
    return rule.judge(100 * abs(achieved / planned - 1), f"{digits(achieved)}/s of {digits(planned)}/s")


def little(seen: Evidence) -> Check:
    """12: requests in flight = rate x time in the system, over a steady window."""
    advice = "The window is not steady, or rows are missing: a longer run, or a lower rate."
    rule = Rule(12, "Little's law gap", advice, 2.0, 5.0, " %")
    start, length = seen.window.start_s, seen.window.length_s
    if changes(seen.run.plan):
        return rule.skip("the load was planned to change")
    if length < LEAST_S or not seen.window.steady:
        return rule.skip(f"needs a steady window of ≥ {LEAST_S:.0f} s")
    sent, end = series.lifetimes(seen.run.requests)
    inside = (sent >= start) & (sent < seen.window.end_s) & np.isfinite(end)
    if not inside.any():
        return rule.skip("nothing was sent in the window")
    stay = float(np.mean(end[inside] - sent[inside]))
    if length < 20 * stay:
        return rule.skip(f"needs a window of 20 mean stays, {digits(20 * stay)} s")
    seen_in_flight = float(series.in_flight(seen.run.requests, np.array([start, seen.window.end_s]))[0])
    expected = inside.sum() / length * stay
    return rule.judge(100 * abs(seen_in_flight - expected) / max(seen_in_flight, 1e-9))


def caps(seen: Evidence) -> Check:
    """25: arrivals that a cap held back: kept from going out by a budget, or made to wait by --max-in-flight."""
    kept, waited = flagged(seen.all, "budget") & ~held_back_by_stop(seen.run, seen.all), flagged(seen.all, CAPPED)
    advice = "The load's peaks were cut, so the tail looks better than it is."
    if waited.any():
        advice = "--max-in-flight was reached: latency from the schedule holds the wait, latency from send does not."
    # A cap that was asked for and is told of spoils nothing: the wait is in the figures. A budget takes arrivals away.
    rule = Rule(25, "held back by a cap", advice, 0.0, 1.0 if kept.any() else None, " %")
    return rule.judge_share(int((kept | waited).sum()), len(seen.all), slack=0)


def new_connections(seen: Evidence) -> Check:
    """21: connections opened beyond those the load needs at once."""
    advice = "Connections don't last: TTFT holds handshakes. Ask why the server closes them, or say --new-connections."
    rule = Rule(21, "connections opened beyond the peak in flight", advice, 1.0, 20.0, " %")
    if seen.run.plan.get("new_connections"):
        return rule.skip("--new-connections asks for them")
    sent = seen.run.requests[~np.isnan(seconds(seen.run.requests, "sent_ns"))]
    surplus = sum(_surplus(group) for _, group in sent.groupby("worker", observed=True))
    share = _handshake_share(sent)
    if share <= HANDSHAKE:
        small = f"a handshake takes {digits(100 * share)} % of the median wait, which is nothing"
        return rule.state(f"{surplus} of {len(sent)}", "ok", small if surplus else "")
    return rule.judge_share(surplus, len(sent), slack=2, note="the pool of each worker has to fill once")


def _handshake_share(sent: pd.DataFrame) -> float:
    """Median time to open a connection over the median wait for a first token, or for the answer where none streams."""
    fresh = sent[is_new_connection(sent)]
    opening = np.nan_to_num(np.stack([numbers(fresh, column) for column in ("dns_s", "connect_s", "tls_s")])).sum(
        axis=0
    )
    for column in ("ttft_from_send_s", "latency_from_send_s"):
        waits = numbers(sent, column)
        if opening.size and (~np.isnan(waits)).any():
            return float(np.median(opening) / max(np.nanmedian(waits), 1e-9))
    return 0.0 if not opening.size else 1.0


def _surplus(sent: pd.DataFrame) -> int:
    """New connections beyond the peak in flight and those that were broken on purpose, by clients who gave up."""
    began, end = seconds(sent, "started_ns"), seconds(sent, "end_ns")
    peak = series.peak_in_flight(began, np.where(np.isnan(end), np.inf, end))
    return max(0, int(is_new_connection(sent).sum()) - peak - int(flagged(sent, "gave_up").sum()))


# The answers.

LEAST_COUNTED: Final = 10
"""Answers with two counts that check 31 needs."""


def certified(seen: Evidence) -> Check:
    """13: how far up percentiles are printed."""
    rule = Rule(13, "highest percentile printed", "", 0.0, None, limit="as the answers allow")
    n = int(is_ok(seen.rows).sum())
    if n < stats.least_count(0.9):
        return rule.state("p50", "not_judged", f"{n} answers; p90 needs ≥ {stats.least_count(0.9)}")
    top = stats.highest_supported(n, 0.999)
    above = [p for p in stats.LADDER if p > top]
    why = f"{n} answers; {percentile(above[0])} needs ≥ {stats.least_count(above[0]):,}" if above else f"{n} answers"
    return rule.state(percentile(top), "ok", why)


def errors(seen: Evidence) -> Check:
    """14: the share of failures."""
    advice = "Latencies are those of the survivors, so they are biased: see the errors by kind."
    rule = Rule(14, "failed requests", advice, 0.5, 5.0, " %")
    failed = int(where(seen.rows, "outcome", "error", "lost").sum())
    return rule.judge_share(failed, failed + int(is_ok(seen.rows).sum()), slack=0)


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
    first = seen.rows[~is_later_turn(seen.rows) & ~where(seen.rows, "workload", *_warm(seen.run.plan))]
    if first.empty and len(seen.rows):
        return rule.skip("prompts are meant to be cached")
    known = first[~np.isnan(numbers(first, "cached_tokens")) & (numbers(first, "input_tokens") > 0)]
    if known.empty:
        return rule.skip("the provider doesn't tell")
    return rule.judge(100 * numbers(known, "cached_tokens").sum() / numbers(known, "input_tokens").sum())


def _warm(plan: dict[str, Any]) -> list[str]:
    """The workloads whose prompts are meant to be found in a cache, whole or by their beginning."""
    return [
        str(one.get("name"))
        for one in plan.get("definitions") or ()
        if one.get("cache") == "warm" or float((one.get("prefix") or {}).get("share") or 0) > 0
    ]


def usage(seen: Evidence) -> Check:
    """19: where token counts are from."""
    advice = "Token counts come from several sources: TPOT and tokens/s are split by them."
    rule = Rule(19, "answers without usage", advice, 1.0, 1.0, " %")
    ok = seen.rows[is_ok(seen.rows)]
    missing = int((~where(ok, "tokens_from", *sources.TOLD)).sum())
    if len(ok) and missing == len(ok):
        value = f"100 % ({missing} of {missing})"
        if where(ok, "tokens_from", "tokenizer").all():
            name = sources.tokenizer(seen.run)
            return rule.state(value, "ok", f"The provider sends no usage: the tokenizer {name} counts what came.")
        why = "The provider sends no usage: output tokens are estimates, and so are TPOT and tokens/s."
        return rule.state(value, "doubtful", why)
    return rule.judge_share(missing, len(ok))


def counted(seen: Evidence) -> Check:
    """31: the provider's token counts against those of the run's own tokenizer."""
    advice = (
        "The provider counts other tokens than those of the text that came: reasoning that is billed and not shown, "
        "another model's tokenizer here, or an answer out of a cache."
    )
    rule = Rule(31, "token counts, tokenizer off usage by", advice, 30.0, None, " %")
    if not seen.run.plan.get("tokenizer"):
        return rule.skip("no --tokenizer to count with")
    told = seen.rows[is_ok(seen.rows) & where(seen.rows, "tokens_from", *sources.TOLD)]
    ours, theirs = numbers(told, "counted_tokens"), numbers(told, "output_tokens")
    both = ~np.isnan(ours) & (theirs > 0)
    n = int(both.sum())
    if n < LEAST_COUNTED:
        return rule.skip(f"{n} answers with both counts, need ≥ {LEAST_COUNTED}")
    mine, said = float(ours[both].sum()), float(theirs[both].sum())
    return rule.judge(100 * abs(mine / said - 1), f"{mine:,.0f} counted, {said:,.0f} told, over {n:,} answers")


def throttled(seen: Evidence) -> Check:
    """23: the provider's rate limit."""
    advice = "The provider's limiter was measured, not its model: lower the rate or raise the quota."
    rule = Rule(23, "throttled (429)", advice, 0.0, 1.0, " %")
    hit = where(seen.all, "error_kind", "throttled") | (numbers(seen.all, "status") == 429)
    return rule.judge_share(int(hit.sum()), len(seen.all), slack=0)


def buffered(seen: Evidence) -> Check:
    """29: streams that came in one piece."""
    advice = "Something between gathers the stream: TTFT is the whole answer's. Look for a buffering proxy."
    rule = Rule(29, "buffered streams", advice, 5.0, 50.0, " %")
    if (seen.run.manifest.get("profile") or {}).get("bursts"):
        return rule.skip("this provider is known to send whole streams in one piece")
    streams = seen.rows[is_stream(seen.rows) & is_ok(seen.rows)]
    chunks, tokens = numbers(streams, "chunks"), numbers(streams, "output_tokens")
    took = seconds(streams, "last_token_ns") - seconds(streams, "first_token_ns")
    with np.errstate(divide="ignore", invalid="ignore"):
        at_once = ((chunks == 1) & (tokens > 8)) | ((chunks >= 3) & (took / (chunks - 1) < 50e-6))
    found = at_once | flagged(streams, "buffered", "not_streamed")
    return rule.judge_share(int(found.sum()), len(streams))


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (
    unsent, rate, little, certified, errors, models, cached, usage, counted, new_connections, throttled, caps,
    buffered,
)  # fmt: skip
