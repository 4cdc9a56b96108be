"""
Tokens of a text as a tokenizer of the user's own counts them, for answers whose provider doesn't say or isn't believed.

The tokenizer is a local tokenizer.json, as models come with it; nothing is ever downloaded. Needs the extra
`tokenizers`.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from gevent import GreenletExit, getcurrent
from gevent.hub import get_hub

FILE: Final = "tokenizer.json"

LONG_CHARS: Final = 1000
"""About a fourth of that in tokens, a third of a millisecond: the detour through a thread costs as much."""


class TokensError(ValueError):
    """A tokenizer that cannot be used; the message is one line and names the fix."""


class Counter:
    """
    Counts the tokens of texts by one tokenizer.

    Args:
        tokenizer: Of the package `tokenizers`; is set to take texts as they are, neither cut nor padded.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()

    def count(self, text: str) -> int:
        """Tokens of this text without special tokens: about a microsecond each, while other threads go on."""
        sound = text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text
        # `encode` would hold the interpreter's lock.
        return len(self._tokenizer.encode_batch_fast([sound], add_special_tokens=False)[0])

    def count_aside(self, text: str) -> int:
        """
        The same for a greenlet of a busy event loop: a long text is counted in a thread, so that the loop goes on.

        Who is killed meanwhile still gets the count, so that what it is for is not lost, and is killed afterwards.
        """
        if len(text) < LONG_CHARS:
            return self.count(text)
        hub = get_hub()
        try:
            return int(hub.threadpool.apply(self.count, (text,)))
        except GreenletExit:
            hub.loop.run_callback(getcurrent().throw)
            return self.count(text)


def load(path: str) -> Counter:
    """
    The counter of a tokenizer.json.

    Args:
        path: The file, or a directory that holds it: a model's own.

    Raises:
        TokensError: The extra is missing, or there is no tokenizer.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    return _loaded(path, file, file.stat().st_mtime_ns if file.exists() else 0)


@lru_cache(maxsize=2)
def _loaded(path: str, file: Path, _changed_ns: int) -> Counter:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads would take the cores of those who measure
    try:
        import tokenizers  # noqa: PLC0415 - of the extra
    except ImportError:
        raise TokensError(f"--tokenizer {path} needs the package tokenizers: pip install tokenizers") from None
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise TokensError(
            f"--tokenizer {file}: {why}; name a {FILE} on this machine or the directory that holds it (nothing is "
            f"downloaded)"
        ) from None
    try:
        return Counter(tokenizers.Tokenizer.from_str(text))
    except Exception as error:  # noqa: BLE001 - the package raises nothing narrower
        raise TokensError(f"--tokenizer {file}: not a tokenizer of the package tokenizers ({error})") from None
