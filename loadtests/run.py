"""
A run from start to manifest, in the parent process: directory, provider, workers, the end, the files.

The parent offers no load itself. It makes the run directory and the manifest, starts the embedded provider where the
profile is one, starts the workers, watches over them, and finishes the run from their parts.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from loadtests import clock, manifest, record
from loadtests.errors import of_exception
from loadtests.finish import Finished, finish
from loadtests.fleet import Fleet, FleetError, total
from loadtests.mock import process as mock_process

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from loadtests.plan import Plan
    from loadtests.profiles import Profile

LEAD_NS: Final = 50_000_000
"""Between the start command and the run's zero, so that every worker has heard it."""

GRACE_S: Final = 5.0
"""How long requests in flight may go on after a stop that somebody asked for."""

TRUTH: Final = "mock.truth"
"""The embedded provider's own log, beside the run's files."""


class RunError(ValueError):
    """A run that cannot begin: one line with what, where and the fix."""


class View(Protocol):
    """Who is shown how a run goes."""

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """A few times a second."""

    def say(self, text: str) -> None:
        """One line for people."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that a run is made from."""

    plan: Plan
    profile: Profile
    out: Path
    name: str
    argv: list[str]
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """
    How a run ended.

    Attributes:
        stop: Why it ended before its plan did: "" | "interrupt" | "refused" | "disk_full" | "worker_lost".
        text: The same in words.
        answered: Requests that got at least one byte of an answer.
        ok: Requests that ended well.
    """

    path: Path
    finished: Finished | None
    stop: str
    text: str
    answered: int
    ok: int
    issued: int


# The run directory.


def create(setup: Setup) -> Path:
    """
    Make `<out>/<UTC stamp>-<name>[-<n>]/` with its manifest, and point `latest` to it.

    Raises:
        RunError: The directory cannot be made.
    """
    stem = f"{clock.utc_stamp()}-{setup.name}"
    try:
        setup.out.mkdir(parents=True, exist_ok=True)
        for n in range(1, 1000):
            path = setup.out / (stem if n == 1 else f"{stem}-{n}")
            try:
                path.mkdir()
            except FileExistsError:
                continue
            (path / record.PARTS).mkdir()
            _point_latest(setup.out, path.name)
            return path
    except OSError as error:
        raise RunError(f"--out {setup.out}: {error.strerror or error}; name a directory that can be written") from None
    raise RunError(f"--out {setup.out}: a thousand runs called {stem}")


def _point_latest(out: Path, name: str) -> None:
    """Point `latest` to the newest run; a real file or directory of that name is left alone."""
    link = out / "latest"
    if link.is_symlink() or not link.exists():
        partial = out / f".latest-{os.getpid()}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(name)
        partial.replace(link)


def describe(setup: Setup, path: Path, profile: Profile) -> dict[str, Any]:
    """The manifest of a run that is about to begin."""
    plan = setup.plan
    source = plan.source()
    hashes = {"workload": source.digest(0), "prompts": source.digest(64)}
    planned = None
    if plan.mode == "open":
        schedule = plan.open_schedule()
        hashes["schedule"], planned = schedule.digest(), len(schedule)
    return {
        "schema_version": record.SCHEMA_VERSION,
        "run_id": path.name,
        "campaign_id": None,
        "name": setup.name,
        "argv": setup.argv,
        "labels": setup.labels,
        "seed": plan.seed,
        "started_unix_ns": None,
        "model": plan.model,
        "profile": profile.model_dump(mode="json"),
        "plan": plan.to_json(),
        "planned": planned,
        "hashes": hashes,
        "host": manifest.host(),
        "versions": manifest.versions(),
        "limits": manifest.limits(),
        "headroom": None,
        "ended": False,
        "stop": None,
    }


# Before the first request.


def reach(profile: Profile) -> None:
    """
    See whether anything listens where the profile points: one TCP connection, no request.

    Raises:
        RunError: The name has no address, or nothing listens.
    """
    from httpx import URL  # noqa: PLC0415 - the workers build the requests; here only a host and a port are wanted

    url = URL(profile.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.host, port), timeout=profile.timeouts.connect).close()
    except OSError as error:
        failure = of_exception(error, connecting=True)
        raise RunError(
            f"nothing reached at {profile.base_url} ({failure.kind}: {failure.text}); is the server up, and is "
            f"--base-url right?"
        ) from None


