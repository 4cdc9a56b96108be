"""
Prompts from files, streamed and sampled with a seed: memory stays bounded whatever a file's size.

Files are ShareGPT's (a JSON array of conversations), OpenAI batch input (JSON lines), and any JSON lines, JSON array,
CSV or parquet file whose columns hold prompts. Every row is looked at, so that a broken one is found with every seed;
the rows that are kept follow from the seed and the file alone. Every mistake ends in a `DatasetError` of one line
that names file, row and column.

    model      what comes out: examples, and the sample they belong to
    text       JSON out of bytes a piece at a time
    source     a file as rows, whatever its format
    layout     which columns hold what
    messages   the messages of a conversation or a batch request
    reading    a file sampled
    saved      a sample kept beside a run
"""

from loadtests.workload.datasets.model import DatasetError, Example, Sample
from loadtests.workload.datasets.reading import read
from loadtests.workload.datasets.saved import load, save
from loadtests.workload.datasets.source import FORMATS

__all__ = ["FORMATS", "DatasetError", "Example", "Sample", "load", "read", "save"]
