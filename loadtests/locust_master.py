"""
A run whose load Locust's workers make: `locust --master`, or `--processes`.

Locust spreads the users and says when to start and stop; the plan, the schedule's map, the budget and the rows go over
a connection of our own, on the port behind Locust's.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.event
from locust.runners import STATE_SPAWNING

from loadtests import clock, manifest
from loadtests.fleet import Fleet, FleetError, total
from loadtests.fleet.passing import Passing
from loadtests.guard import masked
from loadtests.locust_end import finished, shorten, why_ended
from loadtests.locust_tab import Tab
from loadtests.locust_worker import TOLD
from loadtests.mock import process as mock_process
from loadtests.record import PARTS
from loadtests.run import TRUTH, hub_of
from loadtests.rundir import Setup, create, describe, note, point_latest
from loadtests.targets import reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from locust.env import Environment

    from loadtests.fleet.hub import Hub

logger = logging.getLogger("firsttoken")
TICK_S: Final = 0.05
SPAWN_NS: Final = 1_000_000_000
"""What Locust's workers need to have their users, which would otherwise make the first requests late."""

JOIN_S: Final = 30.0
"""How long Locust's workers may take to be ready for a run of ours."""


@dataclass(slots=True)
class Test:
    """One test of Locust's, as a run over its workers."""

    setup: Setup
    path: Path
    fleet: Fleet
    mock: Any
    cut: bool = False


class LocustMaster:
    """
    Locust's test events on a master, as runs, one at a time.

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

    def on_report(self, data: dict[str, Any], **_: Any) -> None:
        """What a worker tells every few seconds."""
        self.tab.answers.take(data.pop(TOLD, {}))

    def on_start(self, **_: Any) -> None:
        """A test starts: make the run directory, have the workers ready, and agree on the moment of the start."""
        runner: Any = self.environment.runner
        runner.update_state(STATE_SPAWNING)  # Locust does so only afterwards; its page would ask for the next test
        self._done.wait()
        try:
            profile, plan = self._planned(self.environment, runner.target_user_count or 1)
            if not profile.embedded:
                reach(profile)
            out = Path(self.environment.parsed_options.out)  # type: ignore[union-attr]
            plan = replace(plan, workers=max(1, runner.worker_count))
            self._begin(Setup(plan, [profile], out, profile.name, [masked(word) for word in sys.argv]))
        except (ValueError, OSError, FleetError, mock_process.MockError) as error:
            logger.error("%s", error)  # noqa: TRY400 - a user's mistake has no traceback
            self._code = 2
            self.tab.refuse(masked(str(error)))
            gevent.spawn(runner.quit if self.environment.web_ui is None else runner.stop)

    def on_stopping(self, **_: Any) -> None:
        """Locust is about to stop its workers; where it quits, it tells them only after the run is finished."""
        if self._test is not None:
            self._test.cut = not self._test.fleet.done
            self._test.fleet.end()

    def on_stop(self, **_: Any) -> None:
        """Its workers have stopped: have their last rows, then finish the run."""
        test, self._test = self._test, None
        if test is not None:
            self.tab.finishing()
            gevent.spawn(self._end, test).link(lambda _: self._done.set())
            self._done.wait()

    def on_quitting(self, **_: Any) -> None:
        """Locust computes its exit code right after this: stop first, and say our own."""
        runner: Any = self.environment.runner
        if self._test is not None:
            runner.stop()
        self._done.wait()
        if self.environment.process_exit_code is None and self._code is not None:
            self.environment.process_exit_code = self._code

    # The run.

    def _begin(self, setup: Setup) -> None:
        profile, mock = setup.profile, None
        profile.api_key(os.environ)
        path = create(setup)
        fleet = None
        try:
            if profile.embedded:
                mock = mock_process.start(["--seed", str(setup.plan.seed)], path / TRUTH)
                profile = profile.with_overrides(base_url=mock.base_url)
            about = describe(setup, path, [profile])
            manifest.write(path, about)
            fleet = Fleet(setup.plan, path / PARTS, self._hub(setup, path, about))
            self._ready(fleet)
        except BaseException:
            if fleet is not None:
                fleet.close()
            if mock is not None:
                mock.stop()
            shutil.rmtree(path, ignore_errors=True)
            raise
        fleet.zero_ns = clock.monotonic_ns() + fleet.lead_ns() + SPAWN_NS
        about |= {"started_unix_ns": fleet.zero_ns + clock.measure_offset().offset_ns}
        manifest.write(path, about | fleet.to_json())
        fleet.on_change = lambda: note(path, fleet.to_json())
        point_latest(setup.out, path.name)
        self.tab.begin(path)
        self._done.clear()
        self._test = test = Test(setup, path, fleet, mock)
        fleet.start()
        gevent.spawn(self._watch, test)

    def _hub(self, setup: Setup, path: Path, about: dict[str, Any]) -> Hub:
        """Where the workers' agents join: on the port behind Locust's."""
        options: Any = self.environment.parsed_options
        hub = hub_of(setup.plan, path, about, (options.master_bind_host, options.master_bind_port + 1))
        hub.stay(lambda: JOIN_S)
        return hub

    @staticmethod
    def _ready(fleet: Fleet) -> None:
        """Have all workers ready; Locust's own greenlets go on meanwhile."""
        until_ns = clock.monotonic_ns() + int(JOIN_S * 1e9)
        while not fleet.ready():
            fleet.listen(0)
            gevent.sleep(TICK_S)
            if clock.monotonic_ns() > until_ns:
                raise FleetError(f"Locust's workers were not ready for a run within {JOIN_S:g} s; is the port behind"
                                 " Locust's reachable, and firsttoken of the same version there?")  # fmt: skip

    def _watch(self, test: Test) -> None:
        """Pass on what one worker says and all must know; stop Locust once all is over."""
        fleet, passing = test.fleet, Passing(test.fleet)
        while test is self._test and not fleet.done:
            self._look(fleet)
            passing.look()
            gevent.sleep(TICK_S)
        if test is not self._test:
            return
        if why := fleet.stopping() or fleet.why_lost():
            logger.error("%s", why.text)
            self._code = 2 if why.word == "refused" and not total(fleet.members, "ok") else 3
        runner: Any = self.environment.runner
        gevent.spawn(runner.quit if self.environment.web_ui is None else runner.stop)

    def _look(self, fleet: Fleet) -> None:
        """Hear what the workers say, and tell the tab."""
        fleet.listen(0)
        self.tab.seconds.tick(fleet.elapsed_s(), [member.status for member in fleet.members])

    def _end(self, test: Test) -> None:
        fleet = test.fleet
        while not fleet.done:
            self._look(fleet)
            gevent.sleep(TICK_S)
        fleet.close()
        if test.mock is not None:
            test.mock.stop()
        note(test.path, fleet.to_json())
        stopping = fleet.stopping() or fleet.why_lost()
        if stopping is None:
            shorten(test.path, max((one.status.get("last_due_ns", -1) for one in fleet.members), default=-1))
        code = finished(test.path, why_ended(stopping, test.setup.plan, cut=test.cut))
        self._code = self._code or (3 if stopping is not None else code)
        self.tab.end(test.path)
