"""Claims about tools: that a function is called, and in what form the call comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.dialect.delta import parts
from loadtests.errors import read
from loadtests.probe.finding import Change, contradicted, not_seen, noted, ticked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe.finding import Evidence, Finding
    from loadtests.probe.seen import Seen


def tools(e: Evidence) -> Iterator[Finding]:
    """Tools are taken as the profile says; whether the model then calls one is its own choice."""
    seen, says = e.tooled, e.profile.tools.supported
    if seen is None:
        return
    calls = calls_of(seen)
    if calls:
        judged = ticked if says else contradicted
        change = [] if says else [Change("tools.supported", True, False, "a function was called")]
        yield judged("tools.supported", says, "a function was called", *change)
        yield noted("tool calls", call_shape(calls))
        yield _finish(seen)
    elif seen.status in (400, 422) and "tool" in read(seen.body).line.lower():
        change = [Change("tools.supported", False, True, "they were refused")] if says else []
        judged = contradicted if says else ticked
        yield judged("tools.supported", says, seen.said, *change)
    else:
        yield not_seen("tools.supported", says, "answered in words" if seen.ok else seen.said)


def _finish(seen: Seen) -> Finding:
    reason = seen.answer.choices.finish_reason
    text = reason or "none"
    if reason == "length":
        return not_seen("finish_reason of a call", "tool_calls", "length: the cap came first")
    return (
        ticked("finish_reason of a call", "tool_calls", text)
        if reason == "tool_calls"
        else noted("finish_reason of a call", text, says="tool_calls")
    )


def calls_of(seen: Seen) -> list[dict[str, Any]]:
    """Every piece of a tool call that came, in order."""
    name = "delta" if seen.events else "message"
    found = [part.get("tool_calls") for value in seen.values for part in parts(value, name)]
    return [call for calls in found if isinstance(calls, list) for call in calls if isinstance(call, dict)]


def call_shape(calls: list[dict[str, Any]]) -> str:
    """The form of the pieces: how many, which have an index and an id, and how the arguments come."""
    functions = [call["function"] for call in calls if isinstance(call.get("function"), dict)]
    arguments = [function["arguments"] for function in functions if function.get("arguments")]
    words = [f"{len(calls)} piece{'s' * (len(calls) != 1)}"]
    words += [
        _share("index", ["index" in call for call in calls]),
        _share("id", [bool(call.get("id")) for call in calls]),
    ]
    if any(call.get("id") == "" for call in calls):
        words.append('id "" on others')
    if any(not isinstance(value, str) for value in arguments):
        words.append("arguments as an object")
    else:
        words.append("arguments whole" if len(arguments) <= 1 else f"arguments in {len(arguments)} pieces")
    return ", ".join(words)


def _share(name: str, has: list[bool]) -> str:
    if all(has):
        return f"{name} on each"
    if not any(has):
        return f"no {name}"
    return f"{name} on the first alone" if has[0] and sum(has) == 1 else f"{name} on {sum(has)}"
