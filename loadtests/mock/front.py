"""
The front: which answer a request gets. Knows paths, keys, rules, scenarios and the count of requests; no sockets.

The usual answer of the generic provider takes the short way (`answer`, or `prepared`), where a chunk costs next to
nothing; everything else is composed whole before its first write (`scene`, `manner`, `score`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

from loadtests.mock.answer import Answer, Voice, compose
from loadtests.mock.answer import refuse as refuse_unread
from loadtests.mock.prepared import Prepared
from loadtests.mock.providers.openai import GENERIC
from loadtests.mock.providers.rules import Problem, check
from loadtests.mock.quota import with_fields
from loadtests.mock.request import Ask, BadAskError, check_usual, read_ask, read_body
from loadtests.mock.scenarios import SCENARIOS
from loadtests.mock.scene import SILENCE, Scene, scene_of
from loadtests.mock.score import Score, answer_of, refused, whole
from loadtests.mock.wish import wish_of

if TYPE_CHECKING:
    from loadtests.mock.journal import Journal
    from loadtests.mock.providers.provider import Provider
    from loadtests.mock.quota import Over, Quota
    from loadtests.mock.request import Request
    from loadtests.mock.scenarios import Scenario
    from loadtests.mock.script import Performance, Script

SCENARIO_HEADER: Final = "X-Mock-Scenario"
CHAT: Final = "/chat/completions"
MODELS: Final = "/models"


@dataclass(frozen=True, slots=True)
class Cast:
    """
    Who plays what.

    Attributes:
        provider: Whose rules and manner.
        scenarios: Names of what is drawn from, evenly; none: requests choose for themselves, or get the usual answer.
        share: Of the requests that get one, from 0 to 1.
        cold_session_s: What opening a session adds to the first request for a model, in seconds.
    """

    provider: Provider = GENERIC
    scenarios: tuple[str, ...] = ()
    share: float = 1.0
    cold_session_s: float = 1.0


class Refused(NamedTuple):
    """Why a request is refused; `over` where it is beyond the server's quota."""

    status: int
    message: str
    problems: tuple[Problem, ...] = ()
    over: Over | None = None


