"""Option types with units: a duration, a rate, a cap, each read by `units` and refused in one line."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from loadtests import units

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Seconds(click.ParamType[float]):
    """A duration: 90, 90s, 5m, 1h, 250ms; 0 only where that means something."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self._zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as float."""
        return _unit(self, partial(units.seconds, zero=self._zero), value, param, ctx)


class WarmUp(Seconds):
    """A duration, or `auto`, which is None: the steady part is looked for afterwards."""

    name = "warm-up"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | None:  # type: ignore[override]
        """Seconds as float, or None."""
        return None if value == "auto" else super().convert(value, param, ctx)


class PerSecond(click.ParamType[float]):
    """A rate: 8, 8/s, 90/m, 3600/h."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Per second as float."""
        return _unit(self, units.per_second, value, param, ctx)


class Share(click.ParamType[float]):
    """A share within limits: 25% or 0.25."""

    name = "share"

    def __init__(self, least: float, most: float) -> None:
        self._least, self._most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """From 0 to 1, or more where more is allowed."""
        return _unit(self, partial(units.share, least=self._least, most=self._most), value, param, ctx)


class Loads(click.ParamType[tuple[float, ...]]):
    """Loads of a sweep: 1,2,4,8, or 1..16:6 for six in equal ratios."""

    name = "loads"

    def __init__(self, read: Callable[[str], tuple[float, ...]]) -> None:
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Arrivals per second, or users; ascending."""
        return _unit(self, self._read, value, param, ctx)


class OutputCap(click.ParamType[units.Cap]):
    """A whole number of tokens, or `workload`."""

    name = "output cap"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> units.Cap:
        """Tokens, or the word."""
        return _unit(self, units.output_cap, value, param, ctx)


class Address(click.ParamType[tuple[str, int]]):
    """Where a master listens: HOST or HOST:PORT."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Host and port."""
        return _unit(self, units.endpoint, value, param, ctx)


def _unit(
    kind: click.ParamType[T],
    read: Callable[[str], T],
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> T:
    if not isinstance(value, str):
        return cast("T", value)
    try:
        return read(value)
    except units.UnitError as error:
        kind.fail(str(error), param, ctx)
