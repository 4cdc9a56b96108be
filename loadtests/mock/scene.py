"""
One answer before it is bytes: who says what and when, with everything that is wanted of it.

script (Performance) + request (Wish) -> Scene. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.script import Performance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.mock.answer import Voice
    from loadtests.mock.request import Wish

SILENCE: Final = Performance((0,), (), 0, 0, 0, "stop", None)
"""What is played where nothing is said."""

PIECE: Final = 4
"""Characters that count as a token of JSON."""


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What an answer is made of.

    Attributes:
        voice: Number, moment and what was asked.
        play: Texts and when they go out; those of a function call are the pieces of its arguments.
        call: Name of the function that is called; None where the answer is text.
        n: Choices; all say the same.
        authorization: The request's own header, for providers that repeat it.
    """

    voice: Voice
    play: Performance
    call: str | None = None
    n: int = 1
    authorization: str = ""

    @property
    def first_ns(self) -> int:
        """When the first chunk is due, in nanoseconds since the request was read."""
        return self.play.offsets_ns[0]

    @property
    def last_ns(self) -> int:
        """When the last chunk is due."""
        return self.play.offsets_ns[-1]

    @property
    def tokens(self) -> int:
        """Tokens of all choices."""
        return self.play.tokens * self.n

    @property
    def finish_reason(self) -> str:
        """Why it ends."""
        return "tool_calls" if self.call is not None and self.play.finish_reason == "stop" else self.play.finish_reason

    def identity(self, kind: str) -> dict[str, Any]:
        """What every object of the answer begins with."""
        voice = self.voice
        return {
            "id": f"chatcmpl-{voice.number}",
            "object": kind,
            "created": voice.created_s,
            "model": voice.ask.model,
        }

    def chunk(self, delta: Mapping[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
        """A chunk with one choice."""
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        return {**self.identity("chat.completion.chunk"), "choices": [choice], **more}

    def usage(self, tokens: int | None = None) -> dict[str, Any]:
        """The usage object, of all tokens or of so many."""
        asked, spoken = self.voice.ask.prompt_tokens, self.tokens if tokens is None else tokens
        return {
            "prompt_tokens": asked,
            "completion_tokens": spoken,
            "total_tokens": asked + spoken,
            "completion_tokens_details": {"reasoning_tokens": min(spoken, self.play.reasoning_tokens * self.n)},
        }

    def later(self, by_ns: int) -> Scene:
        """The same, so much later."""
        return replace(self, play=replace(self.play, offsets_ns=tuple(at + by_ns for at in self.play.offsets_ns)))

    def saying(self, texts: Sequence[str], reasoning: int = 0) -> Scene:
        """The same moments with other texts, a token each; the first `reasoning` of them are that."""
        offsets_ns = moments(self.play.offsets_ns, len(texts))
        return replace(
            self,
            play=replace(
                self.play,
                texts=tuple(texts),
                offsets_ns=offsets_ns,
                tokens=len(texts),
                reasoning_tokens=reasoning,
                reasoning_chunks=reasoning,
            ),
        )


def moments(offsets_ns: Sequence[int], count: int) -> tuple[int, ...]:
    """The first so many of these, at least one, going on with the last gap where there are too few."""
    known = tuple(offsets_ns[: max(1, count)])
    gap_ns = offsets_ns[-1] - offsets_ns[-2] if len(offsets_ns) > 1 else 0
    return known[:-1] + tuple(accumulate([gap_ns] * (count - len(known)), initial=known[-1]))


def scene_of(voice: Voice, play: Performance, wish: Wish | None, authorization: str = "") -> Scene:
    """The scene of an answer that heeds what was wished for."""
    scene = Scene(voice, play, authorization=authorization)
    if wish is None:
        return scene
    scene = replace(scene, n=wish.n)
    if wish.call is not None:
        return replace(_of_json(scene, wish.call[1]), call=wish.call[0])
    return _of_json(scene, wish.json) if wish.json is not None else _stopped(scene, wish.stops)


def _of_json(scene: Scene, text: str) -> Scene:
    """The answer is this text, cut where the cap says so."""
    pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
    cap = scene.voice.ask.cap
    made = scene.saying(pieces[:cap])
    is_cut = cap is not None and cap < len(pieces)
    return replace(made, play=replace(made.play, finish_reason="length" if is_cut else "stop"))


def _stopped(scene: Scene, stops: Sequence[str]) -> Scene:
    """The answer up to where the first of the stops would come, reasoning aside."""
    play = scene.play
    spoken = play.texts[play.reasoning_chunks :]
    whole = "".join(spoken)
    ends = [at for stop in stops if (at := whole.find(stop)) >= 0]
    if not ends:
        return scene
    left, kept = min(ends), []
    for text in spoken:
        kept.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    texts = (*play.texts[: play.reasoning_chunks], *(text for text in kept if text))
    made = scene.saying(texts, play.reasoning_chunks)
    return replace(made, play=replace(made.play, finish_reason="stop"))
