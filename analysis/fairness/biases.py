"""What differs between the sides enough to bias what is compared, a sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.units import digits

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from analysis.fairness.sheet import Sheet

    Sides = Mapping[str, Sheet]

LONGER: Final = 1.10
"""Mean output of one side over that of another from which on they did different work; check 20 of a comparison."""
COUNTS: Final = 1.03
"""Median prompt as one side counts it over another's, of the same prompts."""
POINTS: Final = 0.10
"""Difference in a share of answers."""
CACHE: Final = 0.02
"""Difference in the share of cached prompt tokens; check 17 of a comparison."""
ANSWERED: Final = 0.99
"""Share of the prompts sent whose answers stand for all of them."""
FAR_S: Final = 0.005
"""Difference in the round trip from which on the distance is reported."""


def biases(sheets: Sides) -> list[str]:
    """Sentences, in the order of what weighs most."""
    return [told for find in _FINDERS for told in find(sheets)]


def _ends(sheets: Sides, value: Callable[[Sheet], float | None]) -> tuple[str, float, str, float] | None:
    """The side that has least of something and the one that has most, with their values; None of fewer than two."""
    known = sorted((found, name) for name, one in sheets.items() if (found := value(one)) is not None)
    return (known[0][1], known[0][0], known[-1][1], known[-1][0]) if len(known) > 1 else None


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if values.size else None


# What the answers were.


def _lengths(sheets: Sides) -> Iterator[str]:
    ends = _ends(sheets, lambda one: one.mean_made)
    if ends and ends[3] > LONGER * ends[1] > 0:
        few, less, many, more = ends
        yield (
            f"Output lengths differ: {digits(less)} tokens an answer from {few}, {digits(more)} from {many}. Latency, "
            "goodput and cost compare different work; TTFT and TPOT do not depend on it."
        )
    cut = _ends(sheets, lambda one: one.cut_share)
    if cut and cut[3] - cut[1] > POINTS:
        yield f"{_percent(cut[3])} of {cut[2]}'s answers were cut at the cap, {_percent(cut[1])} of {cut[0]}'s."


def _reasoning(sheets: Sides) -> Iterator[str]:
    ends = _ends(sheets, lambda one: one.share(one.reasoning_tokens, one.output_tokens) or 0.0)
    if ends and ends[3] - ends[1] > POINTS:
        least = _percent(ends[1]) if sheets[ends[0]].output_tokens else "reports none"
        yield (
            f"{ends[2]} spends {_percent(ends[3])} of its output on reasoning, {ends[0]} {least}: TTFT of {ends[2]} is "
            "to the first token of its reasoning, not of its answer."
        )


def _caches(sheets: Sides) -> Iterator[str]:
    ends = _ends(sheets, lambda one: one.share(one.cached_tokens, one.input_tokens))
    if ends and ends[3] - ends[1] > CACHE:
        yield (
            f"{_percent(ends[3])} of {ends[2]}'s prompt tokens came from a cache, {_percent(ends[1])} of {ends[0]}'s: "
            "that shortens its TTFT."
        )


def _tokens(sheets: Sides) -> Iterator[str]:
    sources = {name: set(one.counted) for name, one in sheets.items() if one.counted}
    if len({frozenset(words) for words in sources.values()}) > 1:
        told = "; ".join(f"{name} by {' and '.join(sorted(words))}" for name, words in sources.items())
        yield f"Tokens are counted by different sources ({told}): token counts are not comparable, characters/s are."
    ends = _ends(sheets, lambda one: _median(one.fresh))
    if ends and not _same_prompts(sheets[ends[0]], sheets[ends[2]]):
        return
    if ends and ends[3] > COUNTS * ends[1] > 0:
        yield (
            f"For the same prompts {ends[2]} counts {_percent(ends[3] / ends[1] - 1)} more tokens than {ends[0]}: a "
            "token is not the same unit on both sides, so tokens/s and prices per token are not comparable."
        )


def _same_prompts(one: Sheet, other: Sheet) -> bool:
    """Whether both counted the same set; not where nobody knows (imported runs), or where many were not answered."""
    all_of_them = all(side.ok >= ANSWERED * side.sent for side in (one, other))
    return all_of_them and one.prompts == other.prompts and "" not in one.prompts


