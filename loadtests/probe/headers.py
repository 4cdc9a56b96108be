"""Claims about response headers: request id, limits and the form of their resets, waiting, coding, reuse."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from loadtests import clock, ratelimit
from loadtests.coding import codings
from loadtests.probe.finding import Change, contradicted, not_seen, noted, ticked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe.finding import Evidence, Finding
    from loadtests.probe.seen import Seen

USUAL_ID: Final = ("x-request-id",)
AN_ID: Final = re.compile(r"(?:.*-)?(?:request|trace|generation|correlation)-?id")


def request_id(e: Evidence) -> Iterator[Finding]:
    """Answers can be named when asking the provider about them."""
    claimed = e.profile.request_id_headers
    names = {name for seen in e.chats for name, _ in seen.headers}
    there = [name for name in claimed if name.lower() in names]
    others = sorted(name for name in names if AN_ID.fullmatch(name))
    says = ", ".join(claimed)
    if there:
        yield ticked("request_id_headers", says, ", ".join(there))
    elif others:
        text = ", ".join(others)
        change = Change("request_id_headers", others, list(claimed), f"{text} came instead")
        is_own = claimed != USUAL_ID  # else nobody has claimed it
        yield (
            contradicted("request_id_headers", says, text, change)
            if is_own
            else noted("request_id_headers", text, change, says=says)
        )
    else:
        yield not_seen("request_id_headers", says, "none came")


def limits(e: Evidence) -> Iterator[Finding]:
    """The headers that tell limits have the names that the profile gives them."""
    claimed = {name.lower(): field for field, name in e.profile.rate_limit.headers.items()}
    came = _limit_headers(e)
    there = [name for name in claimed if name in came]
    new = [name for name in came if name not in claimed]
    changes = [Change(f"rate_limit.headers.{field_of(name)}", name, None, f"{name}: {came[name]} came") for name in new]
    says = f"{len(claimed)} names" if claimed else ""
    text = ", ".join(f"{name}: {came[name]}" for name in came) or "none came"
    if claimed and len(there) == len(claimed):
        yield ticked("rate_limit.headers", says, text)
        if new:
            yield noted("other limit headers", ", ".join(new), *changes)
    elif claimed and new and not there:
        yield contradicted("rate_limit.headers", says, text, *changes)
    elif claimed and not there:
        yield not_seen("rate_limit.headers", says, text)
    else:
        yield noted("rate_limit.headers", text, *changes, says=says)


def _limit_headers(e: Evidence) -> dict[str, str]:
    """Headers of any answer that tell a limit, or that the profile says do; the last value of each."""
    claimed = {name.lower() for name in e.profile.rate_limit.headers.values()}
    pairs = {name: value for seen in e.seen.values() for name, value in seen.headers}
    return {name: value for name, value in pairs.items() if name in claimed or _tells(name, value)}


def _tells(name: str, value: str) -> bool:
    return bool(ratelimit.read({name.encode("latin-1"): value.encode("latin-1")}, 0.0))


def field_of(name: str) -> str:
    """What a profile calls this header: x-ratelimit-remaining-tokens-day is remaining_tokens_day."""
    words = re.sub(r"^(x-|anthropic-)?(rate-?limit|tokenlimit)-", "", name).split("-")
    what = next(word for word in words if word in {"limit", "remaining", "reset"})
    words.remove(what)
    rest = words or ["tokens" if "tokenlimit" in name else "requests"]
    return "_".join([what, *({"req": "requests"}.get(word, word) for word in rest)])


def reset(e: Evidence) -> Iterator[Finding]:
    """How the headers that tell when a limit is lifted write it."""
    says = e.profile.rate_limit.reset
    values = [value for name, value in _limit_headers(e).items() if "reset" in name]
    forms = sorted({form for value in values if (form := form_of(value)) is not None})
    if not forms:
        if says != "unknown":
            yield not_seen("rate_limit.reset", says, "no reset came")
        return
    text = f"{', '.join(forms)}: {values[0]}"
    change = Change("rate_limit.reset", forms[0], says, f"a reset was {values[0]}")
    if says == "unknown":
        yield noted("rate_limit.reset", text, change, says=says)
    elif forms == [says]:
        yield ticked("rate_limit.reset", says, text)
    else:
        yield contradicted("rate_limit.reset", says, text, change)


def form_of(value: str) -> str | None:
    """The form of a reset, in a profile's words; None for a placeholder."""
    text = value.strip()
    try:
        number = float(text)
    except ValueError:
        if re.match(r"\d{4}-\d\d-\d\dT", text):
            return "iso8601"
        return "duration" if ratelimit.seconds(text, 0.0) is not None and text[-1:].isalpha() else None
    if number <= 0:
        return None
    return "epoch" if number > ratelimit.EPOCH_S else "seconds"


def retry_after(e: Evidence) -> Iterator[Finding]:
    """Who asks to wait, and for how long."""
    now_unix_s = clock.realtime_ns() / 1e9
    for seen in e.seen.values():
        asked = {name.encode("latin-1"): value.encode("latin-1") for name, value in seen.headers}
        wait_s = ratelimit.asked_s(asked, now_unix_s)
        if wait_s is not None:
            yield noted("Retry-After", f"{wait_s:g} s, with HTTP {seen.status} ({seen.ask.kind})")


def coding(e: Evidence) -> Iterator[Finding]:
    """Nothing is compressed, as was asked."""
    found = sorted({
        word
        for seen in e.seen.values()
        for word in codings({name.encode("latin-1"): value.encode("latin-1") for name, value in seen.headers})
    })  # fmt: skip
    judged = contradicted if found else ticked
    yield judged("Accept-Encoding", "identity", ", ".join(found) or "nothing is compressed")


def reuse(e: Evidence) -> Iterator[Finding]:
    """A connection that was promised stays open: the next request finds it so."""
    seen = [one for one in e.seen.values() if one.address is not None]
    closed = [
        before.ask.kind
        for before, after in pairwise(seen)
        if before.address != after.address and _promised(before) and before.failure is None
    ]
    if len(seen) > 1:
        found = f"closed all the same after: {', '.join(closed)}" if closed else "kept open where it was promised"
        if e.profile.keep_alive and closed:
            change = Change("keep_alive", value=False, was=True, why=found)
            yield contradicted("keep_alive", "True", found, change)
        elif e.profile.keep_alive or closed:
            yield ticked("keep_alive", str(e.profile.keep_alive), found)
        else:
            yield noted("keep_alive", found, says="False")


def _promised(seen: Seen) -> bool:
    """HTTP/1.1 keeps a connection unless it says otherwise."""
    told = {value.strip().lower() for name, value in seen.headers if name == "connection"}
    return seen.http_version == "1.1" and "close" not in told and (seen.record is None or seen.record.outcome == "ok")
