"""The server's own view: which endpoints are asked, what their text means, and what of it is on disk in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import commands
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import planned
from test_finish import TEN, run_dir

from loadtests import clock, profiles, record
from loadtests.finish import draft, finish
from loadtests.parts import read_part
from loadtests.plan import Plan
from loadtests.scrape import Endpoint, ScrapeError, begin, checked, endpoints
from loadtests.scrape.exposition import OPEN_METRICS, ExpositionError, Series, labels_text, read
from loadtests.scrape.scraper import PERIOD_NS, PHASE_NS, Scraper
from loadtests.sink import Part
from loadtests.store import layout

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="a\\"b",engine="0"} 3.0
# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{engine="0"} 1.5e+06
vllm:prompt_tokens_created{engine="0"} 1.7e+09
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{engine="0",le="0.3"} 0.0
vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf"} 7.0
vllm:e2e_request_latency_seconds_count{engine="0"} 7.0
vllm:e2e_request_latency_seconds_sum{engine="0"} 2.5
# TYPE token_bucket gauge
token_bucket 4
llamacpp:kv_cache_usage_ratio NaN
"""
KEPT = [
    Series("vllm:num_requests_running", r'engine="0",model_name="a\"b"', 3.0),
    Series("vllm:prompt_tokens_total", 'engine="0"', 1.5e6),
    Series("vllm:e2e_request_latency_seconds_count", 'engine="0"', 7.0),
    Series("vllm:e2e_request_latency_seconds_sum", 'engine="0"', 2.5),
    Series("token_bucket", "", 4.0),
]


# What a page says.


def test_buckets_creation_times_and_what_is_no_number_are_left_away() -> None:
    assert read(PAGE) == (KEPT, 0)


def test_open_metrics_is_read_by_its_own_rules() -> None:
    """An exemplar behind a bucket, and an end mark."""
    page = (
        '# TYPE wait histogram\nwait_bucket{le="+Inf"} 7 # {trace_id="x"} 0.3\nwait_count 7\nwait_sum 2.5\n'
        "# TYPE asked counter\nasked_total 9\nasked_created 1.7e9\n# EOF\n"
    )  # fmt: skip

    assert read(page, f"{OPEN_METRICS}; version=1.0.0") == (
        [Series("wait_count", "", 7.0), Series("wait_sum", "", 2.5), Series("asked_total", "", 9.0)], 0,
    )  # fmt: skip


@pytest.mark.parametrize("content_type", ["text/plain", OPEN_METRICS])
def test_the_first_series_are_kept_and_the_others_counted(content_type: str) -> None:
    page = "".join(f"g{n} {n}\n" for n in range(12)) + "# EOF\n"

    assert read(page, content_type, most=10) == ([Series(f"g{n}", "", float(n)) for n in range(10)], 2)


@pytest.mark.parametrize("page", ["<html>\n<b>Not found</b>", '{"error": {"message": "no"}}', "a b c\n", "x{y 1\n"])
def test_what_is_no_page_of_figures_is_refused(page: str) -> None:
    with pytest.raises(ExpositionError, match="no Prometheus text"):
        read(page)


