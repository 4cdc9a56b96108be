"""What a provider would refuse, ignore or not know in a request, said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.profiles.wording import ProfileError, listed, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadtests.profiles.model import Profile
    from loadtests.profiles.tables import ParamRules

OWNED: Final = {
    "model": "--model",
    "stream": "--stream or --stream-share",
    "stream_options": "the profile's stream_usage",
    "messages": "--workload",
    "max_tokens": "--output-tokens",
    "max_completion_tokens": "--output-tokens",
}
"""Request parameters that have a place of their own: a second source would contradict the record."""


def check_request(
    profile: Profile, params: Mapping[str, Any], *, streamed: bool, plain: bool, output_cap: int | None
) -> list[str]:
    """
    Whether requests with these parameters make sense for the provider.

    Args:
        profile: Of the provider.
        params: Body parameters of a request beside those that have an option of their own; JSON values.
        streamed: Whether streamed requests will be sent.
        plain: Whether requests for whole answers will be sent.
        output_cap: The wanted bound of an answer, in tokens.

    Returns:
        One line for each thing that the provider ignores, clamps, does not document or cannot do.

    Raises:
        ProfileError: It would refuse the request; one line with the allowed values or the fix.
    """
    notes = []
    for key, value in params.items():
        notes += _refused(profile, f"--param {key}={shown(value)}", key, value)
    for text in _impossible(profile, {**profile.params.defaults, **params}, streamed=streamed, plain=plain):
        raise ProfileError(text)
    notes += [note for key, value in params.items() if (note := _note(profile, key, value))]
    return notes + list(_cap(profile, output_cap, streamed=streamed, plain=plain))


def _refused(profile: Profile, place: str, key: str, value: Any) -> list[str]:
    """Raises where the provider would refuse the value; a note where only an unverified claim says so."""
    found = refusal(profile, key, value)
    if found is None:
        return []
    claim, text = found
    if not unsure(profile, claim, key):
        raise ProfileError(f"{place} {text}")
    return [f"{place} {text} (unverified, so it is sent)"]


def unsure(profile: Profile, claim: str, key: str) -> bool:
    """Whether a claim, or its part about one parameter, is among the unverified ones."""
    return any(u in {claim, f"{claim}.{key}"} or claim.startswith(f"{u}.") for u in profile.unverified)


def refusal(profile: Profile, key: str, value: Any) -> tuple[str, str] | None:
    """
    Why the provider would refuse this value; None where it would not.

    Returns:
        The claim that says so, as a dotted key of the profile, and the end of a line that begins with the place.
    """
    known = profile.params
    if key in known.forbidden:
        return "params.forbidden", f"is refused by {profile.name}: leave it out"
    if known.others == "refused" and known.supported is not None and key not in (*known.supported, *known.ignored):
        return "params.others", f"is refused by {profile.name}, which takes {listed(known.supported)}: leave it out"
    if key in known.ignored:
        return None  # it isn't read, so it isn't checked
    for place in sorted({p for p in (*known.types, *known.ranges, *known.choices) if _root(p) == key}):
        for inner in found_at({key: value}, place):
            if found := _unfit(profile, place, inner):
                table, text = found
                inside = "" if place == key else f"has {place} = {shown(inner)}, which "
                return f"params.{table}.{place}", inside + text
    for place in known.required:
        if _root(place) == key and _lacks(key, value, place):
            return "params.required", f"has no {place}, which {profile.name} requires"
    return None


def _root(place: str) -> str:
    return place.partition(".")[0].removesuffix("[]")


def found_at(value: Any, place: str) -> Iterator[Any]:
    """What stands at a place of a body: `tools[].function.name` is the name in the function of each of the tools."""
    head, _, rest = place.partition(".")
    key = head.removesuffix("[]")
    if not isinstance(value, dict) or key not in value:
        return
    inner = value[key]
    for item in (inner if isinstance(inner, list) else ()) if head.endswith("[]") else (inner,):
        if rest:
            yield from found_at(item, rest)
        else:
            yield item


def _lacks(key: str, value: Any, place: str) -> bool:
    """Whether an object inside the parameter has no such key."""
    above, _, leaf = place.rpartition(".")
    return any(isinstance(item, dict) and leaf not in item for item in found_at({key: value}, above))


def _unfit(profile: Profile, place: str, value: Any) -> tuple[str, str] | None:
    """Which of the range, the choices and the types of its place a value does not fit, and why."""
    known = profile.params
    kinds = known.types.get(place)
    if value is None and kinds is not None and "null" in kinds:
        return None
    if place in known.ranges and not (
        is_a(value, "number") and (_inside(known, place, value) or place in known.clamped)
    ):
        low, high = known.ranges[place]
        return "ranges", f"isn't a number in [{low:g}, {high:g}], the range of {profile.name}"
    free = kinds is not None and isinstance(value, dict | list)
    # The type counts too: in Python 1 == True.
    chosen = any(type(value) is type(choice) and value == choice for choice in known.choices.get(place, ()))
    if place in known.choices and not chosen and not free:
        return "choices", f"isn't one of {listed(known.choices[place])}, the choices of {profile.name}"
    if kinds is not None and not any(is_a(value, kind) for kind in kinds):
        return "types", f"isn't {article(kinds)}, as {profile.name} takes it"
    return None


def _inside(known: ParamRules, place: str, value: float) -> bool:
    low, high = known.ranges[place]
    return low <= value <= high


def is_a(value: Any, kind: str) -> bool:
    """
    Whether a JSON value is of a kind of `values.KINDS`, or `array<...>` or `object<...>` of one.

    A whole number is also a number; true and false are neither.
    """
    outer, _, inner = kind.rstrip(">").partition("<")
    if inner:
        items = value.values() if isinstance(value, dict) else value
        return is_a(value, outer) and all(is_a(item, inner) for item in items)
    return isinstance(value, _TYPES[outer]) and not (isinstance(value, bool) and outer in {"number", "integer"})


_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict,
    "null": type(None),
}  # fmt: skip

_ARTICLES: Final = {
    "string": "a text", "number": "a number", "integer": "a whole number", "boolean": "true or false",
    "array": "an array", "object": "an object", "null": "null",
}  # fmt: skip
_MANY: Final = {"string": "texts", "number": "numbers", "integer": "whole numbers", "object": "objects"}


def article(kinds: tuple[str, ...]) -> str:
    """Types in words: `array<string>` is an array of texts."""
    words = []
    for kind in kinds:
        outer, _, inner = kind.rstrip(">").partition("<")
        words.append(_ARTICLES[outer] + (f" of {_MANY.get(inner, inner)}" if inner else ""))
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _note(profile: Profile, key: str, value: Any) -> str | None:
    known = profile.params
    listed_in = known.supported is not None and key in known.supported
    if key in known.ignored or (known.others == "ignored" and not listed_in):
        return f"--param {key}: {profile.name} accepts it and ignores it"
    if key in known.clamped and is_a(value, "number") and not _inside(known, key, value):
        low, high = known.ranges[key]
        return f"--param {key}={shown(value)}: {profile.name} takes [{low:g}, {high:g}] and moves it in there"
    if key == "tool_choice" and not profile.tools.choice:
        return f"--param {key}: {profile.name} isn't known to take it; tools are its model's own choice"
    if known.supported is not None and not listed_in and known.others == "unknown":
        return f"--param {key}: {profile.name} doesn't document it; documented: {listed(known.supported)}"
    return None


def _impossible(profile: Profile, params: Mapping[str, Any], *, streamed: bool, plain: bool) -> Iterator[str]:
    """What only the request as a whole shows."""
    if params.get("tools"):
        if not profile.tools.supported:
            yield f"tools: {profile.name} takes none; leave them out"
        if profile.tools.requires_stream and plain:
            yield f"tools: {profile.name} takes them in streamed requests alone; send only these with --stream"
    if streamed and "stream" in profile.params.forbidden:
        yield f"--stream: {profile.name} does not stream; ask for whole answers with --no-stream"
    sent = {*params, *OWNED}
    for place in profile.params.required:
        if "." not in place and _root(place) not in sent:
            yield f"{profile.name} requires the parameter {place}; give it with --param {place}=JSON"


def _cap(profile: Profile, output_cap: int | None, *, streamed: bool, plain: bool) -> Iterator[str]:
    """What becomes of an output cap. Raises where the provider would refuse it."""
    if output_cap is None:
        return
    if profile.output_cap_param != "none":
        yield from _refused(profile, f"--output-tokens {output_cap}", profile.output_cap_param, output_cap)
        return
    place = f"--output-tokens {output_cap}: {profile.name} takes no output cap"
    if streamed:
        yield f"{place}; this client closes a stream at {output_cap} tokens (flag cut_at_cap)"
    if plain:
        yield f"{place}; whole answers can't be cut and may be longer"
