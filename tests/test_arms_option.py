"""The sides of a comparison as they are spelt: `--arm`, several `--profile`; every mistake is one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.arms import ArmError, Asked, asked
from loadtests.contradictions import OptionError
from loadtests.options import arm_of
from loadtests.targets import TargetError

COMMON = Asked(model="m", params=("temperature=0",), variables=("region=eu",))


def arms(*spelt: str, common: Asked = COMMON, profiles: tuple[str, ...] = ()) -> list[Asked]:
    return asked(profiles, spelt, common)


# What is understood.


def test_nothing_said_is_one_arm_with_the_embedded_provider() -> None:
    assert asked((), (), Asked()) == [Asked(name="default", profile="mock")]


def test_one_profile_is_one_arm_without_a_name_of_its_own() -> None:
    (one,) = asked(("vllm",), (), COMMON)

    assert (one.name, one.profile, one.model, one.params) == ("default", "vllm", "m", ("temperature=0",))


def test_several_profiles_are_arms_called_like_them() -> None:
    found = asked(("vllm", "sub/folder/mine.toml"), (), COMMON)

    assert [(one.name, one.profile, one.model) for one in found] == [
        ("vllm", "vllm", "m"), ("mine", "sub/folder/mine.toml", "m"),
    ]  # fmt: skip


def test_an_arm_says_what_is_its_own_and_takes_the_rest_from_what_holds_for_all() -> None:
    (one,) = arms(
        "name=fast,profile=vllm,base_url=http://gpu1:8000/v1,proxy=http://p:1,http2=yes,model=big,new_connections=1,"
        "param.temperature=1,param.top_k=5,var.zone=b"
    )

    assert one == Asked(
        "fast", "vllm", "http://gpu1:8000/v1", "http://p:1", http2=True, model="big", new_connections=True,
        params=("temperature=0", "temperature=1", "top_k=5"), variables=("region=eu", "zone=b"),
    )  # fmt: skip


def test_a_profile_beside_arms_holds_for_those_that_name_none() -> None:
    found = arms("name=a", "name=b,profile=openai", profiles=("vllm",))

    assert [one.profile for one in found] == ["vllm", "openai"]


def test_the_params_of_an_arm_win_over_those_of_all() -> None:
    (one,) = arms("name=a,param.temperature=0.5", common=Asked(params=("temperature=0",)))

    assert arm_of(one, one.provider(allow_insecure_http=False)).params == {"temperature": 0.5}


@pytest.mark.parametrize(
    ("spelt", "params"),
    [
        ('name=a,param.stop=["x","y"]', {"stop": ["x", "y"]}),
        ('name=a,param.stop="a,b",param.top_k=1', {"stop": "a,b", "top_k": 1}),
        (r'name=a,param.stop="a\",b"', {"stop": 'a",b'}),
        ('param.logit_bias={"1":2,"3":[4,5]},name=a', {"logit_bias": {"1": 2, "3": [4, 5]}}),
        ('name=a,param.stop="[{"', {"stop": "[{"}),
        ("name=a,param.chat_template_kwargs.x=1", {"chat_template_kwargs.x": 1}),
    ],
)
def test_commas_inside_json_part_nothing(spelt: str, params: dict[str, object]) -> None:
    (one,) = arms(spelt, common=Asked(model="m"))

    assert arm_of(one, one.provider(allow_insecure_http=False)).params == params


@given(st.lists(st.text(max_size=20), min_size=1, max_size=3))
def test_whatever_is_spelt_is_arms_or_one_line(spelt: list[str]) -> None:
    try:
        found = arms(*spelt)
    except ArmError as error:
        said = str(error)
    else:
        assert len({one.name for one in found}) == len(spelt)
        return
    assert len(said.splitlines()) == 1


# What is not.


@pytest.mark.parametrize(
    ("spelt", "says"),
    [
        (("",), "'' isn't KEY=VALUE; for example --arm 'name=fast"),
        (("fast",), "'fast' isn't KEY=VALUE"),
        (("name=a,",), "'' isn't KEY=VALUE"),
        (("name=a,model",), "'model' isn't KEY=VALUE"),
        (("name=a,modle=m",), "'modle' isn't one of"),
        (("name=a,rate=5",), "'rate' isn't one of"),
        (("name=a,param.=5",), "'param.' isn't one of"),
        (("name=a,var.=5",), "'var.' isn't one of"),
        (("name=a,Model=m",), "'Model' isn't one of"),
        (("model=m",), "has no name; it needs up to 40 letters, digits, dots, dashes"),
        (("name=",), "has no name"),
        (("name=a b",), "name 'a b' isn't up to 40 letters, digits, dots, dashes"),
        (("name=../x",), "name '../x' isn't"),
        (("name=-x",), "name '-x' isn't"),
        ((f"name={'x' * 41}",), "isn't up to 40"),
        (("name=a,http2=maybe",), "http2 'maybe' isn't one of [true, yes, 1, false, no, 0]"),
        (("name=a,new_connections=",), "new_connections '' isn't one of"),
        (("name=a", "name=b", "name=a,model=x"), 'there are two arms called "a"; names must differ'),
    ],
)
def test_a_mistake_in_an_arm_is_one_line(spelt: tuple[str, ...], says: str) -> None:
    with pytest.raises(ArmError) as raised:
        arms(*spelt)
    assert says in str(raised.value)
    assert str(raised.value).startswith("--arm ")
    assert "\n" not in str(raised.value)


def test_a_key_close_to_one_is_guessed() -> None:
    with pytest.raises(ArmError, match="did you mean") as raised:
        arms("name=a,modle=m")
    assert "model" in str(raised.value)


@pytest.mark.parametrize(
    ("profiles", "spelt", "common", "says"),
    [
        (("vllm", "openai"), ("name=a",), Asked(), "--arm and several --profile exclude each other; name the profile"),
        (("vllm", "vllm"), (), Asked(), "--profile vllm is given twice; arms of one profile need names: --arm"),
        (("a/x.toml", "b/x.toml"), (), Asked(), "--profile x is given twice; arms of one profile need names"),
        (("vllm", "openai"), (), Asked(base_url="http://h/v1"), "--base-url would send every --profile to one server"),
    ],
)
def test_sides_that_cannot_be_told_apart_are_one_line(
    profiles: tuple[str, ...], spelt: tuple[str, ...], common: Asked, says: str
) -> None:
    with pytest.raises(ArmError) as raised:
        asked(profiles, spelt, common)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("spelt", "says"),
    [
        ("name=a,param.temperature=warm", "is not JSON"),
        ("name=a,param.model=x", "--param model: has an option of its own"),
        ("name=a,model=", "--model '' is empty"),
        ('name=a,param.stop="x', "is not JSON"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_one_line(spelt: str, says: str) -> None:
    (one,) = arms(spelt, common=Asked())
    with pytest.raises(OptionError) as raised:
        arm_of(one, one.provider(allow_insecure_http=False))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_address_that_is_none_is_one_line() -> None:
    (one,) = arms("name=a,profile=vllm,base_url=nowhere", common=Asked(model="m"))
    with pytest.raises((TargetError, ValueError), match="nowhere") as raised:
        one.provider(allow_insecure_http=False)
    assert "\n" not in str(raised.value)


def test_an_empty_address_is_no_silent_default() -> None:
    """A shell variable that is not set must not send the load to the profile's own address."""
    (one,) = arms("name=a,profile=vllm,base_url=", common=Asked(model="m"))
    with pytest.raises((TargetError, ValueError)) as raised:
        one.provider(allow_insecure_http=False)
    assert "\n" not in str(raised.value)
