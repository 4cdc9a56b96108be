"""
A run from start to manifest, in the parent process: directory, provider, workers, the end, the files.

The parent offers no load itself. It makes the run directory and the manifest, starts the embedded provider where the
profile is one, starts the workers, watches over them, and finishes the run from their parts.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadtests import clock, manifest, record, scrape
from loadtests.finish import Finished, finish
from loadtests.fleet import READY_S, Fleet, FleetError, Here, total
from loadtests.guard import guard
from loadtests.ledger import Ledger
from loadtests.mock import process as mock_process
from loadtests.parts import share
from loadtests.rundir import NoRoomError, RunError, Setup, create, describe, inputs_of, note, point_latest
from loadtests.sink import DISK_FULL, DiskFullError
from loadtests.stop import Stop
from loadtests.tally import Caps
from loadtests.targets import reach
from loadtests.watch import INTERRUPT, Interrupts, View, watch

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.fleet import Crew
    from loadtests.fleet.hub import Hub
    from loadtests.plan import Plan
    from loadtests.profiles import Profile

TRUTH: Final = "mock.truth"
"""The embedded provider's own log, beside the run's files."""


@dataclass(frozen=True, slots=True)
class Result:
    """
    How a run ended.

    Attributes:
        stop: Why it ended before its plan did; None where it didn't.
        answered: Requests that got at least one byte of an answer.
        ok: Requests that ended well.
    """

    path: Path
    finished: Finished | None
    stop: Stop | None
    answered: int
    ok: int
    issued: int


# The run.


def execute(setup: Setup, view: View, interrupts: Interrupts) -> Result:
    """
    Do a run: from an empty directory to finished files, whatever happens in between.

    Raises:
        RunError: It cannot begin.
        StoppedError: Somebody stopped it before its first request.
    """
    guard([secret for profile in setup.profiles for secret in profile.secrets(os.environ)])
    if setup.remote is None:  # else keys, and the way to the provider, are the workers'
        for profile in setup.profiles:
            profile.api_key(os.environ)  # a missing key is said at once
            if not profile.embedded:
                reach(profile)
    path = create(setup)
    with ExitStack() as stack:
        fleet = _start(setup, path, stack, interrupts, view)
        try:
            watch(fleet, view, interrupts, setup.plan)
        finally:
            stack.close()
            note(path, fleet.to_json())
            result = _conclude(path, fleet, interrupts)
    return result


def _start(setup: Setup, path: Path, stack: ExitStack, interrupts: Interrupts, view: View) -> Fleet:
    """Provider, manifest, workers, and the moment of the start; where that fails, nothing is left behind."""
    try:
        stack.enter_context(share(path / record.PARTS))  # before run.json, without which nobody can repair it
        profiles = [_provider(setup, place, path, stack) for place in range(len(setup.profiles))]
        about = describe(setup, path, profiles)
        manifest.write(path, about)
        fleet = Fleet(setup.plan, path / record.PARTS, _crew(setup, path, about, view, interrupts))
        stack.callback(fleet.close)
        fleet.wait_ready(lambda: interrupts.count > 0, READY_S if setup.remote is None else setup.remote.wait_s)
        interrupts.check()
        fleet.zero_ns = clock.monotonic_ns() + fleet.lead_ns()
        about |= {"started_unix_ns": fleet.zero_ns + clock.measure_offset().offset_ns}
        about |= _scraped(setup, path, profiles, stack, (fleet.zero_ns, view))
        manifest.write(path, about | fleet.to_json())
        fleet.on_change = lambda: note(path, fleet.to_json())
    except BaseException as error:
        stack.close()
        shutil.rmtree(path, ignore_errors=True)
        no_room = isinstance(error, FleetError) and str(error).startswith("disk full")
        if no_room or getattr(error, "errno", None) in DISK_FULL:
            raise NoRoomError(f"--out {setup.out}: the disk is full; nothing was sent") from None
        if isinstance(error, FleetError | mock_process.MockError):
            raise RunError(f"the run cannot begin: {error}") from None
        raise
    if setup.campaign is None:
        point_latest(setup.out, path.name)
    fleet.start()
    return fleet


def _crew(setup: Setup, path: Path, about: dict[str, Any], view: View, interrupts: Interrupts) -> Crew:
    """The workers: processes here, or agents that join from elsewhere."""
    remote = setup.remote
    if remote is None:
        return Here(path, path / record.PARTS, setup.plan.workers)
    hub = hub_of(setup.plan, path, about, remote.bind)
    hub.stay(lambda: remote.again_s if any(one.started for one in hub.members) and not interrupts.count else 0.0)
    hub.on_join = lambda host, count: view.say(f"{host} has joined: {count} of {setup.plan.workers}")
    host, port = remote.bind
    many = "a worker" if setup.plan.workers == 1 else f"{setup.plan.workers} workers"
    view.say(f"waiting for {many} at {host}:{port}: firsttoken worker --master HOST:{port}")
    return hub


def hub_of(plan: Plan, path: Path, about: dict[str, Any], bind: tuple[str, int]) -> Hub:
    """
    Where workers on other machines join a run.

    Args:
        plan: Of the run.
        path: Its directory, with what its workload and its schedule were read from.
        about: Its manifest.
        bind: Host and port to listen at.

    Raises:
        HubError: Nothing can listen there.
    """
    from loadtests.fleet.hub import Hub  # noqa: PLC0415 - ZeroMQ is for runs of several machines

    hub = Hub(bind, path / record.PARTS, Ledger(Caps.of(plan), plan.workers) if plan.has_budget else None)
    hub.offer(about | {"run_dir": str(path)}, inputs_of(path), plan.workers)
    return hub


def _scraped(
    setup: Setup, path: Path, profiles: list[Profile], stack: ExitStack, when: tuple[int, View]
) -> dict[str, Any]:
    """Begin to ask for the server's own figures; what the manifest says of it."""
    zero_ns, view = when
    found = scrape.endpoints(setup.plan.server_metrics, profiles, [arm.name for arm in setup.plan.arms])
    stack.callback(scrape.begin(found, path / record.PARTS, zero_ns, view.say))
    return {"server_metrics": [one.to_json() for one in found]} if found else {}


