"""
A load-making process: `python -m loadtests.worker RUN_DIR NUMBER`.

It reads its plan from the manifest, offers its shard of the load with Locust's local runner, and speaks with its parent
(the master, or the agent of another machine) in lines of JSON: statuses out, commands in, which `orders` obeys. It
never draws, compresses, ships or judges. When the parent is gone (its pipe is closed) it lets what is in flight finish
and keeps its parts.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, Final

import gevent
from locust.env import Environment

from loadtests import fit, manifest, orders
from loadtests.dispatch import drive, offer
from loadtests.engine import Engine
from loadtests.guard import guard, masked
from loadtests.link.pipe import Pipe
from loadtests.live import Tally
from loadtests.plan import Plan
from loadtests.profiles import Profile
from loadtests.record import PARTS
from loadtests.sink import DiskFullError
from loadtests.stop import Stop
from loadtests.users import MixedUser, deliver_to

STATUS_S: Final = 0.5
ORPHAN_GRACE_S: Final = 30.0
PATIENCE_S: Final = 3600
"""How long Locust waits for users that it has asked to stop: each is to finish what it has begun."""


class Worker:
    """The engine under Locust's local runner, at the end of a link."""

    def __init__(self, run_dir: Path, number: int, link: Pipe) -> None:
        facts = manifest.read(run_dir)
        self.plan = Plan.from_manifest(facts)
        profiles = [Profile.model_validate(side["profile"]) for side in manifest.arms(facts)]
        guard([secret for profile in profiles for secret in profile.secrets(os.environ)])
        if "worker" in facts:  # on another machine than its master
            fit.check(self.plan, profiles, os.environ, run_dir / PARTS)
        self.link = link
        self.tally = Tally(self.plan.live_limits)
        self.environment = Environment(user_classes=[MixedUser], stop_timeout=PATIENCE_S)
        self.runner: Any = self.environment.create_local_runner()
        self.engine = Engine(
            self.plan, profiles, run_dir / PARTS, worker=number, environ=os.environ, on_record=self.tally.add
        )
        self.engine.on_news = self._say
        self.engine.course.on_reached = self._reached
        self.environment.firsttoken = self.engine  # type: ignore[attr-defined]

    def run(self) -> int:
        """Wait for the start, offer the load, end; the exit code is 0 unless rows found no room."""
        self.link.tell("ready", worker=self.engine.worker)
        while not self.engine.began:
            command = self.link.hear()
            if command is None or command.get("do") in ("stop", "end", "cancel"):
                self.engine.close()
                return 0
            orders.obey(self.engine, command)
        watchers = [gevent.spawn(self._listen), gevent.spawn(self._report)]
        self._offer()
        self.engine.wait()
        gevent.killall(watchers)
        self.runner.stop()
        return self._end()

    def _offer(self) -> None:
        if self.plan.mode == "closed":
            gevent.spawn(drive, self.engine, self._have)
            return
        self.runner.start(1, spawn_rate=1)  # before the start: the first requests are made in the meantime
        while self.engine.offering and not self.engine.places.users:
            gevent.sleep(0.001)
        present = list(self.engine.places.users.values())
        gevent.spawn(offer, self.engine, deliver_to(lambda: present))

    def _have(self, users: int) -> None:
        """Closed loop: have so many users from now on, all at once; those who go, too."""
        self.runner.start(users, spawn_rate=max(1, users, len(self.engine.places.mine())))

    def _reached(self, number: int) -> None:
        self.link.tell("reached", worker=self.engine.worker, slot=number)

    def _end(self) -> int:
        full = None
        try:
            self.engine.close()
        except DiskFullError as error:
            lost = len(self.engine.sink.rows)
            full = Stop("disk_full", f"disk full: {lost} rows of this worker found no room ({error})")
        self.link.tell("status", **self.tally.status(self.engine))
        stop = full or self.engine.stopping
        self.link.tell("over", worker=self.engine.worker, stopping=stop and [*stop])
        self.link.drain()
        return 3 if full else 0

    def _report(self) -> None:
        while True:
            self._say()
            gevent.sleep(STATUS_S)
            orders.look(self.engine)

    def _say(self) -> None:
        self.link.tell("status", **self.tally.status(self.engine))

    def _listen(self) -> None:
        while True:
            command = self.link.hear()
            if command is None:
                self.engine.stop(Stop("orphaned", "the run's parent process is gone"))
                gevent.spawn_later(ORPHAN_GRACE_S, self.engine.cancel, "run_end")
                return
            orders.obey(self.engine, command)


class WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas at its first conversion, if it is there: half a second and 60 MB that no worker needs."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Say that it is not there."""
        if fullname == "pandas":
            raise ModuleNotFoundError("a worker does without pandas", name=fullname)


def main() -> int:
    """Entry of the process."""
    sys.meta_path.insert(0, WithoutPandas())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection in flight is a descriptor
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it says stop, then cancel
    logging.getLogger("locust").setLevel(logging.ERROR)
    link = Pipe(sys.stdin.fileno(), os.dup(sys.stdout.fileno()))
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints must not break the line format
    try:
        worker = Worker(Path(sys.argv[1]), int(sys.argv[2]), link)
    except DiskFullError as error:
        sys.stderr.write(f"disk full: {error.strerror}\n")
        return 3
    except fit.MISTAKES as error:
        link.tell("failed", text=" ".join(masked(str(error)).split()))
        link.drain()
        return 2
    return worker.run()


if __name__ == "__main__":
    sys.exit(main())
