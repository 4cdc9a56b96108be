"""All claims, in the order in which people read them; and what the verdicts come to for the profile as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.probe import counting, headers, reach, refusals, streaming, tooling
from loadtests.probe.finding import CONTRADICTED, TICKED, Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadtests.probe.finding import Evidence, Finding

CLAIMS: Final[tuple[Callable[[Evidence], Iterator[Finding]], ...]] = (
    reach.base_url,
    reach.http_version,
    reach.key,
    reach.models_path,
    reach.model,
    reach.path,
    reach.model_answered,
    streaming.outcomes,
    streaming.content_type,
    streaming.accept,
    streaming.first_chunk,
    streaming.chunk_shape,
    streaming.finish,
    streaming.done,
    counting.stream_usage,
    counting.usage_paths,
    counting.plain_usage,
    counting.output_cap,
    counting.reasoning,
    counting.server_time,
    tooling.tools,
    refusals.mistake,
    refusals.wrong_key,
    refusals.shapes,
    headers.request_id,
    headers.limits,
    headers.reset,
    headers.retry_after,
    headers.coding,
    headers.reuse,
)


def judge(evidence: Evidence) -> tuple[list[Finding], list[Change]]:
    """Every claim judged, and what the profile should say instead. At least one request has to have been answered."""
    findings = [finding for claim in CLAIMS for finding in claim(evidence)]
    changes = [change for finding in findings for change in finding.changes]
    return findings, changes + list(_standing(evidence, findings))


def _standing(e: Evidence, findings: Sequence[Finding]) -> Iterator[Change]:
    """What is no longer unverified, and that the provider itself was seen. A stand-in elsewhere verifies nothing."""
    if not e.live:
        return
    unverified = list(e.profile.unverified)
    seen = [key for key in unverified if settled(key, findings)]
    if seen:
        rest = [key for key in unverified if key not in seen]
        yield Change("unverified", rest, unverified, f"now seen: {', '.join(seen)}")
    fine = not any(finding.verdict == CONTRADICTED for finding in findings)
    both = all(answer is not None and answer.ok for answer in (e.streamed, e.whole))
    if fine and both and e.profile.verified != "live":
        yield Change("verified", "live", e.profile.verified, "nothing of it was contradicted")


def settled(key: str, findings: Sequence[Finding]) -> bool:
    """Whether an unverified key has been seen: as it is, or with what it should be."""
    about = [finding for finding in findings if f"{key}.".startswith(f"{finding.claim}.")]
    return bool(about) and all(finding.verdict == TICKED or finding.changes for finding in about)
