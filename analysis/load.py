"""The load that a plan asked for, in words: when somebody arrives, how many at once, and what is asked."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

Plan = dict[str, Any]


def phrase(plan: Plan) -> str:
    """The planned load: `open loop, gamma (CV 2) 8/s for 20 s, at most 4 in flight`."""
    paced = {"closed": _closed, "unknown": _untold}.get(plan.get("mode", "open"), _open)
    return ", ".join([paced(plan), *_bounds(plan)])


def workload(plan: Plan) -> str:
    """What is asked: a workload's name, or several with their shares; empty where nobody said."""
    parts = [(str(one.get("name")), float(one.get("weight") or 1)) for one in plan.get("definitions") or ()]
    if len(parts) < 2:
        return parts[0][0] if parts else str(plan.get("workload") or "")
    total = sum(weight for _, weight in parts)
    return ", ".join(f"{name} {100 * weight / total:.3g} %" for name, weight in parts)


def _untold(plan: Plan) -> str:  # noqa: ARG001 - one of those that read a plan
    return "a load that the imported file does not tell"


def _closed(plan: Plan) -> str:
    if stages := plan.get("stages"):
        return f"closed loop, {_span(stages, 'concurrency')} users over {length(_total_s(stages))}"
    if shape := plan.get("shape"):
        return f"closed loop, users as Locust's shape {shape} says"
    words = f"closed loop, {plan.get('concurrency', '?')} at once"
    return words + (f" for {length(plan['duration_s'])}" if plan.get("duration_s") else "")


def _open(plan: Plan) -> str:
    law, _, figure = str(plan.get("arrivals") or "schedule").partition(":")
    stages, rate, over_s = plan.get("stages"), plan.get("rate"), plan.get("duration_s")
    name = {"gamma": f"gamma (CV {figure})", "burst": f"bursts of {figure}"}.get(law, law)
    if law == "trace":
        return f"open loop, trace {PurePath(figure).name}{_replayed(plan)}{_for(over_s)}"
    if stages:
        told = "" if law == "poisson" else f"{name}, "
        rates = f"{len(stages)}, {_span(stages, 'rate')}/s{_spikes(stages)}"
        return f"open loop, {told}stages ({rates}){_for(_total_s(stages))}"
    if law == "burst" and not rate:
        return f"open loop, burst of {figure}"
    return f"open loop, {name}" + (f" {rate:g}/s" if rate else "") + _for(over_s)


def _replayed(plan: Plan) -> str:
    speed, start_s = float(plan.get("trace_speed") or 1), float(plan.get("trace_start_s") or 0)
    return (f" x{speed:g}" if speed != 1 else "") + (f" from {length(start_s)}" if start_s else "")


def _for(over_s: float | None) -> str:
    return f" for {length(over_s)}" if over_s else ""


def length(over_s: float) -> str:
    """A length as people say it: 20 s, 90 s, 3 min, 2 h."""
    for unit_s, name in ((3600, "h"), (60, "min")):
        if over_s >= 2 * unit_s and over_s % unit_s == 0:
            return f"{over_s / unit_s:g} {name}"
    return f"{over_s:g} s"


def _total_s(stages: list[Plan]) -> float:
    return float(sum(stage.get("duration_s") or 0 for stage in stages))


def _span(stages: list[Plan], kind: str) -> str:
    """The least and the greatest rate or concurrency: `0-20`."""
    ends = [float(stage[end] or 0) for stage in stages if stage.get("kind") == kind for end in ("start", "end")]
    low, high = (min(ends), max(ends)) if ends else (0, 0)
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _spikes(stages: list[Plan]) -> str:
    """The bursts among stages of rate: `, bursts of 100, 200`."""
    sizes = [f"{stage.get('n'):,}" for stage in stages if stage.get("kind") == "burst"]
    return f", burst{'s' if len(sizes) > 1 else ''} of {', '.join(sizes)}" if sizes else ""


def _bounds(plan: Plan) -> list[str]:
    """What else shaped the load."""
    think, ramp_s, cap = _law(plan), plan.get("ramp_s"), plan.get("max_in_flight")
    return [
        *([f"{plan['requests']:,} requests"] if plan.get("requests") else []),
        *([f"think time {think}"] if think else []),
        *([f"ramp {length(ramp_s)}"] if ramp_s else []),
        *([f"at most {cap:,} in flight"] if cap else []),
        *(["held to the end"] if plan.get("hold") else []),
    ]


def _law(plan: Plan) -> str:
    """The law of the think time: `2 s`, `lognormal (median 2 s)`; empty for none."""
    law = plan.get("think") or ({"law": "fixed", "value": plan["think_s"]} if plan.get("think_s") else None)
    if not isinstance(law, dict):
        return length(float(law)) if law else ""
    if law.get("law") == "fixed":
        return length(float(law.get("value") or 0)) if law.get("value") else ""
    of = {"uniform": ("min", "max")}.get(str(law.get("law")), ("median", "mean"))
    said = ", ".join(f"{key} {law[key]:g} s" for key in of if isinstance(law.get(key), int | float))
    return f"{law.get('law')}" + (f" ({said})" if said else "")
