"""Tokens counted by a tokenizer of the user's own: a tiny one, made here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from conftest import read_request
from planning import planned

from loadtests import profiles, tokens
from loadtests.plan import Plan, target_of
from loadtests.send import Sender
from loadtests.workload import Request

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from loadtests.wire.receiver import Receiver

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model's directory: one token per word and punctuation mark, special tokens around a text, cut after three."""
    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "hello": 3, "world": 4}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    made.add_special_tokens(["[CLS]", "[SEP]"])
    made.enable_truncation(3)
    made.enable_padding(length=8)
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), ("hello", 1), ("hello world, hello?", 5), ("unknown words count too", 4), ("[CLS] hello", 2),
        ("half a pair: \ud83d", 5), ("hello " * 1000, 1000),
    ],
)  # fmt: skip
def test_a_text_is_counted_whole_and_without_special_tokens(path: Path, text: str, count: int) -> None:
    """Words and marks are a token each; `[CLS]` is one where an answer has it, and none is added."""
    counter = tokens.load(str(path))

    assert (counter.count(text), counter.count_aside(text)) == (count, count)


def test_the_file_itself_may_be_named(path: Path) -> None:
    assert tokens.load(str(path / "tokenizer.json")).count("hello world") == 2


LONG = "hello " * 300_000
"""A quarter of a second's work."""


def test_the_event_loop_goes_on_while_a_long_text_is_counted(path: Path) -> None:
    for _ in range(3):  # a busy machine may count on while it holds up the loop
        counting = gevent.spawn(tokens.load(str(path)).count_aside, LONG)
        turns = 0
        while not counting.ready():
            gevent.sleep(0.002)
            turns += 1

        assert counting.get() == 300_000
        if turns > 5:
            break
    assert turns > 5


def test_who_is_killed_while_counting_still_gets_the_count(path: Path) -> None:
    """What it does with it until it waits for something is done; then it ends."""
    counter, got = tokens.load(str(path)), []

    def work() -> None:
        got.append(counter.count_aside(LONG))
        gevent.sleep(5)
        got.append(0)

    greenlet = gevent.spawn(work)
    gevent.sleep(0.01)
    greenlet.kill()

    assert greenlet.dead
    assert got == [300_000]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [(b"", (3, 3, "tokenizer")), (b',"usage":{"prompt_tokens":1,"completion_tokens":9}', (3, 9, "usage"))],
)
def test_an_answer_is_counted_and_the_count_stands_in_for_usage(
    path: Path, receiver: Receiver, serve: Any, usage: bytes, expected: tuple[int, int, str]
) -> None:
    """`hello world!` is three tokens; a plan that names the tokenizer has every answer counted."""
    body = b'{"choices":[{"message":{"content":"hello world!"},"finish_reason":"stop"}]%b}' % usage

    def handler(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        sock.sendall(body)

    profile = profiles.load("vllm").with_overrides(base_url=f"http://127.0.0.1:{serve(handler).port}/v1")
    plan = Plan.single("m", tokenizer=str(path))
    target = target_of(plan, plan.arms[0], profile)
    sender = Sender(target, receiver, key=None, worker=0, keep=lambda _: None)
    request = Request(7, "chat", ({"role": "user", "content": "Hi"},), False, 16, 99, 2)
    row = sender.send(sender.prepare(request, receiver.now_ns()))
    sender.close()

    assert (row.counted_tokens, row.output_tokens, row.tokens_from) == expected


def test_a_run_with_a_bad_tokenizer_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(tokens.TokensError):
        planned(profiles.load("mock"), tokenizer=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory; name a tokenizer.json on this machine"),
        (b"\xff\xfe", "not text; name a tokenizer.json"),
        (b"not json", "not a tokenizer of the package tokenizers (expected"),
        (b"{}", "not a tokenizer of the package tokenizers ("),
    ],
)
def test_what_is_no_tokenizer_is_named_in_a_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)

    with pytest.raises(tokens.TokensError) as error:
        tokens.load(str(tmp_path))
    assert str(error.value).startswith(f"--tokenizer {tmp_path / 'tokenizer.json'}: {said}")
    assert "\n" not in str(error.value)


def test_a_missing_package_says_how_to_get_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(tokens.TokensError) as error:
        tokens.load(str(path))
    assert "pip install tokenizers" in str(error.value)
