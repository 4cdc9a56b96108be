"""What a probe sends: the model list, a streamed and a whole answer; where asked, tools and deliberate mistakes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.dialect import body, head
from loadtests.formats import TOOLS
from loadtests.probe.wrong import Mistake, mistake_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.profiles import Profile

CAP: Final = 16
"""Output tokens that each request asks for at most."""

TOOL_CAP: Final = 64
"""The same where a function is to be called: a call cut in the middle would show neither its end nor its reason."""

CUT_AT: Final = 256
"""Output tokens at which a stream is closed here, whatever the provider made of the cap."""

PROMPT: Final = "Count from one to forty in English words, separated by spaces."
"""More than `CAP` tokens, so that a cap shows, and few enough to be paid for where there is none."""

TOOL_PROMPT: Final = "How many apples are in store in Berlin? Call the function count_stock to find out."
WRONG_KEY: Final = "firsttoken-wrong-key"

MODELS, STREAMED, WHOLE, TOOLED, WRONG, KEYLESS = "models", "streamed", "whole", "tools", "wrong", "wrong key"
"""The kinds of request, in the order in which they are sent."""

KINDS: Final = {
    MODELS: "the model list", STREAMED: "a streamed answer", WHOLE: "a whole answer", TOOLED: "an answer with tools",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """
    One request.

    Attributes:
        kind: Of the kinds above.
        headers: As (name, value), Host left out.
        body: b"" for a GET.
        stream: A stream is asked for.
        cap: Output tokens it may cost; 0 where none is made.
        mistake: What is wrong with it on purpose.
    """

    kind: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    stream: bool = False
    cap: int = 0
    mistake: Mistake | None = None


@dataclass(frozen=True, slots=True)
class _To:
    """Whom a request goes to; the key goes into the one header that the profile names."""

    profile: Profile
    model: str
    key: str | None


def asks(profile: Profile, model: str, key: str | None, *, tools: bool, wrong: bool) -> list[Ask]:
    """Every request of a probe, in order."""
    to = _To(profile, model, key)
    found = [_models(to, profile.models_url)] if profile.models_url is not None else []
    found.append(_chat(STREAMED, to, stream=True))
    found.append(_chat(WHOLE, to, params=_ignored_cap(profile)))
    if tools:
        found.append(_chat(TOOLED, to, stream="stream" not in profile.params.forbidden, params=TOOLS))
    if wrong:
        mistake = mistake_for(profile)
        found.append(_chat(WRONG, replace(to, model=mistake.model or model), params=mistake.params, mistake=mistake))
    if wrong and key:
        other = replace(to, key=(profile.auth.key_prefix or "") + WRONG_KEY)
        found.append(_chat(KEYLESS, other, mistake=Mistake(claim=None, what="a wrong key")))
    return found


def _models(to: _To, url: str) -> Ask:
    return Ask(MODELS, "GET", url, _headers(to, stream=False, has_body=False))


def _chat(
    kind: str, to: _To, *, stream: bool = False, params: dict[str, Any] | None = None, mistake: Mistake | None = None
) -> Ask:
    """A chat completion; `params` are body parameters beside the usual ones."""
    cap, prompt = (TOOL_CAP, TOOL_PROMPT) if kind == TOOLED else (CAP, PROMPT)
    messages = [{"role": "user", "content": prompt}]
    data = body(to.profile, model=to.model, messages=messages, stream=stream, output_cap=cap, params=params or {})
    return Ask(kind, "POST", to.profile.url, _headers(to, stream=stream), data, stream, cap, mistake)


def _ignored_cap(profile: Profile) -> dict[str, Any]:
    """Where a profile says that a cap is accepted and ignored, one is sent once, to see whether that is so."""
    is_ignored = profile.output_cap_param == "none" and "max_tokens" in profile.params.ignored
    return {"max_tokens": CAP} if is_ignored else {}


def _headers(to: _To, *, stream: bool, has_body: bool = True) -> tuple[tuple[str, str], ...]:
    """The headers of a run's requests."""
    lines = head(to.profile, to.key, stream=stream, close=False).decode("latin-1").split("\r\n")[1:-1]
    pairs = [line.partition(": ") for line in lines]
    out = {"host", "content-length"} if has_body else {"host", "content-length", "content-type"}
    return tuple((name, value) for name, _, value in pairs if name.lower() not in out)


def plan_lines(profile: Profile, planned: Sequence[Ask]) -> list[str]:
    """What is about to be sent, and what it may cost, for people."""
    tokens = sum(ask.cap for ask in planned)
    kinds = ", ".join(ask.mistake.what if ask.mistake is not None else KINDS[ask.kind] for ask in planned)
    lines = [f"probe of {profile.title} at {profile.base_url}: {len(planned)} requests: {kinds}"]
    if profile.output_cap_param == "none":
        each = f"{profile.name} honours no cap: about 80 output tokens each by the wording, streams closed at {CUT_AT}"
        return [*lines, each]
    return [*lines, f"at most {tokens} output tokens in all"]
