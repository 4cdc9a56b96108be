"""Chunks recognised at a glance: never another count than the JSON parser's."""

from __future__ import annotations

from array import array

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import profiles
from loadtests.dialect import Answer
from loadtests.dialect.delta import borne
from loadtests.dialect.template import learn, length
from loadtests.reader import Reader
from loadtests.record import CONTENT, REASONING
from loadtests.wire.exchange import Exchange
from loadtests.wire.stamps import NO_STAMP

PROFILE = profiles.load("vllm")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
MINUTE = 60_000_000_000


def chunk(text: str, key: str = "content", **more: object) -> bytes:
    """One streamed object with this text."""
    choice = {"index": 0, "delta": {key: text}, "finish_reason": None}
    return orjson.dumps({"id": "chatcmpl-1", "model": "m", "choices": [choice], **more})


def on_wire(data: bytes, spelling: bytes = b"%x\r\n%b\r\n") -> bytes:
    """An event of this data in a chunk of its own, as one read brings it."""
    event = b"data: %b\n\n" % data
    return spelling % (len(event), event)


def answered(reads: list[bytes], *, at_once: bool, keep_text: bool = False) -> Answer:
    """What an answer is told of these reads, framed one by one or all together; none is skimmed if text is kept."""
    answer = Answer(PROFILE, keep_text=keep_text)
    exchange = Exchange(Reader(answer).choose, first_byte_ns=MINUTE, silence_ns=MINUTE, total_ns=MINUTE, started_ns=0)
    for number, data in enumerate([HEAD, *reads, b"0\r\n\r\n"]):
        exchange.append(data, NO_STAMP, number)
        if number == 0 or not at_once:
            exchange.parse(0, 0)
    exchange.parse(0, 0)
    assert exchange.complete
    return answer


def test_a_chunk_becomes_the_template_of_those_like_it() -> None:
    template = learn(chunk("Hello"), orjson.loads(chunk("Hello")))

    assert template is not None
    assert template.kind == CONTENT
    reads = [on_wire(chunk("ab")), on_wire(chunk("größer")), on_wire(chunk('say "x"\n')), on_wire(chunk("🙂"))]
    # "say "x"\n" is 8 characters: s a y, a blank, two quotes around x, and a line end, all told.
    # In UTF-8 ö and ß have two bytes each, the emoji four: 2 + 8 + 8 + 4.
    assert template.measure(reads, 0) == ([2, 6, 8, 1], 22)
    assert template.measure(reads, 2) == ([8, 1], 12)
    assert template.measure([reads[0], on_wire(chunk("")), reads[0]], 0) == ([2], 2)


def test_reasoning_has_a_template_of_its_own() -> None:
    data = chunk("hm", "reasoning_content")
    template = learn(data, orjson.loads(data))

    assert template is not None
    assert template.kind == REASONING
    assert template.measure([on_wire(chunk("hm"))], 0) == ([], 0)


@pytest.mark.parametrize(
    "data",
    [
        chunk("x", usage={"completion_tokens": 1}),
        chunk("x", "reasoning_content"),
        chunk("x", model="other"),
        chunk("x")[:-1],
        chunk(""),
        chunk("x").replace(b'"x"', b'"x","refusal":"no"'),
        chunk("x").replace(b'"x"', b'"\xff"'),
        chunk("x").replace(b'"x"', b'"\n"'),
        chunk("x").replace(b'"x"', b'"\\x"'),
    ],
)
def test_whatever_differs_in_more_than_its_text_is_read(data: bytes) -> None:
    template = learn(chunk("Hello"), orjson.loads(chunk("Hello")))

    assert template is not None
    assert template.measure([on_wire(data), on_wire(chunk("y"))], 0) == ([], 0)


