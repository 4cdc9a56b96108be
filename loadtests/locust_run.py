"""
A run that plain Locust starts and stops: the same engine, the same files, in Locust's own process.

Finishing (parquet, charts) happens in a process of its own after the test, so that nothing that compresses or draws
shares one with the timed path.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.event

from loadtests import clock, manifest
from loadtests.dispatch import offer
from loadtests.engine import Engine
from loadtests.live import Tally
from loadtests.locust_tab import tab_rows
from loadtests.mock import process as mock_process
from loadtests.record import PARTS
from loadtests.run import TRUTH, Setup, create, describe, reach
from loadtests.sink import DiskFullError
from loadtests.users import ChatUser, deliver_to, fire

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment

    from loadtests.locust_tab import Finished
    from loadtests.record import Record

logger = logging.getLogger("firsttoken")
KEPT: Final = 10_000
"""Good answers that the web UI's tab looks back on, at most."""

_HOME: Final = Path(__file__).resolve().parent.parent


class LocustRun:
    """
    Locust's test events as one run after another.

    Args:
        planned: Gives the profile and the plan for a number of users.

    Attributes:
        finished: The latest good answers of the run at hand.
    """

    def __init__(self, environment: Environment, planned: Callable[[Environment, int], tuple[Any, Any]]) -> None:
        self.environment = environment
        self._planned = planned
        self._engine: Engine | None = None
        self._path: Path | None = None
        self._mock: Any = None
        self._tally = Tally()
        self.finished: deque[Finished] = deque(maxlen=KEPT)
        self._code: int | None = None
        self._done = gevent.event.Event()
        self._done.set()

    def tab(self) -> list[dict[str, Any]]:
        """The rows of the web UI's tab."""
        return tab_rows(list(self.finished))

    # Locust's events.

    def on_start(self, **_: Any) -> None:
        """A test starts: make the run directory and begin; in open loop, start the schedule."""
        runner: Any = self.environment.runner
        try:
            profile, plan = self._planned(self.environment, runner.target_user_count or 1)
            if not profile.embedded:
                reach(profile)
            setup = Setup(plan, profile, Path(self.environment.parsed_options.out), profile.name, sys.argv)  # type: ignore[union-attr]
            self._begin(setup)
        except (ValueError, OSError) as error:
            logger.error("%s", error)  # noqa: TRY400 - a user's mistake has no traceback
            self._code = 2
            runner.quit()

    def on_stopping(self, **_: Any) -> None:
        """The test is about to stop: offer no more, before Locust stops its users."""
        if self._engine is not None:
            self._engine.exhausted()

    def on_stop(self, **_: Any) -> None:
        """The users are stopped: let the rest of what is in flight finish, then finish the run."""
        engine, self._engine = self._engine, None
        if engine is None or self._path is None:
            return
        if not engine.wait(self.environment.stop_timeout or 0):
            engine.cancel("run_end")
            engine.wait(1.0)
        self._shorten(engine)
        try:
            engine.close()
        except DiskFullError as error:
            text = f"disk full: {error}; make room and run `firsttoken repair {self._path}`"
            logger.error("%s", text)  # noqa: TRY400 - the same
        if self._mock is not None:
            self._mock.stop()
            self._mock = None
        self._finish(self._path)
        self._done.set()

    def on_quitting(self, **_: Any) -> None:
        """Locust computes its exit code right after this: stop first, and say our own."""
        runner: Any = self.environment.runner
        if self._engine is not None:
            runner.stop()
        self._done.wait()  # a stop in another greenlet may still be finishing the run
        if self.environment.process_exit_code is None and self._code is not None:
            self.environment.process_exit_code = self._code

    # The run.

    def _begin(self, setup: Setup) -> None:
        path = create(setup)
        profile = setup.profile
        if profile.embedded:
            self._mock = mock_process.start(["--seed", str(setup.plan.seed)], path / TRUTH)
            profile = profile.with_overrides(base_url=self._mock.base_url)
        about = describe(setup, path, profile)
        self._tally = Tally()
        self.finished.clear()
        engine = Engine(setup.plan, profile, path / PARTS, worker=0, environ=os.environ, on_record=self._on_record)
        zero_ns = clock.monotonic_ns()
        about["started_unix_ns"] = zero_ns + clock.measure_offset().offset_ns
        manifest.write(path, about)
        engine.begin(zero_ns)
        self._done.clear()
        self._engine, self._path = engine, path
        self.environment.firsttoken = engine  # type: ignore[attr-defined]
        if setup.plan.mode == "open":
            gevent.spawn(self._offer, engine)
        else:
            gevent.spawn(self._watch, engine)

    def _offer(self, engine: Engine) -> None:
        """Open loop; when the schedule is over, so is the test."""
        while not engine.users and not engine.stopping:
            gevent.sleep(0.01)
        offer(engine, deliver_to(lambda: [user for user in engine.users.values() if isinstance(user, ChatUser)]))
        engine.wait()
        self._watch(engine)

    def _watch(self, engine: Engine) -> None:
        """Stop Locust when the engine offers no more of itself: refused, disk full, or the schedule is over."""
        while engine is self._engine and engine.offering:
            gevent.sleep(0.2)
        if engine is self._engine:
            if engine.stopping:
                logger.error("%s", engine.stopping)
                self._code = 2 if engine.stopping.startswith("refused") and not self._tally.ok else 3
            runner: Any = self.environment.runner
            headless = self.environment.web_ui is None
            gevent.spawn(runner.quit if headless else runner.stop)

    def _on_record(self, record: Record) -> None:
        self._tally.add(record)
        if record.outcome == "ok" and record.end_ns is not None and record.sent_ns is not None:
            ttft = None if record.first_token_ns is None else (record.first_token_ns - record.scheduled_ns) / 1e6
            took_s = ((record.last_token_ns or record.end_ns) - record.sent_ns) / 1e9
            self.finished.append((record.workload, (record.output_tokens or 0) / max(took_s, 1e-9), ttft))
        fire(self.environment, record)

    def _shorten(self, engine: Engine) -> None:
        """A test that was stopped by hand had no longer schedule than that: what would have come is not missing."""
        assert self._path is not None
        passed_s = engine.receiver.now_ns() / 1e9
        plan = engine.plan
        if not engine.stopping and plan.mode == "open" and (plan.duration_s is None or plan.duration_s > passed_s):
            about = manifest.read(self._path)
            last_s = engine.last_due_ns / 1e9
            plan = replace(plan, duration_s=last_s + 1e-9)
            about |= {"plan": plan.to_json(), "planned": len(plan.open_schedule())}
            manifest.write(self._path, about)

    def _finish(self, path: Path) -> None:
        """Make the run's files in other processes, print the summary; a run that is not valid is exit code 3."""
        paths = os.pathsep.join(filter(None, (str(_HOME), os.environ.get("PYTHONPATH"))))
        code = 0
        for verb in ("repair", "report", "summary"):
            done = subprocess.run(  # noqa: S603 - our own module
                [sys.executable, "-P", "-m", "loadtests.cli", verb, str(path)],
                env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            code = code or done.returncode
            if verb == "summary":
                sys.stdout.write(done.stdout)
            elif verb == "report" or done.returncode:
                logger.info("%s", (done.stdout or done.stderr).strip())
        self._code = self._code or code