# The run.


class Interrupts:
    """Counts Ctrl-C (and a TERM), instead of raising in the middle of things."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def execute(setup: Setup, view: View, interrupts: Interrupts) -> Result:
    """
    Do a run: from an empty directory to finished files.

    Raises:
        RunError: It cannot begin.
    """
    profile = setup.profile
    profile.api_key(os.environ)  # a missing key is said before anything is made
    if not profile.embedded:
        reach(profile)
    path = create(setup)
    with ExitStack() as stack:
        if profile.embedded:
            mock = mock_process.start(["--seed", str(setup.plan.seed)], path / TRUTH)
            stack.callback(mock.stop)
            profile = profile.with_overrides(base_url=mock.base_url)
        about = describe(setup, path, profile)
        manifest.write(path, about)
        fleet = Fleet(path, path / record.PARTS, setup.plan.workers)
        stack.callback(fleet.close)
        try:
            fleet.wait_ready()
        except FleetError as error:
            shutil.rmtree(path)  # nothing was sent, nothing is in it
            raise RunError(f"the run cannot begin: {error}") from None
        zero_ns = clock.monotonic_ns() + LEAD_NS
        about["started_unix_ns"] = zero_ns + clock.measure_offset().offset_ns
        manifest.write(path, about)
        fleet.start(zero_ns)
        _watch(fleet, zero_ns, view, interrupts)
    return _conclude(path, fleet, interrupts)


def _watch(fleet: Fleet, zero_ns: int, view: View, interrupts: Interrupts) -> None:
    """Show the run and pass on what stops it, until every worker is over."""
    told = ""
    heard = 0
    cancel_at: int | None = None
    while not fleet.done:
        fleet.listen(0.1)
        now = clock.monotonic_ns()
        view.update(fleet, max(0.0, (now - zero_ns) / 1e9))
        reason = fleet.stopping()
        if reason and not told:
            told = reason
            fleet.stop(reason)
        if interrupts.count > heard:
            heard = interrupts.count
            if heard == 1:
                view.say(f"stopping: requests in flight have {GRACE_S:g} s; Ctrl-C again to cancel them")
                fleet.stop("interrupt")
                cancel_at = now + int(GRACE_S * 1e9)
            else:
                cancel_at = now
        if cancel_at is not None and now >= cancel_at:
            fleet.cancel("user_cancel")
            cancel_at = None
    fleet.listen(0)
    view.update(fleet, max(0.0, (clock.monotonic_ns() - zero_ns) / 1e9))


def _conclude(path: Path, fleet: Fleet, interrupts: Interrupts) -> Result:
    stop, text = _why(fleet, interrupts)
    answered, ok, issued = (total(fleet.members, key) for key in ("answered", "ok", "issued"))
    finished: Finished | None = None
    try:
        finished = finish(path, stop={"reason": stop, "text": text} if stop else None)
    except OSError as error:
        safe = f"what was recorded is safe in {path / record.PARTS}"
        stop, text = "disk_full", f"{error.strerror}; {safe}: make room, then `firsttoken repair {path}`"
    return Result(path, finished, stop, text, answered, ok, issued)


def _why(fleet: Fleet, interrupts: Interrupts) -> tuple[str, str]:
    """Why the run ended before its plan did: a word and a line; empty where it didn't."""
    reason = fleet.stopping()
    if reason.startswith("refused: "):
        return "refused", reason.removeprefix("refused: ")
    if reason.startswith("disk full"):
        return "disk_full", reason
    if dead := fleet.dead():
        who = ", ".join(str(member.number) for member in dead)
        return "worker_lost", f"worker {who} ended unasked: {dead[0].last_words() or 'it said nothing'}"
    if interrupts.count:
        return "interrupt", "stopped by Ctrl-C; what was recorded is kept"
    return "", ""
