"""
A page as the things that a reader, a pointer or an eye can meet in it, each with its place.

Texts, the values under a pointer, the values inside JSON, and what a chart is drawn from; in the order of the page.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any, Final, Literal, NamedTuple

from analysis.verify.found import leaves

Kind = Literal["text", "label", "hover", "drawing", "look"]
"""Of the page, inside a chart, under a pointer; and what stands for no value by itself."""

HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "title"})
VOID: Final = frozenset({"meta", "link", "img", "br", "hr", "input", "path", "use"})
HIDDEN: Final = frozenset({"class", "id", "style", "lang", "charset", "name", "content", "role", "tabindex"})
"""Attributes that show no value; they are part of the look."""

HOVER: Final = frozenset({"title", "alt", "aria-label", "aria-description"})
UNTOLD: Final = ("labels.", "labels")
"""Keys of a manifest inside a page that may have changed since: labels are people's."""
LABEL: Final = re.compile(r'<p class="soft">labels\.[^<]*</p>')
"""The line in which two sides differ in a label."""


class Token(NamedTuple):
    """
    Something in a page.

    Attributes:
        where: The heading above it, and in a table its row and its column.
    """

    kind: Kind
    text: str
    where: str


def tokens(page: str) -> list[Token]:
    """All of a page."""
    reader = _Reader()
    reader.feed(LABEL.sub("", page))
    reader.close()
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Token] = []
        self._open: list[str] = []
        self._depth: Counter[str] = Counter()
        self._heading, self._chart, self._part = "", "", ""
        self._row: list[str] = []
        self._head: list[str] = []
        self._is_head = False

    # Where it is.

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more is open; what its attributes tell."""
        if tag == "figure":
            self._chart = (dict(attrs).get("id") or "chart").replace("-", " ", 1)
        elif tag == "tr":
            self._row, self._is_head = [], True
        elif tag in ("td", "th"):
            self._row.append("")
            self._is_head = self._is_head and tag == "th"
        elif tag in HEADINGS and not self._depth["svg"]:
            self._heading = ""
        if tag not in VOID:
            self._open.append(tag)
            self._depth[tag] += 1
        for name, value in attrs:
            self._attribute(name, value or "")

    def handle_endtag(self, tag: str) -> None:
        """The one opened last is over; a page that closes what it never opened is none of ours."""
        if tag not in self._open:
            return
        while self._open:
            last = self._open.pop()
            self._depth[last] -= 1
            if last == tag:
                break
        if tag == "tr" and self._is_head:
            self._head = self._row
        elif tag == "table":
            self._head, self._row = [], []
        elif tag == "figure":
            self._chart = ""

    def _where(self) -> str:
        column = len(self._row) - 1
        in_cell = self._depth["tr"] and column >= 0
        row = self._row[0] if in_cell and column else ""
        head = self._head[column] if in_cell and column < len(self._head) and not self._is_head else ""
        return ", ".join(part.strip() for part in (self._chart or self._heading, row, head) if part.strip())

    # What it finds.

    def handle_data(self, data: str) -> None:
        """Text, or what stands in a script or a style."""
        inside = self._open[-1] if self._open else ""
        text = " ".join(data.split())
        if not text:
            return
        if inside in ("script", "style") or inside == "pre":
            self._block(data, inside)
            return
        if inside in HEADINGS and not self._depth["svg"]:
            self._heading += text
        self._add("label" if self._depth["svg"] else "text", text)
        if self._row and self._depth["tr"]:
            self._row[-1] = f"{self._row[-1]} {text}".strip()

    def _attribute(self, name: str, value: str) -> None:
        if name == "data-spots":
            self._json(value, "hover", "hover value")
        elif name in HOVER or (name.startswith("data-") and name != "data-spots"):
            self._add("hover", value)
        elif name in HIDDEN and not self._depth["svg"]:
            self._add("look", f"{name}={value}")
        else:
            self._add("drawing", f"{name}={value}")

    def _block(self, data: str, inside: str) -> None:
        """A manifest, what the page knows of itself, a command, the page's own style and script."""
        kind: Kind = "text" if inside == "pre" else "look"
        if data.lstrip()[:1] in ("{", "[") and inside != "style" and self._json(data, kind, ""):
            return
        for line in data.splitlines():
            if line.strip():
                self._add(kind, " ".join(line.split()))

    def _json(self, data: str, kind: Kind, name: str) -> bool:
        try:
            value: Any = json.loads(data)
        except ValueError:
            if kind == "hover":
                self._add(kind, data)
            return False
        for path, leaf in leaves(value):
            if not path.startswith(UNTOLD):
                where = f"{self._where()}, {name or path}".removeprefix(", ")
                is_place = kind == "hover" and not isinstance(leaf, str)
                text = str(leaf) if kind == "hover" else f"{path}: {leaf}"
                self.found.append(Token("drawing", text, self._where()) if is_place else Token(kind, text, where))
        return True

    def _add(self, kind: Kind, text: str) -> None:
        self.found.append(Token(kind, text, self._where()))
