"""What a run took of the provider."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import synthetic

from analysis import accounting, rundir

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from loadtests import record


def test_all_requests_are_paid_for_whatever_became_of_them(tmp_path: Path) -> None:
    """
    Ten answers of 100 prompt tokens, 40 of them cached, and 20 tokens, 5 of these reasoning, at 0.002 USD.

    One failed after 20 tokens and was paid too; of another nobody counted tokens, nor has it a price.
    """

    def count(row: record.Record, _: np.random.Generator) -> None:
        row.input_tokens, row.cached_tokens, row.output_tokens, row.reasoning_tokens = 100, 40, 20, 5
        row.cost_usd, row.output_chars = 0.002, 80
        if row.seq == 3:
            row.outcome, row.error_kind = "error", "truncated"
        if row.seq == 4:
            row.input_tokens = row.cached_tokens = row.output_tokens = row.reasoning_tokens = row.cost_usd = None

    prices = {"profile": {"name": "mock", "prices": {"date": "2026-11-01", "input": 1.0}}}
    recipe = synthetic.Recipe(n=10, change=count, manifest=prices)
    found = accounting.of(rundir.load(synthetic.write(tmp_path / "r", recipe)))

    assert asdict(found) | {"cost_usd": round(found.cost_usd or 0, 9)} == {
        "input_tokens": 900, "cached_tokens": 360, "output_tokens": 180, "reasoning_tokens": 45, "output_chars": 800,
        "answered": 9, "counted": 8, "cost_usd": 0.018, "priced": 9, "prices_read": "2026-11-01",
    }  # fmt: skip


def test_what_nobody_counted_is_none_and_not_0(tmp_path: Path) -> None:
    def forget(row: record.Record, _: np.random.Generator) -> None:
        row.input_tokens = row.output_tokens = row.output_chars = None

    found = accounting.of(rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=3, change=forget))))

    assert (found.input_tokens, found.cached_tokens, found.output_tokens, found.cost_usd) == (None, None, None, None)
    assert (found.answered, found.counted, found.priced, found.prices_read) == (3, 0, 0, None)
