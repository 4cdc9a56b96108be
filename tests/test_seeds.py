"""
The four providers whose documents the profiles were written from: requests and errors, by the document.

The tables here are read off the documents, not off the profiles; the mock's rules are a third reading of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow.parquet as pq
import pytest
from playing import row_of, score_of, timed

from loadtests import profiles, record, workload
from loadtests.mock import process
from loadtests.mock.front import Cast, Front
from loadtests.mock.journal import Journal
from loadtests.mock.providers import PROVIDERS
from loadtests.mock.request import RequestReader
from loadtests.mock.scenarios import SCENARIOS
from loadtests.mock.script import Script
from loadtests.send import Sender, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.record import Record
    from loadtests.wire.receiver import Receiver

HOME = Path(__file__).resolve().parent.parent
SCRIPT = Script(ttft_s=0.01, gap_s=0.001, prefill_s_per_1k_tokens=0.0, output_tokens=40)
QUICK = ("--ttft", "0.01", "--gap", "0.0005", "--prefill", "0", "--output-tokens", "40")


@dataclass(frozen=True)
class Seed:
    """
    What a provider's document says of requests.

    Attributes:
        path: Of chat completions.
        key: One of the form that it shows.
        documented: Its parameters.
        always: What has to be in every body beside model, messages and stream.
        streamed: What is in a streamed body beside that.
        accept: The Accept header of streamed and of plain requests.
        workloads: What it documents enough for: tools, json; "tools only streamed" in its own word.
    """

    path: str
    key: str
    documented: frozenset[str]
    always: frozenset[str]
    streamed: frozenset[str] = frozenset()
    accept: tuple[str, str] = ("*/*", "*/*")
    workloads: tuple[str, ...] = ("chat", "tools", "json")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SEEDS: Final = {
    "deutschlandgpt": Seed(
        "/v1/chat/completions", "dgpt-0123456789abcdef",
        words("model messages tools temperature max_tokens response_format stream"), words("max_tokens"),
    ),
    "meingpt": Seed(
        "/api/openai/v1/chat/completions", "sk_meingpt_0123456789abcdef",
        words("model messages response_format stream temperature tools tool_choice"), frozenset(),
    ),
    "8080": Seed(
        "/v1/chat/completions", "k-0123456789abcdef",
        words("messages model reasoning_effort stream stream_options parallel_tool_calls user tools frequency_penalty"
              " logit_bias logprobs top_logprobs max_completion_tokens n presence_penalty response_format stop"
              " temperature top_p"), words("max_completion_tokens"), words("stream_options"),
    ),
    "morpheus": Seed(
        "/api/v1/chat/completions", "sk-0123456789abcdef",
        words("model messages temperature top_p n stream stop max_tokens presence_penalty frequency_penalty tools"
              " tool_choice session_id"), words("max_tokens"),
        accept=("text/event-stream", "application/json"), workloads=("chat", "tools only streamed"),
    ),
}  # fmt: skip
RUNS: Final = [(name, work) for name, seed in SEEDS.items() for work in seed.workloads]


def there(name: str, port: int) -> profiles.Profile:
    """A provider's profile at the mock."""
    base = SEEDS[name].path.removesuffix("/chat/completions")
    return profiles.load(name).with_overrides(base_url=f"http://127.0.0.1:{port}{base}")


# What is sent.


def check_request(name: str, line: dict[str, Any], work: str) -> None:
    """One line of the mock's request log against the provider's document."""
    seed, body, headers = SEEDS[name], line["body"], line["headers"]
    stream = body["stream"]
    expected = {"model", "messages", "stream", *seed.always, *(seed.streamed if stream else ())}
    if work.startswith("tools"):
        expected.add("tools")
        assert set(body) - expected <= {"tool_choice"} & seed.documented
    elif work == "json":
        expected.add("response_format")
        assert body["response_format"]["type"] == "json_schema"

    assert line["broken"] == []
    assert line["refused"] is None
    assert (line["method"], line["path"], line["query"]) == ("POST", seed.path, {})
    assert expected <= set(body) <= seed.documented
    assert set(body) - {"tool_choice"} == expected
    assert headers["authorization"] == f"Bearer <{len(seed.key)} chars>"
    assert headers["content-type"] == "application/json"
    assert headers["accept"] == seed.accept[0 if stream else 1]
    assert headers["user-agent"].startswith("firsttoken/")
    assert body.get("stream_options") in (None, {"include_usage": True})


def kinds_of(work: str) -> set[int]:
    return {record.TOOL} if work.startswith("tools") else {record.CONTENT}


