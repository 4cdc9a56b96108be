"""A tab of our own in Locust's web UI: time to first token and tokens/s, which its own tables cannot hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from flask import request

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.record import Record

KEY: Final = "first-token"
COLUMNS: Final = (
    ("name", "Workload"),
    ("answers", "# ok"),
    ("ttft_p50", "TTFT p50 (ms)"),
    ("ttft_p95", "TTFT p95 (ms)"),
    ("ttft_max", "TTFT max (ms)"),
    ("tokens_p50", "Tokens/s per answer, p50"),
    ("tokens_p05", "slowest 5 % below"),
)
Answered = tuple[str, float, float | None]
"""Of one good answer: workload, output tokens per second, time to first token in ms or None."""


def add_tab(web_ui: Any, rows: Callable[[], list[dict[str, Any]]]) -> None:
    """Add the tab; its rows come with each poll of the statistics."""
    web_ui.template_args["extended_tabs"] = [{"title": "First token", "key": KEY}]
    web_ui.template_args["extended_tables"] = [
        {"key": KEY, "structure": [{"key": key, "title": title} for key, title in COLUMNS]}
    ]

    def with_rows(response: Any) -> Any:
        if request.path.endswith("/stats/requests") and response.is_json:
            response.set_data(orjson.dumps({**response.json, "extended_stats": [{"key": KEY, "data": rows()}]}))
        return response

    web_ui.app.after_request(with_rows)


def answered_of(record: Record) -> Answered | None:
    """What the tab wants to know of a record; None where it is no good answer."""
    if record.outcome != "ok" or record.end_ns is None or record.sent_ns is None:
        return None
    ttft_ms = None if record.first_token_ns is None else (record.first_token_ns - record.scheduled_ns) / 1e6
    took_s = ((record.last_token_ns or record.end_ns) - record.sent_ns) / 1e9
    return record.workload, (record.output_tokens or 0) / max(took_s, 1e-9), ttft_ms


def tab_rows(answered: list[Answered]) -> list[dict[str, Any]]:
    """The tab's rows: one per workload; a dash where there is nothing to say."""
    rows = []
    for name in sorted({one[0] for one in answered}):
        speeds = [speed for workload, speed, _ in answered if workload == name]
        ttft = [ms for workload, _, ms in answered if workload == name and ms is not None]
        rows.append(
            {
                "name": name,
                "answers": len(speeds),
                "ttft_p50": _shown(ttft, 0.5),
                "ttft_p95": _shown(ttft, 0.95),
                "ttft_max": _shown(ttft, 1.0),
                "tokens_p50": _shown(speeds, 0.5),
                "tokens_p05": _shown(speeds, 0.05),
            }
        )
    return rows


def _shown(values: list[float], p: float) -> str:
    return f"{np.quantile(values, p):.1f}" if values else "-"
