"""Error statuses with bodies of every shape that has been seen: objects, lists, texts, pages, nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.answer import GATEWAY_PAGE
from loadtests.mock.scenarios.scenario import status

if TYPE_CHECKING:
    from loadtests.mock.scene import Scene

HTML: Final = (("Content-Type", "text/html; charset=UTF-8"),)
TEXT: Final = (("Content-Type", "text/plain"),)
CLOUDFLARE: Final = (
    b"<!DOCTYPE html>\n<html><head><title>mock | 524: A timeout occurred</title>\n<style>body{color:red}</style></head>"
    b"<body><h1>A timeout occurred <span>Error code 524</span></h1></body></html>\n"
)


def openai(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error object."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _echo(scene: Scene) -> dict[str, Any]:
    """The request's own key, as it came."""
    key = scene.authorization.rpartition(" ")[2]
    return openai(
        f"Incorrect API key provided: {key}. Find yours in the settings.", "invalid_request_error", "invalid_api_key"
    )


def _echo_page(scene: Scene) -> bytes:
    return b"<html><body><pre>Authorization: " + scene.authorization.encode() + b"</pre></body></html>"


STATUSES: Final = (
    status("400_openai", "400 with OpenAI's four fields", 400, openai("Invalid 'n'.", "invalid_request_error")),
    status("400_vllm_flat", "older vLLM: the object flat at the top", 400, {
        "object": "error", "message": "This model's maximum context length is 4096 tokens.",
        "type": "BadRequestError", "param": None, "code": 400}),
    status("400_true", "LLM Gateway: error is true", 400, {"error": True, "status": 400, "message": "Bad model."}),
    status("400_string", "error is a text", 400, {"error": "model is required"}),
    status("400_gemini", "Gemini: an array", 400, [{"error": {
        "code": 400, "message": "Invalid value at 'temperature'.", "status": "INVALID_ARGUMENT"}}]),
    status("400_message", "a message and nothing else", 400, {"message": "Bad Request"}),
    status("400_nothing", "no body at all", 400, b""),
    status("400_llamacpp", "llama.cpp: exceed_context_size with its counts", 400, {"error": {
        "code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error",
        "n_prompt_tokens": 5000, "n_ctx": 4096}}),
    status("401_openai", "401 invalid_api_key", 401,
           openai("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")),
    status("401_echo", "401 whose body repeats the request's own key", 401, _echo),
    status("401_echo_page", "401 whose page repeats the Authorization header", 401, _echo_page, HTML),
    status("402_openrouter", "402 with a number as its code", 402, {"error": {
        "code": 402, "message": "Insufficient credits", "metadata": {"headers": {}}}}),
    status("403_text", "403 as plain text", 403, b"Forbidden\n", TEXT),
    status("404_model", "404 model_not_found", 404,
           openai("The model `mock` does not exist.", "invalid_request_error", "model_not_found")),
    status("404_page", "404 of a web server", 404, b"<html><body><h1>404 Not Found</h1></body></html>", HTML),
    status("405_detail", "405 as FastAPI says it", 405, {"detail": "Method Not Allowed"}),
    status("408_openai", "408 request timeout", 408, openai("Request timed out.", "timeout")),
    status("409_openai", "409 conflict", 409, openai("The request conflicts with another.", "conflict_error")),
    status("412_fireworks", "412: account suspended", 412, openai("Account suspended.", "precondition_failed")),
    status("413_groq", "413 too large", 413, {"error": {
        "message": "Request too large for model `mock`.", "type": "tokens", "code": "request_too_large"}}),
    status("415_true", "LLM Gateway: no JSON", 415, {
        "error": True, "status": 415, "message": "Unsupported Media Type: Content-Type must be application/json"}),
    status("422_fastapi", "422 with a list of details", 422, {"detail": [
        {"loc": ["body", "messages", 0, "role"], "msg": "Field required", "type": "missing", "input": {}},
        {"loc": ["body", "temperature"], "msg": "Input should be a valid number", "type": "float_type"}]}),
    status("422_tgi", "TGI: error and error_type", 422, {
        "error": "Input validation error: `inputs` must have less than 1024 tokens.", "error_type": "validation"}),
    status("422_mistral", "Mistral: detail inside message", 422, {
        "object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "Input should be >= 1"}]},
        "type": "invalid_request_error", "code": None}),
    status("424_tgi", "TGI: generation failed", 424, {
        "error": "Request failed during generation: out of memory", "error_type": "generation"}),
    status("426_morpheus", "Morpheus over plain http", 426, {
        "error": "HTTPS Required", "message": "This API requires HTTPS.", "https_url": "https://127.0.0.1/api/v1"}),
    status("498_groq", "Groq flex: capacity exceeded", 498, {"error": {
        "message": "Flex tier capacity exceeded.", "type": "capacity_exceeded", "code": "capacity_exceeded"}}),
    status("499_nothing", "nginx: the client went away", 499, b""),
    status("500_openai", "500 server_error", 500, openai("The server had an error.", "server_error")),
    status("500_text", "500 as plain text", 500, b"Internal Server Error", TEXT),
    status("500_gateway", "LLM Gateway: an upstream's error with who it was", 500, {"error": {
        "message": "Error from provider: 503 Service Unavailable", "type": "upstream_error", "param": None,
        "code": "upstream_error", "requestedProvider": "openai", "usedProvider": "openai", "requestedModel": "mock",
        "usedModel": "mock"}}),
    status("500_lumerin", "Lumerin node: providerModelError", 500, {"providerModelError": {"message": "no model"}}),
    status("501_llamacpp", "llama.cpp: not supported", 501, {"error": {
        "code": 501, "message": "This feature is not supported", "type": "not_supported_error"}}),
    status("502_page", "502 of a gateway", 502, GATEWAY_PAGE, HTML),
    status("503_together", "503 with Retry-After", 503, openai("Overloaded.", "server_error", "overloaded"),
           [("Retry-After", "3")], retry_after_s=3.0),
    status("503_ollama", "Ollama: server busy", 503, {"error": {
        "message": "server busy, please try again. maximum pending requests exceeded", "type": "api_error",
        "param": None, "code": None}}),
    status("504_text", "504 as plain text", 504, b"upstream request timeout", TEXT),
    status("520_page", "Cloudflare: 520", 520, CLOUDFLARE.replace(b"524", b"520"), HTML),
    status("524_page", "Cloudflare: the origin was silent too long", 524, CLOUDFLARE, HTML),
    status("529_anthropic", "Anthropic: overloaded_error", 529, {
        "type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
)  # fmt: skip
