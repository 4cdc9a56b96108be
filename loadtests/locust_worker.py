"""
A Locust worker's part of a run: `locust --worker`, or one of `--processes`.

Locust's master says how many users there are here; everything else comes over a connection of our own. An agent beside
this process speaks with the master's hub and ships the rows, as for `firsttoken worker`.
"""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
import gevent.event

from loadtests import child, fit, manifest, orders
from loadtests.dispatch import offer
from loadtests.engine import Engine
from loadtests.guard import guard, masked
from loadtests.link.pipe import Pipe
from loadtests.live import Tally
from loadtests.locust_tab import Answers, answered_of
from loadtests.plan import Plan
from loadtests.profiles import Profile
from loadtests.record import PARTS
from loadtests.sink import DiskFullError
from loadtests.stop import Stop
from loadtests.users import ChatUser, deliver_to, fire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from locust.env import Environment

    from loadtests.record import Record

logger = logging.getLogger("firsttoken")
STATUS_S: Final = 0.5
TOLD: Final = "firsttoken"
"""Key of what a worker's report to Locust's master says for the web UI's tab."""


class LocustWorker:
    """Locust's test events on a worker: the master decides, here it is done."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        runner: Any = environment.runner
        command = child.command(
            "loadtests.agent", runner.master_host, str(runner.master_port + 1),
            environment.parsed_options.out, runner.client_id,  # type: ignore[union-attr]
        )  # fmt: skip
        self._agent = subprocess.Popen(  # noqa: S603 - our own module
            command, env=child.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._agent.stdin is not None
        assert self._agent.stdout is not None
        self._pipe = Pipe(self._agent.stdout.fileno(), self._agent.stdin.fileno())
        self._engine: Engine | None = None
        self._tally = Tally()
        self._answers = Answers()
        self._done = gevent.event.Event()
        self._done.set()
        gevent.spawn(self._listen)

    # Locust's events.

    def on_stopping(self, **_: Any) -> None:
        """The users here are about to be stopped: offer no more."""
        if self._engine is not None:
            self._engine.exhausted()

    def on_quitting(self, **_: Any) -> None:
        """Let what is in flight finish; the agent delivers what is left, also after this process."""
        if self._engine is not None:
            self._engine.exhausted()
        self._done.wait((self.environment.stop_timeout or 0) + 1)

    def on_report(self, data: dict[str, Any], **_: Any) -> None:
        """What Locust tells its master every few seconds: the tab's answers with it."""
        data[TOLD] = self._answers.drained()

    # The master's commands.

    def _listen(self) -> None:
        while (command := self._pipe.hear()) is not None:
            if command.get("do") == "prepare":
                self._done.wait()
                self._prepare(Path(command["path"]), command["worker"])
            elif self._engine is not None:
                began = self._engine.began
                orders.obey(self._engine, command)
                if self._engine.began and not began:
                    gevent.spawn(self._serve, self._engine)
        if self._engine is not None:
            self._engine.stop(Stop("orphaned", "the agent beside this worker is gone"))

    def _prepare(self, path: Path, number: int) -> None:
        """Make the engine of a run; where that can't be, the master hears that this worker has gone."""
        about = manifest.read(path)
        profiles = [Profile.model_validate(side["profile"]) for side in manifest.arms(about)]
        guard([secret for profile in profiles for secret in profile.secrets(os.environ)])
        plan = Plan.from_manifest(about)
        try:
            fit.check(plan, profiles, os.environ, path / PARTS)
        except fit.MISTAKES as error:
            logger.error("%s", masked(str(error)))  # noqa: TRY400 - a user's mistake has no traceback
            self._pipe.tell("failed", text=masked(str(error)))
            return
        self._tally, self._answers = Tally(), Answers()
        self._engine = engine = Engine(
            plan, profiles, path / PARTS, worker=number, environ=os.environ, on_record=self._on_record
        )
        engine.places.open_ended = engine.plan.shape is not None or bool(engine.plan.stages)
        engine.on_news = self._say
        engine.course.on_reached = lambda slot: self._pipe.tell("reached", worker=number, slot=slot)
        self._done.clear()
        self.environment.firsttoken = engine  # type: ignore[attr-defined]
        self._pipe.tell("ready", worker=number)

    def _serve(self, engine: Engine) -> None:
        """Offer this worker's share until it is over, or Locust stops it; then end."""
        reporter = gevent.spawn(self._report)
        if engine.plan.mode == "open":
            offer(engine, deliver_to(self._users(engine)))
        while engine.offering:
            gevent.sleep(0.1)
        if not engine.wait(self.environment.stop_timeout or 0):
            engine.cancel("run_end")
            engine.wait(1.0)
        reporter.kill()
        self._end(engine)

    def _users(self, engine: Engine) -> Callable[[], Sequence[ChatUser]]:
        """Who sends an open loop's arrivals: Locust's users here; where it has put none here, one of our own."""
        present: list[ChatUser] = []

        def users() -> Sequence[ChatUser]:
            if not present:
                kinds = [kind for kind in self.environment.user_classes if issubclass(kind, ChatUser)]
                present[:] = engine.places.users.values() or [kinds[0](self.environment)]
            return present

        return users

    def _end(self, engine: Engine) -> None:
        stop = engine.stopping
        try:
            engine.close()
        except DiskFullError as error:
            stop = Stop("disk_full", f"disk full: {len(engine.sink.rows)} rows of this worker found no room ({error})")
        self._say()
        self._engine = None
        self._pipe.tell("over", worker=engine.worker, stopping=stop and [*stop])
        self._pipe.drain()
        self._done.set()

    # What is said.

    def _on_record(self, record: Record) -> None:
        self._tally.add(record)
        if (told := answered_of(record)) is not None:
            self._answers.add(told)
        fire(self.environment, record)

    def _report(self) -> None:
        while True:
            self._say()
            gevent.sleep(STATUS_S)
            if self._engine is not None:
                orders.look(self._engine)

    def _say(self) -> None:
        if self._engine is not None:
            self._pipe.tell("status", **self._tally.status(self._engine))
