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
from loadtests.fleet.member import Member
from loadtests.fleet.peer import Peer
from loadtests.ledger import Told
from loadtests.link.frames import BEAT_S, GIVE_UP_S, mismatch, pack, unpack
from loadtests.shards import MOST_WORKERS
from loadtests.shipping import Inbox
from loadtests.sink import ENDED, DiskFullError
from loadtests.stop import Stop
from loadtests.tally import Spend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.ledger import Ledger

PATIENCE_S: Final = 20.0
"""How long the end of a run waits for workers that were told to end."""

WAITING_NS: Final = 5_000_000_000
"""Who waits for the others and has not asked again for so long has gone."""

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
        self._work: tuple[dict[str, Any], dict[str, bytes]] | None = None
        self._expected = 1
        self._waiting: dict[bytes, tuple[int, dict[str, Any]]] = {}
        self._parts, self._ledger = parts, ledger
        self._inbox = Inbox(parts)
        self._peers: dict[bytes, Peer] = {}
        self._full: Stop | None = None
        self._beat_ns = 0
        self._again = False
        self._context, self._socket = bound(where)

    def offer(self, manifest: dict[str, Any], inputs: dict[str, bytes], workers: int) -> None:
        """Once so many have joined, they and whoever comes later get this to do."""
        self._work, self._expected = (manifest, inputs), workers

    def stay(self) -> None:
        """The workers are to come back for another run when this one is over."""
        self._again = True

    # As a crew.

    def tell(self, member: Member, command: dict[str, Any]) -> None:
        """Say something to one of them; it is said again until it was heard."""
        peer = self._peer(member)
        self._send(peer.key, peer.said.say({"kind": "do", "command": command}, clock.monotonic_ns()))

    def start(self, member: Member, command: dict[str, Any]) -> None:
        """Say when the run began, on this clock: the agent knows how far its own is from it."""
        self.tell(member, command)

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
            if peer.member.alive and peer.silent_s > GIVE_UP_S:
                self._gone(peer, f"nothing heard of it for {GIVE_UP_S:g} s")

    def late_ns(self) -> int:
        """How long a command may take to be heard, at most about: by the ways of the quickest answers, twice."""
        trips = [2 * member.about["clock"]["error_ns"] for member in self.members if member.about.get("clock")]
        return NOTICE_NS + 2 * max(trips, default=0)

    def settled(self) -> bool:
        """Whether all that can come of their rows is here."""
        return self._full is not None or all(
            peer.home or peer.silent_s > GIVE_UP_S for peer in self._peers.values()
        )  # fmt: skip

    def kill(self) -> None:
        """Have the load-making processes ended at once; what they had flushed still comes."""
        for member in self.members:
            self.tell(member, {"do": "kill"})

    def close(self) -> None:
        """Wait for who still ends, say good-bye, and hear nothing more."""
        until_ns = clock.monotonic_ns() + int(PATIENCE_S * 1e9)
        while clock.monotonic_ns() < until_ns and not (self.settled() and not any(m.alive for m in self.members)):
            self.listen(0.1)
        for _ in range(GOOD_BYES):
            for peer in self._peers.values():
                if not peer.left:
                    self._send(peer.key, {"kind": "bye", "again": self._again})
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
        while True:
            try:
                key, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            found = unpack(frames)
            if found is not None:
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
            peer.home = True
            if message["ended"]:
                (self._parts / f"{ENDED}{number}").touch()
            if self._ledger is not None and not peer.member.gone:
                self._ledger.done(number, Spend(*message["settled"]))

    def _join(self, key: bytes, message: dict[str, Any]) -> None:
        """A worker is there: it gets its number and its work; the same again where the answer got lost."""
        if text := mismatch(message):
            self._send(key, {"kind": "refuse", "text": text})
        elif key in self._peers:
            self._prepare(self._peers[key])
        elif len(self.members) >= MOST_WORKERS:
            self._send(key, {"kind": "refuse", "text": f"the run has {MOST_WORKERS} workers, which is all it may have"})
        else:
            if key not in self._waiting:
                self.on_join(str(message.get("host", "?")), len(self._waiting) + len(self.members) + 1)
            self._waiting[key] = (clock.monotonic_ns(), message)
            self._admit()

    def _admit(self) -> None:
        """Once all who are expected are there, number them in the order that they ask for; then anybody."""
        now_ns = clock.monotonic_ns()
        self._waiting = {key: one for key, one in self._waiting.items() if now_ns - one[0] < WAITING_NS}
        if self._work is None or len(self._waiting) + len(self.members) < self._expected:
            return
        for key, (_, message) in sorted(self._waiting.items(), key=lambda one: str(one[1][1].get("order", ""))):
            self._prepare(self._enter(key, message))
        self._waiting.clear()

    def _prepare(self, peer: Peer) -> None:
        assert self._work is not None
        about, inputs = self._work
        own, names = about | {"worker": peer.member.number}, list(inputs)
        self._send(peer.key, {"kind": "prepare", "manifest": own, "inputs": names}, *(inputs[name] for name in names))

    def _enter(self, key: bytes, message: dict[str, Any]) -> Peer:
        member = Member(len(self.members), where=str(message.get("host", "?"))[:100])
        member.seen_ns = clock.monotonic_ns()
        member.about = {key: message.get(key) for key in ("host", "pid", "cpus", "kernel", "limits")}
        member.about["joined_unix_ns"] = clock.realtime_ns()
        self.members.append(member)
        peer = self._peers[key] = Peer(key, member)
        return peer

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
            self._gone(peer, str(error))
            return
        self._send(peer.key, {"kind": "ack", "name": name, "size": size})

    def _gone(self, peer: Peer, how: str) -> None:
        """It ended without a word, or is not heard any more: what it may spend of the budget counts as spent."""
        if peer.member.alive:
            peer.member.gone = how
            if self._ledger is not None:
                self._ledger.lost(peer.member.number)

    def _beat(self, peer: Peer, now_ns: int) -> None:
        """Say that this master lives, and again what was not heard."""
        self._send(
            peer.key, {"kind": "beat", "heard": peer.heard.count, "at_ns": now_ns, "gone": bool(peer.member.gone)}
        )
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
        if ledger is None or peer.member.gone:
            return
        if kind == "returned":
            ledger.returned(number, told)
            return
        answer = ledger.ask(number, told)
        self._send(peer.key, {"kind": "grant", "grant": [*answer.grant], "spent": answer.spent})
        for other in self._peers.values():
            if other.member.number in answer.recall:
                self._send(other.key, {"kind": "recall"})
