"""Tool calls, as well and as badly as they are streamed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import CALL_ID, Manner, calls
from loadtests.mock.providers.morpheus import calls as in_two
from loadtests.mock.scenarios.scenario import BOTH, fine
from loadtests.mock.score import played

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.mock.scenarios.scenario import Scenario
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Score

NAME: Final = "get_weather"
PIECES: Final = ('{"ci', 'ty":', '"Köl', 'n 🙂"', "}")
Deltas = list[tuple[dict[str, Any], str]]


def _calling(made: Callable[[str, tuple[str, ...]], Deltas], **manner: Any) -> Callable[[Scene], Score]:
    """The call of one function, its deltas made so."""

    def play(scene: Scene) -> Score:
        scene = replace(scene.saying(PIECES), call=NAME)
        return played(scene, Manner(calls=made, opening={"role": "assistant", "content": None}, **manner))

    return play


def _call(function: dict[str, str], **keys: Any) -> dict[str, Any]:
    return {"tool_calls": [{**keys, "function": function}]}


def _without_index(name: str, pieces: tuple[str, ...]) -> Deltas:
    begin = (_call({"name": name, "arguments": ""}, id=CALL_ID, type="function"), name)
    return [begin, *((_call({"arguments": piece}), piece) for piece in pieces)]


def _empty_later(name: str, pieces: tuple[str, ...]) -> Deltas:
    begin, *_ = calls(name, ())
    return [begin, *((_call({"name": "", "arguments": p}, index=0, id="", type=""), p) for p in pieces)]


def _whole(name: str, pieces: tuple[str, ...]) -> Deltas:
    arguments = "".join(pieces)
    return [(_call({"name": name, "arguments": arguments}, id=CALL_ID, type="function"), name + arguments)]


def _parallel(name: str, pieces: tuple[str, ...]) -> Deltas:
    """Two calls, each at its index."""
    one = calls(name, pieces)
    other = [({"tool_calls": [{**delta["tool_calls"][0], "index": 1}]}, text) for delta, text in one]
    other[0][0]["tool_calls"][0]["id"] = "call_1"
    return [*one, *other]


def _index_reused(name: str, pieces: tuple[str, ...]) -> Deltas:
    """Two calls that both say index 0: their ids tell them apart."""
    deltas = _parallel(name, pieces)
    return [({"tool_calls": [{**delta["tool_calls"][0], "index": 0}]}, text) for delta, text in deltas]


def _legacy(name: str, pieces: tuple[str, ...]) -> Deltas:
    begin = ({"function_call": {"name": name, "arguments": ""}}, name)
    return [begin, *(({"function_call": {"arguments": piece}}, piece) for piece in pieces)]


def _tools(name: str, summary: str, made: Callable[[str, tuple[str, ...]], Deltas], **manner: Any) -> Scenario:
    reason = manner.get("reason", "tool_calls")
    return fine(name, summary, _calling(made, **manner), finish_reason=reason)


CALLS: Final = (
    replace(_tools("tools", "a tool call: name, then arguments by pieces, with its index", calls), asked=BOTH),
    _tools("tools_without_index", "deltas of a tool call without index", _without_index),
    _tools("tools_empty_later", "index, but an empty id, type and name in later deltas", _empty_later),
    _tools("tools_whole", "Gemini, Ollama: the whole call in one chunk, no index, finish_reason stop", _whole,
           reason="stop", opens="early"),
    _tools("tools_in_two", "Morpheus: the name, then all arguments and the finish reason", in_two, finish="content"),
    _tools("tools_parallel", "two calls, one after the other", _parallel),
    _tools("tools_index_reused", "two calls that both say index 0", _index_reused),
    _tools("function_call", "the legacy function_call", _legacy, reason="function_call"),
)  # fmt: skip
