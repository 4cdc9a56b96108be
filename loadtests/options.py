"""
Options as a plan: contradictions refused, defaults chosen, one line per mistake.

Shared by `firsttoken run` and by plain Locust's command line; how an option is spelt and read is theirs.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests import tokens
from loadtests.dialect import asked_choices
from loadtests.plan import Plan
from loadtests.profiles import OWNED, ProfileError, check_request
from loadtests.redact import looks_secret, secret_places
from loadtests.targets import is_local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.profiles import Profile

DEMO_RATE: Final = 8.0
DEMO_DURATION_S: Final = 20.0
DEMO_STREAM_SHARE: Final = 0.8
REMOTE_REQUESTS: Final = 10
REMOTE_OUTPUT_TOKENS: Final = 64
REMOTE_DURATION_S: Final = 120.0
REMOTE_GRACE_S: Final = 60.0
"""After its schedule, a remote run's answers have so long unless `--budget-time` says otherwise."""

LOCAL_DURATION_S: Final = 60.0


class OptionError(ValueError):
    """Options that cannot stand together, or a value that cannot be used: one line with the fix."""


@dataclass(frozen=True, slots=True)
class Given:
    """
    What was asked for; None where nothing was.

    Attributes:
        params: `KEY=JSON` pairs.
        stream: True or False: streamed answers only, or none.
    """

    model: str | None = None
    params: Sequence[str] = ()
    workload: str = "chat"
    output_tokens: int | None = None
    stream: bool | None = None
    stream_share: float | None = None
    rate: float | None = None
    concurrency: int | None = None
    arrivals: str | None = None
    duration: float | None = None
    requests: int | None = None
    warmup: float | None = None
    seed: int = 1
    workers: int = 1
    new_connections: bool = False
    budget_requests: int | None = None
    budget_tokens: int | None = None
    budget_cost: float | None = None
    budget_time: float | None = None
    accept_throttling: bool = False
    accept_errors: bool = False
    keep_bodies: float = 0.0
    tokenizer: str | None = None


def warnings_of(profile: Profile, plan: Plan) -> list[str]:
    """
    What this provider will not do with a plan, and what is not as usual, one line each.

    Raises:
        ProfileError: It would refuse a parameter.
    """
    params = {**plan.source().extra, **plan.params}
    streamed, plain = plan.stream_share > 0, plan.stream_share < 1
    try:
        notes = check_request(profile, params, streamed=streamed, plain=plain, output_cap=plan.output_tokens)
    except ProfileError as error:
        raise ProfileError(_placed(plan, str(error))) from None
    notes = [_placed(plan, note) for note in notes]
    if profile.proxy is not None:
        notes.append(f"requests go through the proxy {profile.proxy}; times are this process' own (user clock)")
    if profile.http_version == "2":
        notes.append("requests are HTTP/2, a connection for each in flight; times are this process' own (user clock)")
    return notes


def _placed(plan: Plan, text: str) -> str:
    """A text about a parameter, naming what asks for it."""
    for key in plan.source().extra:
        text = text.replace(f"--param {key}", f"--workload {plan.workload}: {key}", 1)
    return text


def plan_of(profile: Profile, given: Given) -> Plan:
    """
    The plan that the options ask for.

    Args:
        profile: Of the provider.
        given: What was asked for.

    Raises:
        OptionError: Options that contradict each other or the profile.
    """
    _refuse(given)
    model = given.model if given.model is not None else profile.default_model
    if not model or not model.strip():
        default = f"leave it out for {profile.default_model}" if profile.default_model else "there is no default"
        wrong = (
            f"--model {given.model!r} is empty" if given.model is not None else f"profile {profile.name} has no model"
        )
        raise OptionError(f"{wrong}; name one with --model NAME ({default})")
    params = _params(given.params)
    load_of = _demo if profile.embedded else (_local if is_local(profile) else _remote)
    chosen = load_of(given)
    concurrency = chosen["concurrency"]
    plan = Plan(
        model=model,
        mode="closed" if concurrency is not None else "open",
        arrivals=given.arrivals or "poisson",
        rate=chosen["rate"],
        concurrency=concurrency,
        duration_s=chosen["duration"],
        requests=chosen["requests"],
        stream_share=_share(given, chosen),
        output_tokens=chosen["output_tokens"],
        workload=given.workload,
        params=params,
        seed=given.seed,
        salt=secrets.token_hex(4),
        workers=given.workers,
        warmup_s=given.warmup or 0.0,
        new_connections=given.new_connections,
        budget_requests=given.budget_requests,
        budget_tokens=given.budget_tokens,
        budget_cost=given.budget_cost,
        budget_time_s=given.budget_time if given.budget_time is not None else chosen.get("budget_time"),
        accept_throttling=given.accept_throttling,
        accept_errors=given.accept_errors,
        keep_bodies=given.keep_bodies,
        tokenizer=given.tokenizer,
    )
    _check(plan, given)
    if not 0 <= plan.keep_bodies <= 1:
        raise OptionError(f"--keep-bodies {plan.keep_bodies} isn't a number in [0, 1]")
    if plan.budget_cost is not None and profile.prices is None:
        raise OptionError(
            f"--budget-cost {plan.budget_cost:g}: profile {profile.name} has no prices;"
            " give them in a profile of your own ([prices]), or use --budget-tokens"
        )
    return plan


