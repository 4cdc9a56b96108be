"""What somebody wants to know beside the capacity: the options about peaks, growth, users and money."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from loadtests.cli.params import PerSecond, Seconds, Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.capacity.meaning import Asked
    from analysis.capacity.peak import Peak

F = TypeVar("F", bound="Callable[..., Any]")

AMOUNT: Final = click.FloatRange(0, min_open=True)
OPTIONS: Final = (
    click.option("--peak", type=PerSecond(), metavar="R", help="The peak to carry, in requests per second."),
    click.option(
        "--peak-trace", metavar="FILE", help="The peak, from a trace: the p99.9 of its minutes (or the busiest one)."
    ),
    click.option("--peak-users", type=AMOUNT, metavar="N", help="The peak, in users; see --user-think."),
    click.option(
        "--user-think",
        type=Seconds(zero=True),
        metavar="D",
        help="A user's pause between an answer and the next request.",
    ),
    click.option("--turns", type=AMOUNT, metavar="F", help="Requests in a session."),
    click.option("--mean-rate", type=PerSecond(), metavar="R", help="Requests per second over a month, for its bill."),
    click.option("--growth", type=Share(0.0, 100.0), metavar="SHARE", help="Growth to add to the peak.  [default: 0%]"),
    click.option(
        "--headroom",
        type=Share(0.0, 0.99),
        metavar="SHARE",
        help="Share of a replica that stays free at the peak.  [default: 25%]",
    ),
    click.option(
        "--failures",
        type=click.IntRange(0, 10_000),
        metavar="N",
        help="Replicas that may fail at the peak.  [default: 1, if it takes more than one]",
    ),
    click.option("--replicas", type=click.IntRange(1), metavar="N", help="Replicas you have today; see --load-now."),
    click.option("--load-now", type=PerSecond(), metavar="R", help="What they carry today, in requests per second."),
    click.option("--price-per-hour", type=AMOUNT, metavar="USD", help="Price of one replica."),
    click.option(
        "--output-weight",
        type=AMOUNT,
        metavar="F",
        help="How many input tokens an output token counts as, when the bill is split between both.",
    ),
)
NAMES: Final = (
    "peak",
    "peak_trace",
    "peak_users",
    "user_think",
    "turns",
    "mean_rate",
    "growth",
    "headroom",
    "failures",
    "replicas",
    "load_now",
    "price_per_hour",
    "output_weight",
)

PEAKS: Final = ("peak", "peak_trace", "peak_users")
NEEDS: Final = {
    "growth": PEAKS, "headroom": PEAKS, "failures": PEAKS, "replicas": ("load_now",),
    "output_weight": ("price_per_hour",),
}  # fmt: skip
"""Options that say nothing where none of these is given."""


def sizing(verb: F) -> F:
    """A decorator that gives a verb all of these options."""
    for option in reversed(OPTIONS):
        verb = option(verb)
    return verb


def asked(given: dict[str, Any]) -> Asked:
    """
    What is asked for, from the options.

    Raises:
        click.UsageError: Options that need another one, or a trace that tells no peak.
    """
    from analysis.capacity.meaning import Asked

    for name in NAMES:
        if isinstance(given[name], float) and not math.isfinite(given[name]):
            raise click.UsageError(f"--{name.replace('_', '-')} {given[name]:g} isn't a finite number")
    several = [_option(name) for name in PEAKS if given[name] is not None]
    if len(several) > 1:
        raise click.UsageError(f"{' and '.join(several)} both set the peak; give one")
    for name, others in NEEDS.items():
        if given[name] is not None and all(given[other] is None for other in others):
            fix = " or ".join(map(_option, others))
            raise click.UsageError(f"{_option(name)} does nothing by itself; give {fix} too")
    chosen = {
        "growth": given["growth"], "headroom": given["headroom"], "replicas": given["replicas"],
    }  # fmt: skip
    return Asked(
        peak_per_s=given["peak"], trace=None if given["peak_trace"] is None else _peak(given["peak_trace"]),
        users=given["peak_users"], mean_per_s=given["mean_rate"], load_per_s=given["load_now"],
        failures=given["failures"], think_s=given["user_think"], turns=given["turns"],
        price_per_h=given["price_per_hour"], weight=given["output_weight"],
        **{name: value for name, value in chosen.items() if value is not None},
    )  # fmt: skip


def asked_in(argv: list[str]) -> Asked | None:
    """The questions of a search's command line; None where that holds none that can still be read."""
    from analysis.capacity.sizing import SizingError
    from loadtests.schedule import ScheduleError

    if argv[1:2] != ["capacity"]:
        return None
    others = {"ignore_unknown_options": True, "allow_extra_args": True}  # those of the search itself
    questions = sizing(click.Command("capacity", context_settings=others))
    try:
        return asked(questions.make_context("capacity", argv[2:]).params)
    except (SizingError, ScheduleError, OSError, click.UsageError):
        return None  # a trace that is not there any more


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _peak(file: str) -> Peak:
    from analysis.capacity.peak import peak
    from loadtests.schedule import read_trace

    found = peak(read_trace(file).offsets_ns / 1e9)
    if found is None:
        raise click.UsageError(f"--peak-trace {file}: needs two arrivals at different moments to tell a peak")
    return found
