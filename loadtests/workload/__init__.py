"""
What is asked: a workload by name, by TOML file, or a mix of these, as a pure function of a seed and a place.

No clock, no state: any worker can make any request, and two machines make the same one. A cold prompt opens with a
nonce, so that no prefix cache answers.

    request, shares          what a request is; who is streamed, brings tools, gives up
    definition, lengths      what a file may hold
    reading                  finding workloads and reading their files
    text, synthetic          prompts of a wanted length
    datasets, recorded       prompts of a file
    single, mix              one definition's workload; several by weight
"""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.workload.definition import Definition
from loadtests.workload.mix import Mix
from loadtests.workload.reading import NAMES, definitions
from loadtests.workload.recorded import Examples
from loadtests.workload.request import Request, Workload, WorkloadError, prompt_hash
from loadtests.workload.single import Single
from loadtests.workload.synthetic import Prompts
from loadtests.workload.text import Ruler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from loadtests.workload.datasets import Sample

__all__ = [
    "NAMES",
    "Request",
    "Workload",
    "WorkloadError",
    "definitions",
    "make",
    "prompt_hash",
    "save_samples",
]


def make(  # noqa: PLR0913 - what a run says of its workload
    definitions: Sequence[Mapping[str, Any]], *, seed: int, stream_share: float | None = None,
    output_tokens: int | None = None, salt: str = "", without: Iterable[str] = (),
    count: Callable[[str], int] | None = None, sample: Path | None = None,
) -> Workload:  # fmt: skip
    """
    The workload of a run.

    Args:
        definitions: As `definitions` resolved them; several are a mix.
        seed: Another seed gives other prompts and other nonces.
        stream_share: Share of streamed requests, 0 to 1; None: each definition's own, else all.
        output_tokens: The cap of every answer; None: drawn, or told by a trace.
        salt: Of the nonces alone: another run of the same seed asks the same, and no cache knows it already.
        without: Body fields that no request brings, since the run says them itself.
        count: Tokens of a text, by the run's tokenizer; None: lengths are estimated.
        sample: A folder that `save_samples` wrote, instead of the datasets themselves.

    Raises:
        WorkloadError: A share outside [0, 1], a cap below 1, or a dataset that cannot be read.
    """
    if stream_share is not None and not 0 <= stream_share <= 1:
        raise WorkloadError(f"--stream-share {stream_share} isn't a number in [0, 1]")
    if output_tokens is not None and output_tokens < 1:
        raise WorkloadError(f"--output-tokens {output_tokens} isn't a whole number of at least 1")
    ruler, left_out, parts = _ruler(count), frozenset(without), []
    for known in map(_known, definitions):
        own = seed if len(definitions) == 1 else f"{seed} {known.name}"  # or two parts would ask the same
        source = (
            Prompts(known, own, salt, ruler)
            if known.dataset is None
            else Examples(known, own, salt, _sample(known, seed, sample))
        )
        parts.append(Single(known, source, own, stream_share, output_tokens, left_out))
    return parts[0] if len(parts) == 1 else Mix(parts, [float(one["weight"]) for one in definitions], seed)


@lru_cache(maxsize=2)
def _ruler(count: Callable[[str], int] | None) -> Ruler:
    """One ruler for a tokenizer: it has counted the pieces of texts once."""
    return Ruler(count)


def _known(definition: Mapping[str, Any]) -> Definition:
    return Definition.model_validate({key: value for key, value in definition.items() if key != "weight"}).settled()


# Datasets: read once, by who prepares the run; its workers read the sample.


def save_samples(definitions: Sequence[Mapping[str, Any]], seed: int, folder: Path) -> None:
    """
    Write what the datasets of a run gave, a file for each workload that has one.

    Raises:
        WorkloadError: A dataset cannot be read.
    """
    from loadtests.workload import datasets  # noqa: PLC0415 - most runs have none

    for known in map(_known, definitions):
        if known.dataset is not None:
            folder.mkdir(parents=True, exist_ok=True)
            datasets.save(_sample(known, seed, None), _sample_file(folder, known.name))


def _sample(known: Definition, seed: int, folder: Path | None) -> Sample:
    """What a dataset gives: as `save_samples` wrote it to a folder, or from the file itself."""
    from loadtests.workload import datasets  # noqa: PLC0415 - most runs have none

    assert known.dataset is not None
    try:
        if folder is not None:
            return datasets.load(_sample_file(folder, known.name))
        spec = known.dataset.model_dump(mode="json", exclude_none=True)
        return _read(json.dumps(spec), seed, _stamp(Path(known.dataset.file)))
    except (datasets.DatasetError, OSError) as error:
        raise WorkloadError(str(error)) from None


@lru_cache(maxsize=4)
def _read(spec: str, seed: int, _: tuple[int, int] | None) -> Sample:
    """Who prepares a run asks for its workload several times; a file is read again once it has changed."""
    from loadtests.workload import datasets  # noqa: PLC0415 - most runs have none

    return datasets.read(json.loads(spec), seed)


def _stamp(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        return path.stat().st_mtime_ns, path.stat().st_size
    return None


def _sample_file(folder: Path, name: str) -> Path:
    return folder / f"sample-{name}.jsonl"
