"""A scenario: what is played, and what a client that reads well would say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.answer import Voice
from loadtests.mock.manner import Manner
from loadtests.mock.request import Ask
from loadtests.mock.scene import Scene
from loadtests.mock.score import played, refused
from loadtests.mock.script import Performance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.mock.score import Score

STREAM: Final = "stream"
PLAIN: Final = "plain"
BOTH: Final = "both"

KINDS: Final = {
    401: "auth", 402: "credit", 403: "auth", 408: "upstream", 409: "other_status", 412: "other_status",
    424: "upstream", 429: "throttled", 498: "throttled", 499: "other_status", 500: "upstream", 501: "upstream",
    502: "upstream", 503: "overloaded", 504: "upstream", 520: "upstream", 524: "upstream", 529: "overloaded",
}  # fmt: skip
"""The class of a status; any other 4xx is a bad request."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    One thing that a provider may do, with its truth.

    Attributes:
        name: For `--scenario`.
        summary: One line.
        play: Scene to what goes out; the Score says what is heard in it, and the tokens that `usage` tells.
        outcome: "ok" or "error".
        error_kind: One of `record.ERROR_KINDS`; None where it is ok.
        flags: Those of `record.FLAGS` that belong to it.
        finish_reason: As told; "stop" stands for what the script plays, which may be "length". None for none.
        status: Of the response; None where there is none.
        asked: The requests that it is for: "stream", "plain" or "both".
        n: Choices that a request has to ask for, so that the truth holds.
        retry_after_s: What it asks to wait, in seconds, a second more or less; None for nothing.
    """

    name: str
    summary: str
    play: Callable[[Scene], Score]
    outcome: str = "ok"
    error_kind: str | None = None
    flags: tuple[str, ...] = ()
    finish_reason: str | None = "stop"
    status: int | None = 200
    asked: str = STREAM
    retry_after_s: float | None = None
    n: int = 1

    def fits(self, stream: bool) -> bool:
        """Whether it is for requests of this kind."""
        return self.asked in (BOTH, STREAM if stream else PLAIN)


def fine(name: str, summary: str, play: Callable[[Scene], Score] | Manner, **truth: Any) -> Scenario:
    """A scenario that ends well; a manner is how the usual answer is said."""
    return Scenario(name, summary, in_manner(play) if isinstance(play, Manner) else play, **truth)


def fails(name: str, summary: str, play: Callable[[Scene], Score] | Manner, error_kind: str, **truth: Any) -> Scenario:
    """A scenario that ends with an error of this kind; no finish reason is told unless the truth says so."""
    truth = {"finish_reason": None, **truth}
    return fine(name, summary, play, outcome="error", error_kind=error_kind, **truth)


def in_manner(manner: Manner) -> Callable[[Scene], Score]:
    """The usual answer, said in this manner."""

    def play(scene: Scene) -> Score:
        return played(scene, manner)

    return play


def status(
    name: str, summary: str, code: int, value: Any, fields: Sequence[tuple[str, Any]] = (), **truth: Any
) -> Scenario:
    """
    A scenario that is an error status.

    Args:
        name: Of it.
        summary: Of it.
        code: The status, whose class is the error's kind unless the truth says otherwise.
        value: The body: JSON, bytes of the Content-Type that the fields give, or a function from the scene to either.
        fields: Header fields; a value may be a function of the unix second.
        truth: What else is true of it.
    """

    def play(scene: Scene) -> Score:
        made = value(scene) if callable(value) else value
        more = [(key, text(scene.voice.created_s) if callable(text) else text) for key, text in fields]
        return refused(scene, code, made, more)

    truth = {"error_kind": KINDS.get(code, "bad_request"), "status": code, "asked": BOTH, **truth}
    return fails(name, summary, play, **truth)


def scene(*, stream: bool = True, created_s: int = 1_700_000_000, **changes: Any) -> Scene:
    """
    A scene to play a scenario by itself: ten tokens 10 ms apart, the first after 20 ms, all usage told.

    Args:
        stream: The request was for a stream.
        created_s: Its moment, in unix seconds.
        changes: Other fields of the `Scene`.
    """
    texts = (" the", " first", " token", " größer", " 🙂", " 東京", ",", " and", " then", ".")
    offsets_ns = tuple(20_000_000 + 10_000_000 * place for place in range(len(texts)))
    voice = Voice(1, created_s, Ask("mock", 10, None, stream), tells_usage=True, keeps_alive=True)
    usual = Scene(voice, Performance(offsets_ns, texts, len(texts), 0, 0, "stop", None), authorization="Bearer sk-mock")
    return replace(usual, **changes)
