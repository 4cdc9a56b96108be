"""Every failure has its kind, every body its message, every Retry-After its seconds."""

from __future__ import annotations

import errno
import socket
import ssl

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import errors
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
    ("body", "said"),
    [
        (b'{"error":{"message":"no","type":"t","param":null,"code":"c"}}', "no (c)"),
        (b'{"error":{"message":"no"}}', "no"),
        (b'{"error":{"type":"overloaded_error"}}', "overloaded_error"),
        (b'{"error":"HTTPS Required","message":"use https"}', "HTTPS Required"),
        (b'{"error":true,"status":402,"message":"no credits"}', "no credits"),
        (b'{"status":"error","message":"kaputt"}', "kaputt"),
        (b'{"detail":"API key missing"}', "API key missing"),
        (b'{"detail":[{"loc":["body","messages",0],"msg":"Field required","type":"missing"}]}',
         "body.messages.0: Field required"),
        (b'[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]', "quota (429)"),
        (b'{"detail":[{"loc":5,"msg":"odd"}]}', "5: odd"),
        (b'{"error":' * 2000 + b"1" + b"}" * 2000, ""),
        (b'{"providerModelError":{"x":1}}', '{"x":1}'),
        (b"<html><head><style>b{}</style><title>502 Bad Gateway</title></head><body>nginx</body></html>",
         "502 Bad Gateway nginx"),
        (b"plain\n text", "plain text"),
        (b"", "empty body"),
        (b"{}", "{}"),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)  # fmt: skip
def test_a_body_of_any_shape_is_read(body: bytes, said: str) -> None:
    assert errors.said(body) == (said or " ".join(body[:4096].decode().split())[:200])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "detail", "code", "type", "loc", "msg"]), inner, max_size=4
        )
    ),
)


@given(JSON.map(orjson.dumps) | st.binary(max_size=300))
def test_no_body_makes_it_raise(body: bytes) -> None:
    assert isinstance(errors.said(body), str)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({b"retry-after": b"2"}, 2.0),
        ({b"retry-after": b"0.5"}, 0.5),
        ({b"retry-after-ms": b"1500", b"retry-after": b"2"}, 1.5),
        ({b"retry-after": b"Thu, 01 Jan 1970 00:00:30 GMT"}, 20.0),  # now is second 10 of the epoch
        ({b"retry-after": b"Thu, 01 Jan 1970 00:00:05 GMT"}, 0.0),
        ({b"retry-after": b"soon"}, None),
        ({b"retry-after": b"-1"}, None),
        ({b"retry-after": b"nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[bytes, bytes], seconds: float | None) -> None:
    assert errors.retry_after_s(headers, 10.0) == seconds
