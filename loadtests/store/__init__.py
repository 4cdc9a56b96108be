"""
Runs in an object store: named by a URL, copied there while they are on, fetched from there to be judged.

Everything that speaks to a store does so in a process of its own (`python -m loadtests.store`): a store that is slow or
silent holds up nothing but that process, which can be ended. This is the one home of pyarrow's filesystems.
"""

from loadtests.store.process import Storing
from loadtests.store.url import StoreError, bare, check, is_url, join

__all__ = ["StoreError", "Storing", "bare", "check", "is_url", "join"]
