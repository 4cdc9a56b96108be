"""What a user writes: durations (`90`, `5m`, `250ms`), rates (`8`, `90/m`), output caps, and names from a list."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Cap: TypeAlias = "int | Literal['workload']"
"""An output cap in tokens, or `workload`: each answer's own, as the workload says."""

MOST: Final = 2**31 - 1
PORT: Final = 5558
"""At which a master listens for its workers."""

_NUMBER: Final = r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*"
_DURATION: Final = re.compile(rf"{_NUMBER}(ms|s|m|h)?\s*")
_RATE: Final = re.compile(rf"{_NUMBER}(?:/\s*(s|m|h))?\s*")
_HOST: Final = re.compile(r"\*|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9][A-Za-z0-9._-]*")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


class UnitError(ValueError):
    """A duration, rate or cap that cannot be read; its text is one line with the value and the allowed forms."""


def seconds(text: str, *, zero: bool = False) -> float:
    """
    A duration in seconds; a bare number is seconds.

    Args:
        text: Like 90, 90s, 5m, 1h, 250ms, 0.5s.
        zero: Whether 0 means something here (a think time, a warm-up).

    Raises:
        UnitError: Not of these forms, not finite, or zero where zero means nothing.
    """
    allowed = "a duration like 90, 90s, 5m, 1h or 250ms" + ("" if zero else ", more than 0")
    match = _DURATION.fullmatch(text)
    if not match:
        raise UnitError(_line(text, allowed))
    number, unit = float(match[1]), match[2] or "s"
    value = number / 1000 if unit == "ms" else number * _SECONDS[unit]
    return _finite(text, value, allowed, zero=zero)


def per_second(text: str) -> float:
    """
    A rate in events per second; a bare number is per second.

    Args:
        text: Like 8, 8/s, 90/m, 3600/h, 0.5/s.

    Raises:
        UnitError: Not of these forms, not finite, or zero.
    """
    allowed = "a rate like 8, 8/s, 90/m or 3600/h, more than 0"
    match = _RATE.fullmatch(text)
    if not match:
        raise UnitError(_line(text, allowed))
    return _finite(text, float(match[1]) / _SECONDS[match[2] or "s"], allowed, zero=False)


def share(text: str, least: float, most: float) -> float:
    """
    A share: 3% or 0.03; what is more than all is written with its sign, as nobody knows what 30 would mean.

    Raises:
        UnitError: Not of these forms, or outside of what is allowed.
    """
    allowed = f"a share from {100 * least:g}% to {100 * most:g}%, like 25% or 0.25"
    match = re.fullmatch(rf"{_NUMBER}(%)?\s*", text)
    if not match:
        raise UnitError(_line(text, allowed))
    value = float(match[1]) / (100 if match[2] else 1)
    if not least <= value <= most or (value > 1 and not match[2]):
        raise UnitError(_line(text, allowed))
    return value


def output_cap(text: str) -> Cap:
    """
    An output cap.

    Args:
        text: A whole number of tokens, or workload.

    Raises:
        UnitError: Neither, or out of range.
    """
    if text == "workload":
        return "workload"
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and 1 <= int(text) <= MOST):
        raise UnitError(_line(text, f"a whole number of tokens from 1 to {MOST}, or workload"))
    return int(text)


def not_one_of(value: str, allowed: Iterable[str]) -> str:
    """The end of a line about an unknown name: what is allowed, and what was probably meant."""
    names = list(allowed)
    akin = [name for name in names if value and (value.startswith(name) or name.startswith(value))]
    near = get_close_matches(value, names, n=1) or akin
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f"isn't one of [{', '.join(names)}]{hint}"


def _finite(text: str, value: float, allowed: str, *, zero: bool) -> float:
    if math.isfinite(value) and (value > 0 or (zero and value == 0)):
        return value
    raise UnitError(_line(text, allowed))


def _line(text: str, allowed: str) -> str:
    shown = text if len(text) <= 40 else text[:39] + "…"
    return f"{shown!r} isn't {allowed}"


def endpoint(text: str) -> tuple[str, int]:
    """
    Host and port of `HOST`, `HOST:PORT`, `[::1]:PORT` or `*:PORT`.

    Raises:
        UnitError: It is none of these.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(PORT)
    if not _HOST.fullmatch(host) or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise UnitError(f"{text!r} is no HOST or HOST:PORT, such as 10.0.0.5, 10.0.0.5:{PORT} or [::1]:{PORT}")
    return host, int(port)
