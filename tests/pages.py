"""A report's page as tests read it: whether it nests, what it says, and what it would fetch."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

VOID = ("meta", "link", "img", "br")


class Nesting(HTMLParser):
    """Opens and closes of a page; ends empty where they match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """It is closed at once, as those of pictures are."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more is open."""
        del attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """It closes the one opened last."""
        assert self.open.pop() == tag


def nests(page: str) -> bool:
    """Whether every element is closed, in the order they were opened."""
    parser = Nesting()
    parser.feed(page)
    return not parser.open


def text_of(page: str) -> str:
    """What a reader sees, without charts, in one line."""
    bare = re.sub(r"<(style|svg|script)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(bare))


def fetched(page: str) -> list[str]:
    """What a browser would ask a network for: nothing may be in it but what the page carries itself."""
    found = re.findall(r'(?:src|href)="([^"]*)"', page) + re.findall(r"url\(([^)]*)\)", page)
    found += re.findall(r"@import[^;]*", page)
    return [one for one in found if not one.startswith(("data:", "#"))]
