"""
Options as a plan: defaults chosen, one line per mistake.

Shared by `firsttoken run` and by plain Locust's command line; how an option is spelt and read is theirs.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from loadtests import connections, draws, limits, schedule, scrape, workload
from loadtests.contradictions import OptionError, check, refuse
from loadtests.defaults import load_of
from loadtests.plan import BLOCKS, Arm, Plan
from loadtests.profiles import OWNED, ProfileError, check_request
from loadtests.redact import looks_secret, secret_places

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.arms import Asked
    from loadtests.given import Given
    from loadtests.profiles import Profile


def warnings_of(profiles: Sequence[Profile], plan: Plan, here: int | None = None) -> list[str]:
    """
    What providers or this machine will not do with a plan, and what is not as usual, one line each.

    Args:
        profiles: Of the plan's arms, in their order.
        plan: Of the run.
        here: How many of the plan's workers are on this machine; None: all.

    Raises:
        OptionError: More than this machine can do.
        ProfileError: A provider would refuse a parameter.
    """
    machine = limits.read()
    connections.refuse(plan, profiles, machine, here)
    notes = connections.notes(plan, profiles, machine, here)
    if plan.trace is not None and any(one.get("dataset") for one in plan.definitions):
        notes.append("prompts come from the dataset, so only the trace's answer lengths count")
    extra = plan.source().extra
    for arm, profile in zip(plan.arms, profiles, strict=True):
        of_arm = f"arm {arm.name}: " if len(plan.arms) > 1 else ""
        try:
            found = check_request(
                profile, {**extra, **arm.params}, streamed=plan.streamed > 0, plain=plan.streamed < 1,
                output_cap=plan.output_tokens,
            )  # fmt: skip
        except ProfileError as error:
            raise ProfileError(of_arm + _placed(plan, extra, str(error))) from None
        notes += [of_arm + _placed(plan, extra, note) for note in found]
        if (note := unpriced(profile)) is not None:
            notes.append(of_arm + note)
        if profile.proxy is not None:
            notes.append(
                f"{of_arm}requests go through the proxy {profile.proxy}; times are this process's own (user clock)"
            )
        if profile.http_version == "2":
            notes.append(
                f"{of_arm}requests are HTTP/2, a connection for each in flight; times are this process's own (user"
                " clock)"
            )
    return notes


def unpriced(profile: Profile) -> str | None:
    """Why runs of a profile with prices have no cost: they are in another currency than costs are told in."""
    if profile.prices is None or profile.prices.currency == "USD":
        return None
    return (
        f"prices of {profile.name} are in {profile.prices.currency}; cost_usd stays empty, costs are told in USD only;"
        " give prices in USD"
    )


def _placed(plan: Plan, extra: Mapping[str, Any], text: str) -> str:
    """A text about a parameter, naming what asks for it."""
    for key in extra:
        text = text.replace(f"--param {key}", f"--workload {plan.workload}: {key}", 1)
    return text


def arm_of(one: Asked, profile: Profile) -> Arm:
    """
    One side of a run from how it was asked for.

    Raises:
        OptionError: No model, or a parameter that cannot be used.
    """
    model = one.model if one.model is not None else profile.default_model
    if not model or not model.strip():
        default = f"leave it out for {profile.default_model}" if profile.default_model else "there is no default"
        wrong = f"--model {one.model!r} is empty" if one.model is not None else f"profile {profile.name} has no model"
        raise OptionError(f"{_of(one)}{wrong}; name one with --model NAME ({default})")
    try:
        return Arm(one.name, model, _params(one.params), one.new_connections)
    except OptionError as error:
        raise OptionError(f"{_of(one)}{error}") from None


def _of(one: Asked) -> str:
    """Whose mistake it is, where there are several who could make it."""
    return "" if one.name == "default" else f"arm {one.name}: "


def plan_of(arms: Sequence[Arm], profiles: Sequence[Profile], given: Given) -> Plan:
    """
    The plan that the options ask for.

    Args:
        arms: Whom it goes to.
        profiles: Of the arms, in their order.
        given: What was asked for.

    Raises:
        OptionError: Options that contradict each other or a profile.
        ScheduleError, WorkloadError: A value or a file that no schedule or no workload can be made from.
        ScrapeError: A URL that cannot be asked for the server's figures.
    """
    refuse(given, len(arms))
    chosen = load_of(profiles, given)
    stages = schedule.read_stages(Path(given.stages)) if given.stages is not None else ()
    closed = chosen["concurrency"] is not None or any(stage.kind == "concurrency" for stage in stages)
    definitions = tuple(workload.definitions(given.workload))
    plan = Plan(
        arms=tuple(arms),
        mode="closed" if closed else "open",
        arrivals=_arrivals(given),
        rate=chosen["rate"],
        concurrency=chosen["concurrency"],
        duration_s=chosen["duration"],
        requests=chosen["requests"],
        stages=tuple(stage.to_json() for stage in stages),
        trace_speed=given.trace_speed or 1.0,
        trace_start_s=given.trace_start or 0.0,
        max_in_flight=given.max_in_flight,
        hold=given.hold,
        ramp_s=given.ramp or 0.0,
        think=_think(given),
        blocks=given.blocks or BLOCKS,
        together=given.together,
        stream_share=_share(given, chosen, definitions),
        output_tokens=chosen["output_tokens"],
        workload=given.workload,
        definitions=definitions,
        seed=given.seed,
        salt=secrets.token_hex(4),
        workers=given.workers,
        warmup_s=given.warmup or 0.0,
        budget_requests=given.budget_requests,
        budget_tokens=given.budget_tokens,
        budget_cost=given.budget_cost,
        budget_time_s=given.budget_time if given.budget_time is not None else chosen.get("budget_time"),
        allow_insecure_http=given.allow_insecure_http,
        accept_throttling=given.accept_throttling,
        accept_errors=given.accept_errors,
        keep_bodies=given.keep_bodies,
        tokenizer=given.tokenizer,
        objectives=given.objectives,
        server_metrics=scrape.checked(given.server_metrics, allow_insecure_http=given.allow_insecure_http),
    )
    apart = given.repeats is not None and not plan.together  # each run of the campaign has one of the arms
    check(replace(plan, arms=plan.arms[:1]) if apart else plan, given, profiles)
    return plan


def _arrivals(given: Given) -> str:
    """The law, a trace by its whole path: workers look for it from elsewhere."""
    law, colon, name = (given.arrivals or "poisson").partition(":")
    if law == "trace" and not name:
        raise OptionError(f"--arrivals {law}{colon} names no file; write trace:FILE, for example trace:azure.csv")
    return f"{law}:{Path(name).resolve()}" if law == "trace" else law + colon + name


def _think(given: Given) -> Any:
    """The law of a user's pauses, as the plan keeps it."""
    try:
        return None if given.think is None else draws.law_of(given.think, "s").to_json()
    except draws.LawError as error:
        raise OptionError(f"--think {error}") from None


