"""Finding workloads and reading their files: a name, a TOML file, or a mix of these with weights."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from loadtests.draws import LawError
from loadtests.profiles.wording import listed, mistake, shown, syntax_line
from loadtests.units import not_one_of
from loadtests.workload.definition import Definition, Mix, contradiction, keys_at
from loadtests.workload.mix import BLOCK, counts
from loadtests.workload.request import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

PRESETS: Final = Path(__file__).resolve().parent / "presets"

NAMES: Final = (
    "chat", "rag", "summarise", "code", "long-context", "reasoning", "tools", "json", "conversation",
)  # fmt: skip
"""The built-in workloads."""


def definitions(spelling: str) -> list[dict[str, Any]]:
    """
    The workloads that --workload spells, resolved: presets and files read, nothing relative left.

    Args:
        spelling: A name of `NAMES`, a TOML file, or a mix like `chat=70,rag=20,my.toml=10`.

    Returns:
        A table for each workload, as JSON has it: its `name`, its `weight`, and the keys of its file.

    Raises:
        WorkloadError: There is none of this name, or a file is not a sound workload.
    """
    if "=" in spelling or "," in spelling:
        return _mixed(_spelt(spelling), Path(), "--workload")
    raw, path, label = _tables(spelling, Path(), "--workload")
    if "mix" not in raw:
        return [{**_checked(raw, path, label), "weight": 1.0}]
    weights = _model(Mix, raw, path, label).mix
    return _mixed(weights, path.parent, f"{label}: mix")


def _spelt(spelling: str) -> dict[str, float]:
    """The names and weights of a mix on the command line."""
    weights: dict[str, float] = {}
    for part in spelling.split(","):
        name, _, weight = part.strip().rpartition("=")
        try:
            number = float(weight)
        except ValueError:
            number = 0.0
        if not name or not 0 < number < float("inf"):
            raise WorkloadError(
                f"--workload {shown(part)} isn't NAME=WEIGHT with a weight above 0, as in chat=70,rag=30"
            )
        if name in weights:
            raise WorkloadError(f"--workload {shown(spelling)} names {name} twice; add their weights up")
        weights[name] = number
    return weights


def _mixed(weights: dict[str, float], folder: Path, label: str) -> list[dict[str, Any]]:
    """The workloads of a mix."""
    found = []
    for (name, weight), count in zip(weights.items(), counts(list(weights.values())), strict=True):
        if not count:
            raise WorkloadError(f"{label} {name}={weight:g} is less than one request in {BLOCK}; give it more weight")
        raw, path, of_file = _tables(name, folder, label)
        if "mix" in raw:
            raise WorkloadError(f"{label} {name} is a mix itself; name its workloads here")
        found.append({**_checked(raw, path, of_file), "weight": weight})
    names = [one["name"] for one in found]
    for name in names:
        if names.count(name) > 1:
            raise WorkloadError(f'{label}: two workloads have the name "{name}"; rows tell them apart by it')
    return found


# Files.


def _tables(name: str, folder: Path, label: str) -> tuple[dict[str, Any], Path, str]:
    """A file's tables, its path, and what it is called in a message."""
    if name.endswith(".toml") or "/" in name:
        path = folder / name
    elif name in NAMES:
        path = PRESETS / f"{name}.toml"
    else:
        raise WorkloadError(f"{label} {shown(name)} {not_one_of(name, NAMES)} (or give a .toml file)")
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text), path, str(path)
    except OSError as error:
        raise WorkloadError(f"{path}: cannot be read ({error.strerror}); built in are {listed(NAMES)}") from None
    except UnicodeDecodeError as error:
        raise WorkloadError(f"{path}: isn't UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise WorkloadError(syntax_line(str(path), str(error), text)) from None
    except RecursionError:
        raise WorkloadError(f"{path}: is nested too deeply to be a workload") from None


def _checked(raw: dict[str, Any], path: Path, label: str) -> dict[str, Any]:
    """One workload's table, whole and without relative paths."""
    known = _model(Definition, raw, path, label)
    if (found := contradiction(known)) is not None:
        place, text = found
        raise WorkloadError(f"{label}:{_line_of(path, place)}: {text}")
    settled: dict[str, Any] = known.settled().to_json()
    if known.dataset is not None:
        settled["dataset"]["file"] = str((path.parent / known.dataset.file).resolve())
    return settled


def _model(kind: Any, raw: dict[str, Any], path: Path, label: str) -> Any:
    try:
        return kind.model_validate(raw, context={"folder": path.parent})
    except ValidationError as error:
        # An unknown key first: misspelt, it makes its right name missing as well.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        place, text = _said(first, keys_at if kind is Definition else lambda _: list(Mix.model_fields))
        raise WorkloadError(f"{label}:{_line_of(path, place)}: {text}") from None


def _said(error: ErrorDetails, keys: Any) -> tuple[tuple[int | str, ...], str]:
    """Where a mistake is, and its line; a law tells more than the value as a whole would."""
    wrong = error.get("ctx", {}).get("error")
    if not isinstance(wrong, LawError):
        return error["loc"], mistake(error, keys)
    place = (*error["loc"], *([wrong.key] if wrong.key else ()))
    dot = "." if wrong.key else " "
    return place, f"{'.'.join(map(str, error['loc']))}{dot}{wrong}"


# Where a key stands. tomllib doesn't tell.

_TABLE: Final = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY: Final = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART: Final = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")


def _line_of(path: Path, place: Sequence[int | str]) -> int:
    """The first line that leads furthest to a key; 1 where none does (a key that is missing)."""
    wanted = [str(part) for part in place if part != "[key]"]
    best, best_line, table = 0, 1, list[str]()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := _TABLE.fullmatch(line):
            table = at = _parts(found[1])
        elif found := _KEY.match(line):
            at = [*table, *_parts(found[1])]
        else:
            continue
        common = min(len(at), len(wanted))
        if common > best and at[:common] == wanted[:common]:
            best, best_line = common, number
    return best_line


def _parts(dotted: str) -> list[str]:
    return [double or single or bare for double, single, bare in _PART.findall(dotted)]
