"""
Result files of other tools as runs of ours, as far as they carry data; what they don't tell is null.

`files` finds out whose a file is; `aiperf` and `vllm` read it into records and what is known of the load; `rows` makes
the columns of requests.parquet of them, `keep` the run directory. Nothing here offers load.
"""

from __future__ import annotations

from loadtests.imports.files import RECORDS, read
from loadtests.imports.keep import keep
from loadtests.imports.told import ImportsError, Told

__all__ = ["RECORDS", "ImportsError", "Told", "keep", "read"]
