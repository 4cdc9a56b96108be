"""Where requests go: a base URL with or without a query, a path and query values, and the variables in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, urlencode

from loadtests.profiles.values import PLACEHOLDER
from loadtests.profiles.wording import ProfileError, shown
from loadtests.redact import looks_secret
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loadtests.profiles.tables import VariableDoc

FILLABLE: Final = ("base_url", "path", "models_path", "default_model")
"""The keys of a profile, beside the values of `query`, whose text may hold `{NAME}`."""


def joined(base_url: str, path: str, query: Mapping[str, str]) -> str:
    """
    One URL of the three. A parameter that several of them have is taken from base_url, then path, then query.

    Source: RFC 3986, 3.4; percent-encoding is renewed, `{NAME}` stays readable.
    """
    base, _, of_base = base_url.partition("?")
    path, _, of_path = path.partition("?")
    pairs: list[tuple[str, str]] = []
    for more in (parse_qsl(of_base, True), parse_qsl(of_path, True), list(query.items())):
        taken = {name for name, _ in pairs}
        pairs += [(name, value) for name, value in more if name not in taken]
    text = urlencode(pairs, quote_via=quote, safe="{}:,")
    return f"{base}/{path}" + (f"?{text}" if text else "")


def placeholders(texts: Iterable[str]) -> list[str]:
    """The variables that texts name, each once, in their order."""
    return list(dict.fromkeys(name for text in texts for name in PLACEHOLDER.findall(text)))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with the values in the places of their names; a name without a value stays."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def values_of(
    known: Mapping[str, VariableDoc], used: list[str], given: Mapping[str, str], environ: Mapping[str, str], label: str
) -> dict[str, str]:
    """
    A value for each used variable: from what is given, else from its environment variable, else its default.

    Raises:
        ProfileError: A name that is unknown or not used, a value that no URL should hold, or none at all.
    """
    for name in given:
        if name not in known:
            end = not_one_of(name, known) if known else "isn't known: the profile has no variables"
            raise ProfileError(f"{label}: --var {name} {end}")
        if name not in used:
            raise ProfileError(f"{label}: --var {name}: no {{{name}}} is left in the URL; leave it out")
    return {name: _value_of(name, known[name], given, environ, label) for name in used}


def _value_of(
    name: str, variable: VariableDoc, given: Mapping[str, str], environ: Mapping[str, str], label: str
) -> str:
    value, place = given.get(name), f"--var {name}"
    if value is None and variable.env is not None and environ.get(variable.env, "").strip():
        value, place = environ[variable.env].strip(), f"the environment variable {variable.env}"
    if value is None:
        value = variable.default
    if value is None:
        other = f", or {variable.env} in the environment" if variable.env else ""
        raise ProfileError(f"{label}: {{{name}}} ({variable.meaning}) has no value; give --var {name}=VALUE{other}")
    if looks_secret(value) or looks_secret(f"{name}: {value}"):
        raise ProfileError(f"{label}: {place} looks like a secret; keep keys in the variable that auth.env names")
    if not re.fullmatch(r"[A-Za-z0-9._~:-]+", value):
        raise ProfileError(f"{label}: {place} {shown(value)} isn't made of letters, digits and . _ ~ : -")
    return value
