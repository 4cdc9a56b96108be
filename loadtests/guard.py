"""
A flaw of ours raises and is shown, but never with a secret in it: tracebacks and log lines pass through `redact`.

Installed once per process, before or when its secrets are known; more may be added at any time.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

from loadtests.redact import PIECE, masker, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

_secrets: Final[set[str]] = set()
_installed: Final[list[bool]] = []


def guard(secrets: Iterable[str | None]) -> None:
    """Let nothing that this process says of a crash or logs hold one of these, or anything with the shape of a key."""
    know(secrets)
    if not _installed:
        _installed.append(True)
        sys.excepthook = _show
        threading.excepthook = lambda args: _show(args.exc_type, args.exc_value, args.exc_traceback)
        _guard_logging()
    if "gevent" in sys.modules:
        _guard_gevent()


def know(secrets: Iterable[str | None]) -> None:
    """Add secrets of this process, whether or not it is guarded yet."""
    _secrets.update(secret for secret in secrets if secret)


def masked(text: str) -> str:
    """The text without this process' secrets."""
    return redact(text, _secrets)


def leaks(text: str) -> bool:
    """Whether `PIECE` characters in a row of one of this process' secrets are in the text."""
    return masker(secret for secret in _secrets if len(secret) >= PIECE)(text) != text


def masking(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, with every text that it is given masked."""
    return lambda *args: call(*(masked(arg) if isinstance(arg, str) else arg for arg in args))


def _show(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))


def _guard_gevent() -> None:
    """What a greenlet raises and nobody takes, its hub prints."""
    import gevent  # noqa: PLC0415 - the parent and the verbs do without

    hub: Any = gevent.get_hub()

    def show(context: object, kind: Any, error: Any, trace: Any) -> None:
        _show(kind, error, trace)
        sys.stderr.write(masked(f"{context!r} failed with {kind.__name__}\n\n"))

    hub.print_exception = show


def _guard_logging() -> None:
    """Mask the message and the traceback of every record, whoever handles it."""
    make = logging.getLogRecordFactory()

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        _mask_message(record)
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    logging.setLogRecordFactory(made)


def _mask_message(record: logging.LogRecord) -> None:
    """The record's message as one masked text; where its parts don't fit, logging complains of them, masked too."""
    try:
        record.msg, record.args = masked(record.getMessage()), ()
    except Exception:  # noqa: BLE001 - wrong arguments, or one that cannot be shown: no matter of the caller's
        record.msg, args = _masked_part(record.msg), record.args
        if isinstance(args, tuple):
            record.args = tuple(map(_masked_part, args))
        elif args is not None:
            record.args = {name: _masked_part(arg) for name, arg in args.items()}


def _masked_part(part: Any) -> Any:
    """Itself where showing it tells nothing, else what it shows, masked."""
    try:
        text = part if isinstance(part, str) else repr(part)
    except Exception:  # noqa: BLE001 - it cannot be shown
        return part
    return part if masked(text) == text else masked(text)
