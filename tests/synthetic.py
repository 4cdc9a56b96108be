"""Run directories made by hand: rows through `record.Record` and `derive`, as a real run writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loadtests import record
from loadtests.derive import derive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MS = 1_000_000
WIDE = {"run_id": "20261122-134700-mock", "profile": "mock", "model": "tiny-1"}


@dataclass
class Recipe:
    """
    A run to make: what a healthy mock gives unless a field says otherwise.

    Attributes:
        ttft_s: Median of a lognormal with log-sd `spread`; times `warm(t)` for an arrival at t.
        change: Applied to each record with its generator before it is written.
    """

    n: int = 160
    rate: float = 8.0
    seed: int = 1
    stream_share: float = 0.8
    ttft_s: float = 0.2
    spread: float = 0.2
    gap_s: float = 0.02
    tokens: int = 30
    lag_us: float = 60.0
    warm: Any = None
    change: Any = None
    poisson: bool = True
    with_client: bool = True
    manifest: dict[str, Any] = field(default_factory=dict)


def write(folder: Path, recipe: Recipe | None = None, rows: list[record.Record] | None = None) -> Path:
    """Write a run directory; `rows` replaces those of the recipe."""
    recipe = recipe or Recipe()
    folder.mkdir(parents=True, exist_ok=True)
    if rows is not None or recipe.change is not None or recipe.warm is not None:
        whole = _whole(records_of(recipe) if rows is None else rows)
    else:
        plain = {f.name: getattr(recipe, f.name) for f in fields(recipe) if f.name not in ("manifest", "with_client")}
        whole = _plain(**plain)
    pq.write_table(whole, folder / record.REQUESTS)
    if recipe.with_client:
        pq.write_table(client(max(2, int(whole.num_rows / recipe.rate))), folder / record.CLIENT)
    manifest = manifest_of(recipe, whole.num_rows) | recipe.manifest
    (folder / record.MANIFEST).write_text(json.dumps(manifest))
    return folder


def _whole(records: list[record.Record]) -> pa.Table:
    return derive(table(records), dict.fromkeys({one.arm for one in records}, WIDE))


@cache
def _plain(**values: Any) -> pa.Table:
    """Of a recipe that changes nothing: many tests begin with the same."""
    return _whole(records_of(Recipe(**values)))


def write_arms(folder: Path, arms: dict[str, Recipe], blocks: int = 8, rest_s: float = 1.0) -> Path:
    """
    Write a run of several arms whose blocks alternate, A B B A A B B A, with a rest after each.

    Each recipe's arrivals are those of the schedule's own axis; `warm` and `change` see them there.
    """
    names, first = list(arms), next(iter(arms.values()))
    length_ns = int(1e9 * first.n / first.rate / blocks)
    played = {name: records_of(recipe) for name, recipe in arms.items()}
    for place, name in enumerate(names):
        for row in played[name]:
            row.arm, row.block = name, min(row.scheduled_ns // length_ns, blocks - 1)
            row.model_answered = row.model_answered and f"tiny-{place + 1}"
    rows, slots, now_ns = [], [], 0
    for block in range(blocks):
        for name in names if block % 2 == 0 else names[::-1]:
            first_ns = block * length_ns
            mine = [row for row in played[name] if row.block == block]
            for row in mine:
                move(row, now_ns - first_ns)
            slots.append(slot([name], block, now_ns, first_ns, length_ns))
            now_ns = max([row.end_ns or 0 for row in mine], default=now_ns + length_ns) + int(1e9 * rest_s)
            rows += mine
    path = write(folder, replace(first, manifest=first.manifest | arms_of(first, names, slots)), rows)
    pq.write_table(client(now_ns // 10**9 + 1), path / record.CLIENT)
    return path


def talk(turns: int, step_s: float = 2.0) -> Any:
    """A `change` that makes so many rows at 8/s constant one conversation: turn t comes t steps after the first."""

    def change(row: record.Record, _: np.random.Generator) -> None:
        row.conversation, row.turn = divmod(row.seq, turns)
        move(row, row.turn * (int(1e9 * step_s) - 125 * MS))

    return change


def slot(arms: list[str], block: int | None, start_ns: int | None, first_ns: int, length_ns: int) -> dict[str, Any]:
    """A slot as the manifest has it."""
    named = {"arms": arms, "block": block, "start_ns": start_ns, "first_ns": first_ns, "length_ns": length_ns}
    return named | {"first_seq": None, "last_seq": None}


def arms_of(recipe: Recipe, names: list[str], slots: list[dict[str, Any]]) -> dict[str, Any]:
    """The keys that a manifest has for several arms; their models are tiny-1, tiny-2, ..."""
    own = {"params": {}, "new_connections": False}
    told = [{"name": name, "model": f"tiny-{i + 1}", **own} for i, name in enumerate(names)]
    profile = {"name": "mock", "base_url": "http://127.0.0.1:8091/v1"}
    plan = manifest_of(recipe, recipe.n)["plan"] | {"blocks": len({s["block"] for s in slots})}
    return {"arms": [arm | {"profile": profile} for arm in told], "slots": slots, "plan": plan, "planned": recipe.n}


def move(row: record.Record, by_ns: int) -> None:
    """Every stamp of a row later by so much."""
    for name in (f.name for f in fields(record.Record) if f.name.endswith("_ns")):
        value = getattr(row, name)
        if isinstance(value, list):
            setattr(row, name, [stamp + by_ns for stamp in value])
        elif value is not None:
            setattr(row, name, value + by_ns)


def table(records: list[record.Record]) -> pa.Table:
    """Records as the rows of a part."""
    names = [f.name for f in fields(record.Record)]
    return pa.Table.from_pylist([{n: getattr(r, n) for n in names} for r in records], schema=record.part_schema())


def manifest_of(recipe: Recipe, n: int) -> dict[str, Any]:
    """A manifest with the keys that analysis may rely on."""
    return {
        "schema_version": record.SCHEMA_VERSION,
        "run_id": WIDE["run_id"],
        "name": "mock",
        "started_unix_ns": 1_795_355_220_000_000_000,
        "argv": ["firsttoken", "run", "--rate", f"{recipe.rate:g}"],
        "labels": {},
        "seed": recipe.seed,
        "profile": {"name": "mock", "base_url": "http://127.0.0.1:8091/v1"},
        "model": "tiny-1",
        "plan": {
            "mode": "open", "arrivals": "poisson", "rate": recipe.rate, "concurrency": None,
            "duration_s": recipe.n / recipe.rate, "requests": None, "stream_share": recipe.stream_share,
            "output_tokens": recipe.tokens, "workers": 1, "warmup_s": None,
        },
        "hashes": {"schedule": f"s{recipe.seed}", "workload": "w", "prompts": "p"},
        "host": {"cpus": 2, "kernel": "6.18", "python": "3.11", "machine": "x86_64"},
        "versions": {"firsttoken": "0.1.0"},
        "ended": True,
        "stop": None,
        "planned": n,
    }  # fmt: skip


def records_of(recipe: Recipe) -> list[record.Record]:
    """The rows of a recipe, in order of arrival."""
    rng = np.random.default_rng(recipe.seed)
    gaps = rng.exponential(1 / recipe.rate, recipe.n) if recipe.poisson else np.full(recipe.n, 1 / recipe.rate)
    arrivals = np.cumsum(gaps)
    free: list[float] = []
    rows = []
    for seq, at in enumerate(arrivals):
        row = answer(seq, float(at), recipe, rng)
        reused = [end for end in free if end <= at]
        row.conn_reused = bool(reused)
        if reused:
            free.remove(reused[0])
        else:
            row.connect_s = 0.0002
        assert row.end_ns is not None
        free.append(row.end_ns / 1e9)
        if recipe.change is not None:
            recipe.change(row, rng)
        rows.append(row)
    return rows


def answer(seq: int, at_s: float, recipe: Recipe, rng: np.random.Generator) -> record.Record:
    """One request answered in full."""
    stream = bool(rng.random() < recipe.stream_share)
    sent = int(at_s * 1e9 + rng.exponential(recipe.lag_us) * 1000)
    ttft = recipe.ttft_s * float(rng.lognormal(0, recipe.spread)) * (recipe.warm(at_s) if recipe.warm else 1.0)
    tokens = max(2, int(rng.normal(recipe.tokens, recipe.tokens / 6)))
    gaps = recipe.gap_s * rng.lognormal(0, 0.3, tokens - 1)
    stamps = sent + np.rint(1e9 * (ttft + np.concatenate([[0.0], np.cumsum(gaps)]))).astype(np.int64)
    row = record.Record(
        arm="", workload="chat", worker=0, seq=seq, phase="measure", stream=stream, scheduled_ns=int(at_s * 1e9),
        outcome="ok", started_ns=sent - 20_000, sent_ns=sent, headers_ns=int(stamps[0]) - MS,
        end_ns=int(stamps[-1]) + MS,
        http_version="1.1", prompt_hash=seq, output_cap=64, input_tokens=int(rng.lognormal(5, 0.8)) + 5,
        output_tokens=tokens, tokens_from="usage", input_chars=400, output_chars=4 * tokens, status=200,
        finish_reason="stop", clock="kernel", bytes_sent=600, bytes_received=9000, model_answered="tiny-1",
    )  # fmt: skip
    if stream:
        give_stream(row, stamps)
    else:
        row.headers_ns = int(stamps[-1])
    return row


def give_stream(row: record.Record, stamps: NDArray[np.int64]) -> None:
    """Fill in what only a streamed answer has."""
    row.first_event_ns = row.first_token_ns = row.first_answer_ns = int(stamps[0])
    row.last_token_ns = int(stamps[-1])
    row.chunks = len(stamps)
    row.chunk_ns = stamps.tolist()
    row.chunk_kind = [record.CONTENT] * len(stamps)
    row.chunk_chars = [4] * len(stamps)
    row.shared_reads, row.wake_lag_max_us = 0, 40


def client(seconds: int, **values: Any) -> pa.Table:
    """The client's seconds of one worker and the parent, healthy unless `values` says otherwise."""
    healthy = {
        "cpu": 0.1, "hub_lag_us": 300, "wake_lag_p50_us": 8.0, "wake_lag_p99_us": 60.0, "wake_lag_max_us": 90.0,
        "send_lag_p50_us": 60.0, "send_lag_p99_us": 200.0, "send_lag_max_us": 300.0, "in_flight": 5, "issued": 8,
        "done": 8, "events_per_s": 200.0, "gc_pause_us": 0, "clock_offset_ns": 10**18, "clock_error_ns": 200,
        "rss_bytes": 10**8,
    }  # fmt: skip
    rows = [{**healthy, **values, "worker": 0, "t_ns": (second + 1) * 10**9} for second in range(seconds)] + [
        {**healthy, "cpu": 1.0, "hub_lag_us": 90_000, "worker": -1, "t_ns": 10**9}
    ]
    return pa.Table.from_pylist(rows, schema=record.client_schema())
