"""
What a gate is asked to hold: margins, the primary family, alpha, from the command line and from a file of objectives.

The command line goes before the file, the file before the usual values.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from analysis.compare.rules import PRIMARY, Rules, words
from analysis.objectives import read_table
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

ALPHA: Final = 0.05
ALPHAS: Final = (1e-6, 0.5)
"""Beyond these nothing is ever, or everything is, called different."""
MARGIN: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)")


class RuleError(RunError):
    """A rule of the gate that cannot be used: one line with what is allowed."""


def rules(
    margins: Sequence[str], primary: Sequence[str], alpha: float | None, across: Iterable[str],
    files: Sequence[Path] = (),
) -> Rules:  # fmt: skip
    """
    The rules of a comparison.

    Args:
        margins: Each `NAME=AMOUNT`: `ttft_p95=10%`, `error_rate=1%`.
        primary: Names of the numbers that the verdict rests on; none: the usual six.
        alpha: Chance of a false alarm in the whole family; None: not said.
        across: In what the sides may differ.
        files: Of objectives, which may hold rules too; a later one goes before an earlier one.

    Raises:
        RuleError: One of them is of no use.
        ObjectiveError: A file is.
    """
    held: dict[str, Any] = {"margins": {}}
    for file in files:
        held |= _of_file(file, held["margins"])
    told = dict(_margin(text, *text.partition("=")[::2], "--margin") for text in margins)
    family = _family(primary, "--metric") or held.get("primary", PRIMARY)
    return Rules(
        alpha=held.get("alpha", ALPHA) if alpha is None else _alpha(alpha, "--alpha"), margins=held["margins"] | told,
        primary=family, across=frozenset(across),
    )  # fmt: skip


def _of_file(path: Path, earlier: dict[str, float]) -> dict[str, Any]:
    """The rules that a file holds; margins added to the earlier ones."""
    table = read_table(path)
    margins, primary, alpha = (table.get(key) for key in ("margins", "primary", "alpha"))
    if not isinstance(margins or {}, dict):
        raise RuleError(f'{path}: margins isn\'t a table; write [margins] and below it ttft_p95 = "10%"')
    if primary is not None and not (isinstance(primary, list) and primary and all(isinstance(x, str) for x in primary)):
        raise RuleError(f'{path}: primary isn\'t a list of names; write primary = ["ttft_p50", "error_rate"]')
    found: dict[str, Any] = {}
    if primary is not None:
        found["primary"] = _family(primary, f"{path}: primary")
    if alpha is not None:
        found["alpha"] = _alpha(alpha, f"{path}: alpha")
    own = [(f"{name} = {amount!r}", name, str(amount)) for name, amount in (margins or {}).items()]
    return found | {"margins": earlier | dict(_margin(*one, f"{path}: margins") for one in own)}


def _family(names: Iterable[str], where: str) -> tuple[str, ...]:
    """The numbers that somebody named, each once."""
    return tuple(dict.fromkeys(_number(name, where) for name in names))


def _alpha(value: Any, where: str) -> float:
    low, high = ALPHAS
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RuleError(f"{where} {value!r} isn't a number from {low:g} to {high:g}; 0.05 is usual")
    return float(value)


def _margin(text: str, name: str, amount: str, where: str) -> tuple[str, float]:
    """A number's name and its margin, 0.1 for 10 %."""
    match = MARGIN.fullmatch(amount.strip())
    if match is None:
        raise RuleError(f'{where} "{text}": isn\'t NAME=AMOUNT; write it like ttft_p95=10% or error_rate=1%')
    value = float(match[1]) / (100 if match[2] else 1)
    if not 0 < value < 1:
        raise RuleError(f'{where} "{text}": {amount.strip()} isn\'t between 0 and 100%; write it like 10%')
    return _number(name.strip(), where), value


def _number(name: str, where: str) -> str:
    """The name of a number that a comparison has: `ttft_p95`, `goodput`."""
    known = words()
    if name in known:
        return name
    near = get_close_matches(name, known, n=1) or [f"{name}_p95" if f"{name}_p95" in known else "ttft_p95"]
    fix = "a metric of requests with its percentile, like ttft_p95, or one of the run, like error_rate"
    raise RuleError(f'{where} "{name}": isn\'t {fix}; did you mean "{near[0]}"?')