NAME = st.from_regex(r"[a-z_:][a-z0-9_:]{0,8}", fullmatch=True)
LABELS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9]{0,4}", fullmatch=True), st.text('aé,{}=\\"\n #', max_size=6))
SERIES = st.builds(
    Series,
    NAME.filter(lambda name: not name.endswith(("_created", "_bucket"))),
    LABELS.map(labels_text),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@given(st.lists(SERIES, min_size=1, max_size=3, unique_by=lambda one: one.name))
def test_what_is_written_is_read(found: list[Series]) -> None:
    text = "".join(f"{one.name}{{{one.labels}}} {one.value!r}\n" for one in found)

    assert read(text) == (found, 0)


@given(st.text('ab_:{}=",\\ #\n019.eNaTYPE', max_size=40), st.sampled_from(["", OPEN_METRICS]))
def test_any_text_is_read_or_refused(text: str, content_type: str) -> None:
    try:
        found, left_out = read(text, content_type)
    except ExpositionError:
        return
    assert all(isinstance(one.value, float) for one in found)
    assert left_out == 0


# Who is asked.


@pytest.mark.parametrize(
    ("given_", "url"),
    [
        ("auto", "auto"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/metrics"),
        ("http://gpu1:9400/", "http://gpu1:9400/metrics"),
        ("https://llm.example.org/engine/metrics?all=1", "https://llm.example.org/engine/metrics?all=1"),
    ],
)
def test_an_endpoint_without_a_path_is_metrics(given_: str, url: str) -> None:
    assert checked([given_, given_]) == (url,)
    assert planned(profiles.load("vllm"), server_metrics=(given_,), model="m").server_metrics == (url,)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ("127.0.0.1:8000", "is no http"),
        ("ftp://gpu1/metrics", "is no http"),
        ("http://gpu1:0/", "is no http"),
        ("http://[::1/metrics", "is no http"),
        ("http://gpu1/a b", "is no http"),
        ("http://me:secret-word@gpu1/metrics", "holds credentials"),
        ("http://gpu1/metrics?api_key=abcdefgh", "holds credentials"),
        ("http://llm.example.org/metrics", "--allow-insecure-http"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_is_one_line(given_: str, said: str) -> None:
    with pytest.raises(ScrapeError, match=said) as told:
        checked([given_])

    assert "\n" not in str(told.value)
    assert "secret-word" not in str(told.value)


def test_plain_http_leaves_this_network_where_that_is_meant() -> None:
    assert checked(["http://llm.example.org"], allow_insecure_http=True) == ("http://llm.example.org/metrics",)


def test_an_endpoint_speaks_of_the_arms_that_are_there() -> None:
    """By host and port; else, as a GPU exporter, by host; else of all. auto asks each origin once."""
    vllm = profiles.load("vllm")
    urls = ("http://gpu1:8000/v1", "http://gpu2:8000/v1", "http://GPU2:8000/other/v1")
    arms = [vllm.with_overrides(base_url=url) for url in urls]
    found = endpoints(("http://gpu1:9400/metrics", "auto", "http://watch:9090/metrics"), arms, ["a", "b", "c"])

    assert found == [
        Endpoint("http://gpu1:8000/metrics", ("a",)),
        Endpoint("http://gpu2:8000/metrics", ("b", "c")),
        Endpoint("http://gpu1:9400/metrics", ("a",)),
        Endpoint("http://watch:9090/metrics", ("a", "b", "c")),
    ]


# Asking.


def http(status: str, body: bytes = b"", *fields: str) -> bytes:
    """An answer."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""))
    return head.encode() + body


def telling(answers: dict[str, bytes], heard: list[bytes]) -> Callable[[socket.socket], None]:
    """A handler that answers GETs by their path, and keeps their heads."""

    def handle(sock: socket.socket) -> None:
        while True:
            data = b""
            while b"\r\n\r\n" not in data:
                if not (piece := sock.recv(65536)):
                    return
                data += piece
            heard.append(data)
            sock.sendall(answers[data.split(b" ")[1].decode()])

    return handle


def asked_once(port: int, parts: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of one look at an endpoint whose run begins in a minute, and what was said of it."""
    said: list[str] = []
    parts.mkdir()
    url = f"http://127.0.0.1:{port}/metrics"
    begin([Endpoint(url, ("default",))], parts, clock.monotonic_ns() + 60 * 10**9, said.append)()
    return read_part(parts / "server-0.arrows").to_pylist(), said


def test_each_series_is_a_row_beside_how_the_endpoint_did(serve: Any, tmp_path: Path) -> None:
    heard: list[bytes] = []
    federated = 'up{job="a"} 0\n'
    server = serve(telling({"/metrics": http("200 OK", (federated + PAGE).encode())}, heard))
    rows, said = asked_once(server.port, tmp_path / "parts")

    assert said == []
    assert [(row["name"], row["labels"], row["value"]) for row in rows if row["name"] not in OWN] == [*map(tuple, KEPT)]
    assert {row["name"]: row["value"] for row in rows if row["name"] == "up"} == {"up": 1.0}
    assert {row["source"] for row in rows} == {f"http://127.0.0.1:{server.port}/metrics"}
    assert all(-60 * 10**9 <= row["t_ns"] < -50 * 10**9 for row in rows)
    assert not any(word in heard[0].lower() for word in (b"authorization", b"api-key", b"cookie"))


OWN = ("up", "scrape_duration_seconds", "scrape_series_left_out")


def test_a_redirection_is_followed_where_it_stays_with_the_server(serve: Any, tmp_path: Path) -> None:
    """As an application mounted at /metrics answers."""
    moved, heard = http("307 Temporary Redirect", b"", "Location: /metrics/"), []  # type: ignore[var-annotated]
    server = serve(telling({"/metrics": moved, "/metrics/": http("200 OK", b"up_to 1\n")}, heard))
    rows, said = asked_once(server.port, tmp_path / "parts")

    assert (said, len(heard)) == ([], 2)
    assert [row["value"] for row in rows if row["name"] == "up_to"] == [1.0]


def test_a_redirection_that_goes_in_a_circle_is_followed_once(serve: Any, tmp_path: Path) -> None:
    away, back = (http("302 Found", b"", f"Location: {path}") for path in ("/other", "/metrics"))
    heard: list[bytes] = []
    _, said = asked_once(serve(telling({"/metrics": away, "/other": back}, heard)).port, tmp_path / "parts")

    assert "it answers 302" in said[0]
    assert len(heard) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (http("501 Not Implemented", b"{}"), "other_status", "it answers 501"),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/login"), "other_status", "it answers 302"),
        (http("302 Found", b"", "Location: http://[/"), "other_status", "it answers 302"),
        (http("200 OK", b"<html>"), "bad_body", "no Prometheus text"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol", "protocol"),
        (http("200 OK", b"x 1\n").replace(b"4", b"9"), "timeout_total", "timed out"),
    ],
)
def test_an_endpoint_that_gives_nothing_is_said_once_and_the_run_goes_on(
    answer: bytes, kind: str, words: str, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "timeout_total":
        monkeypatch.setattr("loadtests.scrape.scraper.TIMEOUT_S", 0.3)
    server = serve(telling({"/metrics": answer}, []))
    rows, said = asked_once(server.port, tmp_path / "parts")

    assert [row["labels"] for row in rows if (row["name"], row["value"]) == ("up", 0.0)] == [f'error="{kind}"']
    assert len(said) == 1
    assert said[0].startswith(f"note: no server metrics at http://127.0.0.1:{server.port}/metrics: ")
    assert words in said[0]
    assert said[0].endswith("; the run goes on")


def test_nobody_there_is_a_failure_of_the_same_kind(serve: Any, tmp_path: Path) -> None:
    server = serve(lambda _: None)
    server.close()
    rows, said = asked_once(server.port, tmp_path / "parts")

    assert [row["labels"] for row in rows if row["name"] == "up"] == ['error="connect"']
    assert "refused" in said[0]


def test_a_slow_answer_makes_no_later_one_late(tmp_path: Path) -> None:
    """Whatever the moment, the next scrape is on the grid, and within a second; before a run, at its first."""
    for since_ns in (-5 * PERIOD_NS, 0, 10 * PERIOD_NS + PHASE_NS + 10**6, 3 * PERIOD_NS // 2):
        path = tmp_path / f"server-{since_ns}.arrows"
        zero_ns = clock.monotonic_ns() - since_ns
        scraper = Scraper(Endpoint("http://127.0.0.1:1/metrics", ()), path, zero_ns, print)
        before_ns = clock.monotonic_ns() - zero_ns
        patience_ns = scraper._patience_s() * 1e9
        around = 5e6 + (clock.monotonic_ns() - zero_ns - before_ns)  # a busy machine may take its time in between
        off = (before_ns + patience_ns - PHASE_NS) % PERIOD_NS

        assert min(off, PERIOD_NS - off) <= around
        assert 0 < patience_ns <= (PERIOD_NS if since_ns >= PHASE_NS else PHASE_NS - since_ns)
        scraper._part.close()


# On disk.


def part(path: Path, seconds: int) -> list[int]:
    """A part of so many seconds, each a batch; the sizes at which it is whole."""
    written, ends = Part(path, record.server_part_schema()), []
    for second in range(seconds):
        row = {"t_ns": second * 10**9, "source": "http://a/metrics", "name": "up", "labels": "", "value": 1.0}
        batch = pa.RecordBatch.from_pylist([row, row | {"name": "g", "labels": 'k="v"'}], written.schema)
        written.append(batch, packed=True)
        ends.append(path.stat().st_size)
    written.close()
    return ends


def test_a_part_cut_anywhere_keeps_its_whole_seconds(tmp_path: Path) -> None:
    ends = part(tmp_path / "server-0.arrows", 3)
    data = (tmp_path / "server-0.arrows").read_bytes()
    for size in range(ends[0], len(data) + 1, 7):
        (tmp_path / "cut").write_bytes(data[:size])

        assert read_part(tmp_path / "cut").num_rows == 2 * sum(end <= size for end in ends)


def test_a_run_that_is_finished_repaired_or_drafted_has_it(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10}, clean=False)
    part(path / record.PARTS / "server-1.arrows", 2)
    part(path / record.PARTS / "server-0.arrows", 1)
    draft(path, tmp_path / "draft")
    finish(path)
    table = pq.read_table(path / record.SERVER)

    assert table.schema.equals(record.server_schema())
    assert [row["t_ns"] for row in table.to_pylist()] == [0] * 4 + [10**9] * 2
    assert pq.read_table(tmp_path / "draft" / record.SERVER).equals(table)
    assert layout.grows(path / record.PARTS / "server-0.arrows")


def test_a_run_without_an_endpoint_has_no_such_file(tmp_path: Path) -> None:
    path = run_dir(tmp_path, TEN, {0: list(range(10))}, {0: 10})
    finish(path)

    assert not (path / record.SERVER).exists()


@pytest.mark.slow
def test_a_run_asks_its_provider_each_second(tmp_path: Path) -> None:
    """One slot, 0.22 s an answer, 6/s for 2 s: it is always busy, and others wait. An endpoint that is none is said."""
    for _ in range(3):  # a machine that is busy elsewhere for a moment asks late, when all is answered, or not at all
        with commands.exact(0.2, "--slots", "1", tokens=2, gap_s=0.02) as mock:
            done = commands.ask(
                mock.base_url, "--rate", "6", "--arrivals", "constant", "--duration", "2s", "--server-metrics", "auto",
                "--server-metrics", "http://127.0.0.1:9", "--json", cwd=tmp_path,
            )  # fmt: skip
        run = commands.latest(tmp_path)
        about, told = orjson.loads((run / record.MANIFEST).read_bytes()), orjson.loads(done.stdout)["server"]
        table = pq.read_table(run / record.SERVER).to_pandas()
        running = table[(table["name"] == "mock_requests_running") & (table["t_ns"] > 0)]
        if {*running["value"]} == {1.0} and len(running) >= 3:
            break

    own = f"http://127.0.0.1:{mock.port}/metrics"
    assert Plan.from_manifest(about).server_metrics == ("auto", "http://127.0.0.1:9/metrics")
    assert about["server_metrics"] == [
        {"source": own, "arms": ["default"]}, {"source": "http://127.0.0.1:9/metrics", "arms": ["default"]},
    ]  # fmt: skip
    assert "note: no server metrics at http://127.0.0.1:9/metrics: connect" in done.stderr
    assert {*running["value"]} == {1.0}
    assert running["t_ns"].floordiv(PERIOD_NS).is_unique
    assert len(running) >= 3
    assert told["roles"]["running"]["max"] == 1.0
    assert any("http://127.0.0.1:9/metrics never answered (connect)" in note for note in told["notes"])
