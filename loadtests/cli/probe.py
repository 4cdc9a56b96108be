"""`firsttoken probe`: one checked request of each kind, every claim of the profile held against what came back."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from loadtests.cli.before import ask, stem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadtests.probe import Ask, Change, Evidence, Finding, Seen
    from loadtests.profiles import Profile

EXAMPLES: Final = """\b
Examples:
  firsttoken probe
      the embedded mock: what a probe looks like
  firsttoken mock --provider meingpt --port 8900 &
  MEINGPT_API_KEY=sk_meingpt_any firsttoken probe --profile meingpt --base-url http://127.0.0.1:8900/api/openai/v1
      a provider played by the mock
  firsttoken probe --profile openai --model gpt-4o-mini --tools
      the provider itself: four requests of at most 16 output tokens, 64 with tools
  firsttoken probe --profile my.toml --wrong --yes --json > probe.json
      your own profile; also a wrong parameter and a wrong key, to see what errors look like

\b
Marks:
  ✓ as the profile says   ✗ contradicted   – nothing came back that would tell   · seen, not claimed
Exit codes:
  0 nothing contradicted   1 a claim is contradicted
  2 usage, configuration, nothing reached, or refused (401, 402, 403)"""  # noqa: RUF001 - the dash is a mark

MARKS: Final = {"ticked": "✓", "contradicted": "✗", "not_seen": "–", "noted": "·"}  # noqa: RUF001 - the dash is a mark
COLOURS: Final = {"ticked": "green", "contradicted": "red", "not_seen": "yellow", "noted": "bright_black"}
REFUSED: Final = (401, 402, 403)
UNREACHED: Final = frozenset({"dns", "connect", "tls", "timeout_connect", "timeout_first_byte"})
"""Failures after which no other request is tried."""


@click.command(epilog=EXAMPLES)
@click.option(
    "--profile",
    "name",
    default="mock",
    show_default=True,
    metavar="NAME|FILE",
    help="The provider: a shipped profile or a TOML file.",
)
@click.option("--base-url", metavar="URL", help="Base URL, instead of the profile's.")
@click.option("--model", metavar="NAME", help="The model to ask for.  [default: the profile's]")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Fills {NAME} in the profile's URL.")
@click.option("--proxy", metavar="URL", help="Go through this proxy.  [default: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY]")
@click.option("--http2", is_flag=True, help="Speak HTTP/2 (extra http2).")
@click.option("--allow-insecure-http", is_flag=True, help="Let plain http leave this machine and private networks.")
@click.option("--tools", is_flag=True, help="Also send a request with tools.")
@click.option("--wrong", is_flag=True, help="Also send a wrong parameter, and a wrong key if one is sent.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the transcript goes.  [default: probe-PROFILE-UTC.json here]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON; messages go to stderr.")
@click.option("--yes", is_flag=True, help="Do not ask before sending mistakes to a remote provider (--wrong).")
def probe(**given: Any) -> int:  # fmt: skip
    """Send one request of each kind, and check every claim of the profile against what comes back.

    Two or three tiny requests: the model list, a streamed and a whole answer of 16 tokens. Prints which claims hold,
    which do not, and the lines of the profile to change; keeps the exchange, without secrets, in a file.
    """
    from loadtests.targets import profile_of

    profile = profile_of(
        given["name"], given["base_url"], proxy=given["proxy"], http2=given["http2"], variables=given["variables"],
        allow_insecure_http=given["allow_insecure_http"],
    )  # fmt: skip
    with _served(profile) as served:
        return _probe(served, live=given["base_url"] is None and not profile.embedded, given=given)


@contextmanager
def _served(profile: Profile) -> Iterator[Profile]:
    """The profile with somebody at its address: an embedded provider is started."""
    if not profile.embedded:
        yield profile
        return
    from loadtests.mock import process

    with process.start() as mock:
        yield profile.with_overrides(base_url=mock.base_url)


def _probe(profile: Profile, *, live: bool, given: dict[str, Any]) -> int:
    import os

    from loadtests import clock
    from loadtests.guard import guard
    from loadtests.probe import Evidence, asks, judge, transcript, write

    key, secrets = profile.api_key(os.environ), profile.secrets(os.environ)
    guard(secrets)
    model, began = _model(profile, given["model"]), clock.utc_stamp()
    path = _writable(given["out"] or Path(f"probe-{stem(profile.name)}-{began}.json"))
    planned = asks(profile, model, key, tools=given["tools"], wrong=given["wrong"])
    _announce(profile, planned, wrong=given["wrong"], yes=given["yes"])
    seen = _converse(profile, model, secrets, planned)
    try:
        write(path, transcript(profile.name, profile.base_url, model, began, seen.values()), secrets)
    except OSError as error:
        raise click.UsageError(f"--out {path}: cannot be written ({error.strerror})") from None
    _check_refused(profile, seen, path)
    prefix = profile.auth.key_prefix
    fits = key.startswith(prefix) if key and prefix else None
    evidence = Evidence(profile, model, seen, key_sent=bool(key), key_fits=fits, live=live)
    findings, changes = judge(evidence)
    show = _dump if given["as_json"] else _show
    show(evidence, findings, changes, path, secrets)
    return int(any(finding.verdict == "contradicted" for finding in findings))


# Before.


def _model(profile: Profile, model: str | None) -> str:
    if model or profile.default_model:
        return model or str(profile.default_model)
    raise click.UsageError(f"profile {profile.name} has no default_model; name one with --model NAME")


def _writable(path: Path) -> Path:
    """Where the transcript goes: found out before anything is sent."""
    import os

    if path.is_dir() or not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.UsageError(f"--out {path}: no file can be written there; name one in a directory of yours")
    return path


def _announce(profile: Profile, planned: Sequence[Ask], *, wrong: bool, yes: bool) -> None:
    """Say what is sent; ask where mistakes go to somebody else's machine and may count against the account."""
    from loadtests.probe import plan_lines
    from loadtests.targets import is_local

    for line in plan_lines(profile, planned):
        click.echo(line, err=True)
    if wrong and not yes and not is_local(profile):
        ask(f"{profile.base_url} is remote, and wrong requests may count against the account", "Send them?")


