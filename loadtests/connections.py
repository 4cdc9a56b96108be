"""
What a plan wants of the machine that makes its load, against what that machine allows.

A request in flight has a connection; a connection is an open file of its process, and a local port among those of all
processes that speak to the same address and port.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from loadtests import proxies
from loadtests.contradictions import OptionError
from loadtests.limits import WIDEN
from loadtests.targets import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loadtests.limits import Limits
    from loadtests.plan import Plan
    from loadtests.profiles import Profile

RESERVE: Final = 64
"""Open files of a worker process besides its connections: pipes, parts, epoll, timers, the resolver."""

NEAR: Final = 0.8
"""From this share of a limit on it is spoken of."""

TIME_WAIT_S: Final = 60
"""How long Linux keeps the port of a connection that this end has closed (TCP_TIMEWAIT_LEN); not to be set."""

REUSE_S: Final = 1
"""The same where tcp_tw_reuse lets new connections take it."""

RAISE: Final = "ulimit -n, LimitNOFILE= of a systemd unit, --ulimit nofile= of a container"


class Open(NamedTuple):
    """Connections open at a time, of all workers: so many surely, and so many where it comes to the worst."""

    surely: int
    at_most: int


def refuse(
    plan: Plan, profiles: Sequence[Profile], limits: Limits, here: int | None = None, inputs: Path | None = None
) -> None:
    """
    Refuse what this machine cannot do.

    Args:
        plan: Of the run.
        profiles: Of the plan's arms, in their order.
        limits: Of the machine.
        here: How many of the plan's workers are on it; None: all.
        inputs: Folder of what the run's schedule was read from; None: it is read from there.

    Raises:
        OptionError: More connections than open files or local ports.
    """
    here = plan.workers if here is None else here
    each, most = _share(_open(plan, len(plan.arms), inputs).surely, plan, 1), limits.open_files_hard
    if here and most is not None and each + RESERVE > most:
        raise OptionError(
            f"{_option(plan)} needs {each} open files in each worker process and {RESERVE} besides, but the hard limit"
            f" is {most}; raise it ({RAISE}), offer less, or use more --workers"
        )
    if plan.mode == "open" or limits.ports is None:
        return  # a cap of an open loop may never be reached
    for where, arms in _origins(plan, profiles).items():
        opened = _share(_open(plan, len(arms), inputs).surely, plan, here)
        if opened > limits.ports:
            raise OptionError(
                f"{_option(plan)} needs {opened} connections to {where} at a time, but this machine has {limits.ports}"
                f" local ports for them ({limits.span}); {WIDEN}, offer less, or add machines"
            )


def notes(plan: Plan, profiles: Sequence[Profile], limits: Limits, here: int | None = None) -> list[str]:
    """What comes near a limit of this machine, one line each; arguments as those of `refuse`."""
    here = plan.workers if here is None else here
    return [*_of_files(plan, limits, here), *_of_ports(plan, profiles, limits, here)]


def _of_files(plan: Plan, limits: Limits, here: int) -> Iterator[str]:
    each, most = _share(_open(plan, len(plan.arms)).at_most, plan, 1), limits.open_files_hard
    if here and most is not None and each + RESERVE > NEAR * most:
        yield (
            f"up to {each} connections may be open in a worker process, and the hard limit on open files is {most};"
            f" to be safe raise it ({RAISE}) or use more --workers"
        )


def _of_ports(plan: Plan, profiles: Sequence[Profile], limits: Limits, here: int) -> Iterator[str]:
    if limits.ports is None or not here:
        return
    fix = f"{WIDEN}, add machines, or keep connections alive"
    for where, arms in _origins(plan, profiles).items():
        opened = _share(_open(plan, len(arms)).at_most, plan, here)
        kept_s = REUSE_S if _reuses(limits, profiles[arms[0]]) else TIME_WAIT_S
        anew = [a for a in arms if plan.arms[a].new_connections or not profiles[a].keep_alive]
        closed = _share(_busiest(plan, kept_s) * (len(anew) if plan.together else 1), plan, here) if anew else 0
        if opened + closed <= NEAR * limits.ports:
            continue
        what = [f"{opened} open at a time"] if opened else []
        what += [f"{closed} opened anew within {kept_s} s of TIME_WAIT"] if closed else []
        yield (
            f"connections to {where}: up to {' and '.join(what)}, and this machine has {limits.ports} local ports for"
            f" them ({limits.span}; tcp_tw_reuse is {limits.tcp_tw_reuse}); {fix}"
        )


def _open(plan: Plan, sides: int, inputs: Path | None = None) -> Open:
    """Connections of so many of the plan's arms."""
    together = sides if plan.together else 1
    if plan.mode == "closed":
        loop = plan.closed_schedule()
        asked = None if plan.hold else loop.requests
        users = min(n for n in (loop.users, asked, plan.budget_requests) if n is not None)
        pauses = plan.think is not None or plan.has_conversations  # who pauses needs no connection
        return Open(0 if pauses else users * together, users * sides)  # an arm whose turn is over keeps its own
    _, is_burst, size = plan.arrivals.partition("burst:")
    burst = int(size) * together if is_burst else 0
    if plan.max_in_flight is None:
        return Open(0, burst)
    most = plan.max_in_flight
    if most > RESERVE:  # making the schedule takes a while
        most = min(most, plan.open_schedule(inputs).requests * together)
    return Open(most, most)


def _option(plan: Plan) -> str:
    """What asks for connections."""
    if plan.mode == "open":
        return f"--max-in-flight {plan.max_in_flight}"
    asked = "--stages" if plan.stages else f"--concurrency {plan.concurrency}"
    return f"{asked} for {len(plan.arms)} arms --together" if plan.together else asked


def _share(connections: int, plan: Plan, workers: int) -> int:
    """How many of the connections so many of the plan's workers have."""
    return -(-connections * workers // plan.workers)


def _origins(plan: Plan, profiles: Sequence[Profile]) -> dict[str, list[int]]:
    """The arms by what they connect to; each embedded provider has a port of its own."""
    found = defaultdict(list)
    for a, profile in enumerate(profiles):
        if profile.embedded:
            found[f"the provider of arm {plan.arms[a].name}"].append(a)
        else:
            host, port = _end(profile)
            found[f"{host}:{port}"].append(a)
    return found


def _end(profile: Profile) -> tuple[str, int]:
    """Host and port of the other end of its connections."""
    return address_of(profile) if profile.proxy is None else proxies.host_and_port(profile.proxy)


def _reuses(limits: Limits, profile: Profile) -> bool:
    """Whether the kernel gives new connections the ports that closed ones keep."""
    if limits.tcp_tw_reuse == 2:
        return profile.embedded or proxies.is_loopback(_end(profile)[0])
    return limits.tcp_tw_reuse == 1


def _busiest(plan: Plan, span_s: float) -> int:
    """The most requests that a schedule has within so many seconds; 0 in closed loop, where nobody knows."""
    if plan.mode == "closed":
        return 0
    made = plan.open_schedule()
    at_ns = made.offsets_ns[: made.planned]
    within = np.searchsorted(at_ns, at_ns + int(span_s * 1e9)) - np.arange(len(at_ns))
    return round(int(within.max()) * made.requests / made.planned)