def _provider(setup: Setup, place: int, path: Path, stack: ExitStack) -> Profile:
    """The profile of an arm; where it is the embedded provider, with one of its own started for it."""
    profile = setup.profiles[place]
    if not profile.embedded:
        return profile
    log = path / (TRUTH if len(setup.profiles) == 1 else f"{setup.plan.arms[place].name}.{TRUTH}")
    mock = mock_process.start(["--seed", str(setup.plan.seed)], log)
    stack.callback(mock.stop)
    return profile.with_overrides(base_url=mock.base_url)


def _conclude(path: Path, fleet: Fleet, interrupts: Interrupts) -> Result:
    stop = _why(fleet, interrupts)
    about = manifest.read(path)
    planned = about["planned"] and about["planned"] * len(about["arms"])
    answered, ok, issued = (total(fleet.members, key) for key in ("answered", "ok", "issued"))
    finished: Finished | None = None
    try:
        # Ctrl-C when all had been offered and was being waited for has stopped nothing.
        over = planned is not None and issued >= planned and not total(fleet.members, "cancelled")
        cut = None if stop is None or (stop.word == "interrupt" and over) else stop
        why = {"reason": cut.word, "text": cut.text} if cut else None
        finished = finish(path, stop=why, wait_s=2.0)
    except DiskFullError as error:
        safe = f"what was recorded is safe in {path / record.PARTS}"
        stop = Stop("disk_full", f"{error.strerror}; {safe}: make room, then `firsttoken repair {path}`")
    return Result(path, finished, stop, answered, ok, issued)


def _why(fleet: Fleet, interrupts: Interrupts) -> Stop | None:
    """Why the run ended before its plan did; None where it didn't."""
    stop, dead = fleet.stopping(), fleet.lost()
    if stop is not None and stop.word not in ("interrupt", "worker_lost"):
        return stop
    if interrupts.count > 2 and dead:
        text = "stopped by Ctrl-C; workers that did not end were killed, what they had written is kept"
        return Stop("interrupt", text)
    return (INTERRUPT if interrupts.count else None) or fleet.why_lost()
