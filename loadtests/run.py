"""
A run from start to manifest, in the parent process: directory, provider, workers, the end, the files.

The parent offers no load itself. It makes the run directory and the manifest, starts the embedded provider where the
profile is one, starts the workers, watches over them, and finishes the run from their parts.
"""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadtests import clock, manifest, proxies, record
from loadtests.errors import of_exception
from loadtests.finish import Finished, finish
from loadtests.fleet import START_NS, Fleet, FleetError, total
from loadtests.guard import guard
from loadtests.mock import process as mock_process
from loadtests.rundir import NoRoomError, RunError, Setup, create, describe, point_latest
from loadtests.sink import DISK_FULL, DiskFullError
from loadtests.stop import Stop
from loadtests.targets import address_of
from loadtests.watch import INTERRUPT, Interrupts, View, watch

if TYPE_CHECKING:
    from pathlib import Path

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


# Before the first request.


def reach(profile: Profile) -> None:
    """
    See whether anything listens where the profile points, or its proxy: one TCP connection, no request.

    Raises:
        RunError: The name has no address, or nothing listens.
    """
    proxy = profile.proxy
    what, option = (
        (profile.base_url, "--base-url")
        if proxy is None
        else (f"the proxy {proxy}", f"--proxy (or {proxies.VARIABLES})")
    )
    try:
        where = address_of(profile) if proxy is None else proxies.host_and_port(proxy)
        socket.create_connection(where, timeout=profile.timeouts.connect).close()
    except (OSError, UnicodeError) as error:
        failure = of_exception(error, connecting=True)
        raise RunError(
            f"nothing reached at {what} ({failure.kind}: {failure.text}); is the server up, and is {option} right?"
        ) from None


# The run.


def execute(setup: Setup, view: View, interrupts: Interrupts) -> Result:
    """
    Do a run: from an empty directory to finished files, whatever happens in between.

    Raises:
        RunError: It cannot begin.
        StoppedError: Somebody stopped it before its first request.
    """
    guard([secret for profile in setup.profiles for secret in profile.secrets(os.environ)])
    for profile in setup.profiles:
        profile.api_key(os.environ)  # a missing key is said at once
        if not profile.embedded:
            reach(profile)
    path = create(setup)
    with ExitStack() as stack:
        fleet = _start(setup, path, stack, interrupts)
        try:
            watch(fleet, view, interrupts)
        finally:
            stack.close()
            result = _conclude(path, fleet, interrupts)
    return result


def _start(setup: Setup, path: Path, stack: ExitStack, interrupts: Interrupts) -> Fleet:
    """Provider, manifest, workers, and the moment of the start; where that fails, nothing is left behind."""
    try:
        profiles = [_provider(setup, place, path, stack) for place in range(len(setup.profiles))]
        about = describe(setup, path, profiles)
        manifest.write(path, about)
        fleet = Fleet(path, path / record.PARTS, setup.plan.workers)
        stack.callback(fleet.close)
        fleet.wait_ready(lambda: interrupts.count > 0)
        interrupts.check()
        fleet.zero_ns = clock.monotonic_ns() + START_NS
        manifest.write(path, about | {"started_unix_ns": fleet.zero_ns + clock.measure_offset().offset_ns})
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
        finished = finish(path, stop={"reason": cut.word, "text": cut.text} if cut else None)
    except DiskFullError as error:
        safe = f"what was recorded is safe in {path / record.PARTS}"
        stop = Stop("disk_full", f"{error.strerror}; {safe}: make room, then `firsttoken repair {path}`")
    return Result(path, finished, stop, answered, ok, issued)


def _why(fleet: Fleet, interrupts: Interrupts) -> Stop | None:
    """Why the run ended before its plan did; None where it didn't."""
    stop, dead = fleet.stopping(), fleet.dead()
    if stop is not None and stop.word not in ("interrupt", "worker_lost"):
        return stop
    if interrupts.count and dead:
        text = "stopped by Ctrl-C; workers that did not end were killed, what they had written is kept"
        return Stop("interrupt", text)
    return fleet.lost() or (INTERRUPT if interrupts.count else None)