def test_a_read_that_is_not_one_whole_chunk_is_left_to_the_parser() -> None:
    template = learn(chunk("Hello"), orjson.loads(chunk("Hello")))
    whole = on_wire(chunk("x"))

    assert template is not None
    for data in (whole + whole, whole[1:], b"0" + whole, b"1" + whole[1:], whole[:-2], b""):
        assert template.measure([data], 0) == ([], 0)
    assert template.measure([on_wire(chunk("x"), b"%X\r\n%b\r\n")], 0) == ([1], 1)


@pytest.mark.parametrize(
    "data",
    [
        b'{"choices":[{"index":0,"delta":{"content":"id"},"finish_reason":null}],"id":"id"}',
        b'{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"content":"a"}',
        b'{"choices":[{"index":0,"delta":{"reasoning":"a","reasoning_content":"a"}}]}',
    ],
)
def test_a_text_that_stands_elsewhere_too_is_never_mistaken_for_it(data: bytes) -> None:
    """Whatever comes of it, a chunk that differs only in that other place bears what the JSON parser says."""
    template = learn(data, orjson.loads(data))

    for other in (data.replace(b'"id":"id"', b'"id":"longer"'), data.replace(b',"content":"a"', b',"content":"abc"')):
        if template is not None and (counts := template.measure([on_wire(other)], 0)[0]):
            assert counts == [borne(orjson.loads(other), "delta")[1]]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=30))
def test_any_texts_are_counted_as_the_json_parser_counts_them(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    reads = [on_wire(chunk(text)) for text in texts]
    counts = [len(text) for text in texts if text]

    for at_once in (True, False):
        answer = answered(reads, at_once=at_once)
        assert answer.chars.tolist() == counts
        assert answer.utf8 == len("".join(texts).encode())
        assert answer.stamps == array("q", [number for number, text in enumerate(texts, 1) if text])


@given(st.binary(max_size=20))
def test_the_inside_of_a_string_is_as_long_as_the_json_parser_says(inside: bytes) -> None:
    try:
        value = orjson.loads(b'"%b"' % inside)
    except orjson.JSONDecodeError:
        value = ""
    assert length(inside) == (len(value), len(value.encode()))


def test_noise_in_every_chunk_makes_no_difference() -> None:
    """OpenAI pads each chunk with a field of random length: no template fits, and all is read."""
    reads = [on_wire(chunk("ab", obfuscation="z" * (number % 7))) for number in range(60)]

    assert answered(reads, at_once=True).chars.tolist() == [2] * 60


ODD = [
    chunk("x", usage={"completion_tokens": 3}),
    chunk("hm", "reasoning"),
    chunk("x", model="other"),
    chunk("x").replace(b'"x"', b'"\xff"'),
    chunk("x").replace(b'"x"', b'"\\ud83c"'),
    chunk("x").replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
    chunk("x", error="gone"),
    chunk("x", noise=1.5).replace(b"1.5", b"NaN"),
    b"[DONE]",
    b"{oops",
]


@given(
    st.lists(
        st.text(max_size=6).map(lambda text: chunk(text.encode("utf-8", "ignore").decode())) | st.sampled_from(ODD),
        max_size=24,
    )
)
def test_a_glance_sees_what_the_json_parser_sees(datas: list[bytes]) -> None:
    """An answer whose text is kept is never skimmed: all else must be equal, whatever stands between the chunks."""
    reads = [on_wire(data) for data in datas]
    slow = answered(reads, at_once=False, keep_text=True)
    for at_once in (True, False):
        fast = answered(reads, at_once=at_once)
        for name in ("stamps", "kinds", "chars", "utf8", "flags", "first_event", "first_answer", "done", "model", "id"):
            assert getattr(fast, name) == getattr(slow, name), name
        assert fast.output_tokens() == slow.output_tokens()
        assert fast.choices.finishes == slow.choices.finishes
        assert [str(one.failure) for one in (fast, slow)] == [str(slow.failure)] * 2
    assert sum(slow.chars) == len(slow.choices.text)
