"""Whose a result file is: by what is in it, not by its name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from loadtests.imports import aiperf, vllm
from loadtests.imports.told import ImportsError

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.imports.told import Told

TOOLS: Final = ("auto", "aiperf", "vllm")
RECORDS: Final = "profile_export.jsonl"
WANTED: Final = f"what can be: AIPerf's {RECORDS}, and the file of `vllm bench serve --save-result --save-detailed`"
LOOKED_AT: Final = 100
"""Lines among which one of AIPerf's is looked for: the first may be broken."""


def read(path: Path, tool: str = "auto") -> list[Told]:
    """
    The runs of one file: one, but of `vllm bench serve --append-result` one a line.

    Args:
        path: The file.
        tool: One of `TOOLS`; `auto`: whosever it is.

    Raises:
        ImportsError: It cannot be read, is of neither, or holds averages alone.
    """
    lines = _lines(path)
    if tool == "aiperf" or (tool == "auto" and any(aiperf.is_one(_parsed(line)) for line in lines[:LOOKED_AT])):
        _refuse_averages(path, lines)
        return [aiperf.read(lines, _beside(path), str(path))]
    whole = _parsed(b"\n".join(lines))
    results = [whole] if whole is not None else [_parsed(line) for line in lines]
    if all(isinstance(one, dict) and vllm.is_one(one) for one in results):
        return [vllm.read(one, str(path)) for one in results]
    if tool == "auto":
        _refuse_averages(path, lines)
    if None in results:
        raise ImportsError(f"{path}: not JSON, cut short or broken; {WANTED}")
    lacking = vllm.lacks(whole) if isinstance(whole, dict) else ""
    if lacking:
        raise ImportsError(f"{path}: like a result of vllm bench serve, but without {lacking}; {WANTED}")
    whose = "not of vLLM" if tool == "vllm" else "neither of AIPerf nor of vLLM"
    raise ImportsError(f"{path}: {whose}; {WANTED}")


def _lines(path: Path) -> list[bytes]:
    """The lines of a file that are not empty."""
    try:
        lines = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    except OSError as error:
        raise ImportsError(f"{path}: {error.strerror or error}; name a file that can be read") from None
    if not lines:
        raise ImportsError(f"{path}: empty; {WANTED}")
    return lines


def _parsed(data: bytes) -> Any:
    """A JSON value; None where it is none. NaN and Infinity, which Python writes, are taken."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _refuse_averages(path: Path, lines: list[bytes]) -> None:
    """
    A file of averages has no requests.

    Raises:
        ImportsError: It is one of AIPerf's.
    """
    whole = None if aiperf.is_one(_parsed(lines[0])) else _parsed(b"\n".join(lines))
    if not isinstance(whole, dict) or not aiperf.is_aggregate(whole):
        return
    there = path.with_name(f"{path.name.removesuffix('.json').removesuffix('_aiperf')}.jsonl")
    anew = f"run `aiperf profile` with --export-level records, and name its {RECORDS}"
    fix = f"name {there}, which has them" if there.is_file() else anew
    raise ImportsError(f"{path}: averages of AIPerf without its requests, which cannot become rows; {fix}")


def _beside(path: Path) -> dict[str, Any]:
    """What AIPerf says of the run, in the file beside its requests; empty where there is none."""
    stem = path.name.removesuffix(".jsonl")
    for name in (f"{stem}_aiperf.json", f"{stem}.json"):
        other = path.with_name(name)
        if other != path and other.is_file():
            value = _parsed(other.read_bytes())
            return value if isinstance(value, dict) and aiperf.is_aggregate(value) else {}
    return {}
