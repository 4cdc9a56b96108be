"""The deliberate mistake of a probe: what a profile's own rules say the provider refuses, with the least at stake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from loadtests.profiles.request import OWNED, is_a

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadtests.profiles import Profile

NO_MODEL: Final = "firsttoken-no-such-model"
NO_CHOICE: Final = "firsttoken-no-such-choice"
WANTED: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
"""What is best got wrong, if there is a rule for it: no answer gets longer or dearer by these."""

UNFIT: Final[tuple[Any, ...]] = ("warm", 0.5, [])
"""Values to break a rule about types with."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """
    What is wrong with a request on purpose.

    Attributes:
        claim: The rule of the profile that it breaks, as a dotted key; None: no rule of the profile.
        what: The same for people.
        params: Body parameters beside the usual ones.
        model: Asked for instead.
    """

    claim: str | None
    what: str
    params: dict[str, Any] = field(default_factory=dict)
    model: str | None = None


def mistake_for(profile: Profile) -> Mistake:
    """A value out of its range, none of the choices, or of a wrong type, by the profile; else an unknown model."""
    found = (*_out_of_range(profile), *_no_choice(profile), *_wrong_type(profile))
    return next(iter(found), Mistake(None, "an unknown model", model=NO_MODEL))


def _out_of_range(profile: Profile) -> Iterator[Mistake]:
    for key in _checked(profile, profile.params.ranges):
        value = profile.params.ranges[key][1] + 1
        if key not in profile.params.clamped:
            yield Mistake(f"params.ranges.{key}", f"{key} out of its range: {value:g}", {key: value})


def _no_choice(profile: Profile) -> Iterator[Mistake]:
    for key in _checked(profile, profile.params.choices):
        yield Mistake(f"params.choices.{key}", f"{key} with no value of its own", {key: NO_CHOICE})


def _wrong_type(profile: Profile) -> Iterator[Mistake]:
    for key in _checked(profile, profile.params.types):
        kinds = profile.params.types[key]
        for value in UNFIT:
            if not any(is_a(value, kind) for kind in kinds):
                yield Mistake(f"params.types.{key}", f"{key} of a wrong type", {key: value})
                break


def _checked(profile: Profile, rules: Iterable[str]) -> list[str]:
    """The parameters among these that the provider reads, the harmless ones first; none inside another."""
    left_out = {*profile.params.ignored, *profile.params.forbidden, *OWNED, "tools", "tool_choice"}
    keys = [key for key in rules if "." not in key and "[" not in key and key not in left_out]
    return sorted(keys, key=lambda key: WANTED.index(key) if key in WANTED else len(WANTED))
