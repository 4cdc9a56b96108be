"""
How to behave towards a provider: what its answers mean for the requests to come.

A 429 makes everybody wait as long as it asks; a refusal, throttling that goes on, or requests that mostly fail end the
run, since nothing that follows would tell more than what is there. Pure but for the clock it is given.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from loadtests.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.record import Record
    from loadtests.stop import Word

REFUSALS: Final = frozenset({401, 402, 403, 426})
THROTTLES: Final = frozenset({429, 498, 529})
IN_A_ROW: Final = 3
SHARE: Final = 0.05
LEAST_ANSWERS: Final = 40
"""Fewer answers than this say nothing of a share of 5 %: one in twenty happens."""

MANY: Final = 5
MANY_SHARE: Final = 0.25
"""So many throttled answers that are more than this share say it of few: where one in twenty happens, 1 in 400 runs."""

SPAN_S: Final = 30
LAST: Final = 20
"""Requests that are looked back on; when most of them failed, the run ends."""

DEFAULT_PAUSE_S: Final = 1.0
"""How long a 429 that asks for nothing pauses everybody."""

MAX_PAUSE_S: Final = 3600.0
NO_CONNECTION: Final = frozenset({"dns", "connect", "tls", "timeout_connect"})
BACK_OFF_NS: Final = 200_000_000
"""How long closed-loop users wait after a failed connection: the next one would fail at once, thousands of times."""

OUT_OF_FILES: Final = ("EMFILE", "ENFILE")


def conducts_of(plan: Plan, profiles: Sequence[Profile], now_ns: Callable[[], int]) -> dict[str, Conduct]:
    """By the name of an arm, what its answers mean; the profiles are those of the plan's arms, in their order."""
    sides = zip(plan.arms, profiles, strict=True)
    return {a.name: Conduct(plan, arm=a.name, strict_model=profile.strict_model, now_ns=now_ns) for a, profile in sides}


class Conduct:
    """
    What one process has learnt from its answers; of what other processes are told, pauses and stops alone reach it.

    Args:
        plan: Says whether throttling and failures are accepted.
        arm: The name of the arm whose answers they are; a reason to stop says it where there are several.
        strict_model: An answer by another model than the one asked for is a refusal.
        now_ns: The moment of the run.

    Attributes:
        paused_until_ns: Arrivals before this moment of the run are not sent: the provider asked for it.
        no_connection_until_ns: No connection could be made; closed-loop users wait until then.
    """

    def __init__(self, plan: Plan, *, arm: str, strict_model: bool, now_ns: Callable[[], int]) -> None:
        self.paused_until_ns = -1
        self.no_connection_until_ns = -1
        self._plan = plan
        self._arm = arm if len(plan.arms) > 1 else ""
        self._strict_model = strict_model
        self._now_ns = now_ns
        self._in_a_row = 0
        self._told_ns = -1
        self._seconds: deque[tuple[int, int, int]] = deque(maxlen=SPAN_S)  # second, answers, throttled ones
        self._failed: deque[bool] = deque(maxlen=LAST)

    def pause(self, until_ns: int) -> None:
        """Send nothing before this moment."""
        self.paused_until_ns = max(self.paused_until_ns, until_ns)

    def react(self, record: Record) -> Stop | None:
        """Take note of a finished request; why the run has to end, if it has to."""
        if record.outcome not in ("ok", "error"):
            return None
        self._failed.append(record.outcome == "error")
        self._wait_where_asked(record)
        return self._refused(record) or self._throttled(record) or self._failing(record)

    def _wait_where_asked(self, record: Record) -> None:
        now_ns = self._now_ns()
        if record.error_kind in NO_CONNECTION:
            self.no_connection_until_ns = now_ns + BACK_OFF_NS
        elif record.error_kind == "throttled" or (record.retry_after_s and record.outcome == "error"):
            wait_s = DEFAULT_PAUSE_S if record.retry_after_s is None else min(record.retry_after_s, MAX_PAUSE_S)
            self.pause(now_ns + int(wait_s * 1e9))

    def _refused(self, record: Record) -> Stop | None:
        if record.status in REFUSALS or record.error_kind == "credit":
            return self._stop("refused", record.error or f"HTTP {record.status}")
        if self._strict_model and "model_differs" in (record.flags or ()):
            return self._stop("refused", f"asked for another model, {record.model_answered!r} answered (strict_model)")
        if record.error_kind in NO_CONNECTION and any(text in (record.error or "") for text in OUT_OF_FILES):
            return Stop("no_descriptors", "out of file descriptors: raise the limit (ulimit -n), or lower the load")
        return None

    def _throttled(self, record: Record) -> Stop | None:
        if record.status is None or self._plan.accept_throttling:
            return None
        throttled = record.status in THROTTLES
        if throttled and record.sent_ns is not None and record.sent_ns < self._told_ns:
            return None  # it was under way when we were told: no sign that we do not listen
        if throttled:
            self._told_ns = self._now_ns()
        self._in_a_row = self._in_a_row + 1 if throttled else 0
        self._count(throttled)
        if not throttled:
            return None
        answers, ones = (sum(second[k] for second in self._seconds) for k in (1, 2))
        if self._in_a_row >= IN_A_ROW:
            what = f"{self._in_a_row} answers in a row were throttled"
        elif _is_wall(answers, ones):
            what = f"{ones} of the {answers} answers of the last {SPAN_S} s were throttled"
        else:
            return None
        go_on = "lower the load, or go on regardless with --accept-throttling"
        return self._stop("throttled", f"{what} ({record.error}); {go_on}")

    def _count(self, throttled: bool) -> None:
        second = self._now_ns() // 1_000_000_000
        while self._seconds and self._seconds[0][0] <= second - SPAN_S:
            self._seconds.popleft()
        _, answers, ones = self._seconds.pop() if self._seconds and self._seconds[-1][0] == second else (second, 0, 0)
        self._seconds.append((second, answers + 1, ones + throttled))

    def _failing(self, record: Record) -> Stop | None:
        if record.outcome != "error" or self._plan.accept_errors:
            return None
        if len(self._failed) < LAST or 2 * sum(self._failed) <= LAST:
            return None
        last = f"{record.error_kind}: {record.error}"
        failed = f"{sum(self._failed)} of the last {LAST} requests failed, the last one with {last}"
        return self._stop("failing", f"{failed}; go on regardless with --accept-errors")

    def _stop(self, word: Word, text: str) -> Stop:
        """A reason that is this arm's."""
        return Stop(word, f"arm {self._arm}: {text}" if self._arm else text, self._arm)


def _is_wall(answers: int, ones: int) -> bool:
    """More than one in twenty of many answers were throttled, or of few a quarter and several."""
    if answers >= LEAST_ANSWERS:
        return ones > SHARE * answers
    return ones >= MANY and ones > MANY_SHARE * answers
