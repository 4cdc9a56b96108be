"""Semantics: what a chunk may carry, and where. First chunks, reasoning, refusals, choices."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import ROLE, USUAL, Beat, Manner, beats
from loadtests.mock.scenarios.scenario import BOTH, fails, fine
from loadtests.mock.score import pieces_of, played, streamed, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Score

THOUGHTS: Final = 4


# First chunks.

FILTERS: Final = {"hate": {"filtered": False, "severity": "safe"}}
AZURE: Final = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [],
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERS}],
}
ANNOTATION: Final = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [
        {
            "index": 0,
            "finish_reason": None,
            "content_filter_results": FILTERS,
            "content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 9},
        }
    ],
}


def edited(change: Callable[[Scene, list[Beat]], list[Beat]], manner: Manner = USUAL) -> Callable[[Scene], Score]:
    """The usual events, changed."""

    def play(scene: Scene) -> Score:
        made = change(scene, beats(scene, manner))
        return streamed(scene, pieces_of(made, manner.frame), tokens=told(scene, manner))

    return play


def _annotated(_scene: Scene, made: list[Beat]) -> list[Beat]:
    """Annotations between the chunks."""
    return [part for beat in made for part in ((Beat(beat.at_ns, ANNOTATION), beat) if beat.said else (beat,))]


def _restless(_scene: Scene, made: list[Beat]) -> list[Beat]:
    """Ids that are empty or change, and moments of 0."""
    ids = ["", "a", "b", ""]
    return [
        beat
        if isinstance(beat.value, bytes)
        else beat._replace(value={**beat.value, "id": ids[place % 4], "created": 0})
        for place, beat in enumerate(made)
    ]


def _padded(_scene: Scene, made: list[Beat]) -> list[Beat]:
    """Keys of several servers that mean nothing here: padding, log probabilities, timings."""
    more: dict[str, Any] = {
        "obfuscation": "x7Tq9",
        "service_tier": "default",
        "provider": "mock",
        "sglext": {},
        "metrics": None,
    }
    return [b if isinstance(b.value, bytes) else b._replace(value={**b.value, **more}) for b in made]


FIRST: Final = (
    fine("role_empty", 'first chunk: role and content "", at once, long before the token', Manner(opens="early")),
    fine("role_null", "first chunk: role and content null", Manner(opening={"role": "assistant", "content": None})),
    fine("role_only", "first chunk: role and no content key", Manner(opening={"role": "assistant"}, opens="early")),
    fine("role_joined", "role on the chunk of the first token", Manner(opens="joined", opening={"role": "assistant"})),
    fine("role_absent", "no role anywhere", Manner(opening=None)),
    fine("role_everywhere", "role on every chunk", Manner(every={"role": "assistant"})),
    fine("azure_first_chunk", "Azure: no choices but prompt_filter_results, at once", Manner(lead=(AZURE,))),
    fine("azure_annotations", "Azure: annotations without a delta between the chunks", edited(_annotated)),
    fine("progress", "llama.cpp: role chunks with prompt_progress before any token", Manner(lead=(
        {"choices": [{"index": 0, "delta": {**ROLE, "content": None}, "finish_reason": None}],
         "prompt_progress": {"total": 10, "processed": 5}},
    ))),
    fine("restless_ids", "chunk ids that are empty or change, created 0", edited(_restless)),
    fine("unknown_keys", "obfuscation, service_tier, provider, metrics on each chunk", edited(_padded)),
)  # fmt: skip


# Reasoning, refusals, choices.


def _details(text: str) -> dict[str, Any]:
    return {"content": "", "reasoning_details": [{"type": "reasoning.text", "text": text, "index": 0}]}


def _mistral(text: str) -> dict[str, Any]:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


def _parts(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def reasons(manner: Manner) -> Callable[[Scene], Score]:
    """The usual answer with its first tokens as reasoning."""

    def play(scene: Scene) -> Score:
        cut = min(THOUGHTS, len(scene.play.texts))
        return played(scene.saying(scene.play.texts, cut), manner)

    return play


def _as_thought(key: str) -> Callable[[Scene], Score]:
    return reasons(Manner(thinks=lambda text: {key: text}))


def _both_names(text: str) -> dict[str, Any]:
    return {"reasoning": text, "reasoning_content": text}


def _tagged(scene: Scene) -> Score:
    """All of it is content."""
    return played(scene.saying(["<think>", *scene.play.texts[:3], "</think>", *scene.play.texts[3:]]))


def _refusal(scene: Scene) -> Score:
    manner = Manner(speaks=lambda text: {"refusal": text}, opening={"role": "assistant", "content": None})
    score = played(scene, manner)
    heard = [p._replace(said=tuple(("refusal", text) for _, text in p.said)) for p in score.pieces]
    return replace(score, pieces=tuple(heard))


def _choices(scene: Scene) -> Score:
    return played(replace(scene, n=3))


def _choices_in_one(scene: Scene) -> Score:
    """Three choices in each chunk."""
    threefold = replace(scene, n=3)
    made: list[Beat] = []
    for beat in beats(threefold):
        joins = made and isinstance(beat.value, dict) and beat.value["choices"] and beat.value["choices"][0]["index"]
        if joins:
            before = made.pop()
            choices = [*before.value["choices"], *beat.value["choices"]]
            beat = Beat(before.at_ns, {**before.value, "choices": choices}, before.said + beat.said)  # noqa: PLW2901
        made.append(beat)
    return streamed(threefold, pieces_of(made), tokens=told(threefold, USUAL))


def _unfinished_choice(scene: Scene) -> Score:
    """One of three choices never says why it ended."""
    threefold = replace(scene, n=3)
    made = [b for b in beats(threefold) if isinstance(b.value, bytes) or not _finishes(b.value, 2)]
    return streamed(threefold, pieces_of(made), tokens=told(threefold, USUAL))


def _finishes(value: dict[str, Any], index: int) -> bool:
    return any(choice["index"] == index and choice["finish_reason"] for choice in value["choices"])


SAID: Final = (
    fine("reasoning_content", "reasoning first, as reasoning_content", _as_thought("reasoning_content"), asked=BOTH),
    fine("reasoning", "reasoning first, as reasoning", _as_thought("reasoning"), asked=BOTH),
    fine("reasoning_both", "reasoning under both names at once", reasons(Manner(thinks=_both_names)), asked=BOTH),
    fine("reasoning_details", "OpenRouter: reasoning_details, a list", reasons(Manner(thinks=_details))),
    fine("mistral_thinking", "Mistral: content is a list of thinking and text parts", reasons(
        Manner(thinks=_mistral, speaks=_parts)
    )),
    fine("think_tags", "reasoning inside content, between <think> tags: it is content", _tagged, asked=BOTH),
    fine("content_parts", "content is a list of text parts", Manner(speaks=_parts), asked=BOTH),
    fine("refusal", "a refusal in place of content", _refusal, asked=BOTH, flags=("refusal",)),
    fine("choices", "three choices that take turns", _choices, asked=BOTH, n=3),
    fine("choices_in_one", "three choices in each chunk", _choices_in_one, n=3),
    fails("unfinished_choice", "one of three choices without finish_reason", _unfinished_choice, "no_finish",
          finish_reason="stop", n=3),
)  # fmt: skip


CHUNKS: Final = (*FIRST, *SAID)