@pytest.mark.parametrize(("name", "work"), RUNS, ids=lambda word: word.replace(" ", "_"))
def test_fifty_requests_keep_to_the_document_and_are_answered(
    name: str, work: str, receiver: Receiver, tmp_path: Path
) -> None:
    """Without sockets: the bytes that would be sent into the mock's own reader, its answer's into ours."""
    profile = there(name, 1)
    journal = Journal(tmp_path / "log")
    front = Front(SCRIPT, SEEDS[name].key, Cast(PROVIDERS[name]), journal)
    sender = Sender(Target(profile, profile.default_model or ""), receiver, key=SEEDS[name].key, worker=0, keep=print)
    share = 1.0 if "only" in work else 0.5
    made = workload.make(workload.definitions(work.partition(" ")[0]), seed=3, stream_share=share)

    for number in range(50):
        request = made.request(number)
        (read,) = RequestReader().feed(sender.prepare(request, 0).data)
        answer, _ = front.answer(read, 1_700_000_000)
        reads = list(enumerate((data for data in answer.writes if data), 1))
        row = row_of(reads, "close", stream=request.stream, profile=profile, model=profile.default_model or "")
        assert (row.outcome, row.error) == ("ok", None)
        assert set(row.flags or ()) <= {"buffered"}
        assert row.output_chars
        assert set(row.chunk_kind or kinds_of(work)) == kinds_of(work)
    sender.close()
    journal.close()

    lines = list(map(orjson.loads, (tmp_path / "log").read_bytes().splitlines()))
    assert len(lines) == 50
    assert [line["body"]["stream"] for line in lines].count(True) == (50 if "only" in work else 25)
    for line in lines:
        check_request(name, line, work)


def test_an_answer_of_8080_in_one_write_has_no_gaps_and_its_own_time(receiver: Receiver) -> None:
    """The seconds that its usage tells are those until the first token."""
    profile = there("8080", 1)
    sender = Sender(Target(profile, profile.default_model or ""), receiver, key="k", worker=0, keep=print)
    request = workload.make(workload.definitions("chat"), seed=3, output_tokens=20).request(0)
    (read,) = RequestReader().feed(sender.prepare(request, 0).data)
    answer, _ = Front(SCRIPT, None, Cast(PROVIDERS["8080"])).answer(read, 1_700_000_000)
    (write,) = [data for data in answer.writes if data]
    sender.close()

    row = row_of([(7, write)], "close", stream=True, profile=profile, model=profile.default_model or "")
    assert row.outcome == "ok"
    assert row.first_token_ns == row.last_token_ns == 7
    assert row.shared_reads == (row.chunks or 0) - 1 > 0
    assert (row.output_tokens, row.tokens_from) == (20, "usage")
    assert row.server_time_s is not None


def test_a_stream_of_meingpt_is_cut_at_the_cap_that_it_does_not_take(receiver: Receiver) -> None:
    """40 tokens would come; the row is good, and says that it was cut."""
    profile = there("meingpt", 1)
    sender = Sender(Target(profile, "gpt-4o-mini"), receiver, key=SEEDS["meingpt"].key, worker=0, keep=print)
    request = workload.make(workload.definitions("chat"), seed=3, output_tokens=8).request(0)
    (read,) = RequestReader().feed(sender.prepare(request, 0).data)
    answer, _ = Front(SCRIPT, None, Cast(PROVIDERS["meingpt"])).answer(read, 1_700_000_000)
    reads = list(enumerate((data for data in answer.writes if data), 1))
    sender.close()

    row = row_of(reads, "close", stream=True, profile=profile, model="gpt-4o-mini", cut_at=8)
    assert (row.outcome, row.error, row.flags) == ("ok", None, ["cut_at_cap"])
    assert row.chunks is not None
    assert row.chunks <= 9 <= (row.output_tokens or 0) <= 11


# What goes wrong.

