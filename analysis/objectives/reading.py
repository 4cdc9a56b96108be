"""
Objectives from wherever they are given: one by one, by a preset's name, or in a TOML file.

A file has `objectives` (a list of texts), `preset` (a name) and `name`, and may hold a gate's `margins`, `alpha` and
`primary` beside them, which the gate reads from the same table.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis.objectives.presets import PRESETS
from analysis.objectives.text import ObjectiveError, Objectives, not_one_of, parse, together
from analysis.objectives.words import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.objectives.text import Objective

KEYS: Final = ("objectives", "preset", "name", "margins", "alpha", "primary")


def read(values: Sequence[str]) -> Objectives:
    """
    Objectives from what a user gave.

    Args:
        values: Each an objective, a preset's name, or a TOML file; a file may have none, only what a gate needs.

    Raises:
        ObjectiveError: One of them is none of these, or cannot be used.
    """
    terms: list[Objective] = []
    names: list[str] = []
    for value in values:
        if "<" in value or ">" in value:
            terms.append(parse(value))
        elif value in PRESETS:
            terms += map(parse, PRESETS[value].objectives)
            names.append(value)
        elif value.endswith(".toml") or is_file(value):
            found = _of_file(value)
            terms += found.terms
            names.append(found.name)
        else:
            raise ObjectiveError(_neither(value))
    return together(terms, " + ".join(names))


def is_file(value: str) -> bool:
    """Whether what a user gave is a file, and neither an objective nor a preset's name."""
    return "<" not in value and ">" not in value and value not in PRESETS and os.path.isfile(value)  # noqa: PTH113 - no error where a name is too long


def read_table(path: str | Path) -> dict[str, Any]:
    """
    The whole table of a file of objectives, its own keys checked; what the gate's hold is the gate's to judge.

    Raises:
        ObjectiveError: It cannot be read, or a key is unknown or of the wrong kind.
    """
    table = _table(str(path))
    for key in table:
        if key not in KEYS:
            raise ObjectiveError(f"{path}: the key {not_one_of(key, KEYS)}")
    texts = table.get("objectives", [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ObjectiveError(f'{path}: objectives isn\'t a list of texts; write objectives = ["ttft_p95<2s"]')
    for key in ("preset", "name"):
        if not isinstance(table.get(key, ""), str):
            raise ObjectiveError(f"{path}: {key} = {table[key]!r} isn't a text; put it in quotes")
    if "preset" in table and table["preset"] not in PRESETS:
        raise ObjectiveError(f"{path}: preset {not_one_of(table['preset'], PRESETS)}")
    return table


def _of_file(path: str) -> Objectives:
    table = read_table(path)
    preset = table.get("preset")
    texts = [*(PRESETS[preset].objectives if preset else ()), *table.get("objectives", [])]
    try:
        return together(map(parse, texts), table.get("name") or preset or Path(path).stem)
    except ObjectiveError as error:
        raise ObjectiveError(f"{path}: {error}") from None


def _table(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_bytes().decode())
    except OSError as error:
        raise ObjectiveError(f"{path}: cannot be read ({error.strerror}); name a TOML file of objectives") from None
    except UnicodeDecodeError as error:
        raise ObjectiveError(f"{path}: isn't UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise ObjectiveError(f"{path}: isn't TOML ({error})") from None
    except RecursionError:
        raise ObjectiveError(f"{path}: is nested too deeply to hold objectives") from None


def _neither(value: str) -> str:
    """A line about what is neither objective nor preset nor file."""
    word = re.split(r"[\s_]*(?:_p[0-9]|\(|=)", value.strip().lower())[0]
    if word in WORDS:
        example = {"s": "2s", "1/s": "20/s", "share": "1%", "index": "0.9", "count": "1", "money": "2"}
        about, name = WORDS[word], value.partition("=")[0].strip()
        return f"objective {value!r}: has no limit; write it like {name}{about.op or '<'}{example[about.unit]}"
    as_preset = f"as a preset {not_one_of(value, PRESETS)}"
    return f"objective {value!r}: is no file, no objective like ttft_p95<2s, and {as_preset}"
