"""429: every form in which a provider says how long to wait."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.scenarios.scenario import status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.mock.scenarios.scenario import Scenario

WAIT_S: Final = 7
MESSAGE: Final = "Rate limit reached for requests."
BODY: Final = {"error": {"message": MESSAGE, "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
GROQ: Final = "Rate limit reached for model `mock` on tokens per minute (TPM): Limit 6000, Used 5500, Requested 1200."
GEMINI: Final = [
    {
        "error": {
            "code": 429,
            "message": "Resource has been exhausted.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [
                {"@type": "type.googleapis.com/google.rpc.Help", "links": []},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
            ],
        }
    }
]
SPEND: Final = {
    "type": "error",
    "error": {"type": "enforced_spend_limit_reached", "message": "This organization has reached its spend limit."},
}


def _date(created_s: int) -> str:
    return formatdate(created_s + WAIT_S, usegmt=True)


def _iso(created_s: int) -> str:
    return datetime.fromtimestamp(created_s + WAIT_S, UTC).isoformat().replace("+00:00", "Z")


def _epoch(created_s: int) -> str:
    return str(created_s + WAIT_S)


def _epoch_ms(created_s: int) -> str:
    return str((created_s + WAIT_S) * 1000)


def _used_up(limit: str, remaining: str, reset: str, value: Any) -> list[tuple[str, Any]]:
    return [(limit, "60"), (remaining, "0"), (reset, value)]


def _openai(value: Any) -> list[tuple[str, Any]]:
    """OpenAI's names: requests are used up, tokens are not."""
    tokens = [("x-ratelimit-limit-tokens", "150000"), ("x-ratelimit-remaining-tokens", "149000")]
    names = ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
    return [*_used_up(*names, value), *tokens, ("x-ratelimit-reset-tokens", "1ms")]


def _429(
    name: str,
    summary: str,
    fields: Sequence[tuple[str, Any]],
    wait_s: float | None = WAIT_S,
    body: Any = BODY,
    **truth: Any,
) -> Scenario:
    return status(f"429_{name}", summary, 429, body, fields, retry_after_s=wait_s, **truth)


LIMITS: Final = (
    _429("retry_after", "Retry-After: whole seconds", [("Retry-After", "7")]),
    _429("retry_after_float", "Retry-After: 6.5", [("Retry-After", "6.5")], 6.5),
    _429("retry_after_date", "Retry-After: an HTTP date", [("Retry-After", _date)]),
    _429("retry_after_ms", "retry-after-ms, which goes before retry-after", [
        ("retry-after-ms", "6500"), ("retry-after", "30")], 6.5),
    _429("reset_go", "x-ratelimit-reset-requests: 6m0s", _openai("6m0s"), 360.0),
    _429("reset_go_fraction", "x-ratelimit-reset-requests: 2m59.56s", _openai("2m59.56s"), 179.56),
    _429("reset_go_ms", "x-ratelimit-reset-requests: 120ms", _openai("120ms"), 0.12),
    _429("reset_seconds", "Azure: whole seconds", _openai("7")),
    _429("reset_float", "Cerebras: seconds with a fraction, of the day", _used_up(
        "x-ratelimit-limit-requests-day", "x-ratelimit-remaining-requests-day", "x-ratelimit-reset-requests-day",
        "7.25"), 7.25),
    _429("reset_iso", "Anthropic: ISO 8601", _used_up(
        "anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset", _iso)),
    _429("reset_morpheus", "Morpheus: ISO 8601 in X-RateLimit-Reset-Requests", _used_up(
        "X-RateLimit-Limit-Requests", "X-RateLimit-Remaining-Requests", "X-RateLimit-Reset-Requests", _iso)),
    _429("reset_epoch", "unix seconds", _openai(_epoch)),
    _429("reset_epoch_ms", "unix milliseconds", _openai(_epoch_ms)),
    _429("reset_together", "Together: x-ratelimit-reset in seconds", _used_up(
        "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "7")),
    _429("placeholders", "limits of -1 and resets of 0, which say nothing", [
        ("x-ratelimit-limit-requests", "-1"), ("x-ratelimit-remaining-requests", "-1"),
        ("x-ratelimit-reset-requests", "0"), ("x-ratelimit-reset-tokens", "-1")], None),
    _429("nonsense", "Retry-After: soon", [("Retry-After", "soon")], None),
    _429("try_again_in", "Groq: the message says when", [], 5.289, {"error": {
        "message": f"{GROQ} Please try again in 5.289s.", "type": "tokens", "code": "rate_limit_exceeded"}}),
    _429("retry_delay", "Gemini: an array with retryDelay", [], 34.0, GEMINI),
    _429("spend_limit", "Anthropic: a spend limit, nothing to wait for", [], None, SPEND,
         error_kind="credit"),
    _429("page", "a proxy's page", [("Content-Type", "text/html")], None,
         b"<html><head><title>429 Too Many Requests</title></head><body>nginx</body></html>"),
)  # fmt: skip
