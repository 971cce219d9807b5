"""The reader of recipes: what every kind of file has in common."""

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from affect_data.errors import RecipeError, UsageError
from affect_data.recipe_file import (
    DATA_RECIPE,
    DATASET_DESCRIPTION,
    STUDY,
    TEACHER_DESCRIPTION,
    TRAINING_RECIPE,
    FileKind,
    RecipeText,
    parse_recipe_text,
    read_recipe_text,
    validated,
    validation,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: Annotated[int, Field(ge=1)] = 1
    share: float = 0.5
    names: tuple[str, ...] = ()


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    inner: Inner = Inner()
    count: int = 3
    on: bool = False

    @field_validator("title")
    @classmethod
    def _is_lower_case(cls, title: str) -> str:
        if not title:
            raise ValueError("is empty; give a name")
        return title.lower()


def text_of(text: str, *overrides: str, kind: FileKind = STUDY) -> RecipeText:
    return parse_recipe_text(text, "x.yaml", kind, overrides)


def mistakes(text: str, *overrides: str) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        validated(Outer, text_of(text, *overrides))
    return caught.value.mistakes


def test_a_file_becomes_its_model() -> None:
    found = validated(Outer, text_of("title: A\ninner: {size: 2, names: [x]}\non: true\n"))
    assert found == Outer(title="a", inner=Inner(size=2, names=("x",)), on=True)


def test_all_mistakes_come_at_once_with_their_lines() -> None:
    assert mistakes('title: ""\ninner:\n  sise: 2\n  share: "1"\n  share: 2\ncount: true\n', "on=yes", "a.b") == (
        "x.yaml:5: inner.share: written twice, first in line 4; remove one",
        "command line: 'a.b' is no override; write key=value, for example optimizer.learning_rate=1e-4",
        "x.yaml:1: title: is empty; give a name",
        "x.yaml:3: inner.sise: unknown key; did you mean 'size'? known: size, share, names",
        "x.yaml:6: count: found True; expected a valid integer",
        "command line: on: found 'yes'; expected a valid boolean",
    )


def test_a_missing_key_is_told_with_the_section_that_lacks_it() -> None:
    assert mistakes("count: 1\n") == ("title: missing; the recipe has to say it",)


def test_what_is_no_list_or_mapping_is_told_in_the_words_of_a_recipe() -> None:
    assert mistakes("title: a\ninner: 3\n") == ("x.yaml:2: inner: found 3; expected `key: value` entries",)
    assert mistakes("title: a\ninner: {names: b}\n") == ("x.yaml:2: inner.names: found 'b'; expected a list",)


@pytest.mark.parametrize(("written", "count"), [("1e3", 1000), ("6e1", 60), ("2.0", 2), ("0x10", 16), ("0o17", 15)])
def test_a_whole_number_may_be_written_in_any_way(written: str, count: int) -> None:
    for text in (text_of(f"title: a\ncount: {written}\n"), text_of("title: a\n", f"count={written}")):
        found = validated(Outer, text)
        assert (found.count, type(found.count)) == (count, int)


@pytest.mark.parametrize("written", ["1.5", "1e-3", "1e30", ".inf", ".nan", "'3'", "yes", "1_000"])
def test_what_is_no_whole_number_is_none(written: str) -> None:
    (found,) = mistakes(f"title: a\ncount: {written}\n")
    assert found.startswith("x.yaml:2: count: found ")


def test_rules_see_the_valid_parts_and_name_lines_themselves() -> None:
    seen: list[dict[str, Any]] = []

    def rules(sections: Any) -> Any:
        seen.append(sections)
        yield ("inner", "size"), "is odd"

    with pytest.raises(RecipeError) as caught:
        validated(Outer, text_of("title: a\ninner:\n  size: 3\ncount: x\n"), rules)
    assert caught.value.mistakes == (
        "x.yaml:4: count: found 'x'; expected a valid integer",
        "x.yaml:3: inner.size: is odd",
    )
    assert seen == [{"title": "a", "inner": Inner(size=3), "on": False}]


def test_a_part_is_validated_by_itself_and_told_with_its_whole_path() -> None:
    text = text_of("parts:\n  one: {size: 0}\n  two:\n  three: no\n")
    assert validation(Inner, text.part("parts", "one")).mistakes == [
        "x.yaml:2: parts.one.size: found 0; expected greater than or equal to 1"
    ]
    assert validation(Inner, text.part("parts", "two")).result == Inner()
    assert validation(Inner, text.part("parts", "three")).mistakes == [
        "x.yaml:4: parts.three: found 'no'; expected `key: value` entries"
    ]


def test_a_mistake_of_the_text_is_not_forgotten_where_a_part_is_read() -> None:
    with pytest.raises(RecipeError, match=r"x\.yaml:3: part\.size: written twice"):
        validated(Inner, text_of("part:\n  size: 1\n  size: 2\n").part("part"))


# ---------------------------------------------------------------- overrides


def test_overrides_are_yaml_and_make_the_sections_that_they_reach_into() -> None:
    text = text_of("title: a\n", "inner.size=2", "inner.names=[x, no]", "count=1e1", "title=b=c")
    assert text.values == {"title": "b=c", "inner": {"size": 2, "names": ["x", "no"]}, "count": 10.0}


def test_an_override_takes_the_place_of_the_line() -> None:
    assert mistakes("title: a\ninner:\n  size: 1\n", "inner={size: 0, sise: 1}") == (
        "command line: inner.size: found 0; expected greater than or equal to 1",
        "command line: inner.sise: unknown key; did you mean 'size'? known: size, share, names",
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("count", "command line: 'count' is no override; write key=value"),
        (".count=1", "command line: '.count=1' is no override; write key=value"),
        ("count=[1", "command line: count: '[1' is no YAML value; quote it, or close its brackets"),
        ("inner=&x [*x]", "command line: inner: '&x [*x]' is no YAML value"),
        ("inner={size: 1, size: 2}", "command line: inner.size: written twice; remove one"),
        ("title.deep=1", "command line: title.deep: title is 'a', so it has no key 'deep'"),
    ],
)
def test_an_override_that_cannot_be_applied_is_a_mistake(override: str, message: str) -> None:
    assert mistakes("title: a\n", override)[0].startswith(message)


