"""Claims about how answers come: as a stream, with which chunks, and how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.dialect.delta import borne, parts
from loadtests.probe.finding import Change, contradicted, not_seen, noted, ticked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe.finding import Evidence, Finding
    from loadtests.probe.seen import Seen


def outcomes(e: Evidence) -> Iterator[Finding]:
    """What a run's rows would say of the two answers, with their times for orientation."""
    for kind, seen in (("a streamed answer", e.streamed), ("a whole answer", e.whole)):
        if seen is not None:
            judged = ticked if seen.ok else contradicted
            yield judged(kind, "ok", seen.said + (times(seen) if seen.ok else ""))


def times(seen: Seen) -> str:
    """Time to the first token and to the end, and what a run would flag."""
    record = seen.record
    first = f"first token {seen.answer.stamps[0] / 1e6:.0f} ms, " if seen.answer.stamps else ""
    flags = ", ".join(record.flags or ()) if record is not None else ""
    return f"; {first}end {seen.end_ns / 1e6:.0f} ms" + (f"; {flags}" if flags else "")


def content_type(e: Evidence) -> Iterator[Finding]:
    """A stream says that it is one, and what was asked for as a stream is one."""
    for claim, seen, wanted in (
        ("Content-Type of a stream", e.streamed, "text/event-stream"),
        ("Content-Type of a whole answer", e.whole, "application/json"),
    ):
        if seen is None or not seen.good:
            continue
        found = seen.header("content-type") or "none"
        came = "" if bool(seen.events) == seen.ask.stream else f"; came {'as a stream' if seen.events else 'whole'}"
        judged = ticked if wanted in found.lower() and not came else contradicted
        yield judged(claim, wanted, found + came)


def accept(e: Evidence) -> Iterator[Finding]:
    """The profile's own Accept header brings what it names."""
    for claim, says, seen in (
        ("accept.stream", e.profile.accept.stream, e.streamed),
        ("accept.plain", e.profile.accept.plain, e.whole),
    ):
        if says is not None and seen is not None:
            found = seen.header("content-type") or "none"
            judged = not_seen if not seen.good else ticked if says.lower() in found.lower() else contradicted
            yield judged(claim, says, f"answered with {found}")


def first_chunk(e: Evidence) -> Iterator[Finding]:
    """What the first event holds; that of most providers has a role alone."""
    if (seen := e.streamed) is not None and seen.chunks:
        yield noted("first chunk", first_said(seen.chunks[0]))


def first_said(chunk: dict[str, Any]) -> str:
    """The first chunk in words."""
    found = parts(chunk, "delta")
    if not found:
        more = sorted(chunk.keys() - {"id", "object", "created", "model", "choices"})
        return "no choices" + (f", but {', '.join(more)}" if more else "")
    if borne(chunk, "delta")[1]:
        return "role and text" if "role" in found[0] else "text, no role"
    content = (
        "no content" if "content" not in found[0] else 'content ""' if found[0]["content"] == "" else "content null"
    )
    return f"role alone, {content}" if "role" in found[0] else f"no role, {content}"


def chunk_shape(e: Evidence) -> Iterator[Finding]:
    """What the events are called, how many bear text, how many came together."""
    seen = e.streamed
    if seen is None or not seen.events:
        return
    names = sorted({name.decode("latin-1") for _, _, name in seen.events if name})
    objects = sorted({str(chunk["object"]) for chunk in seen.chunks if "object" in chunk})
    stamps = seen.answer.stamps
    shared = sum(map(int.__eq__, stamps[1:], stamps))
    words = [f"{len(seen.events)} events, {len(stamps)} with text"]
    words += [f"{shared} of them in one read with the one before"] if shared else []
    words += [f"named {', '.join(names)}"] if names else []
    words += [f"object {', '.join(objects)}" if objects else "no object"]
    yield noted("chunks", "; ".join(words))


def done(e: Evidence) -> Iterator[Finding]:
    """[DONE] ends a stream."""
    required, seen = e.profile.done_required, e.stream
    says = "required" if required else "not required"
    if seen is None:
        yield not_seen("done_required", says, "no whole stream")
    elif required and not seen.answer.done:
        why = "a stream ended without [DONE]"
        yield contradicted("done_required", says, why, Change("done_required", False, True, why))
    else:
        yield ticked("done_required", says, "[DONE] came" if seen.answer.done else "none came")


def finish(e: Evidence) -> Iterator[Finding]:
    """A stream says why it ends, and where."""
    required, seen = e.profile.finish_required, e.stream
    says = "required" if required else "not required"
    if seen is None:
        yield not_seen("finish_required", says, "no whole stream")
    elif seen.answer.choices.finish_reason is None and required:
        why = "a stream ended with [DONE] and without finish_reason"
        yield contradicted("finish_required", says, why, Change("finish_required", False, True, why))
    else:
        reason = seen.answer.choices.finish_reason
        yield ticked("finish_required", says, f"{reason}, {finish_place(seen)}" if reason else "none came")


def finish_place(seen: Seen) -> str:
    """In which chunk finish_reason came."""
    for chunk in seen.chunks:
        choices = chunk.get("choices")
        if isinstance(choices, list) and any(isinstance(c, dict) and c.get("finish_reason") for c in choices):
            return "with the last text" if borne(chunk, "delta")[1] else "in a chunk without text"
    return "in no chunk"
