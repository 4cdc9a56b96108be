"""Finding profiles and reading their files."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from loadtests.profiles.model import Profile, checked, examined
from loadtests.profiles.wording import ProfileError, listed, shown, syntax_line
from loadtests.redact import secret_places
from loadtests.units import not_one_of


def builtin_dir() -> Path:
    """The folder of the built-in profiles: inside the package when installed from a wheel, else the checkout's."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "builtin_profiles"
    return installed if installed.is_dir() else package.parent / "profiles"


def names() -> list[str]:
    """The built-in profiles, sorted."""
    return sorted(path.stem for path in builtin_dir().glob("*.toml"))


def load(name_or_path: str) -> Profile:
    """
    A built-in profile by its name, or any by the path of its .toml file.

    Raises:
        ProfileError: There is none, or the file is not a sound profile.
    """
    path, label = _located(name_or_path)
    raw = _tables(path, label)
    for text in _secrets(raw):
        raise ProfileError(f"{label}: {text}")
    return checked(raw, label)


def mistakes(name_or_path: str) -> tuple[Profile | None, list[str]]:
    """The profile of a file, None where it is not sound, and every mistake in it, one line each."""
    try:
        path, label = _located(name_or_path)
        raw = _tables(path, label)
    except ProfileError as error:
        return None, [str(error)]
    secrets = _secrets(raw)
    profile, found = examined(raw)
    found = [f"{label}: {text}" for text in [*secrets, *found]]
    return (None if found else profile), found


def _located(name_or_path: str) -> tuple[Path, str]:
    """A file, and what it is called in a message."""
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return Path(name_or_path), name_or_path
    known = names()
    if name_or_path not in known:
        raise ProfileError(f"--profile {shown(name_or_path)} {not_one_of(name_or_path, known)} (or give a .toml file)")
    return builtin_dir() / f"{name_or_path}.toml", f"profiles/{name_or_path}.toml"


def _tables(path: Path, label: str) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text)
    except OSError as error:
        raise ProfileError(f"{label}: cannot be read ({error.strerror}); built in are {listed(names())}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{label}: isn't UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(syntax_line(label, str(error), text)) from None
    except RecursionError:
        raise ProfileError(f"{label}: is nested too deeply to be a profile") from None


def _secrets(raw: dict[str, Any]) -> list[str]:
    return [
        f"{place} looks like a secret; keep keys in the variable that auth.env names" for place in secret_places(raw)
    ]
