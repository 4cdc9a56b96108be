"""The tables of a profile's file, each checked on its own. What several of them say together is `checks`' matter."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests.profiles.values import (
    Bound,
    Environment,
    HeaderName,
    HeaderValue,
    Kinds,
    Param,
    Params,
    Pointer,
    Price,
    Seconds,
    Status,
    Text,
    Texts,
    full,
)  # fmt: skip


class Table(BaseModel):
    """A table of the file: frozen, and nothing in it that is not named here."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Auth(Table):
    """
    Where the key goes, and the environment variable it comes from; an empty scheme sends the key alone.

    `key_prefix` is what every key begins with; one that does not is refused, unless `unverified` names the prefix.
    """

    header: HeaderName = "Authorization"
    scheme: Annotated[str, full(r"[!-~]*", "one word, or empty")] = "Bearer"
    env: Environment | None = None
    required: bool = False
    key_prefix: Annotated[str, full(r"[!-~]+", "visible ASCII without spaces")] | None = None


class Accept(Table):
    """The Accept header of streamed and of plain requests; None: the client's own."""

    stream: HeaderValue | None = None
    plain: HeaderValue | None = None


class ParamRules(Table):
    """
    What is known of the body's parameters. `supported` None: nothing is known, so anything may be sent.

    `types`, `ranges`, `choices` and `required` may look inside: `response_format.type`, `tools[].function.name`.
    `choices` hold for texts and numbers; an object or array passes where `types` allows it. A value outside its range
    is refused, or moved into it where `clamped` names the parameter. `others`: what becomes of one that no list names.
    """

    defaults: dict[Text, Any] = {}
    supported: Texts | None = None
    required: Params = ()
    ignored: Texts = ()
    forbidden: Texts = ()
    others: Literal["ignored", "refused", "passed", "unknown"] = "unknown"
    types: dict[Param, Kinds] = {}
    ranges: dict[Param, Annotated[tuple[Bound, Bound], Field(strict=False)]] = {}
    clamped: Params = ()
    choices: dict[Param, Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]] = {}


class Tools(Table):
    """Whether tools may be sent, whether `tool_choice` may, and whether tools need a streamed request."""

    supported: bool = True
    requires_stream: bool = False
    choice: bool = True


class Session(Table):
    """
    A session that the provider opens before it answers.

    Attributes:
        param: The parameter that names one.
        cold_start_s: What opening takes.
        idle_s: It is closed after so long without a request; None: nobody knows.
    """

    param: Text | None = None
    cold_start_s: Seconds | None = None
    idle_s: Seconds | None = None
    note: Text


class ErrorDoc(Table):
    """
    One documented error body; `status` None: documented without its status. The rest are JSON pointers into it.

    It is shown and probed. Answers are not read by it: errors of every known shape are, whoever sends them.
    """

    status: Status | None = None
    message: Pointer
    type: Pointer | None = None
    code: Pointer | None = None
    param: Pointer | None = None
    meaning: Text


class RateLimit(Table):
    """
    The headers that tell limits, by what they tell, and the form of those that tell when a limit is lifted.

    Fields: `limit_`, `remaining_` and `reset_`, each with `requests` and `tokens`; others as a provider has them. They
    are shown and probed. Answers are not read by them: Retry-After and limits of every known form are.
    """

    headers: dict[Annotated[str, full(r"[a-z][a-z0-9_]*", "a name like remaining_tokens")], HeaderName] = {}
    reset: Literal["duration", "seconds", "iso8601", "epoch", "unknown"] = "unknown"
    note: Text | None = None


class VariableDoc(Table):
    """What a `{NAME}` in the URL stands for, the environment variable that may fill it, and what does otherwise."""

    meaning: Text
    env: Environment | None = None
    default: Text | None = None


class Timeouts(Table):
    """Seconds: to connect, to the first byte of the answer, between two tokens, for the whole request."""

    connect: Seconds = 10.0
    first_byte: Seconds = 120.0
    silence: Seconds = 60.0
    total: Seconds = 600.0


class Prices(Table):
    """List prices per million tokens, and the day they were read."""

    input_per_million: Price
    output_per_million: Price
    cached_input_per_million: Price | None = None
    currency: Annotated[str, full(r"[A-Z]{3}", "a currency code of three capitals")] = "USD"
    date: Annotated[dt.date, Field(strict=False)]  # TOML has dates; JSON and people's habit, texts
