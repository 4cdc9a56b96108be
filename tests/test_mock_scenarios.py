"""
Every scenario says what its truth says, read by a small reader of its own, and goes out as it was written.

The reader here knows nothing of ours: it takes HTTP off with httptools and events apart by the letter of the standard.
"""

from __future__ import annotations

import gzip
import socket
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httptools
import orjson
import pytest

from loadtests import record
from loadtests.mock.answer import Voice, compose
from loadtests.mock.log import read as read_log
from loadtests.mock.manner import beats
from loadtests.mock.options import settings_from
from loadtests.mock.process import MockProcess, start
from loadtests.mock.request import Ask
from loadtests.mock.scenarios import SCENARIOS, TOPICS, scene
from loadtests.mock.scene import Scene, scene_of
from loadtests.mock.score import answer_of, played
from loadtests.mock.script import Script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from loadtests.mock.score import Score

CASES = [(name, stream) for name, scenario in SCENARIOS.items() for stream in (True, False) if scenario.fits(stream)]
NO_RESPONSE = {name for name, scenario in SCENARIOS.items() if scenario.status is None}
UNREADABLE = {"too_large_event", "deep_json", "bad_json", "bad_chunk_size", "plain_no_json", "plain_array",
              "plain_nothing", "plain_page"}  # fmt: skip


class _Response:
    """What the bytes of one response are; `ends` says whether its own end came."""

    def __init__(self, writes: list[bytes]) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ends = False
        self._parser = httptools.HttpResponseParser(self)
        for data in writes:
            self._parser.feed_data(data)
        self.status = self._parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:
            self.ends = True

    @property
    def plain(self) -> bytes:
        """The body without compression."""
        coding = self.headers.get("content-encoding") or self.headers.get("transfer-encoding", "")
        return zlib.decompressobj(wbits=31).decompress(self.body) if "gzip" in coding else self.body

    @property
    def values(self) -> list[Any]:
        """The JSON values of a stream or a whole body."""
        text = self.plain.removeprefix(b"\xef\xbb\xbf")
        if text.lstrip()[:1] in (b"{", b"["):
            return [loose(line) for line in text.strip().splitlines()]
        return [loose(data) for data in payloads(text) if data.strip() and data.strip() != b"[DONE]"]


def payloads(text: bytes) -> list[bytes]:
    """The data of each event: https://html.spec.whatwg.org/multipage/server-sent-events.html, without its last rule."""
    found: list[bytes] = []
    data: list[bytes] = []
    for line in text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"error":
            found.append(b'{"error":%b}' % value)
        elif not line and data:
            found.append(b"\n".join(data))
            data = []
    return [*found, b"\n".join(data)] if data else found


def loose(data: bytes) -> Any:
    return orjson.loads(data.decode("utf-8", "replace"))


def heard(values: list[Any]) -> dict[str, str]:
    """All text of the choices by its kind, in the order of arrival."""
    told = dict.fromkeys(("content", "reasoning", "tool", "refusal"), "")
    for value in values:
        for choice in value.get("choices") or () if isinstance(value, dict) else ():
            for kind, text in parts(choice.get("delta") or choice.get("message") or {}):
                told[kind] += text
    return told


