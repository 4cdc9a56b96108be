"""The checks of two sides against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analysis.checks.rule import Check
    from analysis.digest import Digest


def examine(_a: Sequence[Digest], _b: Sequence[Digest], _across: Collection[str]) -> tuple[Check, ...]:
    """Being written."""
    return ()
