"""What a worker's messages to its master must look like: what comes from the network is checked first."""

from __future__ import annotations

from typing import Any, Final

_SPEND: Final = (int, int, float)
_TOLD: Final = (_SPEND, _SPEND, int, _SPEND, _SPEND)
_SIDE: Final = {
    "ok": int, "errors": int, "cancelled": int, "unsent": int, "output_tokens": int, "kinds": {str: int},
    "ttft": [int], "tpot": [int], "ttft_s": float, "tpot_s": float,
}  # fmt: skip
_STATUS: Final = {
    "t_s": float, "issued": int, "in_flight": int, "waiting": int, "ok": int, "errors": int, "cancelled": int,
    "unsent": int, "answered": int, "arms": {str: _SIDE}, "health": {str: float}, "last_due_ns": int, "slot_ns": int,
    "paused_until_ns": {str: int},
}  # fmt: skip
_SAID: Final[dict[str, Any]] = {
    "ready": {}, "reached": {"slot": int}, "status": _STATUS, "over": {}, "failed": {"text": str},
}  # fmt: skip
_MESSAGES: Final[dict[str, dict[str, Any]]] = {
    "join": {},
    "time": {"asked_ns": int},
    "rows": {"name": str, "offset": int},
    "bye": {},
    "status": {"said": {"kind": str}},
    "beat": {"heard": int, "clock": {"offset_ns": int, "error_ns": int, "drift_ns": int}},
    "ask": {"told": _TOLD},
    "returned": {"told": _TOLD},
    "said": {"n": int, "said": {"kind": str}},
    "gone": {"n": int, "how": str},
    "home": {"n": int, "ended": bool, "settled": _SPEND},
}


def is_sound(message: dict[str, Any]) -> bool:
    """Whether a message has all that its kind must have; more is no harm."""
    shape = _MESSAGES.get(message["kind"])
    if shape is None or not _fits(message, shape):
        return False
    if "said" not in shape:
        return True
    said = message["said"]
    stopping = said.get("stopping")
    known = said["kind"] in _SAID and _fits(said, _SAID[said["kind"]])
    counts_fit = _fits(said.get("missed", {}), {str: [int]})
    return known and counts_fit and (stopping is None or (_fits(stopping, [str]) and len(stopping) in {2, 3}))


def _fits(value: Any, shape: Any) -> bool:
    """
    Whether a value has a shape.

    A type means itself, `float` any number; `[shape]` a list of such; a tuple a list of just these; `{str: shape}` a
    dict of such; another dict what a dict holds at least.
    """
    if isinstance(shape, type):
        return isinstance(value, (int, float) if shape is float else shape) and isinstance(value, bool) <= (
            shape is bool
        )
    if isinstance(shape, dict):
        named = dict.fromkeys(value, shape[str]) if isinstance(value, dict) and str in shape else shape
        return isinstance(value, dict) and all(key in value and _fits(value[key], one) for key, one in named.items())
    if not isinstance(value, list):
        return False
    parts = shape * len(value) if isinstance(shape, list) else shape
    return len(value) == len(parts) and all(map(_fits, value, parts))
