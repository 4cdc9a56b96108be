"""
Whose token counts they are: the provider's own, a tokenizer's here, or an estimate.

Counts of different sources are not of one unit, so no metric pools them: it is split by source, and says which.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.rundir import flagged, numbers, where

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from analysis.rundir import Run

USAGE: Final = "usage"
TOLD: Final = (USAGE, "usage_alt")
"""Sources that are the provider's own word."""


def parts(run: Run, frame: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """By source, a tokenizer with its name, the rows whose output tokens it counted; in order of these names."""
    counted = ~np.isnan(numbers(frame, "output_tokens"))
    words = frame["tokens_from"].astype("category")
    masks = {_named(run, str(word)): counted & where(frame, "tokens_from", word) for word in words.cat.categories}
    masks["an unknown source"] = counted & words.isna().to_numpy()
    return {name: masks[name] for name in sorted(masks) if masks[name].any()}


def of(run: Run, frame: pd.DataFrame) -> NDArray[np.object_]:
    """Of each row the source of its output tokens, a tokenizer with its name; empty where there is no count."""
    words = np.full(len(frame), "", dtype=object)
    for name, mine in parts(run, frame).items():
        words[mine] = name
    return words


def _named(run: Run, word: str) -> str:
    return f"tokenizer {tokenizer(run)}".rstrip() if word == "tokenizer" else word


def tokenizer(run: Run) -> str:
    """The name of the run's own tokenizer: that of its file, or of its directory where the file has the usual name."""
    path = PurePath(str(run.plan.get("tokenizer") or ""))
    return path.parent.name if path.name == "tokenizer.json" else path.stem if path.suffix == ".json" else path.name


def partial(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Where an answer was cut or broke off, and its count is of what had come: no provider counts that."""
    cut = ~where(frame, "outcome", "ok") | flagged(frame, "cut_at_cap")
    return np.asarray(cut & ~where(frame, "tokens_from", *TOLD), dtype=np.bool_)


def phrase(source: str, cut: int = 0) -> str:
    """A source as a footnote: `tokens by estimate, 3 answers cut short`."""
    return f"tokens by {source}" + (f", {cut:,} answers cut short" if cut else "")
