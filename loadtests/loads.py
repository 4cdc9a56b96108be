"""The loads of a sweep as a user writes them: a list such as `1,2,4`, a geometric range such as `1..16:6`, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.units import UnitError, per_second

if TYPE_CHECKING:
    from collections.abc import Callable

SHARES: Final = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
"""Of the load that a sweep goes around: close to it where curves bend."""

MOST: Final = 100
USERS: Final = 1_000_000
DIGITS: Final = 3
"""To so many digits the loads inside a range are rounded; its ends stay as they were written."""

FORMS: Final = "like 1,2,4,8, or 1..16:6 for six in equal ratios"


def rates(text: str) -> tuple[float, ...]:
    """
    Rates per second, ascending, each once.

    Args:
        text: Like 1,2,4/s,90/m, or 1..16:6, or both with commas between.

    Raises:
        UnitError: Not of these forms, or more than `MOST`.
    """
    return _each(text, per_second, lambda value: float(f"{value:.{DIGITS}g}"))


def users(text: str) -> tuple[float, ...]:
    """
    Numbers of users, ascending, each once: whole ones, also inside a range.

    Raises:
        UnitError: Not of the forms of `rates`, not whole, or out of range.
    """
    return _each(text, _count, lambda value: float(round(value)))


def around(rate: float) -> tuple[float, ...]:
    """The rates of a sweep around this one."""
    return tuple(float(f"{share * rate:.{DIGITS + 1}g}") for share in SHARES)


def _each(text: str, read: Callable[[str], float], rounded: Callable[[float], float]) -> tuple[float, ...]:
    found: set[float] = set()
    for part in text.split(","):
        found |= set(_range(text, part, read, rounded) if ".." in part else [read(part)])
    if len(found) > MOST:
        raise UnitError(f"{text!r} are {len(found)} loads; name at most {MOST}")
    return tuple(sorted(found))


def _range(text: str, part: str, read: Callable[[str], float], rounded: Callable[[float], float]) -> list[float]:
    """`LOW..HIGH:N`: both ends, and what lies between them in equal ratios."""
    ends, _, number = part.partition(":")
    low_text, _, high_text = ends.partition("..")
    number = number.strip()
    if not (number.isascii() and number.isdecimal() and len(number) <= 3 and 2 <= int(number) <= MOST):
        raise UnitError(f"{part!r} in {text!r} doesn't say how many; write {FORMS}")
    low, high, steps = read(low_text), read(high_text), int(number) - 1
    if low >= high:
        raise UnitError(f"{part!r} in {text!r} doesn't rise; write {FORMS}")
    inside = [rounded(low * (high / low) ** (step / steps)) for step in range(1, steps)]
    return [low, *(min(max(value, low), high) for value in inside), high]


def _count(text: str) -> float:
    number = text.strip()
    if not (number.isascii() and number.isdecimal() and len(number) <= 7 and 1 <= int(number) <= USERS):
        raise UnitError(f"{text[:40]!r} isn't a whole number of users from 1 to {USERS:,}; write them {FORMS}")
    return float(number)
