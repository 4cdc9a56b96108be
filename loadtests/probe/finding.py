"""A claim and what was seen of it, and what a profile should say instead. Data, and the words to make it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from loadtests.probe.ask import MODELS, STREAMED, TOOLED, WHOLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.probe.seen import Seen
    from loadtests.profiles import Profile

TICKED: Final = "ticked"
CONTRADICTED: Final = "contradicted"
NOT_SEEN: Final = "not_seen"
NOTED: Final = "noted"
"""The verdicts; noted is what was seen where the profile claims nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    What a profile should say instead.

    Attributes:
        key: Dotted.
        value: JSON; None: the line goes.
        was: What it says now; None: nothing.
        why: What was seen.
        adds: The value goes to those that are there.
    """

    key: str
    value: Any
    was: Any
    why: str
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One claim judged.

    Attributes:
        claim: The profile's dotted key, or a few words where no key says it.
        says: What the profile says, or what is expected of every provider; "" for nothing.
        verdict: Of the verdicts above.
        seen: What came.
    """

    claim: str
    says: str
    verdict: str
    seen: str
    changes: tuple[Change, ...] = ()


def ticked(claim: str, says: Any, seen: str) -> Finding:
    """It is so."""
    return Finding(claim, str(says), TICKED, seen)


def contradicted(claim: str, says: Any, seen: str, *changes: Change) -> Finding:
    """It is not so."""
    return Finding(claim, str(says), CONTRADICTED, seen, changes)


def not_seen(claim: str, says: Any, seen: str) -> Finding:
    """Nothing came that would tell."""
    return Finding(claim, str(says), NOT_SEEN, seen)


def noted(claim: str, seen: str, *changes: Change, says: Any = "") -> Finding:
    """Nothing is claimed; this is what came."""
    return Finding(claim, str(says), NOTED, seen, changes)


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    All that a probe has: the profile, what was asked, and what came.

    Attributes:
        seen: By the kind of request.
        key_sent: A key was sent.
        key_fits: It begins as the profile says; None where it says nothing, or none was sent.
        live: The provider itself was asked, not a stand-in elsewhere.
    """

    profile: Profile
    model: str
    seen: Mapping[str, Seen] = field(default_factory=dict)
    key_sent: bool = False
    key_fits: bool | None = None
    live: bool = True

    @property
    def models(self) -> Seen | None:
        """The model list."""
        return self.seen.get(MODELS)

    @property
    def streamed(self) -> Seen | None:
        """The answer that was asked for as a stream."""
        return self.seen.get(STREAMED)

    @property
    def whole(self) -> Seen | None:
        """The answer that was asked for in one piece."""
        return self.seen.get(WHOLE)

    @property
    def tooled(self) -> Seen | None:
        """The answer to a request with tools."""
        return self.seen.get(TOOLED)

    @property
    def stream(self) -> Seen | None:
        """The same as `streamed` where it came as a stream from the first event to the last."""
        seen = self.streamed
        return seen if seen is not None and seen.whole_stream else None

    @property
    def chats(self) -> list[Seen]:
        """The good answers among those two."""
        return [seen for seen in (self.streamed, self.whole) if seen is not None and seen.good]
