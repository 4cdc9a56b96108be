"""
Which runs are of one and the same thing: the same provider, model, load, workload, promises and kind of machine.

Stricter than what a comparison asks of two sides: there the provider and the model may differ, here they may not.
Seeds, labels and the names of machines may. Arms are told apart: of several, things are learned within each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from analysis.compare.likeness import ACROSS, PROMISED, SUBJECT, UNSET, kind_of
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analysis.digest import Digest

SERVED: Final = tuple(name for name in SUBJECT if name not in {"labels.", "plan.arm"})
"""What a comparison is about and runs of the same thing share."""

NOT_SERVED: Final = "profile.prices"
"""Changes what a run costs, not what was run."""

OF_CAUSE: Final = ("versions.", "host.node", "host.kernel", "host.cpus", "plan.workers", NOT_SERVED)
"""What runs of the same thing may differ in, and what a change between them may come from."""

_LOOPBACK_PORT: Final = re.compile(r"^(\w+://(?:127\.0\.0\.1|localhost|\[::1\])):\d+")
"""A server started for the run listens on another port each time."""

Settings = dict[str, Any]


def thing(one: Digest, across: Collection[str] = ()) -> Settings:
    """The settings by which a run is one of its kind; those of the words of `across` left out."""
    settings = one.facts.settings | {PROMISED: list(one.objectives)}
    kept = {name: value for name, value in settings.items() if _counts(name, across) and _is_set(name, value)}
    if "profile.base_url" in kept:
        kept["profile.base_url"] = _LOOPBACK_PORT.sub(r"\1", str(kept["profile.base_url"]))
    return {"profile": one.facts.profile, "model": one.facts.model} | kept


def _counts(name: str, across: Collection[str]) -> bool:
    if name.startswith(SERVED):
        return not name.startswith(NOT_SERVED)
    return kind_of(name) not in {"", "seed", *across}


def _is_set(name: str, value: Any) -> bool:
    """What one run's version did not know is not set there. A parameter of 0 is set."""
    return value not in UNSET or name.startswith("plan.params.")


def causes(one: Digest) -> Settings:
    """What may have changed beside."""
    return {name: value for name, value in one.facts.settings.items() if name.startswith(OF_CAUSE)}


def differing(a: Settings, b: Settings) -> tuple[str, ...]:
    """Settings with two values, as `name: a → b`."""
    pairs = ((name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b]))
    return tuple(f"{name}: {_short(x)} → {_short(y)}" for name, x, y in pairs if x != y)


def _short(value: Any) -> str:
    text = "not set" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def arms(digests: Sequence[Digest]) -> tuple[str, ...]:
    """The names of the runs' arms, in the order of the runs."""
    return tuple(dict.fromkeys(one.facts.arm for one in digests))


def of_arm(digests: Sequence[Digest], arm: str | None) -> list[Digest]:
    """
    The runs of one arm; all of them where none is named.

    Raises:
        RunError: No run is of that arm.
    """
    if arm is not None and arm not in arms(digests):
        raise RunError(f'--arm "{arm}": isn\'t one of [{", ".join(arms(digests))}]')
    return [one for one in digests if arm in {None, one.facts.arm}]


def refuse_arms(digests: Sequence[Digest]) -> None:
    """
    See that all runs are of one arm.

    Raises:
        RunError: They are of several.
    """
    if len(names := arms(digests)) > 1:
        told = f"the runs have the arms {', '.join(names)}, and runs of several arms are not runs of the same thing"
        raise RunError(f"{told}; name one with --arm")


def check_arms(digests: Sequence[Digest]) -> None:
    """
    See that the runs of each arm are of one and the same thing, and that arms differ in what is served alone.

    Raises:
        RunError: They are not.
    """
    first = [one for one in digests if one.facts.arm == digests[0].facts.arm] if digests else []
    for name in arms(digests):
        runs = [one for one in digests if one.facts.arm == name]
        check(runs)
        if found := differing(_asked(first[0]), _asked(runs[0])):
            told = f"the arms {first[0].facts.arm} and {name} were not run alike: {'; '.join(found[:2])}"
            raise RunError(f"{told}; name one with --arm")


def _asked(one: Digest) -> Settings:
    """Of the settings those of a run whatever serves it: load, workload, objectives, machine."""
    return {name: value for name, value in thing(one).items() if not name.startswith((*SERVED, "profile"))}


def check(digests: Sequence[Digest], across: Collection[str] = ()) -> None:
    """
    See that all runs are of one and the same thing.

    Raises:
        RunError: Two are not, or `across` has a word that nobody knows.
    """
    if strange := sorted(set(across) - set(ACROSS)):
        raise RunError(f'--across "{strange[0]}": not one of {", ".join(ACROSS)}')
    first = next(iter(digests), None)
    for one in digests[1:]:
        assert first is not None
        if found := differing(thing(first, across), thing(one, across)):
            more = f" and {len(found) - 2} more" if len(found) > 2 else ""
            told = f"{first.facts.name} and {one.facts.name} are not runs of the same thing: {'; '.join(found[:2])}"
            raise RunError(f"{told}{more}; name runs of one thing alone")
