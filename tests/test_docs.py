"""docs/ is true: what it quotes is what the tool prints, and nothing that can be asked about is missing."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pictures
import pytest
import tables

from analysis.charts import frame
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path

TROUBLE: Final = (tables.HOME / "docs" / "troubleshooting.md").read_text()


@cache
def printed() -> str:
    """The code of both sides, with texts over several lines in one."""
    paths = [path for folder in ("loadtests", "analysis") for path in (tables.HOME / folder).rglob("*.py")]
    return re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text() for path in paths))


def quoted() -> list[str]:
    """What stands as the tool's own words in the first column of each table."""
    rows = [line.split("|")[1] for line in TROUBLE.splitlines() if line.startswith("| ") and "---" not in line]
    return sorted({words for row in rows for words in re.findall(r"`([^`]{2,})`", row)})


@pytest.mark.parametrize("words", quoted())
def test_the_words_to_search_for_are_those_that_are_printed(words: str) -> None:
    """As they stand; a verdict in lower case, numbers whatever they are."""
    fixed = re.split(r"p?\d+", words.lower() if words.isupper() else words)

    assert all(part in printed() for part in fixed), fixed


def test_every_check_is_explained() -> None:
    """A check's name is the second argument of its `Rule`; of one with a value in it, what stands before."""
    names = set()
    rooms = ("checks", "compare")
    for path in (path for room in rooms for path in (tables.HOME / "analysis" / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Rule" and len(node.args) > 1:
                name = node.args[1].values[0] if isinstance(node.args[1], ast.JoinedStr) else node.args[1]
                names |= {str(name.value).strip()} if isinstance(name, ast.Constant) else set()

    assert len(names) > 25
    assert {name for name in names if f"`{name}`" not in TROUBLE} == set()


def test_every_kind_of_error_is_explained() -> None:
    assert {kind for kind in record.ERROR_KINDS if f"`{kind}`" not in TROUBLE} == set()


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_the_generated_parts_are_what_the_code_says(page: Path) -> None:
    """`python tests/tables.py` writes them anew."""
    text = page.read_text()

    assert tables.written(text) == text


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/schema.md", "docs/troubleshooting.md"])
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    """To a file that is there; to a heading that the page has, as GitHub makes its anchors."""
    path = tables.HOME / page
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif "://" not in link:
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/schema.md", "docs/troubleshooting.md"])
def test_lines_of_prose_are_not_endless(page: str) -> None:
    lines = (tables.HOME / page).read_text().splitlines()

    assert [line for line in lines if len(line) > 160 and not line.startswith("|")] == []


def test_each_picture_is_one_that_the_tool_made_and_is_said_in_words() -> None:
    """Those of `python tests/pictures.py` and no other, with the words of our frame; the first one with its command."""
    readme = (tables.HOME / "README.md").read_text()
    shown = re.findall(r"!\[([^\]]*)\]\(docs/pictures/(\w+)\.svg\)", readme)

    assert {name for _, name in shown} == {picture.name for picture in pictures.ALL}
    assert {path.stem for path in pictures.PICTURES.iterdir()} == {picture.name for picture in pictures.ALL}
    assert all(len(alt) > 40 for alt, _ in shown)
    assert pictures.ALL[0].command in " ".join(readme.replace("\\\n", " ").split())
    for picture in pictures.ALL:
        svg = (pictures.PICTURES / f"{picture.name}.svg").read_text()
        root = ET.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert frame.FONTS in svg
        assert "n = " in svg
        assert len(svg.encode()) < pictures.MOST_BYTES
