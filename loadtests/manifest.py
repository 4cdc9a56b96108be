"""
run.json: what a run was asked to do, where, with what, and how it ended; enough to repeat it or to refuse a comparison.

Written before the first request (so that a killed run can be finished) and again at the end. Never a secret.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests import __version__
from loadtests import limits as of_machine
from loadtests.record import MANIFEST, SCHEMA_VERSION

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES: Final = ("locust", "gevent", "httpx", "httptools", "orjson", "pyarrow", "numpy")


class ManifestError(ValueError):
    """A directory that is no run, or a run of a later version."""


def read(run_dir: Path) -> dict[str, Any]:
    """
    The manifest of a run directory.

    Raises:
        ManifestError: There is none, it is broken, or a later version wrote it.
    """
    path = run_dir / MANIFEST
    try:
        value: dict[str, Any] = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        raise ManifestError(f"{run_dir}: not a run directory (no {MANIFEST} in it)") from None
    except orjson.JSONDecodeError as error:
        raise ManifestError(f"{path}: not JSON ({error})") from None
    version = value.get("schema_version") if isinstance(value, dict) else None
    if not isinstance(version, int):
        raise ManifestError(f"{path}: not a manifest of firsttoken")
    if version > SCHEMA_VERSION:
        raise ManifestError(f"{path}: schema {version}, but this firsttoken reads up to {SCHEMA_VERSION}; update it")
    if not {"plan", "profile", "run_id"} <= value.keys():
        raise ManifestError(f"{path}: not a manifest of firsttoken")
    return value


def arms(about: dict[str, Any]) -> list[dict[str, Any]]:
    """
    The arms of a run: name, model, params, new_connections and profile of each.

    Args:
        about: A manifest; that of a run from before there were several has one.
    """
    found: list[dict[str, Any]] | None = about.get("arms")
    if found:
        return found
    plan = about["plan"]
    return [{
        "name": plan.get("arm", "default"), "model": plan.get("model", ""), "params": plan.get("params", {}),
        "new_connections": plan.get("new_connections", False), "profile": about["profile"],
    }]  # fmt: skip


def write(run_dir: Path, value: dict[str, Any]) -> None:
    """Write the manifest whole or not at all."""
    path = run_dir / MANIFEST
    partial = path.with_name(MANIFEST + ".tmp")
    partial.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    partial.replace(path)


def host() -> dict[str, Any]:
    """The machine the load is made on."""
    return {
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "system": platform.system(),
        "node": platform.node(),
        "cpu": _cpu_name(),
    }


def versions() -> dict[str, str]:
    """What the run was made with."""
    return {
        "firsttoken": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def limits() -> dict[str, Any]:
    """What bounds a load test here: see `limits.Limits`."""
    return of_machine.read().to_json()


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel's file, not a path of ours
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return platform.processor()
