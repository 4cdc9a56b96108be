"""
May these sides stand beside each other? Runs whose load, seed, machine or promises differ do not, unless that is meant.

What is compared (provider, model, parameters, labels) may differ; what was to be held constant may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from analysis.compare.comparison import Difference
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from analysis.digest import Digest

PROMISED: Final = "plan.objectives"

SUBJECT: Final = ("profile.", "model", "plan.params.", "plan.new_connections", "labels.", "plan.arm")
"""What a comparison is about."""

BESIDE: Final = (
    "versions.", "host.node", "host.kernel", "host.cpus", "plan.budget_", "plan.accept_", "plan.keep_bodies",
    "plan.tokenizer", "plan.workers", "plan.blocks", "hashes.schedule", "hashes.prompts", "plan.seed",
)  # fmt: skip
"""What is shown where it differs, and decides nothing: hashes follow from load, workload and seed."""

KINDS: Final = {
    "seed": ("seed",),
    "objectives": (PROMISED,),
    "host": ("host.",),
    "workload": ("plan.workload", "plan.definitions", "plan.output_tokens", "hashes.workload", "plan.stream_share"),
    "load": ("plan.",),
}
"""By the word that `--across` knows, the beginnings of the settings it stands for; the first that fits counts."""

ACROSS: Final = ("host", "seed", "load", "workload", "objectives", "output", "cache")
"""Every word of `--across`; the last two are checks of the answers."""

UNSET: Final[tuple[Any, ...]] = (None, False, 0, "", [], {})


class UnlikeError(RunError):
    """Two sides that differ in what was to be held constant; the message is one line and names the way on."""


def kind_of(name: str) -> str:
    """The `--across` word of a setting; empty where it may differ."""
    if name.startswith((*SUBJECT, *BESIDE)):
        return ""
    return next((kind for kind, begins in KINDS.items() if name.startswith(begins)), "")


def differences(a: Sequence[Digest], b: Sequence[Digest]) -> tuple[Difference, ...]:
    """The settings in which two sides differ, those that matter most first."""
    left, right = _settings(a), _settings(b)
    names = [name for name in dict.fromkeys([*left, *right]) if not _alike(name, left.get(name), right.get(name))]
    names.sort(key=lambda name: (not name.startswith(SUBJECT), kind_of(name) == ""))
    return tuple(Difference(name, left.get(name), right.get(name)) for name in names)


def _settings(side: Sequence[Digest]) -> dict[str, Any]:
    """A setting that the runs have in common, else its different values in their order."""
    settings = [one.facts.settings | {PROMISED: list(one.objectives)} for one in side]
    found = {}
    for name in dict.fromkeys(name for one in settings for name in one):
        values: list[Any] = []
        for one in settings:
            if one.get(name) not in values:
                values.append(one.get(name))
        found[name] = values[0] if len(values) == 1 else values
    return found


def _alike(name: str, a: Any, b: Any) -> bool:
    """Equal, or neither set: what one run's version did not know is not set there. A parameter of 0 is set."""
    if name == "seed":
        left, right = (set(x) if isinstance(x, list) else {x} for x in (a, b))
        return left <= right or right <= left
    return bool(a == b) or (not name.startswith("plan.params.") and a in UNSET and b in UNSET)


def refuse(a: Sequence[Digest], b: Sequence[Digest], across: Collection[str]) -> None:
    """
    Refuse sides that differ in what was to be held constant.

    Raises:
        UnlikeError: They differ in it, and `across` does not name it; or it names what nobody knows.
    """
    known(across)
    for name, side in (("A", a), ("B", b)):
        if mixed := [key for key in _mixed(side) if kind_of(key) not in across]:
            fix = f"name those of one kind, or say --across {kind_of(mixed[0])}"
            raise UnlikeError(f"the runs of {name} differ among themselves in {mixed[0]}: {fix}")
    found = [one for one in differences(a, b) if kind_of(one.name) not in {"", *across}]
    if not found:
        return
    kinds = list(dict.fromkeys(kind_of(one.name) for one in found))
    told = "; ".join(f"{one.name}: {short(one.a)} against {short(one.b)}" for one in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    words = ",".join(dict.fromkeys([*sorted(across), *kinds]))
    raise UnlikeError(f"the runs are not alike in {told}{more}; --across {words} compares them all the same")


def known(across: Collection[str]) -> None:
    """
    Refuse words that `--across` does not know.

    Raises:
        UnlikeError: One of them.
    """
    if strange := [word for word in sorted(across) if word not in ACROSS]:
        raise UnlikeError(f'--across "{strange[0]}": not one of {", ".join(ACROSS)}')


def _mixed(side: Sequence[Digest]) -> list[str]:
    """In which settings of load and workload the runs of one side differ; seeds and machines may."""
    settings = [one.facts.settings for one in side]
    names = dict.fromkeys(name for one in settings for name in one if kind_of(name) in {"load", "workload"})
    return [name for name in names if any(not _alike(name, settings[0].get(name), one.get(name)) for one in settings)]


def short(value: Any) -> str:
    """A setting's value in a message: its first 40 characters."""
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
