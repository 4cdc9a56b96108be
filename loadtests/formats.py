"""What a request asks for beside text: functions that may be called, a schema that the answer has to fit."""

from __future__ import annotations

from typing import Any, Final

_QUESTION: Final[dict[str, Any]] = {
    "name": "count_stock",
    "description": "How many pieces of a thing are in store at a place.",
    "parameters": {
        "type": "object",
        "properties": {
            "thing": {"type": "string", "description": "What is counted, in the plural."},
            "place": {"type": "string", "description": "Where it is kept."},
            "least_years": {"type": "integer", "description": "Count only what is at least so old."},
        },
        "required": ["thing", "place"],
        "additionalProperties": False,
    },
}
_ORDER: Final[dict[str, Any]] = {
    "name": "plan_delivery",
    "description": "Plan a delivery and tell its number.",
    "parameters": {
        "type": "object",
        "properties": {
            "things": {"type": "array", "items": {"type": "string"}, "description": "What to deliver."},
            "place": {"type": "string", "description": "Where to."},
            "speed": {"type": "string", "enum": ["usual", "express"]},
        },
        "required": ["things", "place"],
        "additionalProperties": False,
    },
}

TOOLS: Final[dict[str, Any]] = {
    "tools": [{"type": "function", "function": function} for function in (_QUESTION, _ORDER)],
}
"""Body fields of `--workload tools`: two functions; that one of them is called is up to the model."""

SCHEMA: Final[dict[str, Any]] = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "notes",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "language": {"type": "string", "enum": ["en", "de"]},
                    "counts": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"thing": {"type": "string"}, "number": {"type": "integer"}},
                            "required": ["thing", "number"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["title", "language", "counts"],
                "additionalProperties": False,
            },
        },
    }
}
"""Body fields of `--workload json`: structured output by a schema."""
