"""Values that follow from a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import derived

S = 1_000_000_000


def frame(**columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.array(values, dtype="Float64") for name, values in columns.items()})


def test_the_answer_proper_begins_after_the_reasoning() -> None:
    """Scheduled at 1 s, reasoning from 2 s, answer from 5 s: 4 s to it, 3 s of reasoning. Others never reasoned."""
    rows = frame(
        scheduled_ns=[S, S, S], first_token_ns=[2 * S, 2 * S, 2 * S], first_answer_ns=[5 * S, 2 * S, None]
    )  # fmt: skip

    np.testing.assert_equal(derived.ttfa_s(rows), [4.0, np.nan, np.nan])
    np.testing.assert_equal(derived.reasoning_s(rows), [3.0, np.nan, np.nan])


def test_speed_is_one_over_the_time_of_a_token() -> None:
    """A TPOT of 0, all tokens at one stamp, has no speed."""
    np.testing.assert_equal(derived.output_speed(frame(tpot_s=[0.02, 0.0, None])), [50.0, np.nan, np.nan])


def test_characters_flow_from_the_first_token_on() -> None:
    """
    100 tokens in 400 characters, 10 tokens of them in the first chunk: 360 characters in 4 s.

    Nothing came behind the first chunk of the second one; the third took no time; of the fourth nobody counted.
    """
    rows = frame(
        output_chars=[400, 400, 400, 400], output_tokens=[100, 100, 100, None], first_chunk_tokens=[10, 100, 10, None],
        first_token_ns=[S, S, S, S], last_token_ns=[5 * S, 5 * S, S, 5 * S],
    )  # fmt: skip

    assert derived.output_chars_per_s(rows)[0] == pytest.approx(90)
    assert np.isnan(derived.output_chars_per_s(rows)[1:]).all()
