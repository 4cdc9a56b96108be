"""What a comparison says: plain values with stable keys, which table, report, gate and `--json` read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from analysis.checks.rule import Check
    from analysis.metrics import Unit
    from analysis.places import Place

SCHEMA_VERSION: Final = 2
Verdict = Literal["regression", "pass", "inconclusive", "not_compared"]
Overall = Literal["regression", "pass", "inconclusive", "invalid"]


@dataclass(frozen=True, slots=True)
class Side:
    """
    One of the two sides.

    Attributes:
        name: Of its run, campaign, folder or arm.
        runs: The names of its runs, in order of time.
        verdict: The worst validity of its runs.
        unfinished: How far a run is that is on or was killed; empty where all are finished.
        faults: What keeps its runs from being valid, a sentence each.
    """

    name: str
    runs: tuple[str, ...]
    verdict: str
    unfinished: str = ""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting in which the sides differ; None: not set."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True)
class Line:
    """
    One number of both sides, and what can be said about their difference. Base units; B against A.

    Attributes:
        place: Which number; where the sides' token counts have different sources, that of A.
        primary: It is one of the family that the verdict rests on; others are exploratory.
        scale: `ratio` (effect = B / A) or `difference` (effect = B - A, for shares).
        a, b: The mean over the side's runs, geometric on the ratio scale; None: it has none.
        runs_a, runs_b: How many runs have it. With pairs both are the number of pairs.
        n_a, n_b: Requests behind it, all runs together.
        effect: None where a side has none, or for the `reason` given.
        lo, hi: Its 95 % interval, of the t test, or of the requests' counts where no run's share differs from another;
            None with too few runs for one.
        p: Of the t test, two-sided; `p_adjusted` by Holm in the primary family, by Benjamini and Hochberg elsewhere.
        p_exact: Of the exact permutation, a check beside p.
        shift: Hodges and Lehmann's estimate of the effect.
        superiority: Probability that a run of B is worse than one of A; ties count half.
        margin: What difference is still no matter: 0.05 on the ratio scale is 5 %, on the other 5 points.
        detectable: The least effect in the worse direction that these runs would find with power 0.8, as `effect`.
        runs_needed: Runs a side that would find an effect of the margin with power 0.9; None where nobody can tell.
        band: From past sessions of A, the effects that one more session of A would show, low and high.
        worse: The effect is in the worse direction, and certain by p_adjusted; `better` likewise.
    """

    place: Place
    label: str
    unit: Unit
    primary: bool
    scale: Literal["ratio", "difference"]
    a: float | None
    b: float | None
    runs_a: int
    runs_b: int
    n_a: int
    n_b: int
    verdict: Verdict
    reason: str = ""
    effect: float | None = None
    lo: float | None = None
    hi: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    p_exact: float | None = None
    shift: float | None = None
    superiority: float | None = None
    margin: float = 0.05
    detectable: float | None = None
    runs_needed: int | None = None
    band: tuple[float, float] | None = None
    worse: bool = False
    better: bool = False
    tokens_b: str | None = None

    @property
    def margin_words(self) -> str:
        """What difference is still no matter: `5 %`, `1 point`."""
        size = f"{100 * self.margin:.3g}"
        return f"{size} point{'' if size == '1' else 's'}" if self.scale == "difference" else f"{size} %"


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    Two sides beside each other.

    Attributes:
        verdict: `invalid` where a side or a check is; else that of the primary lines, the worst first.
        design: What stands against what: `rounds`, `blocks` or `seeds` (paired), `runs` (Welch's test), or `one run`.
        settings: In which settings the sides differ.
        across: The kinds of difference that the user said to mean.
        checks: Of the two sides against each other.
        notes: What it cannot say, and what would help, a sentence each.
    """

    a: Side
    b: Side
    verdict: Overall
    design: str
    alpha: float
    settings: tuple[Difference, ...]
    across: tuple[str, ...]
    lines: tuple[Line, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]

    @property
    def primary(self) -> tuple[Line, ...]:
        """The lines that the verdict rests on."""
        return tuple(line for line in self.lines if line.primary)

    def to_json(self) -> dict[str, Any]:
        """As plain values; keys are stable within a schema version."""
        lines = [asdict(line) | {"place": line.place._asdict(), "name": line.place.words} for line in self.lines]
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "lines": lines}
