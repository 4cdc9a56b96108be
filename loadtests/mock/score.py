"""
What goes out for one request as a list of writes, with what a reader hears in each: the truth of a scenario.

beats -> pieces (an event's bytes) -> Score (writes, HTTP included) -> answer, which the server plays. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from loadtests.mock.answer import EVENT_STREAM, JSON, LAST_CHUNK, Answer
from loadtests.mock.manner import USUAL, beats, completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from loadtests.mock.manner import Beat, Manner, Said
    from loadtests.mock.scene import Scene

Field = tuple[str, str]
STREAM: Final[tuple[Field, ...]] = (("Content-Type", EVENT_STREAM),)
PLAIN: Final[tuple[Field, ...]] = (("Content-Type", JSON),)
REASONS: Final = {498: "Capacity Exceeded", 499: "Client Closed Request", 520: "", 524: "", 529: "Overloaded"}
"""Of statuses that no standard knows."""


class Piece(NamedTuple):
    """One write: when it is due, in ns since the request was read, its bytes, and what a reader hears in it."""

    at_ns: int
    data: bytes
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """
    The writes of an answer.

    Attributes:
        pieces: The writes in order, HTTP included.
        ending: What becomes of the connection, see `answer.Answer`.
        tokens: Output tokens as `usage` tells them; None where it tells none.
    """

    pieces: tuple[Piece, ...]
    ending: str = "keep"
    tokens: int | None = None

    @property
    def writes(self) -> list[bytes]:
        """The bytes of each write."""
        return [piece.data for piece in self.pieces]

    def heard(self, kind: str) -> str:
        """All that is said of one kind, "content", "reasoning", "tool" or "refusal", in the order of its arrival."""
        return "".join(text for piece in self.pieces for what, text in piece.said if what == kind)

    @property
    def text(self) -> str:
        """The content."""
        return self.heard("content")

    @property
    def characters(self) -> int:
        """Of all kinds together."""
        return sum(len(text) for piece in self.pieces for _, text in piece.said)


def head(scene: Scene, fields: Iterable[Field], *, status: int = 200, version: str = "1.1") -> bytes:
    """Status line and header fields, with the request's number and whether the connection closes."""
    reason = REASONS[status] if status in REASONS else HTTPStatus(status).phrase
    number, keeps = scene.voice.number, scene.voice.keeps_alive
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in fields)]
    lines += [f"X-Request-Id: req-{number}"] if number else []
    lines += [] if keeps else ["Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


# Streams.


def pieces_of(made: Iterable[Beat], frame: Callable[[int, Any], bytes] = USUAL.frame) -> list[Piece]:
    """Each event as bytes."""
    return [Piece(beat.at_ns, frame(number, beat.value), beat.said) for number, beat in enumerate(made)]


def chunked(data: bytes) -> bytes:
    """A chunk of HTTP's chunked coding; nothing for nothing, which would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def together(pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces as the usual writes: what is due at one moment goes with the token, all that follows the last at once."""
    writes: list[Piece] = []
    joins = False  # the last write carries no token yet
    for piece in pieces:
        same = bool(writes) and writes[-1].at_ns == piece.at_ns
        if same and (joins or not (piece.said or writes[-1].said)):
            before = writes.pop()
            piece = Piece(piece.at_ns, before.data + piece.data, before.said + piece.said)  # noqa: PLW2901  one write
        writes.append(piece)
        joins = not piece.said
    return writes


def streamed(
    scene: Scene,
    pieces: Iterable[Piece],
    *,
    fields: Sequence[Field] = STREAM,
    ending: str = "keep",
    is_apart: bool = False,
    tokens: int | None = None,
) -> Score:
    """
    A chunked body of these pieces, one chunk each; pieces of one moment share a write.

    Args:
        scene: Whose number the head tells.
        pieces: Of the body.
        fields: Header fields besides the framing's.
        ending: Of the connection; with any but "keep" the last chunk, which ends the body, isn't sent.
        is_apart: Each piece is a write of its own.
        tokens: As the answer's usage tells them.
    """
    made = [piece._replace(data=chunked(piece.data)) for piece in pieces]
    if ending == "keep":
        made.append(Piece(made[-1].at_ns if made else scene.first_ns, LAST_CHUNK))
    opening = head(scene, [*fields, ("Transfer-Encoding", "chunked")])
    return raw(scene, opening, made if is_apart else together(made), ending=ending, tokens=tokens)


def raw(
    scene: Scene, opening: bytes, pieces: Sequence[Piece], *, ending: str = "keep", tokens: int | None = None
) -> Score:
    """These writes after this head, which goes with the first."""
    first, *rest = pieces or [Piece(scene.first_ns, b"")]
    closes = "close" if ending == "keep" and not scene.voice.keeps_alive else ending
    return Score((first._replace(data=opening + first.data), *rest), closes, tokens)


def told(scene: Scene, manner: Manner) -> int | None:
    """The tokens that the usage of a stream tells, if it does."""
    return scene.tokens if scene.voice.tells_usage and manner.usage != "none" else None


def played(scene: Scene, manner: Manner = USUAL, fields: Sequence[Field] = ()) -> Score:
    """The usual whole answer of a provider, streamed or not."""
    if not scene.voice.ask.stream:
        return whole(scene, completion(scene, manner), fields=fields, said=spoken(scene), tokens=scene.tokens)
    made = pieces_of(beats(scene, manner), manner.frame)
    return streamed(scene, made, fields=[*STREAM, *fields], tokens=told(scene, manner))


# Whole answers.


def spoken(scene: Scene) -> tuple[Said, ...]:
    """What a whole answer says: a call's name and arguments, or its texts, for each choice."""
    play, cut = scene.play, scene.play.reasoning_chunks
    if scene.call is not None:
        return (("tool", scene.call), ("tool", "".join(play.texts))) * scene.n
    said = (("content", "".join(play.texts[cut:])), ("reasoning", "".join(play.texts[:cut])))
    return tuple(part for part in said if part[1]) * scene.n


def whole(
    scene: Scene,
    value: Any,
    *,
    fields: Sequence[Field] = (),
    said: tuple[Said, ...] = (),
    tokens: int | None = None,
    status: int = 200,
) -> Score:
    """One JSON value at the moment of the last chunk."""
    return body(scene, orjson.dumps(value), [*PLAIN, *fields], said=said, tokens=tokens, status=status)


def body(
    scene: Scene,
    data: bytes,
    fields: Sequence[Field],
    *,
    said: tuple[Said, ...] = (),
    tokens: int | None = None,
    status: int = 200,
) -> Score:
    """A body of known length: an answer at the moment of its last chunk, a 5xx at its first's, a refusal at once."""
    at_ns = scene.last_ns if status < 300 else scene.first_ns if status >= 500 else 0
    opening = head(scene, [*fields, ("Content-Length", str(len(data)))], status=status)
    return raw(scene, opening, [Piece(at_ns, data, said)], tokens=tokens)


def refused(scene: Scene, status: int, value: Any, fields: Sequence[Field] = ()) -> Score:
    """An error: JSON, or bytes with the Content-Type that the fields give."""
    if isinstance(value, bytes):
        return body(scene, value, fields, status=status)
    return whole(scene, value, fields=fields, status=status)


# To the server.


def answer_of(score: Score, number: int, finish: str) -> Answer:
    """What the server plays: its last write goes out with the one before it where both are due at one moment."""
    pieces = score.pieces
    joins = len(pieces) > 1 and pieces[-1].at_ns == pieces[-2].at_ns and not pieces[-1].said
    timed, rest = (pieces[:-1], pieces[-1].data) if joins else (pieces, b"")
    return Answer(
        tuple(piece.at_ns for piece in timed),
        iter((*(piece.data for piece in timed), rest)),
        finish,
        score.ending,
        has_tokens=True,
        number=number,
        token_writes=tuple(place for place, piece in enumerate(timed) if piece.said),
        tokens=score.tokens or 0,
    )
