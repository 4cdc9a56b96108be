"""
A run that plain Locust starts and stops: the same engine, the same files, in Locust's own process.

Finishing (parquet, charts) happens in a process of its own after the test, so that nothing that compresses or draws
shares one with the timed path.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.event
from locust.runners import STATE_SPAWNING

from loadtests import clock, manifest
from loadtests.dispatch import offer
from loadtests.engine import Engine
from loadtests.guard import masked
from loadtests.live import Tally
from loadtests.locust_end import finished, shorten, why_ended
from loadtests.locust_tab import Tab, answered_of
from loadtests.mock import process as mock_process
from loadtests.record import PARTS
from loadtests.run import TRUTH
from loadtests.rundir import Setup, create, describe, point_latest
from loadtests.sink import DiskFullError
from loadtests.targets import reach
from loadtests.users import ChatUser, deliver_to, fire

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment

    from loadtests.record import Record

logger = logging.getLogger("firsttoken")
LOOK_S: Final = 1.0
"""How often the web UI's tab is told how the test goes."""

WAIT_S: Final = 0.1


@dataclass(slots=True)
class Test:
    """
    One test of Locust's, as a run: its engine, its directory, and the provider started for it.

    Attributes:
        stops: Locust is stopping it.
        cut: That was before all had been offered.
        looker: The greenlet that tells the web UI's tab how it goes; None without one.
    """

    engine: Engine
    path: Path
    mock: Any
    tally: Tally
    stops: bool = False
    cut: bool = False
    looker: Any = None