# ---------------------------------------------------------------- files


def test_a_file_that_does_not_exist_is_the_fault_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"study '.*none\.yaml' does not exist; recipes of the project are under"):
        read_recipe_text(tmp_path / "none.yaml", STUDY)
    with pytest.raises(UsageError, match=r"study '.*' cannot be read: .*directory; name a YAML file"):
        read_recipe_text(tmp_path, STUDY)


@pytest.mark.parametrize(
    ("text", "kind", "reader"),
    [
        ("databases: {}\n", TRAINING_RECIPE, "a data recipe, which `affect-data check` reads; expected a training recipe"),
        ("tasks: 1\nmodel: 1\n", DATA_RECIPE, "a training recipe, which `affect-train validate` reads; expected a data recipe"),
        ("steps: 1\nscores: 1\n", TRAINING_RECIPE, "a study, which `affect-train study` reads"),
        ("format: onnx\nfile: x\n", STUDY, "a teacher description, which `affect-train label` reads; expected a study"),
        ("databases: {}\n", DATASET_DESCRIPTION, "a data recipe, which `affect-data check` reads; expected a dataset description"),
        ("tasks: 1\nmodel: 1\n", TEACHER_DESCRIPTION, "a training recipe, which"),
    ],
)  # fmt: skip
def test_another_kind_of_file_is_named_as_what_it_is(text: str, kind: FileKind, reader: str) -> None:
    with pytest.raises(RecipeError, match=rf"x\.yaml:1: \w+: found the key of {reader}"):
        text_of(text, kind=kind)


def test_a_file_with_the_keys_of_two_kinds_is_read_as_what_was_asked_for() -> None:
    both = "databases: {}\ntasks: 1\nmodel: 1\n"
    assert text_of(both, kind=DATA_RECIPE).mistakes == text_of(both, kind=TRAINING_RECIPE).mistakes == []


def test_the_dataset_of_a_training_recipe_is_a_dataset_description() -> None:
    assert text_of("dataset: {path: x}\ntasks: 1\nmodel: 1\n", kind=DATASET_DESCRIPTION).values["dataset"] == {
        "path": "x"
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["title", "inner", "size", "names", "count"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_whatever_stands_in_a_file_it_becomes_its_model_or_is_refused_with_the_file(values: object) -> None:
    try:
        said = validated(Outer, text_of(json.dumps(values))).title
    except RecipeError as error:
        said = "" if not error.mistakes else str(error).partition("x.yaml: ")[2]
    assert said
