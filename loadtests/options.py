"""
Options as a plan: contradictions refused, defaults chosen, one line per mistake.

Shared by `firsttoken run` and by plain Locust's command line; how an option is spelt and read is theirs.
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson

from loadtests import proxies
from loadtests.plan import Plan
from loadtests.profiles import OWNED, Profile, ProfileError, check_params, load
from loadtests.redact import looks_secret, secret_places

if TYPE_CHECKING:
    from collections.abc import Sequence

DEMO_RATE: Final = 8.0
DEMO_DURATION_S: Final = 20.0
DEMO_STREAM_SHARE: Final = 0.8
REMOTE_REQUESTS: Final = 10
REMOTE_OUTPUT_TOKENS: Final = 64
REMOTE_DURATION_S: Final = 120.0
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


def profile_of(name: str, base_url: str | None, *, proxy: str | None = None, http2: bool = False) -> Profile:
    """
    The profile, pointed elsewhere where asked, through the proxy that is asked for or that the environment names.

    Raises:
        ProfileError: A value that cannot be used.
        OptionError: The environment's proxy cannot be used, or a package is missing.
    """
    profile = load(name)
    if base_url is not None:
        profile = profile.with_overrides(base_url=base_url).model_copy(update={"embedded": False})
    profile = profile.with_overrides(proxy=proxy, http2=http2)
    if profile.proxy is None and not profile.embedded:
        profile = _through_environment(profile)
    _require(profile)
    return profile


def _through_environment(profile: Profile) -> Profile:
    try:
        return profile.with_overrides(proxy=proxies.from_environment(profile.url))
    except ProfileError as error:
        raise OptionError(f"{proxies.VARIABLES}: {str(error).removeprefix('--proxy ')}") from None


def _require(profile: Profile) -> None:
    """Say now, and not at the first request, that a package is missing."""
    for wanted, option, package, extra in (
        (profile.http_version == "2", "--http2", "h2", "http2"),
        ((profile.proxy or "").startswith("socks"), f"--proxy {profile.proxy}", "socksio", "socks"),
    ):
        if wanted and find_spec(package) is None:
            raise OptionError(f"{option} needs the package {package}: pip install 'httpx[{extra}]'")


def is_local(profile: Profile) -> bool:
    """Whether the requests stay on this machine or in a private network."""
    if profile.embedded:
        return True
    host = httpx.URL(profile.url).host
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host  # a name without a domain is this network's: a container, a host next door
    return address.is_loopback or address.is_private


def warnings_of(profile: Profile, plan: Plan) -> list[str]:
    """
    What this provider will not do with a plan, and what is not as usual, one line each.

    Raises:
        ProfileError: It would refuse a parameter.
    """
    notes = check_params(profile, plan.params)
    if plan.output_tokens is not None and profile.output_cap_param == "none":
        notes.append(f"--output-tokens: {profile.name} takes no output cap; answers can be longer than that")
    if profile.proxy is not None:
        notes.append(f"requests go through the proxy {profile.proxy}; times are this process' own (user clock)")
    if profile.http_version == "2":
        notes.append("requests are HTTP/2, a connection for each in flight; times are this process' own (user clock)")
    return notes


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
    )
    _check(plan, given)
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
