"""The options of `run` as a plan: units read, contradictions refused, defaults chosen, one line per mistake."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from loadtests import units
from loadtests.plan import Plan
from loadtests.profiles import Profile, check_params, load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEMO_RATE: Final = 8.0
DEMO_DURATION_S: Final = 20.0
DEMO_STREAM_SHARE: Final = 0.8
REMOTE_REQUESTS: Final = 10
REMOTE_OUTPUT_TOKENS: Final = 64
REMOTE_DURATION_S: Final = 120.0
LOCAL_DURATION_S: Final = 60.0


class Seconds(click.ParamType):
    """A duration: 90, 90s, 5m, 1h, 250ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds as float."""
        return _unit(self, units.seconds, value, param, ctx)


class PerSecond(click.ParamType):
    """A rate: 8, 8/s, 90/m, 3600/h."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Per second as float."""
        return _unit(self, units.per_second, value, param, ctx)


def _unit(
    kind: click.ParamType,
    read: Callable[[str], float],
    value: Any,
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> float:
    if isinstance(value, float):
        return value
    try:
        return read(value)
    except units.UnitError as error:
        kind.fail(str(error), param, ctx)


def profile_of(name: str, base_url: str | None) -> Profile:
    """The profile, pointed elsewhere where asked; one that has no base URL of its own must be."""
    profile = load(name)
    if base_url is not None:
        profile = profile.with_overrides(base_url=base_url)
    return profile


def is_local(profile: Profile) -> bool:
    """Whether the requests stay on this machine or in a private network."""
    if profile.embedded:
        return True
    import httpx

    host = httpx.URL(profile.url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host  # a name without a domain is this network's: a container, a host next door
    return address.is_loopback or address.is_private


def plan_of(profile: Profile, given: dict[str, Any]) -> Plan:
    """
    The plan that the options ask for.

    Args:
        profile: Of the provider.
        given: The options of `run` by name; None where not given.

    Raises:
        click.UsageError: Options that contradict each other or the profile.
    """
    _refuse(given)
    model = given["model"] if given["model"] is not None else profile.default_model
    if not model or not model.strip():
        what = f"--model {given['model']!r} is empty" if given["model"] is not None else "no model given"
        raise click.UsageError(f"{what} and profile {profile.name} has no default; name one with --model NAME")
    params = _params(profile, given["param"])
    load_of = _demo if profile.embedded else (_local if is_local(profile) else _remote)
    chosen = load_of(given)
    concurrency = chosen["concurrency"]
    plan = Plan(
        model=model,
        mode="closed" if concurrency is not None else "open",
        arrivals=given["arrivals"] or "poisson",
        rate=chosen["rate"],
        concurrency=concurrency,
        duration_s=chosen["duration"],
        requests=chosen["requests"],
        stream_share=_share(given, chosen),
        output_tokens=chosen["output_tokens"],
        workload=given["workload"],
        params=params,
        seed=given["seed"],
        workers=given["workers"],
        warmup_s=given["warmup"] or 0.0,
        new_connections=given["new_connections"],
    )
    _check(plan)
    return plan


def _refuse(given: dict[str, Any]) -> None:
    """Options that cannot stand together."""
    if given["rate"] is not None and given["concurrency"] is not None:
        raise click.UsageError("--rate (open loop) and --concurrency (closed loop) exclude each other; give one")
    if given["concurrency"] is not None and given["arrivals"] is not None:
        raise click.UsageError("--arrivals says how an open loop's requests are spaced; give --rate, not --concurrency")
    if given["stream"] is not None and given["stream_share"] is not None:
        raise click.UsageError("--stream/--no-stream and --stream-share exclude each other; give one")


def _check(plan: Plan) -> None:
    """Build what the plan names once, so that a bad value is said before anything is made."""
    plan.source()
    if plan.mode == "open":
        plan.open_schedule()
    else:
        plan.closed_schedule()
    if plan.duration_s is not None and plan.warmup_s >= plan.duration_s:
        raise click.UsageError(
            f"--warmup {plan.warmup_s:g}s leaves nothing of --duration {plan.duration_s:g}s to measure; make it shorter"
        )
    if plan.concurrency is not None and plan.workers > plan.concurrency:
        raise click.UsageError(
            f"--workers {plan.workers} are more than --concurrency {plan.concurrency}; a worker would have no user"
        )


def _share(given: dict[str, Any], chosen: dict[str, Any]) -> float:
    if given["stream"] is not None:
        return 1.0 if given["stream"] else 0.0
    share: float = chosen["stream_share"]
    return share


def _params(profile: Profile, pairs: Sequence[str]) -> dict[str, Any]:
    """`--param KEY=JSON` as a dict; a value that is no JSON is refused rather than guessed."""
    params: dict[str, Any] = {}
    for pair in pairs:
        key, equals, raw = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--param {pair!r}: write KEY=JSON, for example --param temperature=0")
        try:
            params[key] = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise click.UsageError(f"--param {pair!r}: {raw!r} is not JSON; a string needs quotes: '{key}=\"{raw}\"'") from None
    for warning in check_params(profile, params):
        click.echo(f"note: {warning}", err=True)
    return params


# What a load is where nothing was said.


def _given(given: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    names = ("rate", "concurrency", "duration", "requests", "output_tokens", "stream_share")
    return {name: given[name] if given[name] is not None else defaults.get(name) for name in names}


def _loads(given: dict[str, Any]) -> bool:
    """Whether anything was said of how much load."""
    return given["rate"] is not None or given["concurrency"] is not None


def _bounds(given: dict[str, Any], duration_s: float) -> dict[str, float]:
    """A duration where neither it nor a number of requests was said."""
    return {} if given["requests"] is not None else {"duration": duration_s}


def _demo(given: dict[str, Any]) -> dict[str, Any]:
    rate = {} if _loads(given) else {"rate": DEMO_RATE}
    return _given(given, stream_share=DEMO_STREAM_SHARE, **rate, **_bounds(given, DEMO_DURATION_S))


def _local(given: dict[str, Any]) -> dict[str, Any]:
    load_of = {} if _loads(given) else {"concurrency": 1}
    return _given(given, stream_share=1.0, **load_of, **_bounds(given, LOCAL_DURATION_S))


def _remote(given: dict[str, Any]) -> dict[str, Any]:
    """Somebody else's machine and somebody's money: little, unless asked for more and confirmed."""
    load_of = {} if _loads(given) else {"concurrency": 1}
    return _given(
        given, stream_share=1.0, requests=REMOTE_REQUESTS, output_tokens=REMOTE_OUTPUT_TOKENS,
        duration=REMOTE_DURATION_S, **load_of,
    )  # fmt: skip


def beyond_defaults(plan: Plan) -> list[str]:
    """In what a plan asks a remote provider for more than the careful defaults."""
    more = []
    if (plan.requests or 0) > REMOTE_REQUESTS or plan.requests is None:
        more.append(f"{plan.requests or 'unbounded'} requests (default {REMOTE_REQUESTS})")
    if (plan.concurrency or 1) > 1:
        more.append(f"concurrency {plan.concurrency} (default 1)")
    if plan.rate is not None:
        more.append(f"an open loop of {plan.rate:g}/s (default: concurrency 1)")
    if plan.output_tokens is None or plan.output_tokens > REMOTE_OUTPUT_TOKENS:
        more.append(f"up to {plan.output_tokens or 'unbounded'} output tokens (default {REMOTE_OUTPUT_TOKENS})")
    if (plan.duration_s or 0) > REMOTE_DURATION_S:
        more.append(f"{plan.duration_s:g} s (default {REMOTE_DURATION_S:g})")
    return more
