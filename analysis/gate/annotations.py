"""
The verdict as GitHub's workflow commands, which show as annotations of the job.

Source: actions/toolkit, command.ts (what has to be escaped); at most ten of a kind are shown for one step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.gate.verdict import Verdict

MOST: Final = 10
LONGEST: Final = 1000
"""Characters of one message."""


def commands(verdict: Verdict) -> list[str]:
    """A line for each reason, then one for each doubt; the tenth says how many have no place."""
    kind = _kind(verdict)
    lines = [_command(kind, _title(verdict.name, verdict.verdict), text) for text in _bounded(verdict.reasons)]
    doubts = [text for text in verdict.doubts if text not in verdict.reasons]
    room = MOST - len(lines) if kind == "warning" else MOST
    lines += [_command("warning", "firsttoken gate: validity", text) for text in _bounded(doubts, room)]
    return lines


def _kind(verdict: Verdict) -> str:
    """What is inconclusive warns, unless it fails the job."""
    if verdict.verdict == "inconclusive":
        return "error" if verdict.taken_as == "fail" else "warning"
    return "notice" if verdict.verdict == "pass" else "error"


def mistake(text: str, name: str) -> str:
    """The one line for a gate that could not judge."""
    return _command("error", _title(name, "could not judge"), text)


def _title(name: str, told: str) -> str:
    return f"firsttoken gate{f' {name}' if name else ''}: {told}"


def _bounded(texts: tuple[str, ...] | list[str], most: int = MOST) -> Iterator[str]:
    kept = texts if len(texts) <= most else texts[: max(0, most - 1)]
    yield from kept
    if len(kept) < len(texts) and most > 0:
        yield f"and {len(texts) - len(kept)} more: verdict.json has all"


def _command(kind: str, title: str, text: str) -> str:
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return f"::{kind} title={_property(title)}::{_data(cut)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
