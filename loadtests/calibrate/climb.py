"""Both ladders, rung by rung, each until it is not clean any more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from loadtests.calibrate import ladder
from loadtests.calibration import Calibration, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadtests.calibrate.ladder import Done, Rung


TRIES: Final = 3
"""Of a rung that is not clean though no core was full: something else on the machine was in the way."""


def ladders(*, quick: bool) -> tuple[Sequence[Rung], Sequence[Rung]]:
    """The streams' and the whole answers'."""
    return (ladder.QUICK_STREAMS, ladder.QUICK_WHOLES) if quick else (ladder.STREAMS, ladder.WHOLES)


def climb(rungs: Sequence[Rung], measure_one: Callable[[Rung], ladder.Seen]) -> Iterator[Done]:
    """The rungs that were done: tried again where noise may have spoilt them, until one stays unclean."""
    for rung in rungs:
        for _ in range(TRIES):
            done = ladder.judge(rung, measure_one(rung))
            if done.verdict == "clean" or done.is_certain:
                break
        yield done
        if done.verdict != "clean":
            return


def calibration_of(streams: Sequence[Done], wholes: Sequence[Done]) -> Calibration:
    """What both ladders found, for this machine and now."""
    return Calibration(
        fingerprint(),
        datetime.now(UTC).isoformat(timespec="seconds"),
        ladder.limit(streams),
        ladder.limit(wholes),
        [one.to_json() for one in (*streams, *wholes)],
    )
