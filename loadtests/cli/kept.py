"""What lies in a folder of runs: each run and each campaign with its state, out of small files, not judged again."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from loadtests.cli import state
from loadtests.cli.state import PRUNED
from loadtests.record import MANIFEST, PARTS, REPORT, REQUESTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from loadtests.cli.state import State

STAMP: Final = re.compile(r"(\d{8}-\d{6})-.")
"""How the name of a directory begins that `run` has made."""

CAMPAIGN: Final = "campaign.json"


@dataclass(frozen=True, slots=True)
class Kept:
    """
    A run or a campaign as it lies in a folder.

    Attributes:
        kind: `run`, or the campaign's: `repeats`, `sweep`, `capacity`.
        state: `on` while somebody is at it; `unfinished` after a kill; `broken` where its files cannot be read.
        started_unix_ns: As it tells itself, else by its name, else when its directory was last changed.
        arms: Their names; empty for one arm alone.
        load: In words.
        requests: Rows; None where nobody can tell.
        verdict: The worst of its runs and arms; empty where one of them is not judged.
        ttft_s: By arm, `p50` and `p95`; empty for a campaign.
        size: Bytes on disk, links not followed.
        report: Its report.html is there.
        rows: Its requests.parquet is there; of a campaign those of all its runs.
        runs: Of a campaign.
        why: What is wrong with it.
    """

    path: Path
    kind: str
    state: State
    started_unix_ns: int
    profiles: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    load: str = ""
    requests: int | None = None
    verdict: str = ""
    ttft_s: dict[str, dict[str, float]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    size: int = 0
    report: bool = False
    rows: bool = False
    runs: tuple[Kept, ...] = ()
    why: str = ""

    @property
    def name(self) -> str:
        """Of its directory."""
        return self.path.name

    @property
    def is_campaign(self) -> bool:
        """A folder of runs that belong together."""
        return self.kind != "run"

    @property
    def is_invalid(self) -> bool:
        """A run that is; a campaign none of whose runs is any good: a search has some beyond the capacity by design."""
        return all(run.verdict == "invalid" for run in self.runs or (self,))

    def to_json(self) -> dict[str, Any]:
        """As plain values; keys are stable."""
        names = ("name", "kind", "state", "started_unix_ns", "load", "requests", "verdict", "ttft_s", "labels", "why")
        started = datetime.fromtimestamp(self.started_unix_ns / 1e9, UTC).isoformat(timespec="seconds")
        return {name: getattr(self, name) for name in names} | {
            "path": str(self.path), "started": started, "profiles": list(self.profiles), "models": list(self.models),
            "arms": list(self.arms), "bytes": self.size, "report": self.report, "rows": self.rows,
            "runs": [run.to_json() for run in self.runs],
        }  # fmt: skip


def in_folder(folder: Path) -> list[Kept]:
    """What lies in a folder, the newest first; links such as `latest` name what is there anyway."""
    found = [kept for path in folder.iterdir() if not path.is_symlink() and (kept := of(path)) is not None]
    return sorted(found, key=lambda kept: (kept.started_unix_ns, kept.name), reverse=True)


def of(path: Path) -> Kept | None:
    """The run or the campaign that a directory is; None for any other, and for one that is closed to us."""
    if not path.is_dir() or not os.access(path, os.X_OK):
        return None
    if (path / CAMPAIGN).is_file():
        return _guarded(path, "campaign", _campaign)
    if (path / MANIFEST).is_file() or ((path / PARTS).is_dir() and STAMP.match(path.name)):
        return _guarded(path, "run", _run)
    return None


def _guarded(path: Path, kind: str, read: Any) -> Kept:
    """Whatever its files hold: one that cannot be read is told as broken."""
    blank = Kept(path, kind, "broken", _stamped(path), size=size_of(path), report=(path / REPORT).is_file())
    try:
        kept: Kept = read(blank)
    except OSError as error:
        return replace(blank, why=f"{error.filename or path}: {error.strerror or error}")
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        named = str(error) if type(error).__module__.startswith(("loadtests", "analysis")) else ""
        return replace(blank, why=named.removeprefix(f"{path}/") or "its files are not in firsttoken's format")
    return kept


def _stamped(path: Path) -> int:
    """When it was made by its name, else when its directory was last changed."""
    if match := STAMP.match(path.name):
        with suppress(ValueError):
            return int(datetime.strptime(f"{match[1]}Z", "%Y%m%d-%H%M%S%z").timestamp()) * 10**9
    return path.stat().st_mtime_ns


def size_of(path: Path) -> int:
    """Bytes of all files in a directory; links count as links."""
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - thousands of them
    return total


# A run.


def _run(blank: Kept) -> Kept:
    from analysis import glance
    from analysis.load import phrase
    from loadtests import manifest

    path = blank.path
    if not (path / MANIFEST).is_file():
        return replace(blank, state=state.before(path), why=f"killed before it began, or not begun yet: no {MANIFEST}")
    about = manifest.read(path)
    arms = manifest.arms(about)
    its_state = state.of(path, about)
    return replace(
        blank,
        state=its_state,
        started_unix_ns=_began(about) or blank.started_unix_ns,
        profiles=_each(arm["profile"]["name"] for arm in arms),
        models=_each(arm.get("model") or about.get("model") for arm in arms),
        arms=_each(arm["name"] for arm in arms) if len(arms) > 1 else (),
        load=phrase(about["plan"]),
        requests=_counted(path, about),
        verdict=glance.verdict(path) if its_state == "finished" else "",
        ttft_s=glance.ttft_s(path) if its_state == "finished" else {},
        labels={str(key): str(value) for key, value in (about.get("labels") or {}).items()},
        rows=(path / REQUESTS).is_file(),
        why=_why(path, its_state, about),
    )


def _began(about: dict[str, Any]) -> int | None:
    """When; None where it doesn't say. What no calendar has is none of ours."""
    at_ns = about.get("started_unix_ns")
    if at_ns is not None:
        datetime.fromtimestamp(int(at_ns) / 1e9, UTC)
    return at_ns and int(at_ns)


