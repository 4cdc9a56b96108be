"""The circumstances of a run, from its manifest: what was asked of whom, under which load, from which machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from analysis import load

if TYPE_CHECKING:
    from analysis.rundir import Run


@dataclass(frozen=True, slots=True)
class Facts:
    """
    A run's circumstances.

    Attributes:
        load: The load as a phrase: `open loop, poisson 8/s for 20 s`.
        arm: The side of a comparison that it is; empty where nobody named one.
        workload: What was asked, in words: `chat 70 %, rag 30 %`.
        clock: Whose stamps they are: kernel, user or mixed.
        client: How much of its calibrated limit the load generator used, as a phrase.
        spent: What the run took of the provider, in tokens and money, as a phrase; empty where nothing was counted.
        unfinished: How far a run is that is on or was killed; empty for a finished one.
        answered: The models that its answers name, the first few of many.
        settings: What a comparison holds constant, flat, dotted names to values.
    """

    name: str
    run_id: str
    path: str
    started: str
    profile: str
    base_url: str
    model: str
    load: str
    clock: str
    seed: int | None
    argv: tuple[str, ...]
    client: str = ""
    spent: str = ""
    arm: str = ""
    workload: str = ""
    unfinished: str = ""
    answered: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def of(run: Run) -> Facts:
    """The circumstances of a run; what its manifest does not hold is `unknown` or empty."""
    manifest = run.manifest
    profile = manifest.get("profile") or {}
    return Facts(
        name=run.name,
        run_id=str(manifest.get("run_id", run.name)),
        path=str(run.path),
        started=_started(manifest.get("started_unix_ns")),
        profile=str(profile.get("name", "unknown")),
        base_url=str(profile.get("base_url", "")),
        model=str(manifest.get("model") or "unknown"),
        load=_load(run),
        clock=_clock(run),
        seed=manifest.get("seed"),
        argv=tuple(str(word) for word in manifest.get("argv") or ()),
        client=_client(manifest),
        spent=spent_phrase(run),
        arm=run.arm,
        workload=load.workload(run.plan),
        unfinished=run.unfinished,
        answered=tuple(sorted(str(word) for word in run.requests["model_answered"].dropna().unique())[:8]),
        labels=labels_of(manifest),
        settings=_settings(run),
    )


def labels_of(manifest: dict[str, Any]) -> dict[str, str]:
    """The labels; none where something else stands there, since they are people's and no number rests on them."""
    told = manifest.get("labels")
    return {str(key): str(value) for key, value in told.items()} if isinstance(told, dict) else {}


def _load(run: Run) -> str:
    """The planned load, and how the arms shared it."""
    slots = run.manifest.get("slots") or ()
    beside = [arm for slot in slots for arm in slot["arms"] if arm != run.arm]
    cut = sum(slot.get("block") is not None for slot in slots)
    words = load.phrase(run.plan)
    return words + (f", together with {', '.join(beside)}" if beside else f", in {cut} blocks" if cut else "")


def _client(manifest: dict[str, Any]) -> str:
    """Whose client it was, where it was not ours, else its headroom."""
    imported = manifest.get("imported")
    if not isinstance(imported, dict):
        return client_phrase(manifest.get("headroom"))
    return (
        f"imported from {imported.get('tool')} {imported.get('version') or ''}".strip() + ", client's error not known"
    )


def client_phrase(headroom: Any) -> str:
    """The client's headroom in words."""
    if not isinstance(headroom, dict):
        return "client not calibrated: `firsttoken calibrate`"
    used = headroom.get("used")
    if not isinstance(used, int | float):
        return "client calibrated, but not sampled long enough to say how much of its limit it used"
    if not headroom.get("at_least"):
        return f"client at {100 * used:.0f} % of its calibrated limit"
    limit = headroom.get(f"limit_{headroom.get('by')}_per_s")
    what = f" (≥ {limit:,.0f} {headroom.get('by')}/s)" if isinstance(limit, int | float) else ""
    return f"client at ≤ {100 * used:.0f} % of its calibrated limit{what}"


def spent_phrase(run: Run) -> str:
    """What the run took of the provider, as far as anybody counted, and of which budget."""
    rows, plan = run.requests, run.plan
    fresh, made = (int(rows[name].sum(skipna=True)) for name in ("input_tokens", "output_tokens"))
    if not fresh and not made:
        return ""
    counted = f"{fresh:,} input + {made:,} output" if fresh else f"{made:,} output"
    words = f"{counted} tokens"
    if budget := plan.get("budget_tokens"):
        words += f" ({100 * (fresh + made) / budget:.0f} % of the budget)"
    if rows["cost_usd"].notna().any():
        words += f", {rows['cost_usd'].sum():,.4g} USD"
        if budget := plan.get("budget_cost"):
            words += f" ({100 * rows['cost_usd'].sum() / budget:.0f} % of the budget)"
    return words


def _started(unix_ns: Any) -> str:
    if not unix_ns:
        return "unknown"
    return datetime.fromtimestamp(int(unix_ns) / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _clock(run: Run) -> str:
    clocks = sorted(str(word) for word in run.requests["clock"].dropna().unique())
    return clocks[0] if len(clocks) == 1 else "mixed" if clocks else "no"


KEPT: Final = ("profile", "model", "seed", "plan", "hashes", "host", "versions", "labels")
OF_PROFILE: Final = (
    "name", "base_url", "path", "query", "http_version", "proxy", "output_cap_param", "stream_usage", "done_required",
    "finish_required", "strict_model", "headers", "accept", "timeouts", "usage_paths", "prices",
)  # fmt: skip
"""Of a profile, what decides over requests and figures; the rest of it describes the provider."""

EMBEDDED: Final = "mock"
"""The embedded provider, which listens on another port for each run."""

NEVER_ALIKE: Final = frozenset({
    "plan.salt", "plan.model", "plan.arm", "plan.allow_insecure_http", "plan.server_metrics",
})  # fmt: skip
"""
The salt is new for each run, the model is told once already, the arm is the side itself, then a permission, and who was
asked for figures on the way.
"""


def _settings(run: Run) -> dict[str, Any]:
    kept = {key: run.manifest[key] for key in KEPT if key in run.manifest}
    kept |= {"plan": run.plan, "labels": labels_of(run.manifest)}
    if definitions := kept["plan"].get("definitions"):
        kept["plan"]["definitions"] = {str(one.get("name")): one for one in definitions}
    profile = kept.get("profile") or {}
    kept["profile"] = {key: profile[key] for key in OF_PROFILE if key in profile}
    if profile.get("name") == EMBEDDED:
        kept["profile"].pop("base_url", None)
    if defaults := (profile.get("params") or {}).get("defaults"):
        kept["profile"]["params"] = defaults
    return {name: value for name, value in _flat(kept, "") if name not in NEVER_ALIKE}


def _flat(value: Any, name: str) -> list[tuple[str, Any]]:
    """Nested settings as dotted names; an empty branch is left out."""
    if not isinstance(value, dict):
        return [(name, value)]
    return [leaf for key, inner in value.items() for leaf in _flat(inner, f"{name}.{key}" if name else str(key))]
