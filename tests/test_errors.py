"""Every failure has its kind, every body its message, type and code."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import errors
from loadtests.errors import Said
from loadtests.record import ERROR_KINDS


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"), (401, "auth"), (402, "credit"), (403, "auth"), (404, "bad_request"), (422, "bad_request"),
        (426, "bad_request"), (429, "throttled"), (498, "throttled"), (503, "overloaded"), (529, "overloaded"),
        (500, "upstream"), (502, "upstream"), (504, "upstream"), (424, "upstream"), (524, "upstream"),
        (418, "other_status"), (302, "other_status"), (204, "other_status"),
    ],
)  # fmt: skip
def test_a_status_has_its_kind(status: int, kind: str) -> None:
    assert errors.of_status(status, b"").kind == kind
    assert kind in ERROR_KINDS


@pytest.mark.parametrize(
    ("error", "connecting", "kind"),
    [
        (socket.gaierror(-2, "Name or service not known"), True, "dns"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), True, "connect"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), True, "connect"),
        (TimeoutError("no connection in time"), True, "timeout_connect"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), True, "tls"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), False, "reset"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), False, "reset"),
        (TimeoutError("the request could not be sent in time"), False, "timeout_total"),
    ],
)
def test_an_exception_of_the_network_has_its_kind(error: OSError, connecting: bool, kind: str) -> None:
    assert errors.of_exception(error, connecting=connecting).kind == kind
    assert kind in ERROR_KINDS


def test_a_flaw_of_ours_is_no_failure_of_the_network() -> None:
    with pytest.raises(KeyError):
        errors.of_exception(KeyError("x"), connecting=False)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b'{"error":{"message":"m","type":"insufficient_quota","code":"insufficient_quota"}}', "credit"),
        (429, b'{"error":{"type":"x","code":"enforced_spend_limit_reached"}}', "credit"),
        (400, b'{"error":{"type":"Insufficient_Balance"}}', "credit"),
        (429, b'{"error":{"type":"requests","code":"rate_limit_exceeded"}}', "throttled"),
        (500, b'{"error":{"type":"insufficient_quota"}}', "upstream"),
    ],
)
def test_money_is_credit_under_any_status_that_refuses(status: int, body: bytes, kind: str) -> None:
    assert errors.explain(status, body).kind == errors.of_status(status, body).kind == kind


@pytest.mark.parametrize(
    ("said", "is_limit"),
    [
        (Said("m", "rate_limit_error"), True), (Said("m", "requests", "rate_limit_exceeded"), True),
        (Said("m", "TooManyRequests"), True), (Said("m", "", "429"), True), (Said("m", "RESOURCE_EXHAUSTED"), True),
        (Said("m", "overloaded_error"), True), (Said("m", "", "engine_overloaded"), True),
        (Said("m", "capacity_exceeded", "498"), True), (Said("m", "ServiceUnavailable", "503"), True),
        (Said("rate limit, overloaded, 429"), False), (Said("m", "invalid_request_error", "400"), False),
        (Said("m", "insufficient_quota"), False), (Said("m", "", "14290"), False),
    ],
)  # fmt: skip
def test_a_limit_or_too_much_load_is_told_by_type_and_code_alone(said: Said, is_limit: bool) -> None:
    assert said.is_limit is is_limit


DETAILS = b"""{"detail": [
    {"loc": ["body", "messages", 0], "msg": "Field required", "type": "missing"}, {"loc": 5, "msg": "odd"}, "x"
]}"""
SHAPES = [
    ("an object under error", b'{"error":{"message":"no","type":"t","param":"p","code":"c"}}', Said("no", "t", "c",
     "p")),
    ("a code that is a number", b'{"error":{"message":"no","code":400}}', Said("no", "", "400")),
    ("a message alone", b'{"error":{"message":"no"}}', Said("no")),
    ("a type alone", b'{"error":{"type":"overloaded_error"}}', Said("", "overloaded_error")),
    ("the word None", b'{"error":{"message":"no","type":"None","param":"None","code":null}}', Said("no")),
    ("a status that is a name", b'{"error":{"message":"no","status":"RESOURCE_EXHAUSTED"}}', Said("no",
     "RESOURCE_EXHAUSTED")),
    ("a status that is a number", b'{"error":{"message":"no","type":"proxy_error","status":502}}',
     Said("no", "proxy_error", "502")),
    ("TGI's http_status_code", b'{"error":{"message":"no","http_status_code":422}}', Said("no", "", "422")),
    ("TGI's error and error_type", b'{"error":"no","error_type":"overloaded"}', Said("no", "overloaded")),
    ("an error that is a text", b'{"error":"no"}', Said("no")),
    ("Morpheus without TLS", b'{"error":"HTTPS Required","message":"use it","https_url":"u"}',
     Said("HTTPS Required: use it")),
    ("an error that is true", b'{"error":true,"status":402,"message":"no credits"}', Said("no credits")),
    ("an error that is a list", b'{"error":[{"message":"no"}]}', Said("no")),
    ("an error inside x_groq", b'{"x_groq":{"error":"over capacity"}}', Said("over capacity")),
    ("status and message", b'{"status":"error","message":"kaputt"}', Said("kaputt")),
    ("a flat object", b'{"object":"error","message":"no","type":"T","param":null,"code":400}', Said("no", "T", "400")),
    ("a message beside nothing", b'{"message":"no"}', Said("no")),
    ("a detail that is a text", b'{"detail":"API key missing"}', Said("API key missing")),
    ("a detail that is a list", DETAILS, Said("body.messages.0: Field required; 5: odd; x")),
    ("a list", b'[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}},{"error":"other"}]',
     Said("quota", "RESOURCE_EXHAUSTED", "429")),
    ("a list in a list", b'[[{"error":"no"}]]', Said("no")),
    ("providerModelError", b'{"providerModelError":{"x":1}}', Said('{"x":1}')),
    ("an event", b'event: error\ndata: {"error":{"message":"no"}}\n\ndata: [DONE]\n\n', Said("no")),
    ("HTML", b"<html><head><style>b{}</style><title>502 Bad Gateway</title></head><body>nginx</body></html>",
     Said("502 Bad Gateway nginx")),
    ("a text", b"plain\n text", Said("plain text")),
    ("a JSON text", b'"no"', Said("no")),
    ("a long text", b"x" * 1000, Said("x" * 200)),
    ("nothing", b"", Said("")),
    ("an empty object", b"{}", Said("{}")),
    ("an error without a word", b'{"error":{"message":""}}', Said('{"message":""}')),
    ("no UTF-8", b"\xff\xfe", Said("\ufffd\ufffd")),
    ("no UTF-8 inside JSON", b'{"error":"n\xffo"}', Said("n\ufffdo")),
    ("a byte order mark", b'\xef\xbb\xbf {"error":"no"}', Said("no")),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), [shape[1:] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_a_body_of_any_shape_is_read(body: bytes, said: Said) -> None:
    assert errors.read(body) == said


def test_what_was_said_is_one_line() -> None:
    assert Said("no\n way", "t", "c").line == "no way (t, c)"
    assert Said("no", "same", "same").line == "no (same)"
    assert Said("", "t").line == "t"
    assert errors.of_status(500, b"").text == "HTTP 500: empty body"
    assert errors.explain(401, b'{"error":{"message":"no","code":"k"}}') == errors.Explained("auth", "no", "", "k")


@pytest.mark.parametrize(
    "value",
    [{"error": {"message": "x"}, "choices": [{}]}, {"error": "x"}, {"error": True}, {"x_groq": {"error": "x"}},
     {"object": "error"}, {"status": "error", "message": "x"}, {"detail": "x"}, {"message": "x", "code": 1},
     {"providerModelError": {"a": 1}}, [{"error": "x"}]],
)  # fmt: skip
def test_an_error_is_recognised_in_every_shape(value: Any) -> None:
    assert errors.is_error(value)


@pytest.mark.parametrize(
    "value",
    [{"choices": []}, {"choices": [], "error": None}, {"error": {}}, {"message": "Hello"},
     {"message": {"content": "x"}},
     {"choices": [], "detail": "x", "status": "error"}, {"x_groq": {"id": "1"}}, {}, [], 5, None, "error"],
)  # fmt: skip
def test_what_reports_no_error_is_none(value: Any) -> None:
    assert not errors.is_error(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "type", "loc", "msg", "status", "x_groq", "param",
                             "providerModelError", "error_type"]), inner, max_size=4,
        )
    ),
)  # fmt: skip
DEEP = [[[]], b"[" * 1000 + b"]" * 1000, b'{"error":' * 2000 + b"1" + b"}" * 2000, b'{"error":' * 900 + b"1"
+ b"}" * 900,
        b'{"detail":[' * 400 + b"]}" * 400]  # fmt: skip


@given(JSON | st.binary(max_size=300) | st.sampled_from(DEEP))
def test_no_value_and_no_bytes_make_it_raise(value: Any) -> None:
    line = errors.read(value).line

    assert "\n" not in line
    assert errors.is_error(value) in (True, False)
    if isinstance(value, bytes):
        assert errors.explain(400, value).kind in ERROR_KINDS
        assert "\n" not in errors.of_status(400, value).text
