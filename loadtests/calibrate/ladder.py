"""The rungs, what is seen on one, its verdict, and the limit that follows. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from loadtests.calibrate.play import Play
from loadtests.calibration import Limit

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["stream", "whole"]
Verdict = Literal["clean", "client-limited", "provider-limited"]

PLAYS: Final = {"stream": Play(0.1, 0.01, 100), "whole": Play(0.05, 0.01, 1)}

TRUE_US: Final = 100.0
"""Errors of stamps and gaps from here on (p99) are not clean, in microseconds."""

MERGED: Final = 0.001
"""Token events that shared a read with a later one: the share that is too much."""

ACHIEVED: Final = {"stream": 0.95, "whole": 0.9}
"""Of what the provider could offer; of a whole answer's short turn the client's own part takes some percent."""

LATE_US: Final = 1000.0
"""How late the provider may write, and the client send (p99), in microseconds."""

FULL: Final = 0.95
BUSY: Final = 0.9
"""Shares of a core: one that holds its process up, and one that may have."""


@dataclass(frozen=True, slots=True)
class Rung:
    """
    One load: users in closed loop who all get the same answer.

    A stream has 100 chunks/s. A whole answer comes after 50 ms: long against the client's own part of a turn, so that
    the rate follows from the number of users until the client cannot keep up.
    """

    kind: Kind
    users: int

    @property
    def play(self) -> Play:
        """What the provider answers."""
        return PLAYS[self.kind]

    @property
    def offered_per_s(self) -> float:
        """Token events a second (whole answers: requests) that the provider sends if nobody is late."""
        return self.users * self.play.tokens / self.play.turn_s


STREAMS: Final = tuple(Rung("stream", users) for users in (100, 300, 450, 600, 800, 1000))
WHOLES: Final = tuple(Rung("whole", users) for users in (50, 150, 200, 250, 300, 400, 500))
QUICK_STREAMS: Final = tuple(Rung("stream", users) for users in (100, 300, 600))
QUICK_WHOLES: Final = tuple(Rung("whole", users) for users in (100, 200))


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What was measured on a rung, its start left out. Errors and lags in microseconds.

    Attributes:
        tokens_per_s: Token events (whole answers: answers) that the client recorded.
        events_per_s: Socket reads with bytes of answers, as client.parquet counts them.
        requests_per_s: Answers that ended.
        stamp: p50, p99 and maximum of the error of first and last token (whole answers: of the answer).
        gap_p99: Of the errors' sizes; None for whole answers.
        user: p50, p99 and maximum as a client without kernel stamps would have had them: stamp error + wake lag.
        merged: Share of token events that shared a read with a later one.
        lost: Requests that the provider answered and the client has no good row of, and rows that are not ok.
        send_lag_p99: Between an answer and the same user's next request.
        provider_late_p99: Of the provider's own writes.
    """

    tokens_per_s: float
    events_per_s: float
    requests_per_s: float
    stamp: tuple[float, float, float]
    gap_p99: float | None
    user: tuple[float, float, float]
    merged: float
    lost: int
    send_lag_p99: float
    cpu: float
    cpu_per_event_us: float
    wake_lag_p99: float
    provider_late_p99: float
    provider_cpu: float


@dataclass(frozen=True, slots=True)
class Done:
    """A rung that was done."""

    rung: Rung
    seen: Seen
    verdict: Verdict
    why: str

    @property
    def is_certain(self) -> bool:
        """A core was full: a second try would not tell another story."""
        return self.seen.cpu >= BUSY or self.seen.provider_cpu > FULL

    def to_json(self) -> dict[str, Any]:
        """A row of the table as plain values."""
        about = {"kind": self.rung.kind, "users": self.rung.users, "offered_per_s": round(self.rung.offered_per_s, 1)}
        return about | asdict(self.seen) | {"verdict": self.verdict, "why": self.why}


def judge(rung: Rung, seen: Seen) -> Done:
    """The verdict on a rung."""
    ours = _of_client(rung, seen)
    theirs = _of_provider(seen, is_short=bool(ours))
    if theirs and (not ours or seen.cpu < BUSY):
        return Done(rung, seen, "provider-limited", theirs)
    return Done(rung, seen, "client-limited" if ours else "clean", ours)


def _of_client(rung: Rung, seen: Seen) -> str:
    """What keeps a rung from being clean on the client's side; empty: nothing."""
    whole, achieved = rung.kind == "whole", seen.tokens_per_s / rung.offered_per_s
    rates = f"{seen.tokens_per_s:,.0f} of {rung.offered_per_s:,.0f} {'answers' if whole else 'tokens'}/s"
    faults = (
        (seen.lost > 0, f"{seen.lost} rows lost"),
        (seen.stamp[1] >= TRUE_US, f"stamp error p99 {seen.stamp[1]:.0f} us"),
        ((seen.gap_p99 or 0.0) >= TRUE_US, f"gap error p99 {seen.gap_p99 or 0.0:.0f} us"),
        (seen.merged >= MERGED, f"{seen.merged:.1%} of events in merged reads"),
        (whole and seen.send_lag_p99 >= LATE_US, f"send lag p99 {seen.send_lag_p99 / 1000:.1f} ms"),
        (achieved < ACHIEVED[rung.kind], f"{rates} achieved ({achieved:.0%})"),
    )
    return ", ".join(text for holds, text in faults if holds)


def _of_provider(seen: Seen, *, is_short: bool) -> str:
    """
    What keeps the provider from offering what it should; empty: nothing.

    One that is late now and then on an idle core, and still offers all it should, spoils nothing: what is compared with
    are its writes as they were.
    """
    late = seen.provider_late_p99 > LATE_US and (is_short or seen.provider_cpu > BUSY)
    faults = (
        (late, f"provider late by p99 {seen.provider_late_p99 / 1000:.1f} ms"),
        (seen.provider_cpu > FULL, f"provider at {seen.provider_cpu:.0%} of a core"),
    )
    return ", ".join(text for holds, text in faults if holds)


def limit(done: Sequence[Done]) -> Limit | None:
    """
    The limit of the client that a ladder found: of the rungs' events/s (whole answers: requests/s) the largest clean.

    What is known of more follows from the rung that ended the ladder. None where no rung was clean.
    """
    rates = [_rate(one) for one in done if one.verdict == "clean"]
    if not rates:
        return None
    most, last = round(max(rates), 1), done[-1]
    if last.verdict == "client-limited":
        return Limit(most, _too_much(last, most), "client")
    return Limit(most, None, "ladder" if last.verdict == "clean" else "provider")


def _too_much(last: Done, most: float) -> float:
    """What a client that gave out still came to or, where that was less than it did cleanly before, was offered."""
    came_to = round(_rate(last), 1)
    return came_to if came_to > most else max(round(last.rung.offered_per_s, 1), most + 0.1)


def _rate(one: Done) -> float:
    return max(one.seen.events_per_s, one.seen.tokens_per_s) if one.rung.kind == "stream" else one.seen.requests_per_s
