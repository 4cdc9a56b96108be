"""Values of each request that follow from a row and are not stored: shapes (n,), NaN where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.rundir import flagged, numbers, seconds, truths, where

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def is_stream(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Where a streamed answer was asked for."""
    return truths(rows, "stream")


def is_ok(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Where the request was answered in full."""
    return where(rows, "outcome", "ok")


def is_cut(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Where the answer ended at a length limit, the provider's or the client's."""
    return where(rows, "finish_reason", "length", "max_tokens") | flagged(rows, "cut_at_cap")


def is_explained(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Where it is known why the answer ended: the provider said so, or the client ended it."""
    return is_cut(rows) | rows["finish_reason"].notna().to_numpy(dtype=bool)


def ttfa_s(rows: pd.DataFrame) -> Array:
    """First token of the answer proper - scheduled, of streams that reasoned before it."""
    reasoned = reasoning_s(rows) > 0
    return np.where(reasoned, seconds(rows, "first_answer_ns") - seconds(rows, "scheduled_ns"), np.nan)


def reasoning_s(rows: pd.DataFrame) -> Array:
    """First token of the answer proper - first token of any kind; NaN where nothing came before the answer."""
    took = seconds(rows, "first_answer_ns") - seconds(rows, "first_token_ns")
    return np.where(took > 0, took, np.nan)


def output_speed(rows: pd.DataFrame) -> Array:
    """Tokens per second of one stream once it flows: 1 / TPOT."""
    with np.errstate(divide="ignore"):
        return _finite(1.0 / numbers(rows, "tpot_s"))


def output_chars_per_s(rows: pd.DataFrame) -> Array:
    """
    Characters per second of one stream once it flows: no tokenizer's unit, so that models may stand beside each other.

    The first chunk's characters came with the first token: they are its tokens' share of the answer.
    """
    chars, tokens = numbers(rows, "output_chars"), numbers(rows, "output_tokens")
    took = seconds(rows, "last_token_ns") - seconds(rows, "first_token_ns")
    with np.errstate(divide="ignore", invalid="ignore"):
        behind_first = chars * (1.0 - np.minimum(numbers(rows, "first_chunk_tokens") / tokens, 1.0))
        return np.where(behind_first > 0, _finite(behind_first / took), np.nan)


def _finite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)
