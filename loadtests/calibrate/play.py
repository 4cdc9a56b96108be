"""What the embedded provider is asked to play, and how far from it, and from what it really wrote, others are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Play:
    """What every request is answered with: the first token after `ttft_s`, the others every `gap_s`."""

    ttft_s: float
    gap_s: float
    tokens: int

    @property
    def turn_s(self) -> float:
        """From a request to its last token, where nobody needs time for anything."""
        return self.ttft_s + (self.tokens - 1) * self.gap_s

    def script(self) -> list[str]:
        """The provider's options: this to the letter, as cheaply as it can."""
        given = {"ttft": self.ttft_s, "ttft-sigma": 0, "gap": self.gap_s, "gap-sigma": 0, "prefill": 0}
        words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        return [*words, "--output-tokens", str(self.tokens), "--ignore-cap", "--prepared"]

    def late_ns(self, read_ns: int, wrote_ns: ArrayLike) -> Array:
        """How late each token was written, from the provider's own reading of the request on."""
        at = np.asarray(wrote_ns)
        due_ns = 1e9 * (self.ttft_s + self.gap_s * np.arange(self.tokens))
        return np.asarray(at - read_ns - due_ns[: len(at)], dtype=np.float64)


def gap_errors_us(gaps_us: NDArray[Any], wrote_ns: NDArray[np.int64]) -> Array:
    """Sizes of the errors of an answer's gaps, for as many tokens as both sides have."""
    true_us = np.diff(wrote_ns) / 1000.0
    n = min(len(gaps_us), len(true_us))
    return np.asarray(np.abs(gaps_us[:n] - true_us[:n]), dtype=np.float64)


def joined(parts: Sequence[Array]) -> Array:
    """One after the other; empty where there is none."""
    return np.concatenate(parts) if parts else np.empty(0)