def _share(given: Given, chosen: dict[str, Any], definitions: Sequence[dict[str, Any]]) -> float | None:
    """The share of streamed answers; None: each workload says its own."""
    if given.stream is not None:
        return 1.0 if given.stream else 0.0
    own = any(definition.get("stream_share") is not None for definition in definitions)
    if given.stream_share is None and own:
        return None
    share: float | None = chosen["stream_share"]
    return 1.0 if share is None else share


def _params(pairs: Sequence[str]) -> dict[str, Any]:
    """`--param KEY=JSON` as a dict; a value that is no JSON is refused rather than guessed."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, equals, raw = pair.partition("=")
        if not equals or not key:
            raise OptionError(f"--param {pair!r}: write KEY=JSON, for example --param temperature=0")
        if key in OWNED:
            raise OptionError(f"--param {key}: has an option of its own; use {OWNED[key]}")
        try:
            params[key] = orjson.loads(raw)
            if looks_secret(raw) or any(secret_places({key: params[key]})):
                raise OptionError(
                    f"--param {key}=...: looks like a key, and parameters are kept in run.json; leave it out"
                )
        except orjson.JSONDecodeError:
            raise OptionError(
                f"--param {pair!r}: {raw!r} is not JSON; a string needs quotes: '{key}=\"{raw}\"'"
            ) from None
    return params
