"""
quantiles.parquet: the digests of one run directory as a file, and back.

One row per arm, metric, group, source of tokens and quantile; a metric of the run has no quantile. What is not a number
(circumstances, settings, validity) is JSON in the file's metadata, so that the file alone can stand for its run.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.checks.rule import Check
from analysis.digest import Digest, Number
from analysis.facts import Facts
from analysis.metrics import BY_NAME
from analysis.places import Place, percentile
from analysis.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SCHEMA_VERSION: Final = 2
ABOUT: Final = b"firsttoken"
SCHEMA: Final = pa.schema([
    ("arm", pa.string()), ("metric", pa.string()), ("by", pa.string()), ("group", pa.string()), ("tokens", pa.string()),
    ("quantile", pa.float64()), ("value", pa.float64()), ("lo", pa.float64()), ("hi", pa.float64()), ("n", pa.int64()),
    ("supported", pa.bool_()), ("block", pa.int32()),
])  # fmt: skip
"""`supported` is false where the value rests on too few requests to be printed; `block` is null for the whole run."""


def to_table(digests: Sequence[Digest]) -> pa.Table:
    """The arms of one run directory as a table."""
    rows = [row for one in digests for row in _rows(one)]
    about = [_about(one) for one in digests]
    words = {b"schema_version": str(SCHEMA_VERSION).encode(), ABOUT: json.dumps(about).encode()}
    return pa.Table.from_pylist(rows, schema=SCHEMA).replace_schema_metadata(words)


def _about(one: Digest) -> dict[str, Any]:
    return {
        "facts": asdict(one.facts), "started_unix_ns": one.started_unix_ns, "session": one.session, "round": one.round,
        "verdict": one.verdict, "faults": [asdict(fault) for fault in one.faults], "objectives": list(one.objectives),
    }  # fmt: skip


def _rows(one: Digest) -> Iterator[dict[str, Any]]:
    for place, number in one.numbers.items():
        yield _place(one, place) | number._asdict() | {"block": None}
    for block, numbers in one.blocks.items():
        for place, value in numbers.items():
            yield _place(one, place) | {"value": value, "supported": False, "block": block}


def _place(one: Digest, place: Place) -> dict[str, Any]:
    quantile = float(place.what[1:]) / 100 if place.what else None
    return {"arm": one.facts.arm, "quantile": quantile} | {
        key: value for key, value in place._asdict().items() if key != "what"
    }


def relabelled(table: pa.Table, labels: Mapping[str, str]) -> pa.Table:
    """The same numbers of a run that has other labels now: they are told among its facts and among its settings."""
    words = dict(table.schema.metadata or {})
    about = json.loads(words[ABOUT])
    for one in about:
        facts = one["facts"]
        kept = {name: value for name, value in facts.get("settings", {}).items() if not name.startswith("labels.")}
        told = {f"labels.{key}": value for key, value in labels.items()}
        facts |= {"labels": dict(labels), "settings": kept | told}
    return table.replace_schema_metadata(words | {ABOUT: json.dumps(about).encode()})


def read(path: Path) -> list[Digest]:
    """
    The digests that a file holds, one for each arm.

    Raises:
        RunError: No such file, not a file of this kind, or of another schema.
    """
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        fix = "give a run's directory, or its quantiles.parquet, which `firsttoken report RUN` makes anew from the rows"
        raise RunError(f"{path}: cannot be read as parquet; {fix}") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read as parquet ({str(error).splitlines()[0]})") from None
    words = table.schema.metadata or {}
    version = words.get(b"schema_version", b"").decode()
    if ABOUT not in words or version != str(SCHEMA_VERSION):
        fix = "`firsttoken report RUN` makes it anew from the rows"
        raise RunError(f"{path}: not a quantiles file of this firsttoken (schema {version or 'unknown'}); {fix}")
    rows = table.to_pylist()
    return [_digest(about, rows) for about in json.loads(words[ABOUT])]


def _digest(about: dict[str, Any], rows: list[dict[str, Any]]) -> Digest:
    """From what a version of this schema wrote; what it told beyond what is known here is left out."""
    facts = _facts(about["facts"])
    numbers: dict[Place, Number] = {}
    blocks: dict[int, dict[Place, float]] = {}
    for row in rows:
        if row["arm"] != facts.arm or row["metric"] not in BY_NAME:
            continue
        what = percentile(row["quantile"]) if row["quantile"] is not None else ""
        place = Place(row["metric"], row["by"], row["group"], row["tokens"], what)
        if row["block"] is None:
            numbers[place] = Number(row["value"], row["n"], row["lo"], row["hi"], row["supported"])
        else:
            blocks.setdefault(row["block"], {})[place] = row["value"]
    faults = tuple(Check(**_known(Check, fault)) for fault in about.get("faults") or ())
    return Digest(
        facts, about.get("started_unix_ns") or 0, about.get("session") or facts.run_id, about.get("round"),
        about.get("verdict", "doubtful"), faults, tuple(about.get("objectives") or ()), numbers, blocks,
    )  # fmt: skip


def _facts(told: dict[str, Any]) -> Facts:
    """Circumstances; text that nobody told is empty, and JSON's lists are tuples again."""
    blank: dict[str, Any] = {one.name: "" for one in fields(Facts) if one.type == "str"} | {"seed": None, "argv": ()}
    known = _known(Facts, told)
    return Facts(**blank | {name: tuple(one) if isinstance(one, list) else one for name, one in known.items()})


def _known(kind: type[Facts | Check], told: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in told.items() if name in names}