# The requests.


def _converse(profile: Profile, model: str, secrets: Sequence[str], planned: Sequence[Ask]) -> dict[str, Seen]:
    """Each request in turn, up to a refusal of the key; exit 2 where nothing answers."""
    from loadtests.probe import Talk

    seen: dict[str, Seen] = {}
    there = profile.base_url + (f" (through {profile.proxy})" if profile.proxy else "")
    with Talk(profile, model, secrets) as talk:
        for ask in planned:
            seen[ask.kind] = one = talk.send(ask)
            if one.failure is not None and one.failure.kind in UNREACHED and not _answered(seen):
                raise click.UsageError(f"{there} was not reached: {one.said}")
            if ask.kind == "streamed" and one.status in REFUSED:
                break
    if not _answered(seen):
        raise click.UsageError(f"{there} did not answer: {next(iter(seen.values())).said}")
    return seen


def _answered(seen: dict[str, Seen]) -> bool:
    return any(one.status is not None for one in seen.values())


def _check_refused(profile: Profile, seen: dict[str, Seen], path: Path) -> None:
    one = seen.get("streamed")
    if one is not None and one.status in REFUSED:
        from loadtests.cli.after import key_hint

        hint = key_hint(profile)
        raise click.UsageError(f"{profile.base_url} refused{hint}: {one.said}; transcript: {path}")


# What came out.


def _show(
    evidence: Evidence, findings: Sequence[Finding], changes: Sequence[Change], path: Path, _: Sequence[str]
) -> None:
    """For people; every line passes the guard, which knows the secrets."""
    from loadtests.probe import diff_lines

    for text in _table(findings):
        click.echo(text)
    _show_diff(diff_lines(changes), live=evidence.live)
    click.echo(f"\ntranscript: {path}")


def _dump(
    evidence: Evidence, findings: Sequence[Finding], changes: Sequence[Change], path: Path, secrets: Sequence[str]
) -> None:
    """For machines."""
    from loadtests.cli.output import dump
    from loadtests.probe import cleaned, diff_lines, line

    profile = evidence.profile
    value = {
        "profile": profile.name, "base_url": profile.base_url, "model": evidence.model, "live": evidence.live,
        "findings": [_as_json(finding) for finding in findings],
        "changes": [{"key": c.key, "value": c.value, "was": c.was, "why": c.why, "toml": line(c)} for c in changes],
        "diff": diff_lines(changes), "transcript": str(path),
    }  # fmt: skip
    dump(cleaned(value, secrets))


def _as_json(finding: Finding) -> dict[str, str]:
    return {"claim": finding.claim, "says": finding.says, "verdict": finding.verdict, "seen": finding.seen}


def _table(findings: Sequence[Finding]) -> Iterator[str]:
    """A line each: mark, claim, what the profile says, what was seen; then how many of each."""
    from loadtests.guard import masked

    widths = [min(max(len(getattr(finding, name)) for finding in findings), 34) for name in ("claim", "says")]
    for finding in findings:
        mark = click.style(MARKS[finding.verdict], fg=COLOURS[finding.verdict])
        claim, says = (
            f"{getattr(finding, name):<{width}}" for name, width in zip(("claim", "says"), widths, strict=True)
        )
        yield f"{mark} " + masked(" ".join(f"{claim}  {says}  {finding.seen}".splitlines()))
    count = {verdict: sum(finding.verdict == verdict for finding in findings) for verdict in MARKS}
    yield f"\n{count['ticked']} as claimed, {count['contradicted']} contradicted, {count['not_seen']} not seen"


def _show_diff(lines: Sequence[str], *, live: bool) -> None:
    from loadtests.guard import masked

    if not lines:
        click.echo("the profile needs no change")
        return
    click.echo("\nSuggested for the profile:")
    for line in lines:
        click.echo(f"  {masked(line)}".rstrip())
    if not live:
        click.echo("(verified and unverified stay as they are: this was not the provider's own address)")
