"""The provider's front: which answer a request gets. Knows paths, the key and the count of requests; no sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from loadtests.mock.answer import JSON, Answer, Voice, compose, refuse, say
from loadtests.mock.prepared import Prepared
from loadtests.mock.request import Ask, BadAskError, read_ask

if TYPE_CHECKING:
    from loadtests.mock.request import Request
    from loadtests.mock.script import Script

MODELS: Final = orjson.dumps(
    {"object": "list", "data": [{"id": "mock", "object": "model", "created": 0, "owned_by": "firsttoken"}]}
)


class Provider:
    """Answers requests by a script; counts the chat completions, which get numbers from 1 in order of arrival."""

    def __init__(self, script: Script, key: str | None) -> None:
        self._script = script
        self._key = key
        self._prepared = Prepared(script) if script.prepared else None
        self._count = 0

    def answer(self, request: Request, created_s: int) -> tuple[Answer, Ask]:
        """The answer to a request that was read at this unix second, and what was understood of it."""
        if request.method == "POST" and request.path.endswith("/chat/completions"):
            return self._complete(request, created_s)
        plain = Voice(0, created_s, Ask(), tells_usage=False, keeps_alive=request.keep_alive)
        if request.problem:
            return refuse(plain, request.problem), Ask()
        if not self._is_let_in(request):
            return refuse(plain, 401), Ask()
        if request.method == "GET" and request.path.endswith("/models"):
            return say(plain, plain.head(JSON, len(MODELS)), MODELS), Ask()
        answer = refuse(plain, 404, f"Unknown request URL: {request.method} {request.path[:200]}.")
        return (_without_body(answer) if request.method == "HEAD" else answer), Ask()

    def _is_let_in(self, request: Request) -> bool:
        return self._key is None or request.authorization == f"Bearer {self._key}"

    def _complete(self, request: Request, created_s: int) -> tuple[Answer, Ask]:
        """A chat completion: played, or refused with a number all the same."""
        self._count += 1
        ask, script = Ask(), self._script
        status, message = (0, None) if self._is_let_in(request) else (401, None)
        if not status:
            try:
                ask = read_ask(request.body)
            except BadAskError as error:
                status, message = 400, str(error)
        if ask.stream and request.http_version == "1.0":
            status, message = 400, "A streamed answer needs HTTP/1.1."
        tells_usage = script.usage == "always" or (script.usage == "option" and ask.include_usage)
        voice = Voice(self._count, created_s, ask, tells_usage, request.keep_alive)
        if status:
            return refuse(voice, status, message), ask
        if self._prepared is not None:
            return self._prepared.answer(voice), ask
        return compose(voice, script.play(self._count, ask.prompt_tokens, ask.cap, ask.stream)), ask


def _without_body(answer: Answer) -> Answer:
    """The same head with nothing after it: what HEAD is answered."""
    head, _, _ = next(answer.writes).partition(b"\r\n\r\n")
    answer.writes = iter((head + b"\r\n\r\n", b""))
    return answer
