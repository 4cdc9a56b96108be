"""What all pages share: the templates' environment, how a chart stands in a page, and what the page knows of itself."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import jinja2
import matplotlib as mpl
from markupsafe import Markup, escape

from analysis.charts.frame import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, YELLOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analysis.charts import Chart

META: Final = "firsttoken"
"""The id of the block in which a page says how it was made."""

VARIABLES: Final = {
    BLUE: "--blue", ORANGE: "--orange", GREEN: "--green", PURPLE: "--purple", SKY: "--sky", YELLOW: "--yellow",
    GREY: "--grey", PALE: "--pale", INK: "--ink", "#FFFFFF": "--card",
}  # fmt: skip
"""The colours of charts as the page's own: look.css has them for light and dark."""


@cache
def environment() -> jinja2.Environment:
    """The templates of all pages; names are paths below analysis/."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals["figure"] = figure
    return made


def render(template: str, kind: str, options: Mapping[str, Any], **told: Any) -> str:
    """
    A whole page.

    Args:
        template: Its path below analysis/.
        kind: `run`, `comparison`, `sweep` or `capacity`.
        options: With which it was asked for, as JSON has them: what is needed to make it again.
        told: What the template shows; `version` is the firsttoken that recorded it.
    """
    versions = {"firsttoken": metadata.version("firsttoken"), "matplotlib": mpl.__version__}
    meta = json.dumps({**versions, "kind": kind, "options": dict(options)}, ensure_ascii=False)
    return environment().get_template(template).render(kind=kind, meta=_inert(meta), **told) + "\n"


def _inert(text: str) -> Markup:
    """JSON that cannot end the element it stands in, whatever its strings hold."""
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)  # noqa: S704 - no sign of markup is left in it


# Charts.


def figure(chart: Chart) -> Markup:
    """A chart inside a page: it follows light and dark, tells its values under a pointer, and has them in a table."""
    spots = json.dumps([list(spot) for spot in chart.spots], ensure_ascii=False, separators=(",", ":"))
    drawn = Markup(inline(chart))  # noqa: S704 - matplotlib's own, its texts escaped
    return Markup(
        '<figure id="chart-{}"><div class="wide" tabindex="0" role="group" aria-label="{}">'
        '<div class="plot" data-spots="{}">{}</div></div>{}</figure>'
    ).format(chart.name, chart.title, spots if chart.spots else "", drawn, _behind(chart))


def inline(chart: Chart) -> str:
    """
    The SVG as part of a page.

    Colours become the page's, names that nothing refers to go, and the others get the chart's own before them.
    """
    text = chart.svg[chart.svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>\s*", "", text)
    text = re.sub(r'(?<=[:\s"])#[0-9a-f]{6}\b', lambda found: _colour(found[0]), text)
    text = _own_names(text, chart.name)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(chart.alt)}" ', 1)


def _colour(colour: str) -> str:
    name = VARIABLES.get(colour.upper())
    return colour if name is None else f"var({name})"


def _own_names(text: str, prefix: str) -> str:
    prefix = re.sub(r"[^\w-]", "_", prefix)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    return re.sub(r'(href="|url\()#', rf"\g<1>#{prefix}-", text)


def _behind(chart: Chart) -> Markup:
    """The values of a chart as a table, folded away."""
    if not chart.table.rows:
        return Markup("")
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in chart.table.columns)
    rows = Markup("\n").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in chart.table.rows
    )
    return Markup(
        '<details class="behind"><summary>Values: {}</summary><div class="wide" tabindex="0" role="group" '
        'aria-label="Values: {}"><table><thead><tr>{}</tr></thead><tbody>\n{}\n</tbody></table></div></details>'
    ).format(chart.title, chart.title, head, rows)
