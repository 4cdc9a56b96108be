"""An agent from joining to leaving."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loadtests import clock, manifest
from loadtests.agent.connection import Connection
from loadtests.agent.place import Place, PlaceError, here
from loadtests.agent.purse import Purse
from loadtests.link.frames import SILENCE_S, greeting
from loadtests.shipping import Outbox
from loadtests.sink import ENDED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.agent.load import Load

JOIN_S: Final = 1.0
TICK_S: Final = 0.05
SHIP_S: Final = 0.2
DELIVER_S: Final = 30.0
"""How long an agent whose load is over tries to deliver what its silent master does not have."""

SLEPT_NS: Final = 100_000_000
BEFORE_S: Final = 120.0
"""How long a master may be silent before the start: it makes its schedule, or waits for others."""


class End(NamedTuple):
    """
    How an agent ended.

    Attributes:
        code: For the shell.
        text: For people; "" where there is nothing to say.
        again_s: For so long the master wants it to come back for another run; 0: not at all.
    """

    code: int
    text: str = ""
    again_s: float = 0.0


class Agent:
    """
    One worker's share of one run.

    Args:
        where: The master's host and port.
        out: Where its own run directory is made.
        make_load: Starts the load-making process on such a directory.
        stopped: Whether somebody has stopped it.
        say: Shows a line to people.
        order: Where among the others it is to stand, by the alphabet.
    """

    def __init__(
        self, where: tuple[str, int], out: Path, make_load: Callable[[Place], Load], stopped: Callable[[], int],
        say: Callable[[str], None],
        *,
        order: str = "",
    ) -> None:  # fmt: skip
        self._out, self._make_load, self._stopped, self._say = out, make_load, stopped, say
        self._where, self._order = where, order
        self.connection = Connection(where)
        self._place: Place | None = None
        self._load: Load | None = None
        self._outbox: Outbox | None = None
        self._purse: Purse | None = None
        self._join_ns = self._ship_ns = 0
        self._over = self._home = self._alone = self._dismissed = False
        self._again_s = 0.0
        self._told_stop = 0
        self._over_ns = 0
        self._slept_ns = clock.slept_ns()
        self._ended = self._failed = ""
        self._end: End | None = None

    def run(self, wait_s: float, *, returning: bool = False) -> End:
        """Join within this time, serve, leave; who has served a run before need not find another one."""
        until_ns = clock.monotonic_ns() + int(wait_s * 1e9)
        try:
            while self._end is None:
                self.connection.wait(TICK_S)
                for message, data in self.connection.take():
                    self._take(message, data)
                self._turn()
                if self._place is None and self._end is None:
                    self._end = self._joined_not(until_ns, returning=returning)
            return self._end
        finally:
            if self._load is not None:
                self._load.close()
            self.connection.close()

    def _joined_not(self, until_ns: int, *, returning: bool) -> End | None:
        """Still waiting; the end of it, where it took too long or somebody does not want to wait."""
        if self._stopped():
            return End(130, "stopped before a run began")
        if clock.monotonic_ns() > until_ns and returning:
            return End(0, "no other run has begun")
        if clock.monotonic_ns() > until_ns:
            host, port = self._where
            return End(2, f"no master at {host}:{port}; is `firsttoken run --expect-workers N` on, and the port open?")
        return None

    def _turn(self) -> None:
        """What is due: joining, beating, shipping, listening to the load, ending."""
        now_ns = clock.monotonic_ns()
        if self._place is None:
            if now_ns - self._join_ns >= JOIN_S * 1e9:
                self._join_ns = now_ns
                self.connection.send({"kind": "join", "order": self._order, **greeting(), **here()})
            return
        self.connection.ask_time()
        self._listen()
        if self.connection.beat() and self._load is not None and not self._over and self.connection.zero is not None:
            until_ns = self.connection.heard_ns + int(SILENCE_S * 1e9)
            self._load.tell({"do": "until", "at_ns": until_ns})
        if now_ns - self._ship_ns >= SHIP_S * 1e9 or self._over:
            self._ship(now_ns)
        if self._purse is not None:
            self._purse.look(now_ns)
        self._leave(now_ns)

    # What the master says.

    def _take(self, message: dict[str, Any], data: list[bytes]) -> None:
        kind = message["kind"]
        if kind == "prepare":
            self._prepare(message, data)
        elif kind == "refuse":
            self._end = End(2, message["text"])
        elif self._place is None:
            return
        elif kind == "ack":
            assert self._outbox is not None
            self._outbox.acknowledged(message["name"], message["size"], clock.monotonic_ns())
        elif kind == "beat":
            if message["gone"] and not self._over:
                self._abandon("the master has given this worker up")
        elif kind in ("grant", "recall"):
            assert self._purse is not None
            self._purse.hear(message)
        elif kind == "do":
            self._do(message["command"])
        elif kind in ("bye", "stranger"):
            self._bye(message.get("again_s", 0.0))

    def _prepare(self, message: dict[str, Any], data: list[bytes]) -> None:
        """The run's manifest and inputs: make a directory of them and start the load-making process on it."""
        if self._place is not None or len(message["inputs"]) != len(data):
            return
        about = message["manifest"]
        try:
            self._place = place = Place(self._out, about, dict(zip(message["inputs"], data, strict=True)))
        except PlaceError as error:
            self.connection.tell({"kind": "gone", "how": str(error)})
            self._end = End(2, str(error))
            return
        self.connection.heard_ns = clock.monotonic_ns()
        self._outbox = Outbox(place.parts)
        self._purse = Purse(place, self.connection.send)
        self._load = self._make_load(place)
        self.connection.also(self._load.fd)
        self._say(f"worker {place.number} of {about['run_id']}")
        asked = [side["profile"] for side in manifest.arms(about)]
        for name, url in dict.fromkeys((one["auth"].get("env"), one["base_url"]) for one in asked):
            if name and os.environ.get(name):
                self._say(f"the key in ${name} goes to {url}")

    def _do(self, command: dict[str, Any]) -> None:
        """Pass on a command; the start is put on this machine's clock."""
        assert self._load is not None
        if command["do"] == "kill":
            self._load.kill()
        elif command["do"] == "start":
            self._load.tell({**command, "zero_ns": self.connection.start(command["zero_ns"])})
        else:
            self._load.tell(command)

    def _bye(self, again_s: float) -> None:
        """The run is over for the master; what it has is safe there."""
        self._dismissed, self._again_s = True, again_s
        if not self._over:
            self._abandon("the master ended the run")

    # What the load says.

    def _listen(self) -> None:
        load = self._load
        if load is None or self._over:
            return
        for said in load.take():
            if said["kind"] == "status":
                self.connection.send({"kind": "status", "said": said})
            elif said["kind"] == "over":
                self._is_over(said)
            elif said["kind"] == "failed":
                self._ended = said["text"]
                self._failed = "" if self._dismissed else self._ended  # else it came too late for a provider of ours
                self._is_over(None)
            else:
                self.connection.tell({"kind": "said", "said": said})
        if not self._over and (how := load.ended()):
            self._ended = how
            self._is_over(None)

    def _is_over(self, said: dict[str, Any] | None) -> None:
        """The load-making process has ended: with its last word, or without."""
        assert self._load is not None
        self._over, self._over_ns = True, clock.monotonic_ns()
        self.connection.no_more(self._load.fd)
        if said is None:
            self.connection.tell({"kind": "gone", "how": self._ended})
        else:
            self.connection.tell({"kind": "said", "said": said})
            self._say("all sent; delivering the last rows")

    # The rows.

    def _ship(self, now_ns: int) -> None:
        """Send what may go; once all of it is home, say so."""
        assert self._outbox is not None
        assert self._place is not None
        self._ship_ns = now_ns
        for piece in self._outbox.pieces(now_ns):
            message = {"kind": "rows", "name": piece.name, "offset": piece.offset}
            if not self.connection.send(message, piece.data):
                self._outbox.not_sent(piece)
                break
        if self._over and not self._home and self._outbox.all_home():
            self._home = True
            ended = (self._place.parts / f"{ENDED}{self._place.number}").exists()
            assert self._purse is not None
            self.connection.tell({"kind": "home", "ended": ended, "settled": self._purse.settled()})

    # The end.

    def _leave(self, now_ns: int) -> None:
        """See whether there is still a master, and whether somebody wants this to end."""
        silent_s = self.connection.silent_s
        if clock.slept_ns() - self._slept_ns > SLEPT_NS:
            self._abandon("this machine was suspended, and its clock with it")
        if not self._over and silent_s > (SILENCE_S if self.connection.zero is not None else BEFORE_S):
            self._abandon(f"nothing heard of the master for {silent_s:.0f} s")
        if self._stopped() > self._told_stop:
            self._told_stop = self._stopped()
            self._stop(self._told_stop)
        if self._over and (self._dismissed or (self._alone and self._home and self.connection.is_heard)):
            self._end = self._good_bye()
        elif self._over and silent_s > SILENCE_S and (now_ns - self._over_ns) / 1e9 > DELIVER_S:
            self._end = End(
                3, "the master is gone; " + ("it has all rows of this worker" if self._home else self._kept())
            )

    def _stop(self, times: int) -> None:
        """Somebody stops this worker: once, what is in flight finishes; twice, it is cancelled; thrice, all ends."""
        assert self._load is not None
        if self._over and self._alone:
            self._end = End(3, self._kept())
        elif times == 1:
            self._abandon("stopped by Ctrl-C or a signal")
        elif times == 2:
            self._load.tell({"do": "cancel", "flag": "user_cancel"})
        else:
            self._load.kill()

    def _good_bye(self) -> End:
        """The end where the master has said so: nothing is left here that it does not have, or it is kept."""
        assert self._place is not None
        assert self._outbox is not None
        self.connection.send({"kind": "bye"})
        if self.connection.zero is not None and not (self._home or self._outbox.all_home()):
            return End(3, self._kept(), self._again_s)
        self._place.remove()
        if self.connection.zero is None:
            return End(2, self._failed or "the run did not begin: the master says why", self._again_s)
        return End(0, "", self._again_s)

    def _abandon(self, why: str) -> None:
        """Offer no more, let what is in flight finish, and try to deliver."""
        if self._alone or self._load is None:
            return
        self._alone = True
        self._say(why if self.connection.zero is None else f"{why}; what is in flight finishes")
        self._load.tell({"do": "stop", "stop": ["orphaned", why]})

    def _kept(self) -> str:
        """Where the rows are that the master does not have."""
        assert self._place is not None
        left, path = 0 if self._outbox is None else self._outbox.left(), self._place.path
        return (
            f"the master lacks the last {left:,} bytes of this worker's files: copy {path.resolve()} to it, and there"
            f" `firsttoken repair {self._place.run_dir} {path.name}`"
        )
