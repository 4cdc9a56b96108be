"""
How a provider says it: a scene as the events of a stream or as one object, with all that differs between providers.

Scene + Manner -> Beats (JSON values with their moments) -> score, which makes bytes of them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from loadtests.mock.scene import moments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtests.mock.scene import Scene

Said = tuple[str, str]
"""What a token is part of ("content", "reasoning", "tool" or "refusal"), and its text."""

DONE: Final = b"[DONE]"
ROLE: Final[Mapping[str, Any]] = {"role": "assistant", "content": ""}
CALL_ID: Final = "call_0"


class Beat(NamedTuple):
    """One event: when, what (a JSON value, or bytes that go out as its data), and what a reader hears in it."""

    at_ns: int
    value: Any
    said: tuple[Said, ...] = ()


def sse(_number: int, value: Any) -> bytes:
    """An event as nearly all servers write it."""
    return b"data: %b\n\n" % (value if isinstance(value, bytes) else orjson.dumps(value))


def thinks(text: str) -> dict[str, Any]:
    """Reasoning under the name that most servers give it."""
    return {"reasoning_content": text}


def speaks(text: str) -> dict[str, Any]:
    """Content as text."""
    return {"content": text}


def calls(name: str, pieces: tuple[str, ...]) -> list[tuple[dict[str, Any], str]]:
    """A function call as OpenAI streams it: its name first, then its arguments by pieces; deltas with their text."""
    begin = {"index": 0, "id": CALL_ID, "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, piece) for piece in pieces]
    return [({"tool_calls": [begin]}, name), *rest]


def nothing(_scene: Scene) -> Mapping[str, Any]:
    """No further keys."""
    return {}


@dataclass(frozen=True, slots=True)
class Manner:
    """
    What differs between providers.

    Attributes:
        opening: The delta of the first chunk; None for no such chunk.
        opens: "with" the first token in one write, "early" (at once), or "joined" into the first token's chunk.
        lead: Values that go out at once, before all else.
        thinks, speaks: The delta of a piece of reasoning and of content.
        calls: The deltas of a function call, each with what is heard in it.
        every: Keys of every chunk's delta.
        beside: Keys of every chunk and completion.
        finish: Where the finish reason stands: in a chunk of its "own", on the last "content" chunk, nowhere: "none".
        reason: The finish reason; None for the scene's.
        usage: Where a stream tells it: in its "own" chunk without choices, in one with an empty "choice", on the last
            "content" chunk, on "each" one (so far), or "none". Left out where it isn't asked for.
        counts: The usage object.
        tells: Keys beside the usage object, and in whole answers too.
        ends: Values after all that.
        done: Whether [DONE] comes last.
        frame: An event's number, from 0, and value as bytes.
    """

    opening: Mapping[str, Any] | None = field(default_factory=lambda: ROLE)
    opens: str = "with"
    lead: tuple[Any, ...] = ()
    thinks: Callable[[str], dict[str, Any]] = thinks
    speaks: Callable[[str], dict[str, Any]] = speaks
    calls: Callable[[str, tuple[str, ...]], list[tuple[dict[str, Any], str]]] = calls
    every: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    finish: str = "own"
    reason: str | None = None
    usage: str = "own"
    counts: Callable[[Scene], Mapping[str, Any]] | None = None
    tells: Callable[[Scene], Mapping[str, Any]] = nothing
    ends: tuple[Any, ...] = ()
    done: bool = True
    frame: Callable[[int, Any], bytes] = sse


USUAL: Final = Manner()
"""OpenAI's."""


