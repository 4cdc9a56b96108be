"""Whom a run speaks to: near or far, by which way, and never over plain http into the world by accident."""

from __future__ import annotations

import pytest

from loadtests.guard import masked
from loadtests.profiles import ProfileError, load
from loadtests.targets import TargetError, is_local, profile_of


@pytest.mark.parametrize(
    ("url", "local"),
    [("http://127.0.0.1:1/v1", True), ("http://localhost:1/v1", True), ("http://[::1]:1/v1", True),
     ("http://10.0.0.7/v1", True), ("http://vllm:8000/v1", True), ("https://api.example.com/v1", False),
     ("https://8.8.8.8/v1", False)],
)  # fmt: skip
def test_what_is_local_stays_in_the_house(url: str, local: bool) -> None:
    assert is_local(profile_of("vllm", url)) is local


def test_the_mock_elsewhere_is_not_started_here() -> None:
    profile = profile_of("mock", "http://127.0.0.1:9/v1")

    assert not profile.embedded
    assert profile.url == "http://127.0.0.1:9/v1/chat/completions"


def test_plain_http_into_the_world_has_to_be_meant() -> None:
    with pytest.raises(TargetError, match=r"http://far\.invalid/v1 is plain http.*--allow-insecure-http"):
        profile_of("vllm", "http://far.invalid/v1")

    assert profile_of("vllm", "http://far.invalid/v1", allow_insecure_http=True).base_url == "http://far.invalid/v1"
    assert profile_of("vllm", "http://10.1.2.3/v1").base_url == "http://10.1.2.3/v1"


def test_variables_fill_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_RESOURCE", raising=False)
    profile = profile_of("azure", variables=["resource=mine", "deployment=fast"])

    assert profile.url.startswith("https://mine.openai.azure.com/openai/deployments/fast/chat/completions?api-version=")
    with pytest.raises(ProfileError, match="--var"):
        profile_of("azure", variables=["deployment=fast"])
    with pytest.raises(TargetError, match="write NAME=VALUE"):
        profile_of("azure", variables=["mine"])


def test_what_is_complained_of_later_holds_no_key_even_an_unsound_one(monkeypatch: pytest.MonkeyPatch) -> None:
    key = " two words, and so no key "
    monkeypatch.setenv("OPENAI_API_KEY", key)

    assert profile_of("openai").secrets({"OPENAI_API_KEY": key}) == [key.strip()]
    assert masked(f"saw{key}here") == "saw █ here"
    assert load("mock").secrets({"OPENAI_API_KEY": key}) == load("vllm").secrets({}) == []
