"""
A flaw of ours raises and is shown, but never with a secret in it: tracebacks and log lines pass through `redact`.

Installed once per process, as soon as its secrets are known; a second call adds secrets.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, Final

from loadtests.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

_secrets: Final[set[str]] = set()
_installed: Final[list[bool]] = []


def guard(secrets: Iterable[str | None]) -> None:
    """Let nothing that this process says of a crash or logs hold one of these, or anything with the shape of a key."""
    _secrets.update(secret for secret in secrets if secret)
    if not _installed:
        _installed.append(True)
        sys.excepthook = _show
        threading.excepthook = lambda args: _show(args.exc_type, args.exc_value, args.exc_traceback)
        _guard_logging()
    if "gevent" in sys.modules:
        _guard_gevent()


def masked(text: str) -> str:
    """The text without this process' secrets."""
    return redact(text, _secrets)


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
        record.msg, record.args = masked(record.getMessage()), ()
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    logging.setLogRecordFactory(made)