def _each(words: Iterator[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(word) for word in words if word))


def _counted(path: Path, about: dict[str, Any]) -> int | None:
    """Its rows, by the end of the file that holds them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (path / REQUESTS).is_file():
        return about[PRUNED].get("rows") if PRUNED in about else None
    try:
        return int(pq.read_metadata(path / REQUESTS).num_rows)
    except pa.ArrowException:
        raise ValueError from None


def _why(path: Path, found: State, about: dict[str, Any]) -> str:
    if found == "unfinished" and "worker" in about:
        return f"what worker {about['worker']} of {about['run_id']} has kept; `firsttoken repair RUN {path}` adds it"
    if found == "unfinished":
        return f"`firsttoken repair {path}` finishes it"
    if found == "broken":
        return f"no {REQUESTS} in it, and nothing to make it from"
    stop = about.get("stop") if found == "finished" else None
    return " ".join(str(stop.get("text") or "").split()) if isinstance(stop, dict) else ""


# A campaign.


def _campaign(blank: Kept) -> Kept:
    from analysis import campaign

    told = campaign.read(blank.path)
    runs = tuple(run for name in _names(told.runs) if (run := of(blank.path / name)) is not None)
    counts = [run.requests for run in runs if run.requests is not None]
    return replace(
        blank,
        kind=told.kind,
        state=_together(blank.path, runs),
        started_unix_ns=min([blank.started_unix_ns, *(run.started_unix_ns for run in runs)]),
        profiles=_each(name for run in runs for name in run.profiles),
        models=_each(name for run in runs for name in run.models),
        arms=told.arms if len(told.arms) > 1 else (),
        load=_load(told.kind, runs),
        requests=sum(counts) if counts else None,
        verdict=_worst([run.verdict for run in runs]),
        labels=campaign_labels(blank.path),
        rows=bool(runs) and all(run.rows for run in runs),
        runs=runs,
        why=next((run.why for run in runs if run.state in {"broken", "unfinished"}), ""),
    )


def _names(runs: Iterable[dict[str, Any]]) -> list[str]:
    """The folders of its runs, each of them in its own."""
    names = [str(run.get("folder")) for run in runs]
    return [name for name in names if name not in {"", ".", ".."} and name == os.path.basename(name)]  # noqa: PTH119


def campaign_labels(path: Path) -> dict[str, str]:
    """
    The labels of a campaign.

    Raises:
        ValueError: Not JSON, or another program's: ours says its schema's version.
    """
    import orjson

    told = orjson.loads((path / CAMPAIGN).read_bytes())
    if not isinstance(told.get("schema_version"), int):
        raise ValueError  # noqa: TRY004 - of a file, not of an argument
    return {str(key): str(value) for key, value in (told.get("labels") or {}).items()}


def _together(path: Path, runs: tuple[Kept, ...]) -> State:
    """The state of a campaign: on while somebody holds its folder."""
    if state.is_held(path):
        return "on"
    return max((run.state for run in runs), key=state.WORST_LAST.index, default="unfinished")


def _load(kind: str, runs: tuple[Kept, ...]) -> str:
    number = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    loads = _each(run.load for run in runs)
    return f"{number}: {loads[0]}" if kind == "repeats" and len(loads) == 1 else number


def _worst(verdicts: list[str]) -> str:
    """Empty where one is missing."""
    from analysis.glance import VERDICTS

    return max(verdicts, key=VERDICTS.index) if verdicts and all(verdicts) else ""
