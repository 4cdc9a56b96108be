"""Which proxy: what is asked for, what the environment names, and where user and password are."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from planning import planned

from loadtests import proxies
from loadtests.options import warnings_of
from loadtests.profiles import ProfileError
from loadtests.targets import TargetError, profile_of

PASSWORD = "pass-word-9876543210"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the machine's."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_another_proxys_password_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@proxy.invalid:3128")

    assert proxies.credentials("http://proxy.invalid:3128") == (b"me", PASSWORD.encode())
    assert proxies.credentials("http://proxy.invalid:3129") is None
    assert proxies.credentials("https://proxy.invalid:3128") is None


def test_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@proxy.invalid:3128/")
    monkeypatch.setenv("HTTP_PROXY", "other.invalid:8080")
    monkeypatch.setenv("NO_PROXY", "inside.invalid,10.0.0.7")

    assert profile_of("vllm", "https://far.invalid/v1").proxy == "http://proxy.invalid:3128"
    assert profile_of("vllm", "http://far.invalid/v1", allow_insecure_http=True).proxy == "http://other.invalid:8080"
    for near in ("https://api.inside.invalid/v1", "http://10.0.0.7/v1", "http://127.0.0.1:1/v1", "http://localhost/v1",
                 "http://[::1]:1/v1"):  # fmt: skip
        assert profile_of("vllm", near).proxy is None
    assert profile_of("mock", None).proxy is None
    assert profile_of("vllm", "http://127.0.0.1:1/v1", proxy="http://p.invalid:1").proxy == "http://p.invalid:1"


def test_it_is_said_before_the_run() -> None:
    profile = profile_of("vllm", "https://far.invalid/v1", proxy="http://p.invalid:1/", http2=True)
    notes = warnings_of([profile], planned(profile, model="m"))

    assert any("the proxy http://p.invalid:1;" in note for note in notes)
    assert any("HTTP/2" in note for note in notes)
    assert all("user clock" in note for note in notes)


@pytest.mark.parametrize(
    "url", ["", "p.invalid:1", "ftp://p.invalid", f"http://me:{PASSWORD}@p.invalid:1", "http://p/x"]
)
def test_a_bad_proxy_is_one_line_that_hides_a_password(url: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profile_of("vllm", None, proxy=url)

    assert str(caught.value).startswith("--proxy ")
    assert "HTTPS_PROXY" in str(caught.value)
    assert "pass-" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("http://user:pa#ss@p.invalid:1", "http://█@p.invalid:1"),
        ("http://user:pa/ss@p.invalid:1", "http://█@p.invalid:1"),
        ("socks5://user:pa?ss@p.invalid:1", "socks5://█@p.invalid:1"),
        ("user:pa#ss@p.invalid:1", "http://█@p.invalid:1"),
        ("user/pa@p.invalid:1", "http://█@p.invalid:1"),
        ("http://user:pa[ss@p.invalid:1", "http://█@p.invalid:1"),
        ("http://user:pass@p.invalid:99999", "http://█@p.invalid:99999"),
        ("user:pa://ss@p.invalid:1", "█@p.invalid:1"),
        ("[::1", "http://[::1"),
    ],
)
def test_a_broken_proxy_of_the_environment_is_one_line_without_what_may_be_a_password(
    value: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(TargetError) as caught:
        profile_of("vllm", "https://far.invalid/v1")

    assert f'ALL_PROXY: "{shown}" isn\'t' in str(caught.value)
    assert proxies.credentials("http://p.invalid:1") is None  # as with --proxy beside it


def test_the_urls_own_variable_says_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP", "ALL", "HTTPS"):
        monkeypatch.setenv(f"{name}_PROXY", f"http://{name}:{PASSWORD}@p.invalid:1")

    address = "http://p.invalid:1"
    assert proxies.credentials(address, "https") == (b"HTTPS", PASSWORD.encode())
    assert proxies.credentials(address, "http") == (b"HTTP", PASSWORD.encode())
    assert {f"{name}:{PASSWORD}" for name in ("HTTP", "ALL", "HTTPS")} < set(proxies.secrets(address))
    monkeypatch.delenv("HTTPS_PROXY")
    assert proxies.credentials(address, "https") == (b"ALL", PASSWORD.encode())


def test_a_bad_proxy_of_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"ftp://me:{PASSWORD}@p.invalid")
    with pytest.raises(TargetError, match=r'^HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: "ftp://p.invalid" isn\'t'):
        profile_of("vllm", "https://far.invalid/v1")


@pytest.mark.parametrize(
    ("how", "says"),
    [({"http2": True}, "embedded"), ({"http2": True, "proxy": "http://p.invalid:1"}, "embedded")],
)
def test_what_cannot_be_spoken_is_refused(how: dict[str, Any], says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        profile_of("mock", None, **how)
    with pytest.raises(ProfileError, match=r"http:// URL through http://p\.invalid:1"):
        profile_of("vllm", "http://far.invalid/v1", proxy="http://p.invalid:1", http2=True)


@pytest.mark.parametrize(
    ("how", "package", "says"),
    [({"http2": True}, "h2", r"--http2 needs .* pip install 'httpx\[http2\]'"),
     ({"proxy": "socks5://p.invalid"}, "socksio", r"--proxy socks5://p.invalid needs .* pip install 'httpx\[socks\]'")],
)  # fmt: skip
def test_a_missing_package_is_said_before_anything_is_sent(
    how: dict[str, Any], package: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(TargetError, match=says):
        profile_of("vllm", None, **how)
