"""
What a comparison page is made from: sides with their digests, thinned curves and circumstances.

Runs are read one at a time, and of each only what the page shows is kept, so that twenty cost no more memory than one.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis import campaign, digest, fairness, window
from analysis.charts.sides import Seen, curve
from analysis.compare import sides as digests_of
from analysis.derived import is_ok, is_stream
from analysis.rundir import numbers, where
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis.digest import Digest
    from analysis.fairness import Sheet
    from analysis.objectives import Objectives
    from analysis.rundir import Run

NO_DRAFTS: Final[Mapping[Path, Path]] = {}


@dataclass(frozen=True, slots=True)
class Side:
    """
    One side of a comparison.

    Attributes:
        digests: Of its runs, in order of time.
        seen: What its charts are drawn from; without curves where the rows are not there any more.
        sheet: Its circumstances; None without rows.
    """

    name: str
    digests: tuple[Digest, ...]
    seen: Seen
    sheet: Sheet | None


@dataclass(frozen=True, slots=True)
class Gathered:
    """
    Several sides.

    Attributes:
        name: What was compared, by the names of its folders.
        sides: In the order they were named.
        links: Of runs that have a report of their own beside the page, by run name, the way to it.
        manifest: run.json of the first run.
        argv: The command that made it: of the campaign, else of each run, each once.
    """

    name: str
    sides: tuple[Side, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    argv: tuple[tuple[str, ...], ...] = ()

    @property
    def digests(self) -> dict[str, list[Digest]]:
        """By side, as a ranking takes them."""
        return {side.name: list(side.digests) for side in self.sides}


def gather(
    paths: Sequence[Path], objectives: Objectives | None = None, drafts: Mapping[Path, Path] = NO_DRAFTS,
    linked: Collection[str] = (),
) -> Gathered:  # fmt: skip
    """
    Read what is to be compared.

    Args:
        paths: Runs, campaigns, folders of runs or of quantiles.parquet files. Of one its arms are the sides; of
            several each is a side, or each of its arms, unless no arm is in two of them.
        objectives: What goodput counts by; None: what each run was planned with.
        drafts: By the directory of an unfinished run, links resolved, where the files of its state so far are.
        linked: The folders of a campaign's runs that the page links to.

    Raises:
        RunError: Nothing of the kind is there, or it cannot be read.
    """
    digests_of.refuse_loads(paths)
    once = {path.resolve(): path for path in paths}
    found = {path: list(_read(path, objectives, drafts)) for path in once.values()}
    called = _called(list(found))
    parts = [part for path in found for part in _parts(path, found, called)]
    return Gathered(
        _listed(list(called.values())), tuple(parts), _links(parts, linked), _manifest(paths[0]),
        tuple(_commands(found)),
    )  # fmt: skip


# Which sides there are.


def _called(paths: Sequence[Path]) -> dict[Path, str]:
    """Each path by its last part, with as many of those before it as no other path ends in too."""
    parts = {path: path.resolve().parts for path in paths}
    called = {}
    for path, mine in parts.items():
        others = [other for other in parts.values() if other != mine]
        lengths = range(1, len(mine) + 1)
        length = next((n for n in lengths if all(other[-n:] != mine[-n:] for other in others)), len(mine))
        called[path] = "/".join(mine[-length:])
    return called


def _listed(names: Sequence[str]) -> str:
    """What is compared, in a title: of many the first two."""
    return " and ".join(names if len(names) < 4 else [", ".join(names[:2]), f"{len(names) - 2} more"])


def _parts(path: Path, found: Mapping[Path, Sequence[Side]], called: Mapping[Path, str]) -> Iterator[Side]:
    """A path's sides: its runs by arm, in the order the arms were named, so named that no two sides have one name."""
    arms: dict[str, list[Side]] = {}
    for one in found[path]:
        arms.setdefault(one.name, []).append(one)
    taken = {name for other in found if other != path for name in (called[other], *(one.name for one in found[other]))}
    named = [arm for arm in campaign.arms_of(path) if arm in arms]
    for arm in dict.fromkeys([*named, *arms]):
        whole = called[path] if len(arms) == 1 or not arm else f"{called[path]} · {arm}"
        side, name = _joined(arms[arm]), whole if arm in taken or not arm else arm
        yield replace(side, name=name, seen=replace(side.seen, name=name))


def _joined(runs: Sequence[Side]) -> Side:
    """Runs of one arm as one side, in order of time."""
    some = sorted(runs, key=lambda one: one.digests[0].started_unix_ns)
    sheets = [one.sheet for one in some if one.sheet is not None]
    sheet = sheets[0] if sheets else None
    for one in sheets[1:]:
        assert sheet is not None
        sheet = fairness.add(sheet, one)
    seen = Seen(
        some[0].name,
        tuple(curve for one in some for curve in one.seen.ttft),
        tuple(curve for one in some for curve in one.seen.latency),
        tuple(curve for one in some for curve in one.seen.served),
        sum((one.seen.failures for one in some), Counter()), sum(one.seen.went for one in some),
        tuple(run for one in some for run in one.seen.runs),
    )  # fmt: skip
    return Side(some[0].name, tuple(one.digests[0] for one in some), seen, sheet)