def _models(sheets: Sides) -> Iterator[str]:
    for name, one in sheets.items():
        if len(one.answered) > 1:
            told = ", ".join(f"{word} ({n:,})" for word, n in one.answered.most_common(5))
            yield f"Several models answered for {name}: {told}."


# How they were reached.


def _distance(sheets: Sides) -> Iterator[str]:
    ends = _ends(sheets, lambda one: _median(one.connect_s))
    if ends and ends[3] - ends[1] > FAR_S:
        near, short, far, long = ends
        yield (
            f"A round trip to {far} takes {digits(1000 * long)} ms, to {near} {digits(1000 * short)} ms: at least one "
            f"round trip of {far}'s TTFT is the distance from where it was measured."
        )


def _connections(sheets: Sides) -> Iterator[str]:
    ends = _ends(sheets, lambda one: one.share(one.reused, one.placed))
    if ends and ends[3] - ends[1] > 0.5:
        yield (
            f"{ends[2]} was called over reused connections ({_percent(ends[3])}), {ends[0]} mostly over new ones "
            f"({_percent(ends[1])} reused): opening them counts towards its TTFT."
        )
    secure = [name for name, one in sheets.items() if one.over_tls]
    plain = [name for name, one in sheets.items() if any(one.schemes) and name not in secure]
    if secure and plain:
        yield f"TLS was used for {', '.join(secure)}, not for {', '.join(plain)}: it costs a handshake per connection."
    kinds: dict[str, Callable[[Sheet], Counter[str]]] = {"HTTP": lambda one: one.http, "TLS": lambda one: one.tls}
    for what, words in kinds.items():
        spoken = {name: words(one).most_common(1)[0][0] for name, one in sheets.items() if words(one)}
        if len(set(spoken.values())) > 1:
            yield f"{what} versions differ: {', '.join(f'{name} {word}' for name, word in spoken.items())}."


def _clocks(sheets: Sides) -> Iterator[str]:
    told = {name: one.clocks.most_common(1)[0][0] for name, one in sheets.items() if one.clocks}
    if len(set(told.values())) > 1:
        words = ", ".join(f"{name}: {word}" for name, word in told.items())
        yield f"The clocks differ ({words}): timestamps of the user clock include the client's own delay."


def _limits(sheets: Sides) -> Iterator[str]:
    hit = [name for name, one in sheets.items() if one.throttled]
    if hit:
        told = ", ".join(f"{name} {sheets[name].throttled:,} of {sheets[name].sent:,}" for name in hit)
        yield f"Answered 429: {told}. Such a side's numbers partly describe its rate limiter."
    cold = [f"{name} {one.cold:,}" for name, one in sheets.items() if one.cold]
    if cold:
        yield f"Cold sessions: {', '.join(cold)}. Their start counts towards TTFT."


# When, and for how much.


def _hours(sheets: Sides) -> Iterator[str]:
    spans = {name: sorted(at for at in one.started_unix_ns if at) for name, one in sheets.items()}
    known = {name: spans[name] for name in sorted(spans, key=lambda name: spans[name][:1]) if spans[name]}
    for first, mine in known.items():
        later = [name for name, at in known.items() if mine[-1] < at[0] and len(mine) + len(at) > 2]
        if later:
            then = ", ".join(later)
            yield f"All runs of {first} began before the first of {then}: changes over time are part of the difference."


def _prices(sheets: Sides) -> Iterator[str]:
    priced = [name for name, one in sheets.items() if set(one.prices) - {""}]
    if priced and len(priced) < len(sheets):
        missing = [name for name in sheets if name not in priced]
        yield f"No known prices for {', '.join(missing)}: cost is not compared."
    other = [f"{name} {', '.join(one.currencies)}" for name, one in sheets.items() if set(one.currencies) - {"USD"}]
    if other:
        yield f"Prices are not in USD ({'; '.join(other)}) and are not converted: cost is given for prices in USD only."
    mixed = [name for name, one in sheets.items() if len(one.prices) > 1]
    if mixed:
        yield f"Runs of {', '.join(mixed)} were charged by different price lists."


def _percent(share: float) -> str:
    return f"{digits(100 * share)} %"


_FINDERS: Final = (
    _lengths, _caches, _tokens, _reasoning, _models, _distance, _connections, _clocks, _limits, _hours, _prices,
)  # fmt: skip
