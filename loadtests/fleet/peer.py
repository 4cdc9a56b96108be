"""One agent at the other end of the master's socket, and how far the conversation with it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests import clock
from loadtests.link.talk import Heard, Said

if TYPE_CHECKING:
    from loadtests.fleet.member import Member


@dataclass(slots=True)
class Peer:
    """
    One agent, and how far the conversation with it is.

    Attributes:
        home: All that it had to send is here.
        left: It has said good-bye.
        refused: It has sent what cannot be taken: nothing more of its rows comes.
        prepared_ns, recalled_ns: When it was last sent its work, when its lease was last asked back.
    """

    key: bytes
    member: Member
    said: Said = field(default_factory=Said)
    heard: Heard = field(default_factory=Heard)
    home: bool = False
    left: bool = False
    refused: bool = False
    prepared_ns: int | None = None
    recalled_ns: int = 0

    @property
    def owes(self) -> bool:
        """Rows of it may still come: it was started, and has not said that all of them are here."""
        return self.member.started and not self.home and not self.refused

    @property
    def silent_s(self) -> float:
        """Since when it has not been heard."""
        return (clock.monotonic_ns() - self.member.seen_ns) / 1e9
