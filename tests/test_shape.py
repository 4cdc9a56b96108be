"""What a master believes of what it is told: its workers' own messages, and nothing that would make it stumble."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.link.frames import greeting
from loadtests.link.shape import is_sound

SPEND = [3, 400, 0.25]
TOLD = [SPEND, [0, 0, 0], 2, SPEND, [0, 0, 0]]
SIDE = {
    "ok": 2, "errors": 0, "cancelled": 0, "unsent": 0, "output_tokens": 9, "kinds": {"reset": 1}, "ttft": [700, 2],
    "tpot": [400, 2], "ttft_s": 0.4, "tpot_s": 0.02,
}  # fmt: skip
STATUS = {
    "kind": "status", "worker": 1, "t_s": 0.5, "issued": 3, "in_flight": 1, "waiting": 0, "ok": 2, "errors": 0,
    "cancelled": 0, "unsent": 0, "answered": 2, "arms": {"default": SIDE}, "health": {"cpu": 0.2, "hub_lag_us": 40},
    "paused_until_ns": {"default": -1}, "last_due_ns": -1, "slot": None, "slot_ns": 0, "stopping": None,
}  # fmt: skip
SOUND: list[dict[str, Any]] = [
    {"kind": "join", "order": "", **greeting()},
    {"kind": "time", "asked_ns": 5},
    {"kind": "rows", "name": "requests-0.arrows", "offset": 0},
    {"kind": "bye"},
    {"kind": "status", "said": STATUS},
    {"kind": "status", "said": STATUS | {"stopping": ["refused", "no such key", ""]}},
    {"kind": "beat", "heard": 0, "clock": {"offset_ns": -5, "error_ns": 9, "drift_ns": 0}},
    {"kind": "ask", "told": TOLD},
    {"kind": "returned", "told": TOLD},
    {"kind": "said", "n": 0, "said": {"kind": "ready", "worker": 1}},
    {"kind": "said", "n": 1, "said": {"kind": "reached", "slot": 0}},
    {"kind": "said", "n": 2, "said": {"kind": "over", "worker": 1, "stopping": None}},
    {"kind": "said", "n": 2, "said": {"kind": "failed", "text": "no key"}},
    {"kind": "gone", "n": 3, "how": "killed by signal 9"},
    {"kind": "home", "n": 4, "ended": True, "settled": SPEND},
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("message", SOUND, ids=lambda message: message["kind"])
def test_what_a_worker_says_is_sound(message: dict[str, Any]) -> None:
    assert is_sound(message)


def ways(value: Any, shape: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all parts of a message."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [shape, *(way for key, part in parts for way in ways(part, (*shape, key)))]


def put(value: Any, way: tuple[Any, ...], new: Any) -> Any:
    """The same with another part there."""
    if not way:
        return new
    whole = dict(value) if isinstance(value, dict) else list(value)
    whole[way[0]] = put(value[way[0]], way[1:], new)
    return whole


NEEDED = [
    (message, way)
    for message in SOUND
    for way in ways(message)[1:]
    if message["kind"] != "join" and way[0] != "kind" and way[-1] not in {"worker", "slot"} and "stopping" not in way
]


@pytest.mark.parametrize("junk", [None, {"x": []}, True, [[]]], ids=repr)
def test_a_message_with_a_part_of_another_kind_is_none(junk: Any) -> None:
    for message, way in NEEDED:
        there: Any = message
        for key in way:
            there = there[key]
        if type(there) is not type(junk) or isinstance(there, list):
            assert not is_sound(put(message, way, junk)), (message, way)


@given(st.sampled_from(SOUND), st.data())
def test_nothing_that_comes_makes_it_stumble(message: dict[str, Any], data: st.DataObject) -> None:
    """Whatever JSON stands wherever in a message, it is sound or is not."""
    way = data.draw(st.sampled_from(ways(message)[1:]))
    changed = put(message, way, data.draw(JSON))

    assert is_sound(changed if isinstance(changed.get("kind"), str) else message) in {True, False}
