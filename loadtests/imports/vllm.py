"""
What `vllm bench serve --save-result --save-detailed` writes: one JSON object, its requests as lists side by side.

Times are seconds; start_times are of a monotonic clock of the client. Files from before `start_times` were kept tell
durations and no moment; `latencies` and `queue_times` came later still.

Source: vllm-project/vllm, vllm/benchmarks/serve.py at 009e6d4 (benchmark, main_async) and
vllm/benchmarks/lib/endpoint_request_func.py at 02cfb53.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadtests.imports import failing
from loadtests.imports.told import FROM_SEND, LONG_NS, ImportsError, Told, count, items, number, plain, text
from loadtests.record import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOL: Final = "vLLM"
LISTS: Final = ("input_lens", "output_lens", "ttfts", "itls", "errors")
LATER: Final = ("start_times", "latencies", "queue_times")
"""Lists that came with later versions."""
KEPT: Final = ("date", "backend", "label", "tokenizer_id", "duration", "completed", "failed", "num_prompts")
LONG_S: Final = LONG_NS / 1e9
NOTES: Final = (
    "input and output tokens are as vLLM's client had them: the server's usage where it told one, else its tokenizer's",
    "TTFT is to the first chunk with choices, a role alone included",
)
NO_MOMENTS: Final = (
    "the file has no start_times, so when requests went out is not told: no rates, throughputs, requests in flight, "
    "order or steady window"
)
QUEUED: Final = "--max-concurrency had requests wait in its client, and the file has no queue_times to tell how long"


def is_one(value: Mapping[str, Any]) -> bool:
    """Whether it is a result of `vllm bench serve`, with or without its requests."""
    return "request_throughput" in value and ("ttfts" in value or "backend" in value or "endpoint_type" in value)


def lacks(value: Mapping[str, Any]) -> str:
    """What keeps something with vLLM's lists from being its result; empty where it is one, or nothing like it."""
    if is_one(value) or not {"ttfts", "itls", "input_lens", "output_lens", "request_throughput"} & value.keys():
        return ""
    return "request_throughput" if "request_throughput" not in value else "ttfts, backend or endpoint_type"


def read(value: Mapping[str, Any], file: str) -> Told:
    """
    The run of one result.

    Args:
        value: The JSON object.
        file: What it is called in messages.

    Raises:
        ImportsError: It has no requests, or its lists are not of one length.
    """
    lists = _lists(value, file)
    starts, released = lists.get("start_times"), _released(value, lists)
    zero = min(released) if released else 0.0
    records = [
        _record(_Seen(lists, place), seq, 0.0 if not released else released[place] - zero, zero if released else None)
        for seq, place in enumerate(_order(released, len(lists["ttfts"])))
    ]
    is_release = starts is not None and released != starts
    notes = [*NOTES, *([] if released else [NO_MOMENTS])]
    if value.get("max_concurrency") and _rate(value) is not None and not is_release:
        notes.append(QUEUED)
    if not is_release:
        for one in records:
            one.flags = [FROM_SEND]
    name = text(value.get("backend")) or text(value.get("endpoint_type")) or "vllm"
    return Told(
        tool=TOOL, version="", records=records, moments=bool(released), since="release" if is_release else "send",
        plan=_plan(value, len(records)), profile={"name": name, "base_url": ""}, model=text(value.get("model_id")),
        notes=tuple(notes), about=plain(value, KEPT),
    )  # fmt: skip


def _lists(value: Mapping[str, Any], file: str) -> dict[str, list[Any]]:
    """The lists that have an entry for each request."""
    lists = {name: items(value.get(name)) for name in (*LISTS, *LATER)}
    if not lists["ttfts"]:
        fix = "run `vllm bench serve` with --save-result --save-detailed"
        raise ImportsError(f"{file}: averages of vLLM without its requests, which cannot become rows; {fix}")
    lists = {name: found for name, found in lists.items() if found}
    lengths = {name: len(found) for name, found in lists.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n:,}" for name, n in lengths.items())
        raise ImportsError(f"{file}: its lists are not of one length ({told}), so it was cut or edited")
    for name in (name for name in LATER[1:] if any(_seconds(one) is None for one in lists.get(name, ()))):
        del lists[name]  # of a request that was never sent, some versions write a wait below 0
    starts = [number(one) or 0.0 for one in lists.get("start_times", ())]
    if starts and (0.0 in starts or max(starts) - min(starts) > LONG_S):
        del lists["start_times"]  # 0 is a default
    return lists


