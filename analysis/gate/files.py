"""The gate's files: verdict.json for programs, junit.xml for build servers, comment.md for people; and the schema."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis.files import place_text
from analysis.gate.junit import junit
from analysis.gate.markdown import markdown, mistake

if TYPE_CHECKING:
    from analysis.gate.verdict import Verdict

JSON: Final = "verdict.json"
JUNIT: Final = "junit.xml"
COMMENT: Final = "comment.md"
SUMMARY_MOST: Final = 1024 * 1024
"""Bytes that GitHub takes of a step's summary; of a longer one it shows nothing."""


def schema() -> str:
    """The JSON Schema (2020-12) of verdict.json, as text."""
    return Path(__file__).with_name("verdict.schema.json").read_text(encoding="utf-8")


def text_of(verdict: Verdict) -> str:
    """What verdict.json holds: the same bytes for the same runs."""
    return json.dumps(_finite(verdict.to_json()), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write(verdict: Verdict, folder: Path) -> Path:
    """Write the three files, each whole or not at all; returns where verdict.json is."""
    folder.mkdir(parents=True, exist_ok=True)
    place_text(folder / JUNIT, junit(verdict))
    place_text(folder / COMMENT, markdown(verdict))
    return place_text(folder / JSON, text_of(verdict))


def clear(folder: Path) -> None:
    """Take an earlier verdict away: whoever finds one is to know that it is of this gate."""
    for name in (JSON, JUNIT, COMMENT):
        (folder / name).unlink(missing_ok=True)


def write_mistake(text: str, name: str, folder: Path) -> None:
    """Leave the comment of a gate that could not judge, and nothing else of a verdict."""
    clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    place_text(folder / COMMENT, mistake(text, name))


def append_summary(verdict: Verdict, path: Path) -> bool:
    """Add the comment to a step's summary; False where it has no room left."""
    text = markdown(verdict)
    there = path.stat().st_size if path.exists() else 0
    if there + len(text.encode()) > SUMMARY_MOST:
        return False
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
    return True


def _finite(value: Any) -> Any:
    """JSON has no word for what is not finite: null."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