# One run.


def _read(path: Path, objectives: Objectives | None, drafts: Mapping[Path, Path]) -> Iterator[Side]:
    """Each run of each arm, with its rows where they are."""
    folders = digests_of.run_folders(path)
    for folder in folders:
        told = {one.facts.arm: one for one in digests_of.read([folder], objectives, drafts)}
        has_rows = (folder / record.REQUESTS).is_file() or folder.resolve() in drafts
        for run in campaign.runs_of(folder, drafts=drafts) if has_rows else ():
            # Outside of the campaign that named its arm, a run's kept numbers go by another name.
            yield _of_run(run, told.get(run.arm) or digest.of(judge(run, objectives, ps=digest.STORED)))
        yield from (_of_digest(one) for one in told.values() if not has_rows)
    loose = _loose(path, folders)
    if loose or not folders:
        yield from (_of_digest(one) for one in digests_of.read(loose or [path], objectives, drafts))


def _loose(path: Path, folders: Sequence[Path]) -> list[Path]:
    """The quantiles.parquet files in a folder that belong to no run there."""
    if not path.is_dir() or campaign.is_campaign(path) or path in folders:
        return []
    inside = [one for one in sorted(path.iterdir()) if not one.is_symlink() and one not in folders]
    kept = [one / record.QUANTILES for one in inside if one.is_dir() and not campaign.is_campaign(one)]
    return [one for one in (*inside, *kept) if one.suffix == ".parquet" and one.is_file()]


def _of_digest(one: Digest) -> Side:
    return Side(one.facts.arm, (one,), _bare(one), None)


def _bare(one: Digest) -> Seen:
    """What the digest alone says of a run."""
    return Seen(one.facts.arm, runs=((one.started_unix_ns / 1e9, *_ttft(one)),))


def _ttft(one: Digest) -> tuple[float, float]:
    found = {
        place.what: number.value for place, number in one.numbers.items() if place.metric == "ttft_s" and not place.by
    }
    return found.get("p50", np.nan), found.get("p95", np.nan)


def _of_run(run: Run, one: Digest) -> Side:
    """What is kept of a run's rows."""
    rows = window.find(run).rows(run.requests)
    ok, stream = is_ok(rows), is_stream(rows)
    mine = ok & stream if (ok & stream).any() else ok
    went = where(rows, "outcome", "ok", "error", "lost")
    kinds = Counter(rows["error_kind"][where(rows, "outcome", "error")].dropna())
    lost = int(where(rows, "outcome", "lost").sum())
    seen = replace(
        _bare(one),
        ttft=(curve(numbers(rows, "ttft_s")[ok & stream]),), latency=(curve(numbers(rows, "latency_s")[mine]),),
        served=(curve(numbers(rows, "latency_from_send_s")[mine]),),
        failures=kinds + Counter(lost=lost), went=int(went.sum()),
    )  # fmt: skip
    return Side(run.arm, (one,), seen, fairness.of(run))


# Where it came from.


def reported(path: Path) -> tuple[str, ...]:
    """The folders of a campaign's runs that have a report of their own; none elsewhere."""
    folders = campaign.members(path) if campaign.is_campaign(path) else []
    return tuple(folder.name for folder in folders if (folder / record.REPORT).is_file())


def _links(sides: Sequence[Side], linked: Collection[str]) -> dict[str, str]:
    """By run name the way to its report beside the page."""
    names = [one.facts.name for side in sides for one in side.digests]
    folders = {name: name.partition(" · ")[0].rpartition("/")[2] for name in names}
    return {name: f"{folder}/{record.REPORT}" for name, folder in folders.items() if folder in linked}


def _manifest(path: Path) -> dict[str, Any]:
    """run.json of the first run; empty where only digests are kept."""
    for folder in digests_of.run_folders(path)[:1]:
        file = folder / record.MANIFEST
        return dict(json.loads(file.read_bytes())) if file.is_file() else {}
    return {}


def _commands(found: Mapping[Path, Sequence[Side]]) -> Iterator[tuple[str, ...]]:
    """What made it, each command once."""
    told: dict[tuple[str, ...], None] = {}
    for path, some in found.items():
        if campaign.is_campaign(path):
            whole = json.loads((path / campaign.FILE).read_bytes()).get("argv") or ()
            told[tuple(str(word) for word in whole)] = None
            continue
        told |= dict.fromkeys(one.digests[0].facts.argv for one in some)
    yield from (words for words in told if words)