DOCUMENTED: Final = [
    ("deutschlandgpt_400", "bad_request", "Invalid request."),
    ("deutschlandgpt_401", "auth", "Unauthorized."),
    ("deutschlandgpt_402", "credit", "No credits left."),
    ("deutschlandgpt_403", "auth", "Forbidden."),
    ("deutschlandgpt_429", "throttled", "Too many requests."),
    ("deutschlandgpt_500", "upstream", "Error from provider. (gateway_error)"),
    ("meingpt_400", "bad_request", "The model does not support tools."),
    ("meingpt_401", "auth", "Invalid API key."),
    ("meingpt_403", "auth", "The completions API is not enabled for your organisation."),
    ("meingpt_500", "upstream", "Internal server error."),
    ("8080_401", "auth", "Unauthorized (unauthorized)"),
    ("8080_429", "throttled", "Rate limited (rate_limited)"),
    ("morpheus_no_key", "auth", "API key missing"),
    ("morpheus_key_format", "auth", "Invalid API key format. Must start with sk-"),
    ("morpheus_key", "auth", "Invalid API key"),
    ("morpheus_inactive", "auth", "Account is inactive"),
    ("morpheus_422", "bad_request", "body.messages: Field required"),
    ("morpheus_insufficient_balance", "credit", "Insufficient balance. (insufficient_balance)"),
    ("morpheus_session_not_found", "bad_request", "Session not found. (session_not_found)"),
    ("morpheus_session_expired", "bad_request", "Session expired. (session_expired)"),
    ("morpheus_invalid_request", "bad_request", "Invalid request. (invalid_request)"),
    ("morpheus_model_type_mismatch", "bad_request", "This model does not chat. (model_type_mismatch)"),
    ("morpheus_model_not_found", "bad_request",
     "No such model; did you mean another? (model_not_found, model_not_found_near_miss)"),
    ("morpheus_session_creation_error", "upstream", "The session could not be opened. (session_creation_error)"),
    ("morpheus_billing_error", "upstream", "Billing failed. (billing_error)"),
    ("morpheus_gateway_error", "upstream", "The gateway failed. (gateway_error)"),
    ("morpheus_unexpected_response_format", "upstream",
     "The node's answer could not be read. (unexpected_response_format)"),
    ("morpheus_proxy_error", "upstream", "The proxy failed. (proxy_error)"),
    ("morpheus_provider_error", "upstream", "The provider failed. (provider_error)"),
    ("morpheus_server_error", "overloaded", "The node is not reachable. (server_error)"),
    ("morpheus_timeout", "upstream", "The node did not answer in time. (timeout)"),
    ("morpheus_429", "throttled", "Rate limit exceeded (requests, rate_limit_exceeded)"),
    ("426_morpheus", "bad_request", "HTTPS Required: This API requires HTTPS."),
    ("500_lumerin", "upstream", "no model"),
]  # fmt: skip


def own_profile(scenario: str) -> profiles.Profile:
    """The profile of the seed that a scenario's name begins with; the others are Morpheus'."""
    name = scenario.partition("_")[0]
    return profiles.load(name if name in SEEDS else "morpheus")


def row(scenario: str, profile: profiles.Profile, *, stream: bool = True) -> Record:
    """The row of a scenario, asked as this provider's."""
    score = score_of((scenario, stream))
    return row_of(timed(score), score.ending, stream=stream, profile=profile)


@pytest.mark.parametrize(("scenario", "kind", "said"), DOCUMENTED, ids=[case[0] for case in DOCUMENTED])
def test_a_documented_error_is_a_row_of_its_kind_with_its_message(scenario: str, kind: str, said: str) -> None:
    for stream in (True, False):
        found = row(scenario, own_profile(scenario), stream=stream)

        assert (found.outcome, found.error_kind) == ("error", kind)
        assert found.error == f"HTTP {SCENARIOS[scenario].status}: {said}"
    assert found.retry_after_s == (7.0 if scenario == "morpheus_429" else None)


def test_every_documented_error_that_the_mock_plays_is_in_this_table() -> None:
    played = {name for name, one in SCENARIOS.items() if name.partition("_")[0] in SEEDS and one.status != 200}

    assert played == {scenario for scenario, _, _ in DOCUMENTED} - {"426_morpheus", "500_lumerin"}


def test_the_profiles_pointers_find_the_messages() -> None:
    """Of each status that a profile's table of errors has, at least one of its places holds what the row says."""
    for scenario, _, said in DOCUMENTED:
        body = b"".join(score_of((scenario, True)).writes).partition(b"\r\n\r\n")[2]
        status = SCENARIOS[scenario].status
        docs = [doc for doc in own_profile(scenario).errors if doc.status in (status, None)]
        found = [pointed(orjson.loads(body), doc.message) for doc in docs]
        known = scenario == "500_lumerin" or any(isinstance(text, str) and text in said for text in found)
        assert known or not docs, scenario  # what a node of Morpheus' network says itself is in no document


def pointed(value: Any, path: str) -> Any:
    """RFC 6901, without escapes."""
    for key in path.split("/")[1:]:
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() and int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


