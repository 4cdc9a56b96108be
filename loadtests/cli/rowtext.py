"""Rows of a run as CSV and as JSON lines, whole columns at a time: no value passes through Python but texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from loadtests.record import requests_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def csv(sink: BinaryIO, names: Sequence[str]) -> Callable[[pa.RecordBatch], Any]:
    """Write batches as CSV with a head; words and texts are quoted, what is absent is empty."""
    schema = pa.schema([(name, pa.string() if _is_text(name) else _type(name)) for name in names])
    writer = pv.CSVWriter(sink, schema, write_options=pv.WriteOptions(quoting_header="none"))

    def write(batch: pa.RecordBatch) -> None:
        arrays = [_flat(array) for array in batch.columns]
        writer.write_batch(pa.record_batch(arrays, schema=schema))

    return write


def _type(name: str) -> pa.DataType:
    return requests_schema().field(name).type


def _is_text(name: str) -> bool:
    """Whether it is text in CSV: words, texts, and lists with spaces between."""
    kind = _type(name)
    return bool(pa.types.is_dictionary(kind) or pa.types.is_string(kind) or pa.types.is_list(kind))


def _flat(array: pa.Array) -> pa.Array:
    """Words as plain text; a list's items with spaces between, empty where they are not known."""
    if pa.types.is_list(array.type):
        return pc.binary_join(array.cast(pa.list_(pa.string())), " ")
    return array.cast(pa.string()) if pa.types.is_dictionary(array.type) else array


def jsonl(sink: BinaryIO, names: Sequence[str]) -> Callable[[pa.RecordBatch], Any]:
    """Write batches as one JSON object a line."""

    def write(batch: pa.RecordBatch) -> None:
        parts = [
            pc.binary_join_element_wise(f'{"," if place else "{"}"{name}":', _json(batch.column(place)), "")
            for place, name in enumerate(names)
        ]
        lines = pc.binary_join_element_wise(*parts, "}\n", "")
        whole = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "")
        sink.write(whole[0].as_buffer())

    return write


def _json(array: pa.Array) -> pa.Array:
    """Each value as JSON, shape (n,)."""
    if pa.types.is_list(array.type):
        ends = pc.cumulative_sum(array.value_lengths().fill_null(0)).to_pylist()
        items = pc.binary_join(pa.ListArray.from_arrays([0, *ends], _json(array.flatten())), ",")
        return pc.if_else(array.is_null(), "null", pc.binary_join_element_wise("[", items, "]", ""))
    if pa.types.is_string(array.type) or pa.types.is_dictionary(array.type):
        return _quoted(array)
    if pa.types.is_floating(array.type):
        array = pc.if_else(pc.is_finite(array), array, None)  # JSON has no other numbers
    return pc.fill_null(array.cast(pa.string()), "null")


def _quoted(array: pa.Array) -> pa.Array:
    """Texts as JSON writes them, each different one written once."""
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    words = pa.array([orjson.dumps(word).decode() for word in coded.dictionary.to_pylist()], pa.string())
    return pc.fill_null(words.take(coded.indices), "null")
