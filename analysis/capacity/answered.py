"""One answer of a search as the page has it: the numbers on top, its sentences, its probes, its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis.capacity import tried, words
from analysis.capacity.bills import machines
from analysis.capacity.figures import money, paid, percent, plain, rounded
from analysis.capacity.page import big, link
from analysis.capacity.promise import in_words
from analysis.capacity.show import paragraphs_of
from analysis.capacity.words import BEYOND
from analysis.units import span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analysis.capacity.answer import Answer
    from analysis.capacity.figures import Figure
    from analysis.capacity.meaning import Meaning
    from analysis.capacity.page import Big
    from analysis.capacity.told import Told
    from analysis.capacity.tried import Tried

OPEN: Final = {"most": "not reached", "client": "not reached: load generator", "quota": "your quota"}


def answered(meaning: Meaning, told: Told) -> dict[str, Any]:
    """All that one answer has on the page, but its charts."""
    stamp, kind = _stamp(meaning)
    several = sum(answer.arm == meaning.answer.arm for answer in told.answers) > 1
    by = f" by {'rate' if meaning.answer.mode == 'rate' else 'users'}" if several else ""
    return {
        "headline": words.headline(meaning),
        "stamp": stamp,
        "class": kind,
        "name": f"{meaning.arm or 'server'}{by}",
        "numbers": list(_numbers(meaning)),
        "paragraphs": [{"about": one.about, "text": " ".join(one.sentences)} for one in paragraphs_of(meaning, told)],
        "probes": _probes(meaning.answer, told.path),
        "tables": [one for one in (_mix(meaning), _sizing(meaning), _money(meaning)) if one["rows"]],
    }


def _stamp(meaning: Meaning) -> tuple[str, str]:
    answer, carried = meaning.answer, meaning.carried
    if carried is None:
        return "no capacity", "invalid"
    if carried.bound:
        return ("quota", "doubtful") if carried.bound == "quota" else ("at least", "doubtful")
    return ("confirmed", "valid") if answer.is_confirmed else ("not confirmed", "doubtful")


def _numbers(meaning: Meaning) -> Iterator[Big]:
    carried, mix, answer = meaning.carried, meaning.mix, meaning.answer
    if carried is None:
        return
    if carried.mode == "concurrency":
        users = _figure("capacity, users at once", carried.load, carried.bound, whole=True)
        together = f"{rounded(carried.per_s)[0]} requests/s together"
        yield users | {"note": "; ".join(filter(None, (users["note"], together)))}
    else:
        yield _figure("capacity, requests/s", carried.per_s, carried.bound)
    limit = OPEN.get(answer.limited_by) or ("the queue" if answer.limited_by == "stability" else answer.limited_by)
    yield big("gives way first", limit, "" if answer.limited_by in BEYOND else in_words(answer.limited_by))
    if meaning.sizing is not None:
        sizing = meaning.sizing
        free = f"for {plain(sizing.demand.grown_per_s)}/s, {percent(sizing.demand.headroom)} of each kept free"
        yield big("machines for the peak", sizing.shown.split(" (")[0], f"{_ends(sizing.least, sizing.most)}{free}")
    if meaning.rent is not None and meaning.rent.at_capacity.per_1k_good is not None:
        yield _paid("1,000 good requests, USD", meaning.rent.at_capacity.per_1k_good, "at capacity")
        if meaning.rent.month is not None:
            yield big("a month of these machines", money(meaning.rent.month.value), "730 hours")
    elif meaning.tokens is not None and meaning.tokens.per_1k_good is not None:
        read = f"prices of {meaning.tokens.prices_read}" if meaning.tokens.prices_read else "by token prices"
        yield big("1,000 good requests", money(meaning.tokens.per_1k_good), read)
    if mix is not None and mix.output_tokens_per_s:
        flow = carried.per_s.times(mix.output_tokens_per_s / mix.requests_per_s)
        yield _figure("output tokens/s, at capacity", flow, carried.bound)


def _figure(label: str, figure: Figure, bound: str, *, whole: bool = False) -> Big:
    if bound:
        return big(label, f"≥ {plain(figure.value, whole=whole)}" if bound == "at least" else plain(figure.value))
    value, lo, hi = rounded(figure, whole=whole)
    return big(label, value, f"95 %: {lo} to {hi}" if lo and hi else "no interval")


def _paid(label: str, figure: Figure, when: str) -> Big:
    value, lo, hi = rounded(figure)
    return big(label, value, f"95 %: {lo} to {hi}, {when}" if lo and hi else when)


def _ends(least: int | None, most: int | None) -> str:
    return "" if least is None or most is None or least == most else f"95 %: {least} to {most}; "


def _probes(answer: Answer, path: Path) -> dict[str, Any]:
    return {
        "promise": tried.limiting(answer) or "",
        "headings": tried.HEADINGS,
        "rows": [_probe(one, path) for one in tried.tried(answer)],
    }


def _probe(one: Tried, path: Path) -> dict[str, Any]:
    colours = {"pass": "s-ok", "fail": "s-invalid", "undecided": "s-doubtful"}
    cells = tried.cells(one)
    return {
        "cells": cells[1:],
        "number": cells[0],
        "links": [link(path, point.run) for point in one.probe.points],
        "class": colours[one.probe.decision],
        "why": one.probe.reason if one.probe.state != "steady" or len(one.probe.terms) > 1 else "",
    }


# Its tables.


def _table(title: str, rows: list[tuple[str, str | None]]) -> dict[str, Any]:
    return {"title": title, "rows": [row for row in rows if row[1] is not None]}


def _mix(meaning: Meaning) -> dict[str, Any]:
    mix, carried = meaning.mix, meaning.carried
    if mix is None or carried is None:
        return _table("The mix", [])
    unit = "/s" if carried.mode == "rate" else " users"
    each = mix.requests_per_s

    def flow(value: float | None) -> str | None:
        return None if value is None else f"{carried.shown(carried.per_s.times(value / each))} tokens/s"

    near = f"at {plain(float(f'{mix.load:.4g}'))}{unit}, the nearest steady load"
    return _table("The mix that it is a capacity of", [
        ("input of a request, mean", None if mix.input_tokens is None else f"{plain(mix.input_tokens)} tokens"),
        ("output of a request, mean", None if mix.output_tokens is None else f"{plain(mix.output_tokens)} tokens"),
        ("input known to the server before", None if not mix.cached_share else percent(mix.cached_share)),
        ("input at capacity", flow(mix.input_tokens_per_s)),
        ("output at capacity", flow(mix.output_tokens_per_s)),
        ("output speed of one user, median", _each(mix.user_tokens_per_s, " tokens/s", near)),
        ("in flight, mean", _each(mix.in_flight, "", near)),
        ("time of a request, mean", None if mix.response_s is None else f"{_time(mix.response_s)}, {near}"),
        ("requests that met every objective", None if mix.good is None else f"{tried.percent(mix.good)}, {near}"),
    ])  # fmt: skip


def _each(value: float | None, unit: str, near: str) -> str | None:
    return None if value is None else f"{plain(value)}{unit}, {near}"


def _time(seconds: float) -> str:
    return span(float(f"{seconds:.3g}"))


def _sizing(meaning: Meaning) -> dict[str, Any]:
    sizing = meaning.sizing
    if sizing is None:
        return _table("Machines", [])
    demand = sizing.demand
    return _table("How the machines are counted", [
        ("peak", f"{plain(demand.peak_per_s)} requests/s, {meaning.peak_of}"),
        ("growth", percent(demand.growth)),
        ("to size for", f"{plain(demand.grown_per_s)} requests/s"),
        ("kept free on each", percent(demand.headroom)),
        ("carry it", f"{machines(str(sizing.needed))}: peak x (1 + growth) / (capacity x (1 - free)), rounded up"),
        ("may fail", str(sizing.failures)),
        ("in all", f"{machines(sizing.shown)}; the range is that of the capacity"),
        ("busy at the peak", f"{percent(sizing.busy)}; {percent(sizing.busy_after)} with {sizing.failures} gone"),
    ])  # fmt: skip


def _money(meaning: Meaning) -> dict[str, Any]:
    rent, tokens = meaning.rent, meaning.tokens
    rows: list[tuple[str, str | None]] = []
    if rent is not None:
        rows.append(("one machine", f"{money(rent.price_per_h)} an hour"))
        used = ((rent.at_capacity, "at capacity"), (rent.at_peak, "at the peak"), (rent.at_mean, "at the mean load"))
        for cost, when in used:
            if cost is not None:
                when_used = f"{when} ({percent(cost.utilisation)} used)"
                rows.append((f"1,000 good requests, {when_used}", _paid_of(cost.per_1k_good)))
                rows.append((f"1 M output tokens, {when_used}", _paid_of(cost.per_m_output)))
        if rent.month is not None:
            rows.append(("a month of 730 hours", paid(rent.month)))
    if tokens is not None:
        read = f", prices of {tokens.prices_read}" if tokens.prices_read else ""
        rows.append((f"a request by token prices{read}", money(tokens.per_request)))
        rows.append(("1,000 good requests by token prices", _money_of(tokens.per_1k_good)))
        rows.append(("1 M output tokens by token prices", _money_of(tokens.per_m_output)))
        rows.append(("a month at the mean load", _money_of(tokens.month_mean)))
        rows.append(("a month at the peak all the time", _money_of(tokens.month_peak)))
    return _table("Money", rows)


def _money_of(amount: float | None) -> str | None:
    return None if amount is None else money(amount)


def _paid_of(figure: Figure | None) -> str | None:
    return None if figure is None else paid(figure)
