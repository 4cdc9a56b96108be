"""Claims about getting there: the address, the key, the model list, the model, the version of HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.errors import read
from loadtests.probe.finding import Change, contradicted, not_seen, noted, ticked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.probe.finding import Evidence, Finding
    from loadtests.probe.seen import Seen

NOWHERE: Final = (404, 405)


def base_url(e: Evidence) -> Iterator[Finding]:
    """Something answers there."""
    first = next(seen for seen in e.seen.values() if seen.status is not None)
    after = f" after {(first.headers_ns or 0) / 1e6:.0f} ms"
    yield ticked("base_url", e.profile.base_url, f"HTTP {first.status}{after}")


def http_version(e: Evidence) -> Iterator[Finding]:
    """The version that was asked for."""
    versions = {seen.http_version for seen in e.seen.values() if seen.http_version}
    spoken, wanted = ", ".join(sorted(versions)), e.profile.http_version
    agrees = all(version.startswith(wanted[0]) for version in versions)
    judged = ticked if agrees else contradicted
    yield judged("http_version", wanted, f"HTTP/{spoken}")


def path(e: Evidence) -> Iterator[Finding]:
    """Chat completions are there; a 404 that speaks of the model is about the model."""
    says = e.profile.path
    if e.chats:
        yield ticked("path", says, f"HTTP {e.chats[0].status}")
        return
    asked = [seen for seen in (e.streamed, e.whole) if seen is not None]
    gone = [seen for seen in asked if seen.status in NOWHERE and "model" not in read(seen.body).line.lower()]
    if gone:
        yield contradicted("path", says, gone[0].said)
    else:
        yield not_seen("path", says, "; ".join(dict.fromkeys(seen.said for seen in asked)))


def key(e: Evidence) -> Iterator[Finding]:
    """The key is taken, and begins as the profile says."""
    auth = e.profile.auth
    if not e.chats:
        yield not_seen("auth.header", auth.header, "no request was answered")
        return
    if not e.key_sent:
        seen = f"answered without a key ({auth.env} is not set)" if auth.env else "answered without a key"
        yield noted("auth.header", seen, says=auth.header)
        return
    yield ticked("auth.header", " with ".join(filter(None, (auth.header, auth.scheme))), "the key is accepted")
    if e.key_fits:
        # Not shown: it is a piece of the key.
        yield ticked("auth.key_prefix", "the profile's", "the accepted key begins so")
    elif e.key_fits is not None:
        why = "a key that begins otherwise was accepted"
        change = Change("auth.key_prefix", None, auth.key_prefix, why)
        yield contradicted("auth.key_prefix", auth.key_prefix, why, change)


def models_path(e: Evidence) -> Iterator[Finding]:
    """The list of models is there."""
    says, seen = e.profile.models_path, e.models
    if seen is None:
        yield not_seen("models_path", says or "none", "not asked for")
    elif seen.status in NOWHERE:
        why = f"HTTP {seen.status}"
        yield contradicted("models_path", says, why, Change("models_path", "", says, why))
    elif (names := model_names(seen)) is None:
        yield not_seen("models_path", says, seen.said if not seen.good else "an answer without a list of models")
    else:
        yield ticked("models_path", says, f"{len(names)} model{'s' * (len(names) != 1)}")


def model_names(seen: Seen) -> list[str] | None:
    """The models that an answer lists: OpenAI's object, a bare list, or one called models; None where it has none."""
    value: Any = seen.value if seen.good else None
    if isinstance(value, dict):
        value = value.get("data", value.get("models"))
    if not isinstance(value, list):
        return None
    items = [item.get("id") or item.get("name") if isinstance(item, dict) else item for item in value]
    return [item for item in items if isinstance(item, str)]


def model(e: Evidence) -> Iterator[Finding]:
    """The model that was asked for is listed, and answers."""
    claim = "default_model" if e.model == e.profile.default_model else "the model asked for"
    names = model_names(e.models) if e.models is not None else None
    listed = "" if names is None else ", in the list" if e.model in names else ", not in the list"
    if e.chats:
        yield ticked(claim, e.model, f"answers{listed}")
    elif names is not None and e.model not in names:
        some = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        yield contradicted(claim, e.model, f"isn't in the list ({some}), and no request for it was answered")
    else:
        yield not_seen(claim, e.model, "no request was answered" + listed)


def model_answered(e: Evidence) -> Iterator[Finding]:
    """What answers is what was asked for."""
    answered = sorted({seen.answer.model for seen in e.chats if seen.answer.model})
    seen = ", ".join(answered) or "the answers name none"
    if not answered or not e.profile.strict_model:
        yield noted("model answered", seen, says=e.model if e.profile.strict_model else "")
    else:
        judged = ticked if answered == [e.model] else contradicted
        yield judged("strict_model", e.model, seen)