def _released(value: Mapping[str, Any], lists: Mapping[str, list[Any]]) -> list[float]:
    """
    The moment that each request was let go, seconds on the client's clock; its start where nobody told; empty without.

    Of an open loop the wait for --max-concurrency is taken off again. Without a rate all are let go at once and the
    concurrency sets the pace: a closed loop, in which a request is ready as it starts.
    """
    starts, queued = lists.get("start_times"), lists.get("queue_times")
    if starts is None or queued is None or _rate(value) is None:
        return list(starts or ())
    return [start - wait for start, wait in zip(starts, queued, strict=True)]


def _order(released: list[float], n: int) -> list[int]:
    return sorted(range(n), key=released.__getitem__) if released else list(range(n))


@dataclass(frozen=True, slots=True)
class _Seen:
    """One request's entries."""

    lists: Mapping[str, list[Any]]
    place: int

    def get(self, name: str) -> Any:
        """Its entry in a list; None where there is no such list."""
        found = self.lists.get(name)
        return None if found is None else found[self.place]


def _record(seen: _Seen, seq: int, scheduled_s: float, zero: float | None) -> Record:
    """One request; `zero` is the run's beginning on the client's clock, None where that tells no moments."""
    said, ttft, gaps = text(seen.get("errors")), _seconds(seen.get("ttfts")), _gaps(seen.get("itls"))
    tokens = count(seen.get("output_lens"))
    sent_s = 0.0 if zero is None else seen.get("start_times") - zero
    one = Record(
        arm="default", workload="", worker=0, seq=seq, phase="measure", stream=True, scheduled_ns=_ns(scheduled_s),
        sent_ns=_ns(sent_s), started_ns=_ns(sent_s), input_tokens=count(seen.get("input_lens")), clock="user",
    )  # fmt: skip
    if ttft:  # 0 is a default: no chunk came
        _streamed(one, sent_s, ttft, gaps)
    if said or (not ttft and not tokens):
        _failed(one, said)
        return one
    one.outcome, one.output_tokens = "ok", tokens
    latency = _seconds(seen.get("latencies"))
    one.end_ns = one.last_token_ns if latency is None else max(_ns(sent_s + latency), one.last_token_ns or 0)
    return one


def _streamed(one: Record, sent_s: float, ttft: float, gaps: list[float]) -> None:
    """The stamps of the chunks; they are of the client's own clock, and of chunks with choices."""
    chunks = sent_s + ttft + np.concatenate([[0.0], np.cumsum(gaps)])
    one.chunk_ns = [_ns(at) for at in chunks]
    one.first_event_ns = one.first_token_ns = one.chunk_ns[0]
    one.last_token_ns, one.chunks = one.chunk_ns[-1], len(one.chunk_ns)


def _failed(one: Record, said: str) -> None:
    """What became of it; the end of a failed request is not told."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    name = last.partition(":")[0].rpartition(".")[2]
    one.status = failing.status_of(last)
    one.outcome, one.error_kind, one.error = "error", failing.kind_of(one.status, name, last), failing.shown(last)


def _gaps(value: Any) -> list[float]:
    """The gaps between chunks, seconds; none where they are not told whole."""
    gaps = [_seconds(one) for one in items(value)]
    known = [gap for gap in gaps if gap is not None]
    return known if len(known) == len(gaps) and sum(known) <= LONG_S else []


def _seconds(value: Any) -> float | None:
    """A duration; None where it is not told, or absurd."""
    found = number(value)
    return None if found is None or found > LONG_S else found


def _ns(at_s: float) -> int:
    return round(at_s * 1e9)


# The load.


def _rate(value: Mapping[str, Any]) -> float | None:
    """Requests per second; None where all were let go at once (`inf`)."""
    rate = value.get("request_rate")
    if isinstance(rate, str):
        return None if not _is_float(rate) or math.isinf(float(rate)) else float(rate)
    return number(rate)


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _plan(value: Mapping[str, Any], n: int) -> dict[str, Any]:
    """The load in our words: gaps of shape k have a coefficient of variation of 1 / sqrt(k)."""
    rate, at_once = _rate(value), count(value.get("max_concurrency"))
    plan: dict[str, Any] = {"requests": count(value.get("num_prompts")) or n, "workers": 1, "stream_share": 1.0}
    if value.get("ramp_up_strategy"):
        ends = {"start": number(value.get("ramp_up_start_rps")), "end": number(value.get("ramp_up_end_rps"))}
        return plan | {"mode": "open", "stages": [{"kind": "rate", "duration_s": None, **ends}]}
    if rate is None and at_once:
        return plan | {"mode": "closed", "concurrency": at_once}
    if rate is None:
        return plan | {"mode": "open", "arrivals": f"burst:{n}"}
    shape = number(value.get("burstiness"))
    law = "poisson" if shape in (None, 1.0) else f"gamma:{1 / math.sqrt(shape):.4g}" if shape else "poisson"
    return plan | {"mode": "open", "arrivals": law, "rate": rate, "max_in_flight": at_once}
