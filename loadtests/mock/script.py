"""
What the mock plays: for each request, when every chunk goes out, what it says and what goes wrong with it.

Pure: a performance follows from the script and the number of the request alone, so that a test, a run or a report can
play it again and hold it against what was measured. Nothing here knows of bytes or sockets.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final, TypeVar

T = TypeVar("T")

FAULTS: Final = (
    "http_400", "http_401", "http_402", "http_403", "http_429", "http_500", "http_502", "http_503",
    "reset", "cut", "stall", "no_done", "no_finish", "stream_error", "malformed", "json_for_stream", "empty",
    "bad_json",
)  # fmt: skip
"""Everything that can go wrong with an answer; what each does to the bytes is in `answer`."""

STREAM_FAULTS: Final = frozenset({"no_done", "no_finish", "stream_error", "json_for_stream", "bad_json"})
"""Faults that only a streamed answer can have; a whole answer has http_500 in their place."""

USAGES: Final = ("option", "always", "never")
"""When a streamed answer ends with a usage chunk: if stream_options.include_usage asks for it, always, never."""

TABLE: Final = 8192
"""Gaps and words are drawn ahead, this many, and a request plays a stretch of them: a draw per chunk would be late."""

VOCABULARY: Final = (
    " the", " a", " of", " to", " in", " that", " load", " test", " first", " token", " stream", " answer", " server",
    " waits", " for", " every", " chunk", " and", " then", " sends", " it", " on", " time", ",", ".", " measured",
    " latency", " größer", " naïve", " café", " 東京", " 🙂",
)  # fmt: skip
"""One word is one token. None needs escaping inside a JSON string; some take more than one byte per character."""


@dataclass(frozen=True, slots=True)
class Performance:
    """
    One request as it is to be played.

    `offsets_ns` are nanoseconds from the moment the request was fully read, ascending, one for each of `texts`, the
    chunks; a whole answer goes out at the last of them. The first `reasoning_chunks` of them are reasoning.
    `finish_reason` is "stop", or "length" where the cap cut the answer. `fault` is one of `FAULTS`, or None.
    """

    offsets_ns: tuple[int, ...]
    texts: tuple[str, ...]
    tokens: int
    reasoning_tokens: int
    reasoning_chunks: int
    finish_reason: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Script:
    """
    What is played, for all requests; the same seed plays the same.

    Attributes:
        seed: Of all draws.
        ttft_s: Median time from the request's last byte to the first chunk, in seconds, for an empty prompt.
        ttft_sigma: Standard deviation of its logarithm; 0 is a constant.
        gap_s: Median time between two chunks, in seconds.
        gap_sigma: Standard deviation of its logarithm; 0 is a constant.
        output_tokens: Mean length of an answer, reasoning aside; drawn evenly from half to one and a half of it.
        tokens_per_chunk: Tokens in each chunk; the last of a kind may have fewer.
        prefill_s_per_1k_tokens: Added to the time to first token for each 1,000 tokens of the prompt, in seconds.
        error_rate: Share of requests that get one of `faults`, from 0 to 1.
        faults: The faults that are drawn from, evenly; see `FAULTS`.
        usage: When a streamed answer ends with a usage chunk; see `USAGES`. A whole answer always tells its usage.
        reasoning_tokens: Tokens of reasoning before the answer.
        ignore_cap: Answer at full length whatever max_tokens says.
        prepared: All answers are alike, so that their bytes are made once and shared, see `prepared`: each has exactly
            output_tokens and the same words. ttft_sigma, gap_sigma and error_rate must be 0.

    Raises:
        ValueError: A value is outside what is said here.
    """

    seed: int = 1
    ttft_s: float = 0.2
    ttft_sigma: float = 0.25
    gap_s: float = 0.01
    gap_sigma: float = 0.3
    output_tokens: int = 64
    tokens_per_chunk: int = 1
    prefill_s_per_1k_tokens: float = 0.05
    error_rate: float = 0.0
    faults: tuple[str, ...] = ("http_500",)
    usage: str = "option"
    reasoning_tokens: int = 0
    ignore_cap: bool = False
    prepared: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be played."""
        for name in ("ttft_s", "ttft_sigma", "gap_s", "gap_sigma", "prefill_s_per_1k_tokens"):
            _check(math.isfinite(getattr(self, name)) and getattr(self, name) >= 0, name, self, "a number >= 0")
        for name, least in (("output_tokens", 1), ("tokens_per_chunk", 1), ("reasoning_tokens", 0)):
            _check(getattr(self, name) >= least, name, self, f"a whole number >= {least}")
        _check(0 <= self.error_rate <= 1, "error_rate", self, "a share from 0 to 1")
        _check(bool(self.faults) and set(self.faults) <= set(FAULTS), "faults", self, "of " + " ".join(FAULTS))
        _check(self.usage in USAGES, "usage", self, "one of " + " ".join(USAGES))
        for name in ("ttft_sigma", "gap_sigma", "error_rate") if self.prepared else ():
            _check(getattr(self, name) == 0, name, self, "0, which prepared answers need")

    def play(self, number: int, prompt_tokens: int, cap: int | None, stream: bool) -> Performance:
        """
        The performance of one request: a pure function of the script and these.

        Args:
            number: Of the request, from 1.
            prompt_tokens: Length of the prompt.
            cap: Most tokens wanted, reasoning included, >= 1; None where the request has no cap.
            stream: A streamed answer is wanted; decides which faults make sense.

        Returns:
            The performance. All draws are made whatever the options say, so that a request's first token comes at the
            same moment with and without errors, caps and reasoning. Prepared, all requests play the same.
        """
        draws = random.Random(f"{self.seed}:{number}")
        luck, kind = draws.random(), draws.random()
        fault = self.faults[int(kind * len(self.faults))] if luck < self.error_rate else None
        ttft_s = self.ttft_s * math.exp(self.ttft_sigma * draws.gauss(0.0, 1.0))
        shortest = (self.output_tokens + 1) // 2
        answered = shortest + int(draws.random() * (2 * (self.output_tokens - shortest) + 1))
        start = int(draws.random() * TABLE)
        if self.prepared:
            answered, start = self.output_tokens, 0

        wanted = self.reasoning_tokens + answered
        tokens = wanted if cap is None or self.ignore_cap else min(wanted, cap)
        reasoning = min(self.reasoning_tokens, tokens)
        texts, reasoning_chunks = self._chunks(start, tokens, reasoning)
        first_ns = round((ttft_s + self.prefill_s_per_1k_tokens * prompt_tokens / 1000.0) * 1e9)
        gaps_ns = _stretch(_gaps_ns(self.seed, self.gap_s, self.gap_sigma), start, len(texts) - 1)
        return Performance(
            offsets_ns=tuple(accumulate(gaps_ns, initial=first_ns)),
            texts=texts,
            tokens=tokens,
            reasoning_tokens=reasoning,
            reasoning_chunks=reasoning_chunks,
            finish_reason="length" if tokens < wanted else "stop",
            fault="http_500" if fault in STREAM_FAULTS and not stream else fault,
        )

    def _chunks(self, start: int, tokens: int, reasoning: int) -> tuple[tuple[str, ...], int]:
        """The text of each chunk, and how many of them are reasoning; no chunk is both."""
        words, size = _stretch(_words(self.seed), start, tokens), self.tokens_per_chunk
        if size == 1:
            return words, reasoning
        cuts = [*range(0, reasoning, size), *range(reasoning, tokens, size), tokens]
        texts = tuple("".join(words[low:high]) for low, high in pairwise(cuts))
        return texts, -(-reasoning // size)


def _check(holds: bool, name: str, script: Script, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name}: {getattr(script, name)!r} isn't {allowed}")


@lru_cache(maxsize=4)
def _gaps_ns(seed: int, gap_s: float, gap_sigma: float) -> tuple[int, ...]:
    """`TABLE` lognormal gaps in nanoseconds; drawn as pairs z, -z, so that their median is exactly gap_s."""
    draws = random.Random(f"{seed}:gaps")
    half = [draws.gauss(0.0, 1.0) for _ in range(TABLE // 2)]
    gaps = [round(gap_s * math.exp(gap_sigma * z) * 1e9) for z in (*half, *(-z for z in half))]
    draws.shuffle(gaps)
    return tuple(gaps)


@lru_cache(maxsize=4)
def _words(seed: int) -> tuple[str, ...]:
    return tuple(random.Random(f"{seed}:words").choices(VOCABULARY, k=TABLE))


def _stretch(table: tuple[T, ...], start: int, length: int) -> tuple[T, ...]:
    """So many entries from there on; the table begins again where it ends."""
    rounds = (start + length - 1) // len(table) + 1
    return (table * rounds)[start : start + length] if rounds > 1 else table[start : start + length]
