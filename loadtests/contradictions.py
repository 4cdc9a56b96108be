"""Options that cannot stand together, and values that make no sense with others: one line each, with the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.given import Given
    from loadtests.plan import Plan
    from loadtests.profiles import Profile
    from loadtests.workload import Workload


class OptionError(ValueError):
    """Options that cannot stand together, or a value that cannot be used: one line with the fix."""


def refuse(given: Given, arms: int) -> None:
    """Options that cannot stand together, whatever they mean."""
    trace = (given.arrivals or "").startswith("trace:")
    both = {
        "--rate (open loop) and --concurrency (closed loop) exclude each other; give one": (
            given.rate is not None and given.concurrency is not None
        ),
        "--stages says how much load there is; leave --rate and --concurrency out": (
            given.stages is not None and (given.rate is not None or given.concurrency is not None)
        ),
        "--arrivals trace: says when requests come; leave --rate and --stages out": (
            trace and (given.rate is not None or given.stages is not None)
        ),
        "--arrivals says how an open loop's requests are spaced; give --rate, not --concurrency": (
            given.concurrency is not None and given.arrivals is not None
        ),
        "--trace-speed and --trace-start are about a trace; give --arrivals trace:FILE": (
            not trace and (given.trace_speed is not None or given.trace_start is not None)
        ),
        "--stream/--no-stream and --stream-share exclude each other; give one": (
            given.stream is not None and given.stream_share is not None
        ),
        "--blocks says how often arms take turns; give several --profile or --arm, and not --together": (
            given.blocks is not None and (arms < 2 or given.together)
        ),
        "--blocks says how often arms take turns in a run, but each of --repeats has one arm; leave it out": (
            given.blocks is not None and given.repeats is not None
        ),
        "--rest is a pause between the runs of a campaign; give --repeats": (
            given.rest is not None and given.repeats is None
        ),
        "--together sends each arrival to all arms; give several --profile or --arm": given.together and arms < 2,
        "--hold keeps the load on after one end, but arms that take turns have many; give --together": (
            given.hold and arms > 1 and not given.together and given.repeats is None
        ),
    }
    for text, is_so in both.items():
        if is_so:
            raise OptionError(text)


def check(plan: Plan, given: Given, profiles: Sequence[Profile]) -> None:
    """Build what the plan names once, so that a bad value is said before anything is made."""
    source = plan.source()
    whole_s = sum(float(stage["duration_s"]) for stage in plan.stages)
    if plan.stages and plan.duration_s is not None and plan.duration_s > whole_s + 1e-9:
        raise OptionError(f"--duration {plan.duration_s:g}s is longer than the {whole_s:g} s of --stages; leave it out")
    if plan.mode == "open":
        _check_open(plan, source)
    else:
        _check_closed(plan, given)
    if plan.duration_s is not None and plan.warmup_s >= plan.duration_s:
        raise OptionError(
            f"--warmup {plan.warmup_s:g}s leaves nothing of --duration {plan.duration_s:g}s to measure; make it shorter"
        )
    if not 0 <= plan.keep_bodies <= 1:
        raise OptionError(f"--keep-bodies {plan.keep_bodies} isn't a number in [0, 1]")
    for profile in profiles:
        if plan.budget_cost is not None and profile.prices is None:
            raise OptionError(
                f"--budget-cost {plan.budget_cost:g}: profile {profile.name} has no prices;"
                " give them in a profile of your own ([prices]), or use --budget-tokens"
            )


def _check_open(plan: Plan, source: Workload) -> None:
    if plan.think is not None or plan.ramp_s:
        option = "--think" if plan.think is not None else "--ramp"
        raise OptionError(f"{option} is about the users of a closed loop; give --concurrency, or leave it out")
    made = plan.open_schedule(source=source)
    if plan.duration_s is None and plan.warmup_s > made.offsets_ns[made.planned - 1] / 1e9:
        raise OptionError(
            f"--warmup {plan.warmup_s:g}s is longer than the {made.planned} requests last; make it shorter"
        )
    if plan.max_in_flight is not None and plan.workers > plan.max_in_flight:
        raise OptionError(
            f"--workers {plan.workers} is more than --max-in-flight {plan.max_in_flight}; a worker could send nothing"
        )
    if plan.interleaved and plan.blocks > made.planned:
        raise OptionError(f"--blocks {plan.blocks} is more than the {made.planned} arrivals; lower it")


def _check_closed(plan: Plan, given: Given) -> None:
    loop = plan.closed_schedule()
    users = loop.users
    if plan.duration_s is None and loop.duration_s is not None and plan.warmup_s >= loop.duration_s:
        raise OptionError(f"--warmup {plan.warmup_s:g}s leaves nothing of {loop.duration_s:g} s to measure; shorten it")
    if given.arrivals is not None:
        what = "stages of concurrency are a closed loop" if plan.stages else "give --rate too"
        raise OptionError(f"--arrivals {given.arrivals} says how an open loop's requests are spaced; {what}")
    if plan.max_in_flight is not None:
        raise OptionError("--max-in-flight caps an open loop; a closed loop has no more in flight than --concurrency")
    if plan.workers > users:
        raise OptionError(f"--workers {plan.workers} is more than --concurrency {users}; a worker would have no user")
    if plan.interleaved and (plan.stages or plan.ramp_s):
        option = "--stages" if plan.stages else "--ramp"
        raise OptionError(f"{option} changes the number of users, but arms that take turns have one; give --together")
    if plan.ramp_s and plan.duration_s is not None and plan.ramp_s >= plan.duration_s:
        raise OptionError(f"--ramp {plan.ramp_s:g}s is no shorter than --duration {plan.duration_s:g}s; shorten it")
    if plan.hold and loop.duration_s is None and plan.requests is None:
        raise OptionError("--hold keeps the load on after an end; give --duration or --requests")
    if plan.interleaved and plan.duration_s is None and (plan.requests or 0) < plan.blocks:
        raise OptionError(f"--blocks {plan.blocks} is more than --requests {plan.requests}; lower it")
