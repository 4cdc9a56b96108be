"""What of a server ran out first, in its own figures: where its load was too much, and where it still carried it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.capacity.tried import at
from analysis.capacity.words import Paragraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.capacity.answer import Answer
    from analysis.capacity.probe import Probe
    from analysis.server import Told


def edge(answer: Answer) -> tuple[Probe | None, Probe | None]:
    """
    The probes on both sides of a capacity: the highest that passed below the lowest that failed, and that one.

    One request at a time is none of them: its load is not that of the search.
    """
    tried = [probe for probe in answer.probes if probe.step.mode == answer.mode and probe.step.kind != "base"]
    failed = min((probe for probe in tried if probe.decision == "fail"), key=lambda probe: probe.load, default=None)
    held = [probe for probe in tried if probe.decision == "pass" and (failed is None or probe.load < failed.load)]
    return max(held, key=lambda probe: probe.load, default=None), failed


def paragraph(answer: Answer, said: Mapping[str, Told]) -> Paragraph | None:
    """
    The server's own account of the edge.

    Args:
        answer: Of the search.
        said: By a run's folder, what its server said over its window.

    Returns:
        None where nobody asked the server.
    """
    held, failed = edge(answer)
    sentences = [
        *_told(failed, said, "the lowest load that missed the objective"),
        *_told(held, said, "the highest load that met it" if failed else "the highest load that met the objective"),
    ]
    return Paragraph("The server's own view", tuple(sentences)) if sentences else None


def _told(probe: Probe | None, said: Mapping[str, Told], which: str) -> Sequence[str]:
    found = None if probe is None else next((said[one.run] for one in probe.points if one.run in said), None)
    if probe is None or found is None:
        return ()
    says = [*found.says] or [f"nothing that says what ran out ({'; '.join(found.figures) or 'no figure known here'})"]
    return (f"At {at(probe)}, {which}, {found.who} says: {'; '.join(says)}.",)
