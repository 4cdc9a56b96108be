"""
A quota as providers have one: so many requests and so many tokens a minute, each a bucket that fills steadily.

What is over it is answered 429 at once, in OpenAI's words; every answer says in its headers how much is left. Pure:
moments are given.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.mock.answer import Answer
    from loadtests.mock.condition import Conditions

NS_PER_MIN: Final = 60_000_000_000
FAMILY: Final = b"x-ratelimit-"
BURST: Final = 1 / 60
NAMES: Final = {"requests": ("requests", "RPM"), "tokens": ("tokens", "TPM")}


class Over(NamedTuple):
    """What a request is refused with that found too little left: the error's body, and how long to wait."""

    body: dict[str, Any]
    wait_s: float

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The wait in whole seconds, and in milliseconds as Azure sends it."""
        return [("Retry-After", str(math.ceil(self.wait_s))), ("retry-after-ms", str(math.ceil(1000 * self.wait_s)))]


class Bucket:
    """
    So many a minute, and of these a share at once.

    Args:
        per_min: How many a minute, > 0.
        burst: What it holds, as a share of a minute's; at least one.

    Attributes:
        level: What is in it; below 0 where a request took more than it holds, which the next ones wait for.
    """

    def __init__(self, per_min: float, burst: float) -> None:
        self.per_min = per_min
        self._holds = max(1.0, per_min * burst)
        self.level = self._holds
        self._at_ns: int | None = None

    def fill(self, now_ns: int) -> None:
        """Up to this moment."""
        passed_ns = 0 if self._at_ns is None else now_ns - self._at_ns
        self.level = min(self._holds, self.level + self.per_min * max(0, passed_ns) / NS_PER_MIN)
        self._at_ns = max(now_ns, self._at_ns or now_ns)

    def wait_s(self, amount: float) -> float:
        """Until so much is in it, or all that it holds; 0 where it is. A millionth of it is rounding."""
        missing = min(amount, self._holds) - self.level
        return 0.0 if missing <= 1e-6 * self._holds else 60 * missing / self.per_min

    @property
    def whole_s(self) -> float:
        """Until it is full."""
        return 60 * (self._holds - self.level) / self.per_min


class Quota:
    """The buckets of a server, one for each limit that it has."""

    def __init__(self, limits: dict[str, float], burst: float) -> None:
        self._buckets = {name: Bucket(per_min, burst) for name, per_min in limits.items()}

    def take(self, tokens: int, now_ns: int) -> Over | None:
        """Take a request of so many tokens, prompt and answer, out of all of them; or of none, and say why."""
        amounts = {"requests": 1, "tokens": tokens}
        for bucket in self._buckets.values():
            bucket.fill(now_ns)
        waits = {name: bucket.wait_s(amounts[name]) for name, bucket in self._buckets.items()}
        longest = max(waits, key=lambda name: waits[name])
        if waits[longest] > 0:
            return self._over(longest, amounts[longest], waits[longest])
        for name, bucket in self._buckets.items():
            bucket.level -= amounts[name]
        return None

    def _over(self, name: str, amount: int, wait_s: float) -> Over:
        per_min, (plural, short) = self._buckets[name].per_min, NAMES[name]
        counts = f"Limit {per_min:.10g}, Used {per_min:.10g}, Requested {amount}"
        text = f"Rate limit reached for {plural} per min ({short}): {counts}. Please try again in {_go(wait_s)}."
        error = {"message": text, "type": name, "param": None, "code": "rate_limit_exceeded"}
        return Over({"error": error}, wait_s)

    def fields(self, now_ns: int) -> list[tuple[str, str]]:
        """What every answer says: the limits, what is left of them, and when they are whole again."""
        found = []
        for name, bucket in self._buckets.items():
            bucket.fill(now_ns)
            left = str(max(0, math.floor(bucket.level + 1e-6)))
            told = {"limit": f"{bucket.per_min:.10g}", "remaining": left, "reset": _go(bucket.whole_s)}
            found += [(f"x-ratelimit-{word}-{name}", value) for word, value in told.items()]
        return found


def _go(span_s: float) -> str:
    """A duration as Go writes it, whole milliseconds."""
    ms = math.ceil(1000 * span_s)
    return f"{ms}ms" if ms < 1000 else f"{ms / 1000:g}s"


def quota_of(conditions: Conditions) -> Quota | None:
    """The quota of a server in this state; None where it has none."""
    given = {"requests": conditions.requests_per_minute, "tokens": conditions.tokens_per_minute}
    limits = {name: per_min for name, per_min in given.items() if per_min is not None}
    return Quota(limits, conditions.quota_burst or BURST) if limits else None


def with_fields(answer: Answer, fields: Sequence[tuple[str, str]]) -> Answer:
    """The same answer with further header fields instead of any like them; no HTTP is left as it is."""
    first = next(answer.writes)
    head, end, rest = first.partition(b"\r\n\r\n")
    if end and head.startswith(b"HTTP/1."):
        own = [line for line in head.split(b"\r\n") if not line.lower().startswith(FAMILY)]
        first = b"\r\n".join([*own, *(f"{name}: {value}".encode("ascii") for name, value in fields)]) + end + rest
    answer.writes = chain((first,), answer.writes)
    return answer
