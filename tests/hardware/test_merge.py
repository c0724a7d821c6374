"""The arithmetic of `extends`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from baichuan_cli.hardware.merge import extend

names = st.sampled_from(["dtype", "seed", "A", "B"])
values = st.one_of(st.integers(), st.text(max_size=3), st.fixed_dictionaries({"value": st.integers()}))
entries = st.dictionaries(names, values, max_size=3)
conditions = st.lists(
    st.fixed_dictionaries({"vllm": st.just(">=0.9")}, optional={"settings": entries, "environment": entries}),
    max_size=3,
)
profiles = st.fixed_dictionaries(
    {},
    optional={
        "title": st.text(max_size=3),
        "hardware": st.fixed_dictionaries(
            {}, optional={"memory_gib": st.integers(1, 99), "forbidden_quantizations": entries}
        ),
        "settings": entries,
        "environment": entries,
        "conditions": conditions,
    },
)


@given(profiles)
def test_extending_nothing_changes_nothing(profile: dict[str, Any]) -> None:
    assert extend({}, profile) == profile
    assert extend(profile, {}) == profile


@given(profiles, profiles)
def test_what_the_child_says_plainly_holds_under_every_condition_of_the_parent(
    parent: dict[str, Any], child: dict[str, Any]
) -> None:
    merged = extend(parent, child)
    inherited = merged.get("conditions", [])[: len(parent.get("conditions", []))]
    for section in ("settings", "environment"):
        for name, value in child.get(section, {}).items():
            assert merged[section][name] == value
            assert all(name not in condition.get(section, {}) for condition in inherited)


@given(profiles, profiles)
def test_nothing_of_the_parent_is_lost_unless_the_child_says_it_too(
    parent: dict[str, Any], child: dict[str, Any]
) -> None:
    merged = extend(parent, child)
    for section in ("settings", "environment"):
        for name, value in parent.get(section, {}).items():
            assert merged[section][name] == child.get(section, {}).get(name, value)
    assert len(merged.get("conditions", [])) == len(parent.get("conditions", [])) + len(child.get("conditions", []))


@given(profiles, profiles, profiles)
def test_a_chain_can_be_folded_from_either_end(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert extend(extend(a, b), c) == extend(a, extend(b, c))


@given(profiles, profiles)
def test_the_sources_stay_as_they_were(parent: dict[str, Any], child: dict[str, Any]) -> None:
    before = repr((parent, child))
    extend(parent, child)
    assert repr((parent, child)) == before


def test_null_takes_an_entry_away_wherever_the_parent_has_it() -> None:
    parent = {
        "hardware": {"memory_gib": 64, "forbidden_quantizations": {"awq": "no", "fp8": "no"}},
        "settings": {"dtype": "float16"},
        "conditions": [{"vllm": "<0.9", "settings": {"dtype": "float32", "seed": 1}}],
    }
    child = {
        "hardware": {"memory_gib": None, "forbidden_quantizations": {"awq": None}},
        "settings": {"dtype": None},
    }
    assert extend(parent, child) == {
        "hardware": {"forbidden_quantizations": {"fp8": "no"}},
        "settings": {},
        "conditions": [{"vllm": "<0.9", "settings": {"seed": 1}}],
    }


def test_null_for_what_only_a_condition_of_the_parent_says() -> None:
    parent = {"conditions": [{"environment": {"A": 1, "B": 2}}]}
    assert extend(parent, {"environment": {"A": None}}) == {
        "environment": {},
        "conditions": [{"environment": {"B": 2}}],
    }


def test_a_preference_is_replaced_as_a_whole() -> None:
    parent = {"settings": {"dtype": {"value": "float16", "because": "old reason"}}}
    assert extend(parent, {"settings": {"dtype": "bfloat16"}}) == {"settings": {"dtype": "bfloat16"}}