class Front:
    """Answers requests by a script; counts the chat completions, which get numbers from 1 in order of arrival."""

    def __init__(
        self, script: Script, key: str | None = None, cast: Cast | None = None, journal: Journal | None = None,
        quota: Quota | None = None,
    ) -> None:  # fmt: skip
        self._script = script
        self._key = key
        self._cast = cast or Cast()
        self._provider = self._cast.provider
        self._journal = journal
        self._quota = quota
        self._prepared = Prepared(script) if script.prepared else None
        self._sessions: set[str] = set()
        self._count = 0

    def answer(self, request: Request, created_s: int, now_ns: int = 0) -> tuple[Answer, Ask]:
        """The answer to a request that was read at this unix second, and what was understood of it; now: monotonic."""
        answer, ask = self._answer(request, created_s, now_ns)
        return (answer if self._quota is None else with_fields(answer, self._quota.fields(now_ns))), ask

    def _answer(self, request: Request, created_s: int, now_ns: int) -> tuple[Answer, Ask]:
        if request.method == "POST" and self._provider.is_at(request.path, CHAT):
            return self._complete(request, created_s, now_ns)
        plain = Voice(0, created_s, Ask(), tells_usage=False, keeps_alive=request.keep_alive)
        if request.problem:
            return refuse_unread(plain, request.problem), Ask()
        complaint = self._provider.complain(request.authorization, self._key)
        if complaint is not None:
            score = self._refuse(plain, Refused(401, complaint))
        elif request.method == "GET" and self._provider.is_at(request.path, MODELS):
            score = whole(_scene(plain), self._models())
        else:
            unknown = f"Unknown request URL: {request.method} {request.path[:200]}."
            score = self._refuse(plain, Refused(404, unknown))
        if self._journal is not None:
            self._journal.add(request, created_s, {"broken": []})
        answer = answer_of(score, 0, "refused")
        return (_without_body(answer) if request.method == "HEAD" else answer), Ask()

    def _models(self) -> dict[str, Any]:
        about = {"object": "model", "created": 0, "owned_by": "firsttoken"}
        return {"object": "list", "data": [{"id": name, **about} for name in self._provider.models]}

    # A chat completion.

    def _complete(self, request: Request, created_s: int, now_ns: int) -> tuple[Answer, Ask]:
        """A chat completion: played, or refused with a number all the same."""
        self._count += 1
        provider = self._provider
        asked, why, problems = self._read(request)
        ask = read_ask(asked, provider.caps, wish_of(asked, provider.honoured))
        if provider.forces_stream and asked.get("tools"):
            ask = ask._replace(stream=True)
        if why is None and ask.stream and request.http_version == "1.0":
            why = Refused(400, "A streamed answer needs HTTP/1.1.")
        scenario = None
        if why is None:
            why = self._over(ask, now_ns)
        if why is None:
            scenario, why = self._scenario(request, ask)
        voice = Voice(self._count, created_s, self._answering(ask), self._tells_usage(ask), request.keep_alive)
        if self._journal is not None:
            self._note(request, created_s, (asked, problems, why, scenario))
        if why is not None:
            return answer_of(self._refuse(voice, why), voice.number, "refused"), ask
        if scenario is not None:
            score = scenario.play(self._scene(voice, request))
            return answer_of(score, voice.number, "scenario"), ask
        return self._usual(voice, request), ask

    def _read(self, request: Request) -> tuple[dict[str, Any], Refused | None, list[Problem]]:
        """The body's fields, why it is refused if it is, and what of it breaks the rules."""
        provider = self._provider
        complaint = provider.complain(request.authorization, self._key)
        try:
            asked = read_body(request.body)
            if provider.rules is None:
                check_usual(asked)
        except BadAskError as error:
            return {}, Refused(401, complaint) if complaint else Refused(provider.invalid, str(error)), []
        problems = [] if provider.rules is None else check(provider.rules, asked)
        if complaint is not None:
            return asked, Refused(401, complaint), problems
        invalid = Refused(provider.invalid, "Invalid request.", tuple(problems)) if problems else None
        return asked, invalid, problems

    def _over(self, ask: Ask, now_ns: int) -> Refused | None:
        """Counted against the quota by its prompt and its cap, as nobody knows yet how long the answer will be."""
        if self._quota is None:
            return None
        over = self._quota.take(ask.prompt_tokens + (ask.cap or self._script.output_tokens), now_ns)
        return over and Refused(429, "", over=over)

    def _scenario(self, request: Request, ask: Ask) -> tuple[Scenario | None, Refused | None]:
        """What the request chose, else what is drawn for it; and why it can't be, if it can't."""
        wanted = _wanted(request)
        if not wanted:
            return (self._drawn(ask.stream) if self._cast.scenarios else None), None
        scenario = SCENARIOS.get(wanted)
        if scenario is None:
            return None, Refused(400, f"unknown scenario {wanted[:80]!r}: firsttoken mock --list names them all")
        if not scenario.fits(ask.stream):
            kind = "streamed" if ask.stream else "plain"
            return None, Refused(400, f"scenario {wanted} is none for {kind} requests")
        return scenario, None

    def _drawn(self, stream: bool) -> Scenario | None:
        """Evenly one of those for this kind of request, for the share that gets one."""
        fitting = [SCENARIOS[name] for name in self._cast.scenarios if SCENARIOS[name].fits(stream)]
        draws = random.Random(f"{self._script.seed}:{self._count}:scenario")
        luck, which = draws.random(), draws.random()
        return fitting[int(which * len(fitting))] if fitting and luck < self._cast.share else None

    def _tells_usage(self, ask: Ask) -> bool:
        rule = self._provider.usage if self._script.usage == "option" else self._script.usage
        return rule == "always" or (rule == "option" and ask.include_usage)

    def _answering(self, ask: Ask) -> Ask:
        """What was asked, of the model that answers it."""
        provider = self._provider
        is_known = ask.model in provider.models if provider.falls_back else bool(ask.model)
        return ask if is_known else ask._replace(model=provider.models[0])

    # What is answered.

    def _usual(self, voice: Voice, request: Request) -> Answer:
        """No scenario: the short way where there is one."""
        provider, ask = self._provider, voice.ask
        if provider is GENERIC and ask.wish is None:
            return self._prepared.answer(voice) if self._prepared is not None else compose(voice, self._play(ask))
        scene = self._scene(voice, request)
        fault = scene.play.fault or ""
        if fault.startswith("http_"):
            score = self._refuse(voice, Refused(int(fault.removeprefix("http_")), ""), scene.first_ns)
            return answer_of(score, voice.number, fault)
        if fault:
            return compose(voice, scene.play)
        fields = provider.fields(voice.created_s)
        return answer_of(provider.play(scene, provider.manner, fields), voice.number, scene.play.finish_reason)

    def _play(self, ask: Ask) -> Performance:
        return self._script.play(self._count, ask.prompt_tokens, ask.cap, ask.stream)

    def _scene(self, voice: Voice, request: Request) -> Scene:
        scene = scene_of(voice, self._play(voice.ask), voice.ask.wish, request.authorization)
        if not self._provider.has_sessions or voice.ask.model in self._sessions:
            return scene
        self._sessions.add(voice.ask.model)
        return scene.later(round(self._cast.cold_session_s * 1e9))

    def _refuse(self, voice: Voice, why: Refused, first_ns: int = 0) -> Score:
        """The error in the provider's own shape; in OpenAI's where it is the quota's."""
        if why.over is not None:
            return refused(_scene(voice, first_ns), why.status, why.over.body, why.over.fields)
        value, fields = self._provider.refuse(why.status, why.message, why.problems)
        return refused(_scene(voice, first_ns), why.status, value, [*fields, *self._provider.fields(voice.created_s)])

    def _note(
        self,
        request: Request,
        created_s: int,
        what: tuple[dict[str, Any], list[Problem], Refused | None, Scenario | None],
    ) -> None:
        asked, problems, why, scenario = what
        facts = {
            "number": self._count,
            "scenario": scenario.name if scenario is not None else None,
            "refused": why.status if why is not None else None,
            "broken": self._provider.broken(request, asked, problems),
        }
        assert self._journal is not None
        self._journal.add(request, created_s, facts, asked)


def _wanted(request: Request) -> str:
    """The scenario that a request asks for; "" for none."""
    chosen = request.header(SCENARIO_HEADER)
    return chosen or (parse_qs(request.query).get("scenario", [""])[-1] if request.query else "")


def _scene(voice: Voice, first_ns: int = 0) -> Scene:
    """A scene without a play, for what says nothing."""
    return Scene(voice, replace(SILENCE, offsets_ns=(first_ns,)))


def _without_body(answer: Answer) -> Answer:
    """The same head with nothing after it: what HEAD is answered."""
    head, _, _ = next(answer.writes).partition(b"\r\n\r\n")
    answer.writes = iter((head + b"\r\n\r\n", b""))
    return answer
