"""What a stream tells at its end: usage, finish reasons, and what is missing from an answer that seems complete."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import DONE, Beat, Manner
from loadtests.mock.scenarios.chunks import edited
from loadtests.mock.scenarios.scenario import BOTH, fails, fine
from loadtests.mock.score import pieces_of, played, streamed, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.mock.scenarios.scenario import Scenario
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Score

LATE_NS: Final = 500_000_000

# Usage.


def _beside(where: str, key: str) -> Callable[[Scene], Score]:
    """Counts under another name: no `usage` is told."""

    def tells(scene: Scene, made: list[Beat]) -> list[Beat]:
        last = max(place for place, beat in enumerate(made) if isinstance(beat.value, dict))
        count = scene.tokens if key != "usage" else scene.usage()
        value = {**made[last].value, where: {key: count}}
        return [*made[:last], made[last]._replace(value=value), *made[last + 1 :]]

    return edited(tells, Manner(usage="none"))


def _late(_scene: Scene, made: list[Beat]) -> list[Beat]:
    """The usage chunk and [DONE] half a second after all else."""
    return [
        beat._replace(at_ns=beat.at_ns + LATE_NS) if beat.value == DONE or not beat.value["choices"] else beat
        for beat in made
    ]


def _counted(**counts: Any) -> Manner:
    return Manner(counts=lambda scene: {**scene.usage(), **counts})


def _named_otherwise(scene: Scene) -> dict[str, Any]:
    return {"input_tokens": scene.voice.ask.prompt_tokens, "output_tokens": scene.tokens}


def _flat(scene: Scene) -> dict[str, Any]:
    """LLM Gateway's newer one: the reasoning's count at the top."""
    usage = scene.usage()
    del usage["completion_tokens_details"]
    return {**usage, "reasoning_tokens": scene.play.reasoning_tokens, "prompt_tokens_details": {"cached_tokens": 0}}


def _untold(manner: Manner) -> Callable[[Scene], Score]:
    """A usage that can't be used."""

    def play(scene: Scene) -> Score:
        return replace(played(scene, manner), tokens=None)

    return play


NO_COUNTS: Final = _counted(prompt_tokens="ten", completion_tokens=-1, total_tokens=None)

USAGE: Final = (
    fine("usage_own_chunk", "usage in a chunk without choices, null before", Manner()),
    fine("usage_with_choice", "usage in a chunk with one empty choice", Manner(usage="choice")),
    fine("usage_on_content", "usage on the last content chunk", Manner(usage="content")),
    fine("usage_each", "usage on every chunk, so far (continuous_usage_stats)", Manner(usage="each")),
    fine("usage_late", "usage half a second after the finish reason", edited(_late)),
    fine("usage_absent", "no usage, though it was asked for", Manner(usage="none")),
    fine("usage_groq", "x_groq.usage on the last chunk", _beside("x_groq", "usage")),
    fine("usage_timings", "llama.cpp: timings.predicted_n on the last chunk", _beside("timings", "predicted_n")),
    fine("usage_other_names", "input_tokens and output_tokens", Manner(counts=_named_otherwise)),
    fine("usage_flat", "reasoning_tokens at the top of usage, no details", Manner(counts=_flat)),
    fine("usage_zero", "usage of zeros with a real answer", _untold(_counted(completion_tokens=0, total_tokens=0))),
    fine("usage_nonsense", "counts that are no numbers, or below 0", _untold(NO_COUNTS), asked=BOTH),
)


# Finish reasons.


def _finish(reason: str) -> Manner:
    return Manner(reason=reason)


def _other_model(scene: Scene) -> Score:
    """Another model than was asked for answers."""
    ask = scene.voice.ask._replace(model="another-model")
    return played(replace(scene, voice=scene.voice._replace(ask=ask)))


def _no_choices(scene: Scene) -> Score:
    identity = scene.identity("chat.completion.chunk")
    if not scene.voice.ask.stream:
        return whole(scene, {**scene.identity("chat.completion"), "choices": [], "usage": scene.usage(0)}, tokens=0)
    return streamed(scene, pieces_of(Beat(scene.first_ns, v) for v in ({**identity, "choices": []}, DONE)))


def _empty(scene: Scene) -> Score:
    silent = scene.saying([])
    return replace(played(silent), tokens=0 if silent.voice.tells_usage else None)


def _ends(name: str, reason: str, **truth: Any) -> Scenario:
    """A finish reason that means failure."""
    return fails(
        name, f"finish_reason {reason}", _finish(reason), "stream_error", finish_reason=reason, asked=BOTH, **truth
    )


FINISH: Final = (
    fine("finish_on_content", "finish_reason on the last content chunk", Manner(finish="content")),
    fine("finish_length", "finish_reason length", _finish("length"), finish_reason="length", asked=BOTH),
    fine("finish_content_filter", "finish_reason content_filter", _finish("content_filter"), asked=BOTH,
         finish_reason="content_filter", flags=("content_filter",)),
    fine("finish_upper_case", "finish_reason STOP", _finish("STOP"), finish_reason="STOP", asked=BOTH),
    _ends("finish_error", "error"),
    _ends("finish_abort", "abort"),
    _ends("finish_overload", "insufficient_system_resource"),
    _ends("finish_model_length", "model_length"),
    fails("finish_blank", 'finish_reason ""', _finish(""), "no_finish", asked=BOTH),
    fine("wrong_model", "another model than was asked for answers", _other_model, flags=("model_differs",), asked=BOTH),
    fails("no_choices", "choices is an empty list, and nothing else comes", _no_choices, "no_finish", asked=BOTH),
    fails("empty", "complete, without a token", _empty, "empty", finish_reason="stop", asked=BOTH),
)  # fmt: skip

CLOSING: Final = (*USAGE, *FINISH)