def parts(delta: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for detail in delta.get("reasoning_details") or ():
        yield "reasoning", detail["text"]
    yield "reasoning", delta.get("reasoning_content") or delta.get("reasoning") or ""
    content = delta.get("content")
    for part in content if isinstance(content, list) else ():
        for thought in part.get("thinking") or ():
            yield "reasoning", thought["text"]
        yield "content", part.get("text") or ""
    yield "content", content if isinstance(content, str) else ""
    yield "refusal", delta.get("refusal") or ""
    for function in (delta.get("function_call"), *(call["function"] for call in delta.get("tool_calls") or ())):
        for key in ("name", "arguments"):
            yield "tool", (function or {}).get(key) or ""


def finishes(values: list[Any]) -> list[str]:
    return [
        c["finish_reason"]
        for v in values
        if isinstance(v, dict)
        for c in v.get("choices") or ()
        if c.get("finish_reason")
    ]


@pytest.mark.parametrize(("name", "stream"), CASES)
def test_what_goes_out_is_what_the_truth_says(name: str, stream: bool) -> None:
    """The texts, the finish reason, the usage, the status: each read off the bytes again."""
    scenario = SCENARIOS[name]
    score = scenario.play(scene(stream=stream))
    assert [piece.at_ns for piece in score.pieces] == sorted(piece.at_ns for piece in score.pieces)
    if name in NO_RESPONSE:
        assert (scenario.outcome, score.text) == ("error", "")
        return
    if name in UNREADABLE:
        assert scenario.error_kind in ("bad_body", "protocol")
        return

    response = _Response(score.writes)

    assert response.status == scenario.status
    if scenario.status != 200:
        assert response.ends
        assert score.characters == 0
        return
    values = [] if name in ("plain_cut", "plain_reset", "plain_stall", "reset") else response.values
    if name == "deutschlandgpt_200_message":
        assert values == [{"message": score.text}]
    elif values:
        assert heard(values) == {kind: score.heard(kind) for kind in ("content", "reasoning", "tool", "refusal")} or (
            name == "after_done" and heard(values)["content"] == score.text + "late"
        )
        told = [f for f in finishes(values) if f]
        assert (told[-1] if told else None) == scenario.finish_reason
        usage = [v["usage"] for v in values if isinstance(v, dict) and v.get("usage")]
        counts = [u.get("completion_tokens", u.get("output_tokens")) for u in usage]
        if name in ("usage_zero", "usage_nonsense"):
            assert (score.tokens, counts) in ((None, [0]), (None, [-1]))
        else:
            assert (counts[-1] if counts else None) == score.tokens


@pytest.mark.parametrize(("name", "stream"), CASES)
def test_how_it_ends_is_what_its_ending_says(name: str, stream: bool) -> None:
    """A response that ends by itself leaves the connection; one that doesn't takes it along."""
    score = SCENARIOS[name].play(scene(stream=stream))
    if name in NO_RESPONSE or name == "bad_chunk_size":
        assert score.ending in ("cut", "reset", "stall")
        return

    response = _Response(score.writes)

    assert response.ends == (score.ending == "keep")
    if name != "too_large_event" and b'"chat.completion.chunk"' in response.plain:
        assert (b"[DONE]" in response.plain) is not ("no_done" in SCENARIOS[name].flags)


def test_rows_use_the_closed_lists_and_no_name_twice() -> None:
    assert len(SCENARIOS) == sum(map(len, TOPICS.values()))
    for scenario in SCENARIOS.values():
        assert scenario.outcome in ("ok", "error")
        assert (scenario.outcome == "ok") == (scenario.error_kind is None)
        assert scenario.error_kind is None or scenario.error_kind in record.ERROR_KINDS
        assert set(scenario.flags) <= set(record.FLAGS)


def test_every_scenario_asked_for_is_there() -> None:
    """Of the kinds of text that only one reader in two gets right, a few by what makes them hard."""

    def data(name: str) -> bytes:
        return b"".join(SCENARIOS[name].play(scene()).writes)

    assert "\u2028".encode() in data("separators")
    assert "\x85".encode() in data("separators")
    assert any(w.endswith(b"\r\r\n") and b"data" in w for w in SCENARIOS["cr_lf_apart"].play(scene()).writes)
    assert any(w.endswith("🙂".encode()[:2] + b"\r\n") for w in SCENARIOS["emoji_split"].play(scene()).writes)
    assert b"data:{" in data("no_space")
    assert b"\n" not in data("lone_cr").partition(b"\r\n\r\n")[2].replace(b"\r\n", b"")
    assert {len(w) for w in SCENARIOS["byte_writes"].play(scene()).writes} == {1}
    assert max(map(len, SCENARIOS["large_event"].play(scene()).writes)) > 1 << 20
    assert max(map(len, SCENARIOS["too_large_event"].play(scene()).writes)) > 8 << 20
    assert len(SCENARIOS["proxy_buffered"].play(scene()).writes) == 2  # the second ends the body
    assert [w.count(b"data: ") for w in SCENARIOS["events_per_write"].play(scene()).writes][:2] == [4, 4]
    unflushed = SCENARIOS["gzip_unflushed"].play(scene()).pieces
    assert all(p.at_ns >= scene().last_ns or not p.said for p in unflushed)
    assert gzip.decompress(_Response(SCENARIOS["gzip_json"].play(scene(stream=False)).writes).body)[:1] == b"{"


def test_a_usual_answer_is_the_short_way_s_to_the_byte() -> None:
    """Two ways of composing, by fragments and by JSON: one truth."""
    script = Script(output_tokens=9, reasoning_tokens=3)
    for stream in (True, False):
        for tells_usage in (True, False):
            voice = Voice(5, 7, Ask('grö"ße', 11, None, stream), tells_usage, keeps_alive=True)
            play = script.play(5, 11, None, stream)
            short = compose(voice, play)

            long = answer_of(played(scene_of(voice, play, None)), 5, play.finish_reason)

            assert b"".join(long.writes) == b"".join(short.writes)
            assert (long.offsets_ns, long.finish, long.ending) == (short.offsets_ns, short.finish, short.ending)


def test_a_scene_alone_has_one_beat_for_each_token() -> None:
    assert [b.said[0][1] for b in beats(scene()) if b.said] == list(scene().play.texts)


# Through the process.

FAST = ("--ttft", "0.005", "--gap", "0.0005", "--prefill", "0", "--output-tokens", "10", "--usage", "always")
QUICK = [
    (name, stream)
    for name, stream in CASES
    if name not in ("stall_kept_alive", "too_large_event", "usage_late", "comments", "blank_lines")
]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenarios") / "log"


@pytest.fixture(scope="module")
def mock(logged: Path) -> Iterator[MockProcess]:
    with start(FAST, logged) as process:
        yield process


def request(name: str, stream: bool, where: str = "header") -> bytes:
    body = orjson.dumps({"model": "mock", "stream": stream, "messages": [{"role": "user", "content": "x" * 40}]})
    query = f"?scenario={name}" if where == "query" else ""
    header = f"X-Mock-Scenario: {name}\r\n" if where == "header" else ""
    head = f"POST /v1/chat/completions{query} HTTP/1.1\r\nHost: mock\r\nAuthorization: Bearer sk-mock\r\n{header}"
    return f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def fetch(mock: MockProcess, data: bytes, patience_s: float = 60.0, first: bytes = b"") -> tuple[bytes, str]:
    """All that comes, and how it ended: "closed", "reset" or "silent", which counts from this beginning on."""
    received = b""
    with closing(socket.create_connection(("127.0.0.1", mock.port), 60.0)) as sock:
        sock.sendall(data)
        try:
            while len(received) < len(first) and (piece := sock.recv(1 << 20)):
                received += piece
            sock.settimeout(patience_s)
            while piece := sock.recv(1 << 20):
                received += piece
        except TimeoutError:
            return received, "silent"
        except ConnectionResetError:
            return received, "reset"
    return received, "closed"


def test_every_scenario_goes_out_and_ends_as_it_says(mock: MockProcess) -> None:
    """The same pieces with another number, moment and words; the end of the connection is the ending's."""
    for name, stream in QUICK:
        score = SCENARIOS[name].play(scene(stream=stream))
        silent = score.ending == "stall"
        first = score.writes[0].partition(b"\r\n")[0]

        received, end = fetch(mock, request(name, stream), 0.2 if silent else 60.0, first)

        assert end == {"stall": "silent", "reset": "reset"}.get(score.ending, "closed"), name
        assert received.startswith(first), name


def test_a_request_may_choose_by_its_query_and_an_unknown_name_is_refused(mock: MockProcess) -> None:
    chosen, _ = fetch(mock, request("402_openrouter", stream=True, where="query"))
    unknown, _ = fetch(mock, request("no_such_thing", stream=True))
    other_kind, _ = fetch(mock, request("crlf", stream=False))

    assert chosen.startswith(b"HTTP/1.1 402 ")
    assert unknown.startswith(b"HTTP/1.1 400 ")
    assert b"no_such_thing" in unknown
    assert other_kind.startswith(b"HTTP/1.1 400 ")
    assert b"crlf is none for plain requests" in other_kind


def test_scenarios_are_drawn_by_seed_and_the_log_tells_their_moments(tmp_path: Path) -> None:
    """Half of 40 requests: 20 with a standard deviation of 3.2; the same seed draws the same."""
    options = (*FAST, "--scenario", "error_string", "--scenario", "no_done", "--scenario-share", "0.5")
    drawn = []
    for place in (1, 2):
        with start(options, tmp_path / f"log{place}") as mock:
            answers = [fetch(mock, request("", stream=True, where=""))[0] for _ in range(40)]
        drawn.append([kind_of(answer) for answer in answers])
    truths = read_log(tmp_path / "log1")

    assert drawn[0] == drawn[1]
    assert 8 <= drawn[0].count("usual") <= 32
    assert set(drawn[0]) == {"usual", "error_string", "no_done"}
    assert [truths[n + 1].finish == "scenario" for n in range(40)] == [kind != "usual" for kind in drawn[0]]
    for number, answer in enumerate(answers, 1):
        spoken = answer.count(b'"content":"') - 1  # the role's empty one
        assert len(truths[number].chunk_ns) == spoken


def kind_of(answer: bytes) -> str:
    return "error_string" if b'"error":' in answer else "usual" if b"[DONE]" in answer else "no_done"


def score_of(name: str, made: Scene) -> Score:
    return SCENARIOS[name].play(made)


def test_the_forms_of_waiting_are_relative_to_the_request() -> None:
    """1,700,000,000 is 2023-11-14 22:13:20 UTC; seven seconds later."""

    def field(name: str, key: str) -> str:
        return _Response(score_of(name, scene()).writes).headers[key]

    assert field("429_retry_after_date", "retry-after") == "Tue, 14 Nov 2023 22:13:27 GMT"
    assert field("429_reset_iso", "anthropic-ratelimit-requests-reset") == "2023-11-14T22:13:27Z"
    assert field("429_reset_epoch", "x-ratelimit-reset-requests") == "1700000007"
    assert field("429_reset_epoch_ms", "x-ratelimit-reset-requests") == "1700000007000"


def test_the_key_is_echoed_where_the_scenario_says_so() -> None:
    for name in ("401_echo", "401_echo_page"):
        assert b"sk-mock" in _Response(score_of(name, scene()).writes).body


@pytest.mark.parametrize(
    ("values", "says"),
    [({"faults": ("cut",)}, "--error-rate"), ({"key": " "}, "--key: is empty"), ({"port": 70000}, "--port")],
)
def test_an_option_that_could_do_nothing_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings_from(values)