def _refuse(given: Given) -> None:
    """Options that cannot stand together."""
    if given.rate is not None and given.concurrency is not None:
        raise OptionError("--rate (open loop) and --concurrency (closed loop) exclude each other; give one")
    if given.concurrency is not None and given.arrivals is not None:
        raise OptionError("--arrivals says how an open loop's requests are spaced; give --rate, not --concurrency")
    if given.stream is not None and given.stream_share is not None:
        raise OptionError("--stream/--no-stream and --stream-share exclude each other; give one")


def _check(plan: Plan, given: Given) -> None:
    """Build what the plan names once, so that a bad value is said before anything is made."""
    plan.source()
    if plan.tokenizer is not None:
        tokens.load(plan.tokenizer)
    if plan.mode == "open":
        last_s = plan.open_schedule().offsets_ns[-1] / 1e9
        if plan.duration_s is None and plan.warmup_s > last_s:
            raise OptionError(
                f"--warmup {plan.warmup_s:g}s is longer than the {plan.requests} requests last; make it shorter"
            )
    else:
        plan.closed_schedule()
    if plan.duration_s is not None and plan.warmup_s >= plan.duration_s:
        raise OptionError(
            f"--warmup {plan.warmup_s:g}s leaves nothing of --duration {plan.duration_s:g}s to measure; make it shorter"
        )
    if plan.mode == "closed" and given.arrivals is not None:
        raise OptionError(f"--arrivals {given.arrivals} says how an open loop's requests are spaced; give --rate too")
    if plan.concurrency is not None and plan.workers > plan.concurrency:
        raise OptionError(
            f"--workers {plan.workers} are more than --concurrency {plan.concurrency}; a worker would have no user"
        )


def _share(given: Given, chosen: dict[str, Any]) -> float:
    if given.stream is not None:
        return 1.0 if given.stream else 0.0
    share: float = chosen["stream_share"]
    return share


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


# What a load is where nothing was said.


def _given(given: Given, **defaults: Any) -> dict[str, Any]:
    names = ("rate", "concurrency", "duration", "requests", "output_tokens", "stream_share")
    return {name: defaults.get(name) if getattr(given, name) is None else getattr(given, name) for name in names}


def _loads(given: Given) -> bool:
    """Whether anything was said of how much load."""
    return given.rate is not None or given.concurrency is not None


def _bounds(given: Given, duration_s: float) -> dict[str, float]:
    """A duration where neither it nor a number of requests was said."""
    return {} if given.requests is not None else {"duration": duration_s}


def _demo(given: Given) -> dict[str, Any]:
    rate = {} if _loads(given) else {"rate": DEMO_RATE}
    return _given(given, stream_share=DEMO_STREAM_SHARE, **rate, **_bounds(given, DEMO_DURATION_S))


def _local(given: Given) -> dict[str, Any]:
    load_of = {} if _loads(given) else {"concurrency": 1}
    return _given(given, stream_share=1.0, **load_of, **_bounds(given, LOCAL_DURATION_S))


def _remote(given: Given) -> dict[str, Any]:
    """Somebody else's machine and somebody's money: little, unless asked for more and confirmed."""
    load_of = {} if _loads(given) else {"concurrency": 1}
    bounds = {} if given.duration is not None else {"requests": REMOTE_REQUESTS}
    chosen = _given(
        given, stream_share=1.0, output_tokens=REMOTE_OUTPUT_TOKENS, duration=REMOTE_DURATION_S, **bounds, **load_of
    )
    return chosen | {"budget_time": chosen["duration"] + REMOTE_GRACE_S}


def beyond_defaults(profile: Profile, plan: Plan) -> list[str]:
    """In what a plan asks a remote provider for more than the careful defaults."""
    more = []
    bounds = [bound for bound in (plan.requests, plan.budget_requests) if bound is not None]
    if plan.mode == "open":
        bounds.append(len(plan.open_schedule()))
    if not bounds or min(bounds) > REMOTE_REQUESTS:
        more.append(f"{min(bounds) if bounds else 'unbounded'} requests (default {REMOTE_REQUESTS})")
    if (plan.concurrency or 1) > 1:
        more.append(f"concurrency {plan.concurrency} (default 1)")
    if plan.rate is not None:
        more.append(f"an open loop of {plan.rate:g}/s (default: concurrency 1)")
    most = (asked_choices(profile, plan.params, {}) or 1) * (plan.output_tokens or 0)
    if not most or most > REMOTE_OUTPUT_TOKENS:
        more.append(f"up to {most or 'unbounded'} output tokens (default {REMOTE_OUTPUT_TOKENS})")
    if profile.output_cap_param == "none" and plan.stream_share < 1:
        more.append("whole answers, which this provider caps nowhere and which can't be cut")
    if (plan.duration_s or 0) > REMOTE_DURATION_S:
        more.append(f"{plan.duration_s:g} s (default {REMOTE_DURATION_S:g})")
    return more
