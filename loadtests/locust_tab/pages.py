"""The tab in Locust's web server: its place in the page, what it asks for, and the reports it links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from flask import Blueprint, Response, abort, request, send_from_directory

from loadtests.record import CHARTS, REPORT

if TYPE_CHECKING:
    from loadtests.locust_tab.tab import Tab

HERE: Final = Path(__file__).parent
KEY: Final = "first-token"
ELEMENT: Final = "firsttoken-tab"
"""What Locust's page mounts as the tab; `tab.js` says what that is."""

SCRIPT: Final = '<script type="module" src="./firsttoken/tab.js"></script></head>'


def add_tab(web_ui: Any, tab: Tab) -> None:
    """Add the tab to a web UI that hasn't answered anything yet."""
    before = web_ui.template_args.get("extended_tabs", ())
    web_ui.template_args["extended_tabs"] = [*before, {"title": "First token", "key": KEY, "component": ELEMENT}]
    web_ui.app.after_request(lambda response: _with_ours(response, tab))
    base = web_ui.app.blueprints["locust"].url_prefix or ""
    pages = Blueprint("firsttoken", __name__, url_prefix=f"{base}/firsttoken")
    for address, view in _views(tab).items():
        pages.add_url_rule(address, view.__name__, web_ui.auth_required_if_enabled(view))
    web_ui.app.register_blueprint(pages)


def _views(tab: Tab) -> dict[str, Any]:
    def script() -> Response:
        return send_from_directory(HERE, "tab.js", max_age=0)

    def figures() -> Response:
        return Response(orjson.dumps(tab.to_json()), mimetype="application/json", headers={"Cache-Control": "no-store"})

    def report(run: str) -> Response:
        return send_from_directory(_known(run), REPORT, max_age=0)

    def chart(run: str, name: str) -> Response:
        return send_from_directory(_known(run) / CHARTS, name, max_age=0)

    def _known(run: str) -> Path:
        return tab.reports.get(run) or abort(404, f"no test of this Locust has left a report called {run}")

    return {
        "/tab.js": script,
        "/figures": figures,
        f"/reports/<run>/{REPORT}": report,
        f"/reports/<run>/{CHARTS}/<name>": chart,
    }


def _with_ours(response: Response, tab: Tab) -> Response:
    """Locust's page with our script; its statistics, which the page polls, with the tab's table."""
    if request.endpoint == "locust.index" and response.mimetype == "text/html":
        response.set_data(response.get_data(as_text=True).replace("</head>", SCRIPT, 1))
    elif request.endpoint == "locust.request_stats" and response.is_json:
        told: Any = response.json
        others = [one for one in told.get("extended_stats", ()) if one["key"] != KEY]
        ours = {"key": KEY, "data": tab.answers.rows()}
        response.set_data(orjson.dumps(told | {"extended_stats": [*others, ours]}))
    return response