class LocustRun:
    """
    Locust's test events as runs, one at a time: a test that is started while the last run is being finished waits.

    Args:
        planned: Gives the profile and the plan for a number of users.

    Attributes:
        tab: What the web UI shows of the run at hand.
    """

    def __init__(self, environment: Environment, planned: Callable[[Environment, int], tuple[Any, Any]]) -> None:
        self.environment = environment
        self._planned = planned
        self._test: Test | None = None
        self.tab = Tab()
        self._code: int | None = None
        self._done = gevent.event.Event()
        self._done.set()

    # Locust's events.

    def on_start(self, **_: Any) -> None:
        """A test starts: make the run directory and begin; in open loop, start the schedule."""
        runner: Any = self.environment.runner
        runner.update_state(STATE_SPAWNING)  # Locust does so only afterwards; its page would ask for the next test
        while not self._done.wait(WAIT_S):
            runner.update_state(
                STATE_SPAWNING
            )  # the last test's stop says that all has stopped; nobody could stop this
        try:
            profile, plan = self._planned(self.environment, runner.target_user_count or 1)
            if not profile.embedded:
                reach(profile)
            out = Path(self.environment.parsed_options.out)  # type: ignore[union-attr]
            self._begin(Setup(plan, [profile], out, profile.name, [masked(word) for word in sys.argv]))
        except (ValueError, OSError, mock_process.MockError) as error:
            logger.error("%s", error)  # noqa: TRY400 - a user's mistake has no traceback
            self._code = 2
            self.tab.refuse(masked(str(error)))
            gevent.spawn(runner.quit if self.environment.web_ui is None else runner.stop)

    def on_stopping(self, **_: Any) -> None:
        """The test is about to stop: offer no more, before Locust stops its users."""
        if self._test is not None and not self._test.stops:
            self._test.stops, self._test.cut = True, self._test.engine.offering
            self._test.engine.exhausted()

    def on_stop(self, **_: Any) -> None:
        """The users are stopped: let the rest of what is in flight finish, then finish the run."""
        test, self._test = self._test, None
        if test is not None:
            self.tab.finishing()
            # In a greenlet of its own: whoever quits kills that of a shape, which may be the one that stops here.
            gevent.spawn(self._end, test).link(lambda _: self._done.set())
            self._done.wait()

    def on_quitting(self, **_: Any) -> None:
        """Locust computes its exit code right after this: stop first, and say our own."""
        runner: Any = self.environment.runner
        if self._test is not None:
            runner.stop()
        self._done.wait()  # a stop in another greenlet may still be finishing the run
        if self.environment.process_exit_code is None and self._code is not None:
            self.environment.process_exit_code = self._code

    # The run.

    def _begin(self, setup: Setup) -> None:
        profile, mock = setup.profile, None
        profile.api_key(os.environ)  # a missing key is said before there is a directory
        path = create(setup)
        try:
            if profile.embedded:
                mock = mock_process.start(["--seed", str(setup.plan.seed)], path / TRUTH)
                profile = profile.with_overrides(base_url=mock.base_url)
            about = describe(setup, path, [profile])
            tally = Tally()
            engine = Engine(
                setup.plan, [profile], path / PARTS, worker=0, environ=os.environ,
                on_record=lambda record: self._on_record(tally, record),
            )  # fmt: skip
        except BaseException:
            if mock is not None:
                mock.stop()
            shutil.rmtree(path, ignore_errors=True)
            raise
        engine.course.on_reached = lambda number: engine.go(number + 1, engine.receiver.now_ns())
        engine.places.open_ended = self.environment.shape_class is not None
        zero_ns = clock.monotonic_ns()
        manifest.write(path, about | {"started_unix_ns": zero_ns + clock.measure_offset().offset_ns})
        point_latest(setup.out, path.name)
        self.tab.begin(path)
        self._done.clear()
        self._test = test = Test(engine, path, mock, tally)
        self.environment.firsttoken = engine  # type: ignore[attr-defined]
        engine.begin(zero_ns)
        if self.environment.web_ui is not None:
            test.looker = gevent.spawn(self._look, test)
        gevent.spawn(self._offer if setup.plan.mode == "open" else self._watch, test)

    def _offer(self, test: Test) -> None:
        """Open loop; when the schedule is over, so is the test."""
        engine = test.engine
        while engine.offering and not engine.places.users:
            gevent.sleep(0.01)
        present: list[ChatUser] = []

        def users() -> list[ChatUser]:
            if len(present) != len(engine.places.users) and engine.places.users:
                present[:] = engine.places.users.values()
            return present  # where Locust has none at the moment, those who were there

        offer(engine, deliver_to(users))
        engine.wait()
        self._watch(test)

    def _watch(self, test: Test) -> None:
        """Stop Locust when the engine offers no more of itself: refused, disk full, or the load has been offered."""
        while test is self._test and test.engine.offering:
            gevent.sleep(0.2)
        if test is not self._test:
            return
        if why := test.engine.stopping:
            logger.error("%s", why.text)
            self._code = 2 if why.word == "refused" and not test.tally.ok else 3
        if not test.stops:
            runner: Any = self.environment.runner
            gevent.spawn(runner.quit if self.environment.web_ui is None else runner.stop)

    def _look(self, test: Test) -> None:
        """Tell the tab once a second how the test goes, until it is over."""
        while True:
            gevent.sleep(LOOK_S)
            status = test.tally.status(test.engine)
            self.tab.seconds.tick(status["t_s"], [status])

    def _on_record(self, tally: Tally, record: Record) -> None:
        tally.add(record)
        if (told := answered_of(record)) is not None:
            self.tab.answers.add(told)
        fire(self.environment, record)

    # The end of it.

    def _end(self, test: Test) -> None:
        engine = test.engine
        if not engine.wait(self.environment.stop_timeout or 0):
            engine.cancel("run_end")
            engine.wait(1.0)
        if test.looker is not None:
            test.looker.kill()
        if not engine.stopping:
            shorten(test.path, engine.last_due_ns)
        try:
            engine.close()
        except DiskFullError as error:
            text = f"disk full: {error}; make room and run `firsttoken repair {test.path}`"
            logger.error("%s", text)  # noqa: TRY400 - the same
            self._code = 3
        finally:
            if test.mock is not None:
                test.mock.stop()
        code = finished(test.path, why_ended(engine.stopping, engine.plan, cut=test.cut))
        self._code = self._code or code
        self.tab.end(test.path)
