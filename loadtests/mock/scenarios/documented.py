"""The errors that the four providers' own documents and code tell of, and their captured streams."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import Beat, beats, nothing
from loadtests.mock.providers.deutschlandgpt import short
from loadtests.mock.providers.morpheus import MORPHEUS as MORPHEUS_ITSELF
from loadtests.mock.scenarios.scenario import PLAIN, fails, fine, status
from loadtests.mock.score import pieces_of, spoken, streamed, told, whole

if TYPE_CHECKING:
    from loadtests.mock.scenarios.scenario import Scenario
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Score

BEARER: Final = (("WWW-Authenticate", "Bearer"),)
FILTERS: Final = {"hate": {"filtered": False}, "violence": {"filtered": False}}


def _message_alone(scene: Scene) -> Score:
    """What DeutschlandGPT's document shows for a 200."""
    return whole(scene, {"message": "".join(scene.play.texts)}, said=spoken(scene))


def _capture(scene: Scene) -> Score:
    """Filter results on every choice, finish_reason on the last content, usage without choices, no [DONE]."""
    manner = replace(MORPHEUS_ITSELF.manner, done=False, tells=nothing)
    made = [beat._replace(value=_filtered(beat.value)) for beat in beats(scene, manner)]
    return streamed(scene, pieces_of(made), tokens=told(scene, manner))


def _filtered(value: dict[str, Any]) -> dict[str, Any]:
    return {**value, "choices": [{**choice, "content_filter_results": FILTERS} for choice in value["choices"]]}


def _upstream_ended(scene: Scene) -> Score:
    """A node that dies in mid-stream: the stream ends as if all were well."""
    made = beats(scene, MORPHEUS_ITSELF.manner)
    spoke = [place for place, beat in enumerate(made) if beat.said]
    kept: list[Beat] = made[: spoke[(len(spoke) - 1) // 2] + 1]
    return streamed(scene, pieces_of(kept))


def _deutschlandgpt(code: int, message: str) -> Scenario:
    return status(f"deutschlandgpt_{code}", f"DeutschlandGPT {code}", code, short(code, message)[0])


def _meingpt(code: int, message: str) -> Scenario:
    return status(f"meingpt_{code}", f"meinGPT {code}", code, {"status": "error", "message": message})


def _eighty(code: int, message: str, kind: str) -> Scenario:
    error = {"message": message, "type": kind, "code": kind}
    return status(f"8080_{code}", f"8080 {code}", code, {"error": error})


def _morpheus(name: str, http: int, message: str, **more: Any) -> Scenario:
    """An error object with its type, and more inside it."""
    error = {"message": message, "type": name, **more}
    fields = [("X-Morpheus-Error", more["code"])] if "code" in more else []
    return status(f"morpheus_{name}", f"Morpheus {http} {name}", http, {"error": error}, fields)


def _detail(name: str, code: int, detail: Any) -> Scenario:
    said = detail if isinstance(detail, str) else "a list of details"
    return status(
        f"morpheus_{name}", f"Morpheus {code}: {said}", code, {"detail": detail}, BEARER if code == 401 else ()
    )


SEEDS: Final = (
    fine("deutschlandgpt_200_message", "DeutschlandGPT's documented 200: a message alone", _message_alone,
         asked=PLAIN, flags=("bare_message",)),
    _deutschlandgpt(400, "Invalid request."),
    _deutschlandgpt(401, "Unauthorized."),
    _deutschlandgpt(402, "No credits left."),
    _deutschlandgpt(403, "Forbidden."),
    _deutschlandgpt(429, "Too many requests."),
    _deutschlandgpt(500, "Error from provider."),
    _meingpt(400, "The model does not support tools."),
    _meingpt(401, "Invalid API key."),
    _meingpt(403, "The completions API is not enabled for your organisation."),
    _meingpt(500, "Internal server error."),
    _eighty(401, "Unauthorized", "unauthorized"),
    _eighty(429, "Rate limited", "rate_limited"),
    _detail("no_key", 401, "API key missing"),
    _detail("key_format", 401, "Invalid API key format. Must start with sk-"),
    _detail("key", 401, "Invalid API key"),
    _detail("inactive", 401, "Account is inactive"),
    _detail("422", 422, [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]),
    _morpheus("insufficient_balance", 402, "Insufficient balance.", available=0.01, estimated_cost=0.2),
    _morpheus("session_not_found", 400, "Session not found."),
    _morpheus("session_expired", 400, "Session expired."),
    _morpheus("invalid_request", 400, "Invalid request."),
    _morpheus("model_type_mismatch", 400, "This model does not chat.", code="model_type_mismatch",
              requested_model="embed", suggestions=["llama-3.3-70b"]),
    _morpheus("model_not_found", 400, "No such model; did you mean another?", code="model_not_found_near_miss",
              requested_model="llama-3.3-70", suggestions=["llama-3.3-70b"]),
    _morpheus("session_creation_error", 500, "The session could not be opened."),
    _morpheus("billing_error", 500, "Billing failed."),
    _morpheus("gateway_error", 500, "The gateway failed."),
    _morpheus("unexpected_response_format", 500, "The node's answer could not be read."),
    _morpheus("proxy_error", 502, "The proxy failed."),
    _morpheus("provider_error", 502, "The provider failed."),
    _morpheus("server_error", 503, "The node is not reachable."),
    _morpheus("timeout", 504, "The node did not answer in time."),
    status("morpheus_429", "Morpheus 429: requests, ISO 8601 reset, Retry-After", 429, {"error": {
        "message": "Rate limit exceeded", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
        [("Retry-After", "7"), ("X-RateLimit-Remaining-Requests", "0")], retry_after_s=7.0),
    fine("morpheus_capture", "Morpheus: filter results, finish_reason on content, no [DONE]", _capture,
         flags=("no_done",)),
    fails("morpheus_silent_end", "Morpheus: a node dies, the stream ends as if all were well", _upstream_ended,
          "truncated", flags=("no_done",)),
)  # fmt: skip
