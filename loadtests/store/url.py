"""The URL of a store: whether a text is one, what it may hold, and names below it."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from loadtests.redact import looks_secret
from loadtests.units import not_one_of

SCHEMES: Final = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")

OPTIONS: Final = frozenset({
    "scheme", "endpoint_override", "region", "tls_ca_file_path", "tls_verify_certificates", "smart_defaults",
    "allow_bucket_creation", "allow_delayed_open", "retry_limit_seconds", "project_id", "enable_tls",
    "blob_storage_authority", "dfs_storage_authority", "credential_kind", "tenant_id", "client_id",
    "background_writes", "replication", "buffer_size", "default_block_size",
})  # fmt: skip
"""What pyarrow's filesystems read from a URL's query and is no secret; run.json keeps the URL."""

NAMED_BEFORE_AT: Final = {"abfs": None, "abfss": None, "gs": "anonymous", "gcs": "anonymous"}
"""Schemes whose URLs have a name before an @ that is no secret: Azure's container (any), Google's `anonymous`."""


class StoreError(ValueError):
    """A store that cannot be spoken to, or a run that is not there: one line with what, where and the fix."""


def is_url(text: object) -> bool:
    """Whether this names a place in a store, and none on disk."""
    return "://" in str(text)


def check(url: str) -> str:
    """
    The URL without a slash at its end.

    Raises:
        StoreError: It is none of a store, or holds what nobody should keep. The text repeats no part of it that could
            be a secret.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise StoreError(f"{scheme}://: {scheme!r} {not_one_of(scheme, SCHEMES)}")
    before, at, _ = rest.partition("@")
    if at and (scheme not in NAMED_BEFORE_AT or ":" in before or NAMED_BEFORE_AT[scheme] not in (None, before)):
        raise StoreError(f"{scheme}://...@...: holds a name or a password; leave it out, the environment has it")
    parts = urlsplit(url)
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in OPTIONS:
            raise StoreError(f"{scheme}://...?{key}=...: not taken here; keys and tokens come from the environment")
        if looks_secret(value):
            raise StoreError(f"{scheme}://...?{key}=...: looks like a key; keys come from the environment")
    if parts.fragment or not (parts.netloc or parts.path.strip("/")):
        raise StoreError(f"{url}: write {scheme}://BUCKET/PREFIX")
    return urlunsplit(parts._replace(path=parts.path.rstrip("/")))


def bare(url: str) -> str:
    """For people: without its options."""
    return url.partition("?")[0]


def join(url: str, *names: str) -> str:
    """The URL of what has this name below another URL; options stay at its end."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path="/".join([parts.path.rstrip("/"), *names])))


def split(url: str) -> tuple[str, str]:
    """The URL of what something lies in, and its name there; "" where it is a bucket."""
    parts = urlsplit(url)
    above, _, name = parts.path.rstrip("/").rpartition("/")
    return urlunsplit(parts._replace(path=above)), name
