"""A comparison as markdown: the table, the sentences, what was left out, the fairness sheet, how to reproduce it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.report.markdown import fairness, table, text

if TYPE_CHECKING:
    from collections.abc import Iterator


def markdown(page: dict[str, Any]) -> str:
    """What the page tells, without its charts."""
    return "\n".join([*_head(page), *_ranking(page), *_rest(page)]).rstrip() + "\n"


def _head(page: dict[str, Any]) -> Iterator[str]:
    yield from (f"# {text(page['title'])}", "", f"**{page['verdict'].upper()}** · {text(page['about'])}", "")
    yield from (line for sentence in page["apart"] for line in (text(sentence), ""))
    for side in page["sides"]:
        yield f"- {text(side['name'])}: {side['verdict']}, {side['runs']}, {text(side['asked'])}"
        yield from (f"  - unfinished: {text(one)}" for one in side["unfinished"])
        yield from (f"  - {one['status']}: {text(one['name'])} in {one['runs']} runs" for one in side["faults"])
    yield ""
    yield from (text(sentence) for sentence in page["leaders"])
    if page["several"] and page["across"]:
        yield from ("", f"Compared although they may differ in {text(', '.join(page['across']))}, as requested.")
    if page["good"]:
        yield from ("", f"Good requests met: {text(page['good'])}")


def _ranking(page: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## Ranking" if page["several"] else "## Numbers", "")
    names = ["side", *(f"{order['label']}, {order['unit']}" for order in page["orders"])]
    rows = []
    for side in page["sides"]:
        cells = [order["cells"][side["name"]] for order in page["orders"]]
        rows.append([side["name"], *(_cell(cell) for cell in cells)])
    yield from table(names, rows)
    places = f"; # is the place, a range where sides share places. {text(page['places'])}" if page["several"] else "."
    rough = f" {page['rough']}" if page["rough"] else ""
    yield from ("", f"In brackets: the 95 % interval {page['around']}{places}{rough}", "")
    for order in page["orders"] if page["several"] else ():
        yield f"- **{text(order['label'])}**: {text(order['words'])}"
        yield from (f"  - {text(sentence)}" for sentence in order["sentences"])


def _cell(cell: dict[str, str]) -> str:
    around = f" [{cell['around']}]" if cell["around"] else ""
    place = f" #{cell['place']}" if cell["place"] else ""
    return f"{cell['value']}{around}{place}" + (f" ({cell['of']})" if cell["of"] else "")


def _rest(page: dict[str, Any]) -> Iterator[str]:
    if page["left"]:
        yield from ("", "## Not compared, and why", "")
        yield from (f"- {text(left.what)}: {text(left.why)}" for left in page["left"])
    yield from fairness(page["fairness"])
    if page["several"]:
        yield from ("", "## How sides are ranked", "", text(page["ranked"]))
    yield from ("", "## How to reproduce", "", "```sh", *(page["commands"] or ["not recorded"]), "```")
