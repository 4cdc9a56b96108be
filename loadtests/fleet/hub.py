"""
The workers of a run on other machines: they join over ZeroMQ, are told what to do, and send their rows home.

Each is an agent (`loadtests.agent`) beside its load-making process. What is said is numbered and said again after a
break; rows are acknowledged once they are in this run's parts. Who is silent for too long is lost, and may come back to
deliver its rows, but not to offer load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import zmq

from loadtests import clock
from loadtests.fleet.bound import bound
from loadtests.fleet.entrance import Entrance, host_of, new_member
from loadtests.fleet.peer import Peer
from loadtests.ledger import Told
from loadtests.link.frames import BEAT_S, GIVE_UP_S, pack, unpack
from loadtests.link.shape import is_sound
from loadtests.shipping import Inbox
from loadtests.sink import ENDED, DiskFullError
from loadtests.stop import Stop
from loadtests.tally import Spend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.fleet.member import Member
    from loadtests.ledger import Ledger

PATIENCE_S: Final = 20.0
"""How long the end of a run waits for workers that were told to end."""

TAKE_NS: Final = 100_000_000
PREPARE_NS: Final = 20_000_000_000
RECALL_NS: Final = 300_000_000
GOOD_BYES: Final = 10
GOOD_BYE_S: Final = 0.2
NOTICE_NS: Final = 100_000_000
"""What a command takes besides its way, at most about."""


class Hub:
    """
    All workers of a run that are elsewhere.

    Args:
        where: Host and port to listen at; the host may be `*`.
        parts: The run's parts directory.
        ledger: The budget that they share; None without one.

    Attributes:
        members: Of the fleet, by their number.
        on_join: Called with the host of a worker that has come, and how many have.

    Raises:
        HubError: Something else listens there, or the host is not of this machine.
    """

    def __init__(self, where: tuple[str, int], parts: Path, ledger: Ledger | None = None) -> None:
        self.members: list[Member] = []
        self.on_join: Callable[[str, int], None] = lambda _host, _count: None
        self._entrance = Entrance()
        self._parts, self._ledger = parts, ledger
        self._inbox = Inbox(parts)
        self._peers: dict[bytes, Peer] = {}
        self._full: Stop | None = None
        self._beat_ns = 0
        self._again_s: Callable[[], float] = lambda: 0.0
        self._closing = self._impatient = False
        self._context, self._socket = bound(where)

    def offer(self, manifest: dict[str, Any], inputs: dict[str, bytes], workers: int) -> None:
        """Once so many have joined, they and whoever comes later get this to do."""
        self._entrance.offer(manifest, inputs, workers)

    def stay(self, again_s: Callable[[], float]) -> None:
        """For how long its workers are to come back for another run when this one is over; 0 where there is none."""
        self._again_s = again_s

    # As a crew.

    def tell(self, member: Member, command: dict[str, Any]) -> None:
        """Say something to one of them; it is said again until it was heard."""
        peer = self._peer(member)
        self._send(peer.key, peer.said.say({"kind": "do", "command": command}, clock.monotonic_ns()))

    def listen(self, timeout_s: float) -> None:
        """Take in what comes within this time; beat; see who has been silent for too long."""
        if self._socket.poll(int(timeout_s * 1000)):
            self._take_all()
        now_ns = clock.monotonic_ns()
        if now_ns - self._beat_ns >= BEAT_S * 1e9:
            self._beat_ns = now_ns
            for peer in self._peers.values():
                self._beat(peer, now_ns)
        for peer in self._peers.values():
            if not peer.home and peer.silent_s > GIVE_UP_S:
                self._gone(peer, f"nothing heard of it for {GIVE_UP_S:g} s")

    def came(self) -> int:
        """How many have joined so far."""
        return len(self.members) + len(self._entrance.waiting)

    def late_ns(self) -> int:
        """How long a command may take to be heard, at most about: by the ways of the quickest answers, twice."""
        trips = [2 * member.about["clock"]["error_ns"] for member in self.members if member.about.get("clock")]
        return NOTICE_NS + 2 * max(trips, default=0)

    def settled(self) -> bool:
        """Whether all that can come of their rows is here, or nobody waits for it any more."""
        over = self._full is not None or self._impatient
        return over or not any(one.owes and one.silent_s <= GIVE_UP_S for one in self._peers.values())

    def kill(self) -> None:
        """Have the load-making processes ended at once; what they had flushed still comes."""
        self._impatient = True
        for member in self.members:
            self.tell(member, {"do": "kill"})

    def close(self) -> None:
        """Wait for who still ends, say good-bye, and hear nothing more."""
        self._closing = True
        for key in self._entrance.waiting:
            self._send(key, {"kind": "refuse", "text": "the master gave up before its run began: see what it says"})
        until_ns = clock.monotonic_ns() + int(PATIENCE_S * 1e9)
        while clock.monotonic_ns() < until_ns and not (self.settled() and not any(one.plays for one in self.members)):
            self.listen(0.1)
        for _ in range(GOOD_BYES):
            for peer in self._peers.values():
                if not peer.left:
                    self._send(peer.key, {"kind": "bye", "again_s": self._again_s()})
            self.listen(GOOD_BYE_S)
            if all(peer.left or peer.silent_s > 2 * BEAT_S for peer in self._peers.values()):
                break
        self._close_socket()
        self._inbox.close()

    def _close_socket(self) -> None:
        self._socket.close()
        self._context.term()

    # What comes.

    def _take_all(self) -> None:
        """What has come, but for no longer than others may wait for their beats."""
        until_ns = clock.monotonic_ns() + TAKE_NS
        while clock.monotonic_ns() < until_ns:
            try:
                key, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            found = unpack(frames)
            if found is not None and is_sound(found[0]):
                self._take(key, *found)

    def _take(self, key: bytes, message: dict[str, Any], data: list[bytes]) -> None:
        kind = message["kind"]
        if kind == "join":
            self._join(key, message)
            return
        peer = self._peers.get(key)
        if peer is None:
            self._send(key, {"kind": "stranger"})  # of a run before this one
            return
        peer.member.seen_ns = clock.monotonic_ns()
        if kind == "time":
            self._send(key, {"kind": "time", "asked_ns": message["asked_ns"], "at_ns": clock.monotonic_ns()})
        elif kind == "rows":
            self._rows(peer, message, data)
        elif kind == "bye":
            peer.left = True
        elif kind == "status":
            peer.member.heard(message["said"])
        elif kind == "beat":
            peer.said.taken(message["heard"], clock.monotonic_ns())
            peer.member.about["clock"] = message["clock"]
        elif kind in ("ask", "returned"):
            self._lease(peer, kind, Told.from_json(message["told"]))
        elif kind in ("said", "gone", "home") and peer.heard.takes(message):
            self._heard(peer, kind, message)

    def _heard(self, peer: Peer, kind: str, message: dict[str, Any]) -> None:
        """What is said once and in order."""
        number = peer.member.number
        if kind == "said":
            peer.member.heard(message["said"])
        elif kind == "gone":
            self._gone(peer, message["how"])
        elif kind == "home":
            peer.home = peer.member.about["delivered"] = True
            if message["ended"]:
                (self._parts / f"{ENDED}{number}").touch()
            if self._ledger is not None:
                self._ledger.done(number, Spend(*message["settled"]))

    def _join(self, key: bytes, message: dict[str, Any]) -> None:
        """A worker is there: it gets its number and its work; the same again where the answer got lost."""
        if self._closing:
            return  # it will ask the next run's master, if there is one
        if key in self._peers:
            self._prepare(self._peers[key])
        elif text := self._entrance.refuses(message, len(self.members)):
            self._send(key, {"kind": "refuse", "text": text})
        else:
            if key not in self._entrance.waiting:
                self.on_join(host_of(message), self.came() + 1)
            for other, one in self._entrance.join(key, message, len(self.members)):
                self.members.append(new_member(len(self.members), one))
                self._peers[other] = Peer(other, self.members[-1])
                self._prepare(self._peers[other])

    def _prepare(self, peer: Peer) -> None:
        """Send it its work; not again while that may be on its way."""
        now_ns = clock.monotonic_ns()
        if peer.prepared_ns is None or now_ns - peer.prepared_ns > PREPARE_NS:
            peer.prepared_ns = now_ns
            message, inputs = self._entrance.work(peer.member.number)
            self._send(peer.key, message, *inputs)

    def _rows(self, peer: Peer, message: dict[str, Any], data: list[bytes]) -> None:
        """A piece of a worker's file: on this disk, then acknowledged."""
        name = message["name"]
        if self._full is not None:
            return
        try:
            size = self._inbox.take(peer.member.number, name, message["offset"], b"".join(data))
        except DiskFullError as error:
            self._full = Stop("disk_full", f"disk full: {error.strerror}; the workers keep what has no room here")
            peer.member.stopping = self._full
            return
        except ValueError as error:
            peer.refused = True
            self._gone(peer, str(error))
            return
        except OSError:
            return  # no descriptor is left, or the disk is ill: it comes again
        self._send(peer.key, {"kind": "ack", "name": name, "size": size})

    def _gone(self, peer: Peer, how: str) -> None:
        """It ended without a word, or is not heard any more: what it may spend of the budget counts as spent."""
        peer.member.gone = peer.member.gone or how
        if self._ledger is not None:
            self._ledger.lost(peer.member.number)

    def _beat(self, peer: Peer, now_ns: int) -> None:
        """Say that this master lives, and again what was not heard."""
        self._send(peer.key, {"kind": "beat", "heard": peer.heard.count, "gone": bool(peer.member.gone)})
        for message in peer.said.again(now_ns):
            self._send(peer.key, message)

    def _peer(self, member: Member) -> Peer:
        return next(peer for peer in self._peers.values() if peer.member is member)

    def _send(self, key: bytes, message: dict[str, Any], *data: bytes) -> None:
        """Hand it to the connection; what finds no room in it is said again, or was not worth it."""
        try:
            self._socket.send_multipart([key, *pack(message, *data)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return

    # The budget.

    def _lease(self, peer: Peer, kind: str, told: Told) -> None:
        """A worker asks for more of the budget, or has given back; whoever is given up has nothing to ask for."""
        ledger, number = self._ledger, peer.member.number
        if ledger is None or peer.home:
            return
        if kind == "returned":
            ledger.returned(number, told)
        if kind == "returned" or peer.member.gone:
            return
        answer = ledger.ask(number, told)
        self._send(peer.key, {"kind": "grant", "grant": [*answer.grant], "spent": answer.spent})
        now_ns = clock.monotonic_ns()
        for other in self._peers.values():
            if other.member.number in answer.recall and now_ns - other.recalled_ns > RECALL_NS:
                other.recalled_ns = now_ns
                self._send(other.key, {"kind": "recall"})
