"""
Objectives as texts: `ttft_p95<2s`, `ttft<450ms`, `error_rate<1%`, `fluidity(2s,50ms)_p90>0.9`.

`m_pNN<limit` promises that NN % of all arrivals have less; `m<limit` is a term of what makes a request good and has no
share of its own; a word of the run holds a number of the whole run against its limit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from analysis.objectives.words import ELSEWHERE, WORDS, Op, Word

if TYPE_CHECKING:
    from collections.abc import Iterable

    from analysis.objectives.words import Unit

FORM: Final = re.compile(
    r"\s*(?P<word>\w+?)\s*(?:\((?P<deadlines>[^()]*)\))?(?:[\s_]+p(?P<p>[0-9]+(?:\.[0-9]+)?))?"
    r"\s*(?P<op><=|>=|<|>)\s*(?P<limit>.*?)\s*", re.IGNORECASE | re.ASCII,
)  # fmt: skip
NUMBER: Final = re.compile(r"((?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?)\s*([a-z%/]*)", re.IGNORECASE)
FACTORS: Final[dict[Unit, dict[str, float]]] = {
    "s": {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0},
    "1/s": {"": 1.0, "/s": 1.0, "/m": 1 / 60, "/min": 1 / 60},
    "share": {"": 1.0, "%": 0.01},
    "index": {"": 1.0, "%": 0.01},
    "count": {"": 1.0},
    "money": {"": 1.0},
}
EXAMPLES: Final[dict[Unit, str]] = {
    "s": "a duration like 450ms, 2s or 1min", "1/s": "a rate like 20 or 20/s", "share": "a share like 1% or 0.01",
    "index": "a number like 0.9", "count": "a number like 1", "money": "an amount like 2.5",
}  # fmt: skip


class ObjectiveError(ValueError):
    """An objective, or a file of them, that cannot be used: one line with the fix."""


@dataclass(frozen=True, slots=True)
class Objective:
    """
    One promise.

    Attributes:
        text: In its shortest form, whatever was written: `2000 ms` is `2s`; `parse(text)` gives the same again.
        word: Of `WORDS`; `metric` is the name that the table of metrics, or a column, has for it.
        p: The share of requests that have to keep it, 0 < p < 1; None: no share of its own, or of the run.
        limit: Base units: seconds, 1/s, shares from 0 to 1.
        deadlines: Of `fluidity`: seconds for the first token, and for each further one.
    """

    text: str
    metric: str
    p: float | None
    op: Op
    limit: float
    word: str
    deadlines: tuple[float, float] | None = None

    @property
    def about(self) -> Word:
        """What it is about."""
        return WORDS[self.word]

    @property
    def of_run(self) -> bool:
        """It holds a number of the whole run against its limit."""
        return self.about.of == "run"


@dataclass(frozen=True, slots=True)
class Objectives:
    """
    What a run is held against.

    Attributes:
        name: Of the preset or the file they came from; empty where they were given one by one.
        deadlines: Those of its `fluidity`, seconds for the first token and for each further one.
    """

    terms: tuple[Objective, ...] = ()
    name: str = ""
    deadlines: tuple[float, float] | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """As they are kept and told."""
        return tuple(term.text for term in self.terms)

    @property
    def needs_chunks(self) -> bool:
        """Whether one of them rests on the per-chunk times."""
        return any(term.about.of_chunks or term.word == "stalled_share" for term in self.terms)

    @property
    def of_requests(self) -> tuple[Objective, ...]:
        """
        The terms that one request can meet or miss: what makes it good.

        Where a metric has several percentiles, the highest says what any request may take, others speak of the bulk.
        """
        own = [term for term in self.terms if not term.of_run]
        highest = {term.word: max(t.p for t in own if t.word == term.word and t.p) for term in own if term.p}
        return tuple(term for term in own if term.p is None or term.p == highest[term.word])

    @property
    def idle(self) -> tuple[Objective, ...]:
        """Terms without a share where nothing asks for one: they decide nothing."""
        if any(term.word in {"attainment", "goodput", "cost_per_1k_good"} for term in self.terms):
            return ()
        return tuple(term for term in self.terms if term.p is None and not term.of_run)


def together(terms: Iterable[Objective], name: str = "") -> Objectives:
    """
    Terms as one set; those said twice once.

    Raises:
        ObjectiveError: Two of them ask for fluidity by different deadlines.
    """
    every = tuple(dict.fromkeys(terms))
    fluid = [term for term in every if term.deadlines]
    if other := [term for term in fluid if term.deadlines != fluid[0].deadlines]:
        raise ObjectiveError(
            f"objectives {fluid[0].text} and {other[0].text} have different deadlines; give one pair of them"
        )
    return Objectives(every, name, fluid[0].deadlines if fluid else None)


def parse(text: str) -> Objective:
    """
    One objective from its text.

    Raises:
        ObjectiveError: One line with the text, what is wrong, what is allowed.
    """
    try:
        return _parsed(" ".join(text.split()))
    except _Wrong as wrong:
        raise ObjectiveError(f"objective {text.strip()!r}: {wrong}") from None


class _Wrong(Exception):  # noqa: N818 - what is wrong with a text; the error is the line made of it
    """What is wrong, without the text it is about."""


def _parsed(text: str) -> Objective:
    match = FORM.fullmatch(text)
    if not match:
        raise _Wrong("isn't METRIC<LIMIT or METRIC_pNN<LIMIT; write it like ttft_p95<2s or error_rate<1%")
    word = match["word"].lower()
    if word not in WORDS:
        raise _Wrong(not_one_of(word, WORDS))
    about, op = WORDS[word], _op(match["op"])
    deadlines = _deadlines(word, match["deadlines"])
    p = _share(word, about, match["p"])
    limit = _number(match["limit"], about.unit)
    sharp = "" if deadlines is None else f"({','.join(map(_duration, deadlines))})"
    name = word + sharp + ("" if p is None else f"_p{100 * p:.10g}")
    if about.op not in {None, op}:
        side = "below" if about.op == "<" else "above"
        raise _Wrong(f"{word} is better {side} a limit than beyond it; write {name}{about.op}{match['limit']}")
    return Objective(name + op + _written(limit, word), about.metric, p, op, limit, word, deadlines)


def _op(text: str) -> Op:
    """Of a measured number `at most` and `less than` are the same."""
    return "<" if text.startswith("<") else ">"


def _share(word: str, about: Word, text: str | None) -> float | None:
    if text is None:
        return None
    if about.of == "run":
        raise _Wrong(f"{word} is a number of the whole run and has no percentile; leave _p{text} out")
    p = round(float(text) / 100, 10)  # as many places as its short form has
    if not 0 < p < 1:
        raise _Wrong(f"p{text} isn't between p0 and p100; write for example {word}_p95")
    return p


def _deadlines(word: str, text: str | None) -> tuple[float, float] | None:
    if word != "fluidity":
        if text is not None:
            raise _Wrong(f"{word} takes no ({text}); leave it out")
        return None
    parts = (text or "").split(",")
    if len(parts) != 2:
        raise _Wrong("fluidity needs two deadlines, of the first token and each further; write fluidity(2s,50ms)_p90")
    return _number(parts[0], "s"), _number(parts[1], "s")


def _number(text: str, unit: Unit) -> float:
    """A limit in base units."""
    match, factors = NUMBER.fullmatch(text.strip()), FACTORS[unit]
    if match is None or match[2].lower() not in factors:
        if match is not None and not match[2]:
            raise _Wrong(f"{text!r} has no unit; write {text}s or {text}ms")
        raise _Wrong(f"{text!r} isn't {EXAMPLES[unit]}")
    value = float(match[1]) * factors[match[2].lower()]
    if match[2] == "%":
        value = float(match[1]) / 100  # times 0.01 would make 0.06999... of 7 %
    if not math.isfinite(value) or value <= 0:
        raise _Wrong(f"{text!r} isn't more than 0 and finite; write {EXAMPLES[unit]}")
    if unit in {"share", "index"} and value >= 1:
        percent = f"{text}%" if match[2] == "" and value < 100 else EXAMPLES[unit]
        raise _Wrong(f"{text!r} isn't less than the whole; write {percent}")
    return float(f"{value:.12g}")


def _written(limit: float, word: str) -> str:
    unit = WORDS[word].unit
    if unit == "s":
        return _duration(limit)
    if unit == "share":
        return f"{100 * limit:.12g}%"
    return f"{limit:.12g}" + ("/s" if unit == "1/s" and not word.endswith("_per_s") else "")


def _duration(value_s: float) -> str:
    return f"{value_s:.12g}s" if value_s >= 1 else f"{1e3 * value_s:.12g}ms"


def not_one_of(value: str, allowed: Iterable[str]) -> str:
    """The end of a line about an unknown name: what is allowed, and what was probably meant."""
    names = list(allowed)
    known = ELSEWHERE.get(value)
    near = [known] if known in names else get_close_matches(value, names, n=1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f'"{value}" isn\'t one of [{", ".join(names)}]{hint}'
