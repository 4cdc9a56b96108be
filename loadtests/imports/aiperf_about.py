"""
What profile_export_aiperf.json says of a run of AIPerf: load, endpoint, model, versions.

Source: ai-dynamo/aiperf 0.13.0, config/phases.py and docs/reference/json-export-schema.md; `loadgen` and
`endpoint.model_names` are of its versions up to 0.6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from loadtests.imports.told import count, items, number, plain, table, text
from loadtests.redact import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    About = Mapping[str, Any]

KEPT: Final = ("aiperf_version", "benchmark_id", "schema_version", "start_time", "end_time", "was_cancelled")
UNKNOWN: Final = "unknown"
"""The mode of a load that is not told: neither a schedule nor users."""


def plan(config: About, workers: int, *, streams: bool) -> dict[str, Any]:
    """The load in the words of `plan.Plan`; of several phases that were measured nobody says which is which."""
    tokenizer = text(table(config.get("tokenizer")).get("name"))
    shared: dict[str, Any] = {"workers": workers, "stream_share": float(streams)}
    shared |= {"tokenizer": tokenizer} if tokenizer else {}
    phases = [table(one) for one in items(config.get("phases")) if table(one).get("kind") != "warmup"]
    loads = [one for one in phases if one.get("name") != "warmup"] or [_of_loadgen(table(config.get("loadgen")))]
    if len(loads) != 1:
        return shared | {"mode": UNKNOWN}
    load = loads[0]
    bounds = {"requests": count(load.get("requests")), "duration_s": number(load.get("duration"))}
    return shared | {key: value for key, value in bounds.items() if value} | _paced(load)


def _of_loadgen(told: About) -> dict[str, Any]:
    """The load of an older file, as a phase."""
    rate = number(told.get("request_rate"))
    law = text(told.get("request_rate_mode") or told.get("arrival_pattern")) or "poisson"
    return {
        "type": law if rate else "concurrency" if told else "", "rate": rate, "concurrency": told.get("concurrency"),
        "requests": told.get("request_count"), "duration": told.get("benchmark_duration"),
        "smoothness": told.get("arrival_smoothness"),
    }  # fmt: skip


def _paced(load: About) -> dict[str, Any]:
    """When requests go out: gaps of shape k have a coefficient of variation of 1 / sqrt(k)."""
    kind, rate, at_once = text(load.get("type")), number(load.get("rate")), count(load.get("concurrency"))
    if kind in {"poisson", "constant", "gamma"} and rate:
        shape = number(load.get("smoothness")) or 1.0
        law = f"gamma:{1 / math.sqrt(shape):.4g}" if kind == "gamma" else kind
        return {"mode": "open", "arrivals": law, "rate": rate} | ({"max_in_flight": at_once} if at_once else {})
    if kind == "fixed_schedule":
        return {"mode": "open", "arrivals": "trace:fixed schedule"}
    if kind == "concurrency" and at_once:
        return {"mode": "closed", "concurrency": at_once}
    return {"mode": UNKNOWN}


def profile(config: About) -> dict[str, Any]:
    """Who was asked: the host's name, and the address without what may be secret in it."""
    endpoint = table(config.get("endpoint"))
    urls = [redact(text(one), ()) for one in (*items(endpoint.get("urls")), endpoint.get("url")) if text(one)]
    if not urls:
        return {"name": "aiperf", "base_url": ""}
    url = urls[0] if "://" in urls[0] else f"http://{urls[0]}"
    try:
        name = urlsplit(url).netloc
    except ValueError:
        name = ""
    return {"name": name or "aiperf", "base_url": url}


def model(config: About) -> str:
    """The first model that was asked for; empty where nobody told."""
    models = table(config.get("models")).get("items", config.get("models"))
    names = [text(table(one).get("name")) or text(one) for one in items(models)]
    return next((name for name in (*names, *items(table(config.get("endpoint")).get("model_names"))) if text(name)), "")


def stopped(about: About) -> str:
    """Why it ended before its plan did; empty where it didn't."""
    return "AIPerf says that it was cancelled" if about.get("was_cancelled") is True else ""


def kept(about: About) -> dict[str, Any]:
    """What stays in the manifest as it is: of the run, and the command that made it, as AIPerf redacts it."""
    told = plain(about, KEPT)
    command = text(table(about.get("run_info")).get("cli_command"))
    return told | ({"command": redact(command, ())} if command else {})


def seed(about: About) -> int | None:
    """Of its random numbers; None where nobody set one."""
    config = table(about.get("input_config"))
    return count(table(about.get("run_info")).get("random_seed", table(config.get("input")).get("random_seed")))