def beats(scene: Scene, manner: Manner = USUAL) -> list[Beat]:
    """The events of a stream, in order."""
    told = manner.usage if scene.voice.tells_usage else "none"
    more = {**manner.beside, **({"usage": None} if told == "own" else {})}
    spoken = deltas(scene, manner)
    at_ns = moments(scene.play.offsets_ns, len(spoken))
    first = [Beat(0, value) for value in manner.lead]
    if manner.opening is not None and manner.opens != "joined":
        opened_ns = 0 if manner.opens == "early" else at_ns[0]
        first += [Beat(opened_ns, scene.chunk(manner.opening, None, i, **more)) for i in range(scene.n)]
    middle = [
        Beat(at, _token(scene, manner, (place, len(spoken), told, more), (delta, index)), (said,))
        for place, (at, (delta, said)) in enumerate(zip(at_ns, spoken, strict=False))
        for index in range(scene.n)
    ]
    return [*first, *middle, *_closing(scene, manner, told, more, at_ns[-1])]


def _token(
    scene: Scene, manner: Manner, where: tuple[int, int, str, Mapping[str, Any]], what: tuple[Mapping[str, Any], int]
) -> dict[str, Any]:
    """The chunk of one token and choice: `where` is its place, of how many, where usage is told, and further keys."""
    (place, count, told, more), (delta, index) = where, what
    is_last = place == count - 1
    joined = manner.opening if manner.opening is not None and manner.opens == "joined" and place == 0 else {}
    finish = reason_of(scene, manner) if is_last and manner.finish == "content" else None
    chunk = scene.chunk({**joined, **manner.every, **delta}, finish, index, **more)
    if told == "each":
        chunk["usage"] = scene.usage(scene.tokens * (place + 1) // count)
    if told == "content" and is_last and index == scene.n - 1:
        chunk |= usage_of(scene, manner)
    return chunk


def _closing(scene: Scene, manner: Manner, told: str, more: Mapping[str, Any], at_ns: int) -> list[Beat]:
    """What follows the last token."""
    values: list[Any] = []
    if manner.finish == "own":
        reason = reason_of(scene, manner)
        values += [scene.chunk(manner.every, reason, index, **more) for index in range(scene.n)]
    if told == "own":
        chunk = scene.identity("chat.completion.chunk") | {"choices": []}
        values.append({**chunk, **manner.beside, **usage_of(scene, manner)})
    if told == "choice":
        values.append({**scene.chunk({}, None), **manner.beside, **usage_of(scene, manner)})
    values += manner.ends
    if manner.done:
        values.append(DONE)
    return [Beat(at_ns, value) for value in values]


def reason_of(scene: Scene, manner: Manner) -> str:
    """Why the answer ends, as this provider says it."""
    return scene.finish_reason if manner.reason is None else manner.reason


def usage_of(scene: Scene, manner: Manner) -> dict[str, Any]:
    """The usage object and what stands beside it."""
    return {"usage": scene.usage() if manner.counts is None else manner.counts(scene), **manner.tells(scene)}


def deltas(scene: Scene, manner: Manner) -> list[tuple[Mapping[str, Any], Said]]:
    """The deltas that carry tokens, in order, with what is heard in each."""
    play = scene.play
    if scene.call is not None:
        return [(delta, ("tool", text)) for delta, text in manner.calls(scene.call, play.texts)]
    cut = play.reasoning_chunks
    thought = [(manner.thinks(text), ("reasoning", text)) for text in play.texts[:cut]]
    return [*thought, *((manner.speaks(text), ("content", text)) for text in play.texts[cut:])]


def completion(scene: Scene, manner: Manner = USUAL) -> dict[str, Any]:
    """The answer as one object."""
    choices = [
        {"index": index, "message": message(scene, manner), "finish_reason": reason_of(scene, manner)}
        for index in range(scene.n)
    ]
    return {
        **scene.identity("chat.completion"),
        "choices": choices,
        **manner.beside,
        **usage_of(scene, manner),
    }


def message(scene: Scene, manner: Manner) -> dict[str, Any]:
    """What an answer in one piece says."""
    play, cut = scene.play, scene.play.reasoning_chunks
    if scene.call is not None:
        function = {"name": scene.call, "arguments": "".join(play.texts)}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": CALL_ID, "type": "function", "function": function}],
        }
    content = {"content": "", **manner.speaks("".join(play.texts[cut:]))}
    return {"role": "assistant", **content, **(manner.thinks("".join(play.texts[:cut])) if cut else {})}
