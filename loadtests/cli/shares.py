"""Option types for shares: 5%, 0.05, and one of a number's own, ttft_p95=10%."""

from __future__ import annotations

import math
import re
from typing import Any

import click

_SHARE = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)\s*")


class Share(click.ParamType[float]):
    """A share of something: 5%, 0.5%, 0.05."""

    name = "share"

    def __init__(self, below: float = 10.0) -> None:
        self._below = below

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """As float, more than 0."""
        if not isinstance(value, str):
            return float(value)
        match = _SHARE.fullmatch(value)
        found = float(match[1]) / (100 if match[2] else 1) if match else math.nan
        # A bare 5 is five times as much, which nobody means.
        if not 0 < found < self._below or (found >= 1 and match and not match[2]):
            allowed = f"a share like 5% or 0.05, more than 0 and below {100 * self._below:g}%"
            self.fail(f"{value!r} isn't {allowed}", param, ctx)
        return found


class Named(click.ParamType[tuple[str, float]]):
    """A share for all numbers, 5%, or for one: ttft_p95=10%."""

    name = "named share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Name, empty for all, and share."""
        if not isinstance(value, str):
            name, share = value
            return str(name), float(share)
        name, equals, share = value.rpartition("=")
        if equals and not name:
            self.fail(f"{value!r} names no number; one is like ttft_p95=10%", param, ctx)
        return name.strip(), Share().convert(share, param, ctx)