IN_A_STREAM: Final = [
    ("error_llmgateway", "deutschlandgpt", "The model ran out of memory. (upstream_error)"),
    ("error_vllm", "vllm", "The model ran out of memory. (InternalServerError, 500)"),
    ("error_openrouter", "openrouter", "The model ran out of memory. (server_error)"),
    ("error_openrouter_int", "openrouter", "The model ran out of memory. (502)"),
    *((name, "morpheus", f"The model ran out of memory. ({name.removeprefix('error_morpheus_')}, 502)")
      for name in SCENARIOS if name.startswith("error_morpheus_") and name != "error_morpheus_session"),
    ("error_morpheus_session", "morpheus", "The model ran out of memory. (proxy_error)"),
]  # fmt: skip


@pytest.mark.parametrize(("scenario", "name", "said"), IN_A_STREAM, ids=[case[0] for case in IN_A_STREAM])
def test_an_error_inside_a_stream_is_a_row_that_keeps_what_came_before(scenario: str, name: str, said: str) -> None:
    found = row(scenario, profiles.load(name))

    assert (found.outcome, found.error_kind, found.error) == ("error", "stream_error", said)
    assert found.status == 200
    assert found.chunks
    assert found.output_chars == score_of((scenario, True)).characters > 0


def test_named_events_of_llm_gateway_are_events_like_any_other() -> None:
    found = row("named_events", profiles.load("deutschlandgpt"))

    assert (found.outcome, found.flags, found.output_tokens, found.tokens_from) == ("ok", None, 10, "usage")


def test_azures_first_chunk_is_an_event_and_no_token() -> None:
    found = row("azure_first_chunk", profiles.load("azure"))

    assert (found.outcome, found.flags, found.chunks) == ("ok", None, 10)
    assert found.first_event_ns is not None
    assert found.first_token_ns is not None
    assert found.first_event_ns < found.first_token_ns


# Through the command.


@pytest.fixture
def mock(name: str, tmp_path: Path) -> Iterator[process.MockProcess]:
    """The provider, its key required, what it is asked in `asked`."""
    options = ("--provider", name, "--key", SEEDS[name].key, "--request-log", str(tmp_path / "asked"), *QUICK)
    with process.start(options) as started:
        yield started


def run(name: str, mock: process.MockProcess, folder: Path, *more: str) -> list[dict[str, Any]]:
    """The rows of a run of 50 requests, half of them streamed, that had all it needed."""
    profile = there(name, mock.port)
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.cli", "run", "--profile", name, "--base-url", profile.base_url,
         "--requests", "50", "--concurrency", "5", "--seed", "3", "--no-report", *(more or ("--stream-share", "0.5"))],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(HOME), str(profile.auth.env): SEEDS[name].key},
        capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in {0, 3}, done.stderr  # 3: this machine was too busy for a valid run
    assert SEEDS[name].key not in done.stdout + done.stderr
    rows: list[dict[str, Any]] = pq.read_table(folder / "results" / "latest" / record.REQUESTS).to_pylist()
    return rows


def check_run(name: str, work: str, folder: Path, rows: list[dict[str, Any]]) -> None:
    """Fifty good rows, and fifty requests that keep to the document."""
    assert [(row["outcome"], row["error"]) for row in rows] == [("ok", None)] * 50
    lines = [line for line in map(orjson.loads, (folder / "asked").read_bytes().splitlines()) if "number" in line]
    assert len(lines) == 50
    for line in lines:
        check_request(name, line, work)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["meingpt"])
def test_a_run_of_meingpt_is_cut_at_its_cap_and_all_good(name: str, mock: process.MockProcess, tmp_path: Path) -> None:
    rows = run(name, mock, tmp_path, "--stream-share", "0.5", "--output-tokens", "8")
    mock.stop()

    check_run(name, "chat", tmp_path, rows)
    # On a busy machine the tokens of a few milliseconds may well come in one read.
    flags = [[flag for flag in row["flags"] if flag != "buffered"] for row in rows if row["stream"]]
    assert flags == [["cut_at_cap"]] * 25
    assert {row["tokens_from"] for row in rows if row["stream"]} == {"estimate"}
    assert [row["flags"] for row in rows if not row["stream"]] == [None] * 25


@pytest.mark.slow
@pytest.mark.parametrize(("name", "work"), RUNS, ids=lambda word: word.replace(" ", "_"))
def test_a_run_of_every_seed_is_all_good(name: str, work: str, mock: process.MockProcess, tmp_path: Path) -> None:
    share = "1" if "only" in work else "0.5"
    rows = run(name, mock, tmp_path, "--stream-share", share, "--workload", work.partition(" ")[0])
    mock.stop()

    check_run(name, work, tmp_path, rows)
    assert [row["stream"] for row in rows].count(True) == 50 * float(share)
    assert {kind for row in rows for kind in row["chunk_kind"] or ()} == kinds_of(work)
