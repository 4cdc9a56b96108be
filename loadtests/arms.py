"""
The sides of a comparison as they are asked for: several `--profile`, or `--arm` with a name and what is its own.

What is asked for beside them (`--model`, `--param`, ...) holds for every arm that does not say otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from loadtests.profiles import ProfileError
from loadtests.targets import TargetError, profile_of
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.profiles import Profile

KEYS: Final = ("name", "profile", "base_url", "proxy", "http2", "model", "new_connections", "param.KEY", "var.NAME")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
EXAMPLE: Final = "--arm 'name=fast,profile=vllm,model=m,param.temperature=0'"
TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class ArmError(ValueError):
    """An arm that cannot be used: one line with the fix."""


@dataclass(frozen=True, slots=True)
class Asked:
    """
    Whom one arm asks, as it was spelt.

    Attributes:
        params, variables: `KEY=JSON` and `NAME=VALUE` pairs; the later of two wins.
    """

    name: str = ""
    profile: str = "mock"
    base_url: str | None = None
    proxy: str | None = None
    http2: bool = False
    model: str | None = None
    params: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    new_connections: bool = False

    def provider(self, *, allow_insecure_http: bool) -> Profile:
        """The profile that it means."""
        return profile_of(
            self.profile, self.base_url, proxy=self.proxy, http2=self.http2, variables=self.variables,
            allow_insecure_http=allow_insecure_http,
        )  # fmt: skip


def provider(one: Asked, *, allow_insecure_http: bool) -> Profile:
    """
    The profile that an arm means.

    Raises:
        ArmError: It cannot be used, and which arm's it is; the plain mistake where there is one arm.
    """
    try:
        return one.provider(allow_insecure_http=allow_insecure_http)
    except (ProfileError, TargetError) as error:
        if one.name == "default":
            raise
        raise ArmError(f"arm {one.name}: {error}") from None


def asked(profiles: Sequence[str], arms: Sequence[str], common: Asked) -> list[Asked]:
    """
    The arms of a run.

    Args:
        profiles: What `--profile` was given, in order.
        arms: What `--arm` was given, in order.
        common: What holds for all of them.

    Raises:
        ArmError: A mistake in one of them, or two that cannot be told apart.
    """
    if not arms:
        return _by_profile(profiles or ("mock",), common)
    if len(profiles) > 1:
        raise ArmError("--arm and several --profile exclude each other; name the profile in each --arm")
    common = replace(common, profile=profiles[0]) if profiles else common
    found = [_read(arm, common) for arm in arms]
    for place, one in enumerate(found):
        if one.name in [other.name for other in found[:place]]:
            raise ArmError(f'--arm {arms[place]!r}: there are two arms called "{one.name}"; names must differ')
    return found


def _by_profile(profiles: Sequence[str], common: Asked) -> list[Asked]:
    if len(profiles) == 1:
        return [replace(common, name="default", profile=profiles[0])]
    if common.base_url is not None:
        raise ArmError(f"--base-url would send every --profile to one server; give it for each: {EXAMPLE}")
    names = [re.sub(r".*/|\.toml$", "", profile) for profile in profiles]
    for name in names:
        if names.count(name) > 1:
            raise ArmError(f"--profile {name} is given twice; arms of one profile need names: {EXAMPLE}")
    return [replace(common, name=name, profile=profile) for name, profile in zip(names, profiles, strict=True)]


def _read(text: str, common: Asked) -> Asked:
    """One `--arm`: `KEY=VALUE` pairs parted by commas."""
    found: dict[str, Any] = {"params": common.params, "variables": common.variables}
    seen: set[str] = set()
    for pair in _pairs(text):
        key, equals, value = pair.partition("=")
        if key in seen:
            raise ArmError(f"--arm {text!r}: {key} is given twice; give it once")
        seen.add(key)
        if not equals:
            raise ArmError(f"--arm {text!r}: {pair!r} isn't KEY=VALUE; for example {EXAMPLE}")
        if key.startswith("param.") and key != "param.":
            found["params"] = (*found["params"], f"{key.removeprefix('param.')}={value}")
        elif key.startswith("var.") and key != "var.":
            found["variables"] = (*found["variables"], f"{key.removeprefix('var.')}={value}")
        elif key in ("http2", "new_connections"):
            if value not in TRUTHS:
                raise ArmError(f"--arm {text!r}: {key} {value!r} isn't one of [{', '.join(TRUTHS)}]")
            found[key] = TRUTHS[value]
        elif key in KEYS:
            found[key] = value
        else:
            raise ArmError(f"--arm {text!r}: {key!r} {not_one_of(key, KEYS)}")
    name = found.get("name", "")
    if not NAME.fullmatch(name):
        what = f"name {name!r} isn't" if name else "has no name; it needs"
        raise ArmError(f"--arm {text!r}: {what} up to 40 letters, digits, dots, dashes; for example {EXAMPLE}")
    return replace(common, **found)


def _pairs(text: str) -> Iterator[str]:
    """The parts between commas; those inside quotes and brackets part nothing."""
    depth, quoted, start = 0, False, 0
    for at, char in enumerate(text):
        if char == '"' and (at == 0 or text[at - 1] != "\\"):
            quoted = not quoted
        elif not quoted and char in "[{":
            depth += 1
        elif not quoted and char in "]}":
            depth -= 1
        elif char == "," and not quoted and depth <= 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]
