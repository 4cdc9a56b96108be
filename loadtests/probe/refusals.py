"""Claims about refusals: whether a deliberate mistake is refused, and the shape of the error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.dialect.usage import pointer
from loadtests.errors import read
from loadtests.probe.ask import KEYLESS, WRONG
from loadtests.probe.finding import Change, contradicted, not_seen, noted, ticked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe.finding import Evidence, Finding
    from loadtests.probe.seen import Seen
    from loadtests.profiles.tables import ErrorDoc

NAMES: Final = {
    "message": ("message", "msg", "detail", "error"), "type": ("type", "error_type"), "code": ("code",),
    "param": ("param", "loc"),
}  # fmt: skip
"""What an error says, and the keys that providers say it under, the usual one first."""


def mistake(e: Evidence) -> Iterator[Finding]:
    """A request that the profile's rules say is refused, is."""
    seen = e.seen.get(WRONG)
    if seen is None or seen.ask.mistake is None:
        return
    claim, what = seen.ask.mistake.claim, seen.ask.mistake.what
    if claim is None:
        answered = f"answered by {seen.answer.model}" if seen.good else seen.said
        yield noted(what, answered)
    elif seen.good:
        why = "it was accepted, or ignored"
        yield contradicted(claim, what, why, Change(claim, None, _rule(e, claim), why))
    elif 400 <= (seen.status or 0) < 500 and seen.status not in (401, 403, 429):
        yield ticked(claim, f"{what} is refused", f"HTTP {seen.status}")
    else:
        yield not_seen(claim, what, seen.said)


def _rule(e: Evidence, claim: str) -> Any:
    """What the profile says at params.<table>.<parameter>."""
    _, table, parameter = claim.split(".", 2)
    return getattr(e.profile.params, table)[parameter]


def wrong_key(e: Evidence) -> Iterator[Finding]:
    """A key that is none is refused; of a profile that requires none, what came is told."""
    seen = e.seen.get(KEYLESS)
    if seen is None:
        return
    if not e.profile.auth.required:
        yield noted("a wrong key", seen.said)
        return
    judged = contradicted if seen.good else ticked if seen.status in (401, 403) else not_seen
    yield judged("auth.required", "a wrong key is refused", seen.said)


def shapes(e: Evidence) -> Iterator[Finding]:
    """Every error body that came has the shape that the profile gives for its status."""
    done: set[int] = set()
    for seen in e.seen.values():
        if seen.status is not None and 400 <= seen.status < 600 and seen.status not in done and seen.record is not None:
            done.add(seen.status)
            yield shape(seen, seen.status, e.profile.errors)


def shape(seen: Seen, status: int, documented: tuple[ErrorDoc, ...]) -> Finding:
    """The shape of one error against what is documented for its status, or without one."""
    value = seen.value
    docs = [doc for doc in documented if doc.status == status] or [doc for doc in documented if doc.status is None]
    found = located(value)
    text = f"HTTP {status}, " + (", ".join(f"{name} at {at}" for name, at in found.items()) or "no JSON that says why")
    claim = f"errors, status {status}"
    add = _entry(status, found, seen)
    if not docs:
        return noted(claim, text, *add)
    says = " or ".join(dict.fromkeys(doc.message for doc in docs))
    if any(_is_text(pointer(value, doc.message)) for doc in docs):
        exact = docs[0].status is not None
        return ticked(claim, f"message at {says}", text + ("" if exact else "; documented without its status"))
    return contradicted(claim, f"message at {says}", text, *add)


def _entry(status: int, found: dict[str, str], seen: Seen) -> list[Change]:
    """The entry that a profile could have for it."""
    if "message" not in found:
        return []
    what = seen.ask.mistake.what if seen.ask.mistake is not None else read(seen.body).line[:60]
    return [Change("errors", {"status": status, **found, "meaning": what}, None, "seen", adds=True)]


def located(value: Any) -> dict[str, str]:
    """Where in an error body message, type, code and param stand, as JSON pointers; what is not there is left out."""
    while isinstance(value, dict | list):
        found = _in(value)
        if "message" in found:
            return found
        return next((deeper for deeper in _deeper(value) if "message" in deeper), found)
    return {}


def _in(value: Any) -> dict[str, str]:
    """The same at one level."""
    if not isinstance(value, dict):
        return {}
    told = {key for key, inner in value.items() if inner is not None}
    texts = {key for key in told if _is_text(value[key])}
    found = {
        name: next((f"/{key}" for key in keys if key in (texts if name == "message" else told)), None)
        for name, keys in NAMES.items()
    }
    return {name: at for name, at in found.items() if at is not None}


def _deeper(value: Any) -> Iterator[dict[str, str]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield {name: f"/{key}{at}" for name, at in located(inner).items()}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
