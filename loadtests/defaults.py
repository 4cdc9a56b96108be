"""What a load is where nothing was said: a demo, a minute of one's own server, little of somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.dialect import asked_choices
from loadtests.targets import is_local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.given import Given
    from loadtests.plan import Arm, Plan
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
ENDS_ITSELF: Final = ("trace:", "burst:")
"""Spellings of --arrivals that need neither a rate nor a length."""


def load_of(profiles: Sequence[Profile], given: Given) -> dict[str, Any]:
    """Rate or concurrency, duration, requests, cap and streaming share: as given, else by who is asked."""
    if all(profile.embedded for profile in profiles):
        return _demo(given)
    return _local(given) if all(map(is_local, profiles)) else _remote(given)


def _given(given: Given, **defaults: Any) -> dict[str, Any]:
    names = ("rate", "concurrency", "duration", "requests", "output_tokens", "stream_share")
    chosen = {name: defaults.get(name) if getattr(given, name) is None else getattr(given, name) for name in names}
    return chosen | ({"output_tokens": None} if given.output_tokens == "workload" else {})


def loads(given: Given) -> bool:
    """Whether anything was said of how much load."""
    return (
        given.rate is not None
        or given.concurrency is not None
        or given.stages is not None
        or (given.arrivals or "").startswith(ENDS_ITSELF)
    )


def _bounds(given: Given, duration_s: float) -> dict[str, Any]:
    """The default duration, unless a number of requests or the load itself bounds the run."""
    ends = given.stages is not None or (given.rate is None and (given.arrivals or "").startswith(ENDS_ITSELF))
    return {} if given.requests is not None or ends else {"duration": duration_s}


def _demo(given: Given) -> dict[str, Any]:
    rate = {} if loads(given) else {"rate": DEMO_RATE}
    return _given(given, stream_share=DEMO_STREAM_SHARE, **rate, **_bounds(given, DEMO_DURATION_S))


def _local(given: Given) -> dict[str, Any]:
    load = {} if loads(given) else {"concurrency": 1}
    return _given(given, **load, **_bounds(given, LOCAL_DURATION_S))


def _remote(given: Given) -> dict[str, Any]:
    """Somebody else's machine and somebody's money: little, unless asked for more and confirmed."""
    load = {} if loads(given) else {"concurrency": 1}
    bounds: dict[str, Any] = {} if given.duration is not None else {"requests": REMOTE_REQUESTS}
    bounds |= _bounds(given, REMOTE_DURATION_S) if given.requests is None else {"duration": REMOTE_DURATION_S}
    chosen = _given(given, output_tokens=REMOTE_OUTPUT_TOKENS, **bounds, **load)
    if chosen["duration"] is not None:
        chosen["budget_time"] = chosen["duration"] + REMOTE_GRACE_S
    return chosen


def beyond_defaults(profiles: Sequence[Profile], plan: Plan) -> list[str]:
    """In what a plan asks remote providers for more than the careful defaults."""
    remote = [(arm, profile) for arm, profile in zip(plan.arms, profiles, strict=True) if not is_local(profile)]
    if not remote:
        return []
    more = []
    most = plan.open_schedule().requests if plan.mode == "open" else plan.requests
    most = None if most is None else most * len(remote)
    if plan.budget_requests is not None:
        most = plan.budget_requests if most is None else min(most, plan.budget_requests)
    if most is None or most > REMOTE_REQUESTS:
        more.append(f"{'unbounded' if most is None else most} requests (default {REMOTE_REQUESTS})")
    if plan.mode == "closed" and (users := plan.closed_schedule().users) > 1:
        more.append(f"concurrency {users} (default 1)")
    if plan.mode == "open":
        rate = f" of {plan.rate:g}/s" if plan.rate is not None else ""
        more.append(f"an open loop{rate} (default: concurrency 1)")
    for arm, profile in remote:
        more += [text for text in _of_answers(arm, profile, plan) if text not in more]
    if (plan.duration_s or 0) > REMOTE_DURATION_S:
        more.append(f"{plan.duration_s:g} s (default {REMOTE_DURATION_S:g})")
    return more


def _of_answers(arm: Arm, profile: Profile, plan: Plan) -> list[str]:
    """The same, of what the answers may be."""
    more = []
    most = (asked_choices(profile, arm.params, {}) or 1) * (plan.output_tokens or 0)
    if plan.output_tokens is None:
        more.append(f"answers as long as the workload says (default: at most {REMOTE_OUTPUT_TOKENS} tokens)")
    elif most > REMOTE_OUTPUT_TOKENS:
        more.append(f"up to {most} output tokens (default {REMOTE_OUTPUT_TOKENS})")
    if profile.output_cap_param == "none" and plan.streamed < 1:
        more.append("whole answers, which this provider caps nowhere and which can't be cut")
    return more
