"""Claims about tokens: where usage comes, whether the cap is honoured, reasoning, and the provider's own time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.dialect import usage
from loadtests.dialect.delta import REASONING_KEYS, borne, parts
from loadtests.errors import read
from loadtests.probe.ask import CAP
from loadtests.probe.finding import Change, contradicted, not_seen, noted, ticked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe.finding import Evidence, Finding
    from loadtests.probe.seen import Seen

OTHER_CAP: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


# Usage.


def stream_usage(e: Evidence) -> Iterator[Finding]:
    """Usage comes in a stream as the profile says: always, when asked for, or never."""
    says, seen = e.profile.stream_usage, e.stream
    if seen is None:
        yield _option_refused(e) or not_seen("stream_usage", says, "no whole stream")
        return
    place = usage_place(seen)
    if place is None and says in {"always", "option"}:
        why = "none came, and it was asked for" if says == "option" else "none came"
        yield contradicted("stream_usage", says, why, Change("stream_usage", "never", says, why))
    elif place is None:
        judged = ticked if says == "never" else not_seen
        yield judged("stream_usage", says, "none came; it wasn't asked for")
    elif says in {"always", "option"}:
        yield ticked("stream_usage", says, place)
    else:
        change = Change("stream_usage", "always", says, "usage came without asking")
        seen_text = f"came without asking: {place}"
        yield (
            noted("stream_usage", seen_text, change, says=says)
            if says == "unknown"
            else contradicted("stream_usage", says, seen_text, change)
        )


def _option_refused(e: Evidence) -> Finding | None:
    """The provider does not take the option that asks for it."""
    seen, says = e.streamed, e.profile.stream_usage
    if says != "option" or seen is None or seen.status not in (400, 422):
        return None
    text = read(seen.body).line
    if "stream_options" not in text and "include_usage" not in text:
        return None
    return contradicted("stream_usage", says, seen.said, Change("stream_usage", "unknown", says, "it was refused"))


def usage_place(seen: Seen) -> str | None:
    """Where in a stream the usage object came; None where none did."""
    holders = [chunk for chunk in seen.chunks if isinstance(chunk.get("usage"), dict)]
    if not holders:
        return None
    if len(holders) > 2 and len(holders) >= len(seen.answer.stamps):
        return "on every chunk"
    last = holders[-1]
    choices = last.get("choices")
    if not choices:
        return "in a chunk without choices"
    if any(isinstance(choice, dict) and choice.get("finish_reason") for choice in choices):
        return "in the chunk with finish_reason"
    return "in a chunk with text" if borne(last, "delta")[1] else "in a chunk with an empty delta"


def usage_paths(e: Evidence) -> Iterator[Finding]:
    """Each of the other places that the profile names."""
    for path in e.profile.usage_paths:
        places = [seen.ask.kind for seen in e.chats if any(usage.pointer(v, path) is not None for v in seen.values)]
        judged = ticked if places else not_seen
        yield judged("usage_paths", path, f"there: {', '.join(places)}" if places else "not there")


def plain_usage(e: Evidence) -> Iterator[Finding]:
    """What a whole answer says of its tokens."""
    seen = e.whole
    if seen is None or not seen.good:
        return
    own = next((value["usage"] for value in reversed(seen.values) if isinstance(value.get("usage"), dict)), None)
    counts = {name: own[name] for name in sorted(own) if isinstance(own[name], int)} if own else {}
    yield noted("usage of a whole answer", ", ".join(f"{n} {v}" for n, v in counts.items()) or "none")


# The cap.


def output_cap(e: Evidence) -> Iterator[Finding]:
    """The cap is honoured; where the profile says that none is, none has an effect."""
    name = e.profile.output_cap_param
    if name == "none":
        yield _no_cap(e)
        return
    says = f"{name} = {CAP}"
    if refused := _cap_refused(e, name):
        yield contradicted(
            "output_cap_param", says, refused, Change("output_cap_param", OTHER_CAP[name], name, "refused")
        )
        return
    found = [(seen.ask.kind, *_length(seen)) for seen in e.chats if seen.ok or seen.answer.cut]
    text = "; ".join(f"{kind}: {_worded(tokens, source, reason)}" for kind, tokens, source, reason in found)
    if any(_over(tokens, source) and reason != "length" for _, tokens, source, reason in found):
        change = Change("output_cap_param", OTHER_CAP[name], name, "it was not honoured; try the other name, else none")
        yield contradicted("output_cap_param", says, text, change)
    elif any(reason == "length" or (tokens == CAP and source != "estimate") for _, tokens, source, reason in found):
        yield ticked("output_cap_param", says, text)
    else:
        yield not_seen("output_cap_param", says, text or "no answer")


def _no_cap(e: Evidence) -> Finding:
    """A cap that is accepted and ignored was sent with the whole answer, see `ask`."""
    seen = e.whole
    if seen is None or not seen.ok or b'"max_tokens"' not in seen.ask.body:
        return not_seen("output_cap_param", "none", "no cap was sent")
    tokens, source, reason = _length(seen)
    text = f"max_tokens {CAP} was sent: {_worded(tokens, source, reason)}"
    if _over(tokens, source):
        return ticked("output_cap_param", "none", text)
    if reason == "length":
        return contradicted("output_cap_param", "none", text, Change("output_cap_param", "max_tokens", "none", text))
    return not_seen("output_cap_param", "none", text)


def _length(seen: Seen) -> tuple[int | None, str | None, str | None]:
    """Output tokens, who counted them, and why the answer ended."""
    tokens, source = seen.answer.output_tokens()
    return tokens, source, "closed here" if seen.answer.cut else seen.answer.choices.finish_reason


def _over(tokens: int | None, source: str | None) -> bool:
    """More tokens than the cap; an estimate has to be twice that."""
    return tokens is not None and tokens > (2 * CAP if source == "estimate" else CAP)


def _worded(tokens: int | None, source: str | None, reason: str | None) -> str:
    about = "about " if source == "estimate" else ""
    return f"{about}{tokens} tokens, {reason}" if tokens is not None else f"no tokens, {reason}"


def _cap_refused(e: Evidence, name: str) -> str | None:
    for seen in (e.streamed, e.whole):
        if seen is not None and seen.status in (400, 422) and name in read(seen.body).line:
            return seen.said
    return None


# What else is told.


def reasoning(e: Evidence) -> Iterator[Finding]:
    """Under which names reasoning comes; of several that are claimed, each that did not come is told."""
    claimed = e.profile.reasoning_fields
    found = [name for name in REASONING_KEYS if any(_has(seen, name) for seen in e.chats)]
    if not found:
        if claimed:
            yield not_seen("reasoning_fields", ", ".join(claimed), "no reasoning came")
        return
    yield _reasoning_names(claimed, found)
    for name in claimed:
        if name not in found:
            yield not_seen(f"reasoning_fields.{name}", name, "not there")


def _reasoning_names(claimed: tuple[str, ...], found: list[str]) -> Finding:
    """The names that came against those that are claimed."""
    seen = ", ".join(found)
    new = [name for name in found if name not in claimed]
    if not new:
        return ticked("reasoning_fields", ", ".join(claimed), seen)
    change = Change("reasoning_fields", [*claimed, *new], list(claimed), f"reasoning came in {seen}")
    if not claimed:
        return noted("reasoning_fields", seen, change)
    return contradicted("reasoning_fields", ", ".join(claimed), seen, change)


def _has(seen: Seen, name: str) -> bool:
    found = [part for value in seen.values for part in (*parts(value, "delta"), *parts(value, "message"))]
    return any(part.get(name) for part in found)


def server_time(e: Evidence) -> Iterator[Finding]:
    """The provider's own time is at one of the places that the profile names."""
    paths = list(e.profile.server_time_paths)
    if not paths:
        return
    says = ", ".join(paths)
    told: list[Any] = [seen.answer.server_time_s for seen in e.chats if seen.answer.server_time_s is not None]
    if told:
        yield ticked("server_time_paths", says, ", ".join(f"{value:g}" for value in told))
    elif e.whole in e.chats and e.stream is not None:
        why = "neither answer has it"
        yield contradicted("server_time_paths", says, why, Change("server_time_paths", None, paths, why))
    else:
        yield not_seen("server_time_paths", says, "not there, and not all answers came")
