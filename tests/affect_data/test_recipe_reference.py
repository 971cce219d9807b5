"""The references of recipes are those of the code, and say something of every key."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, Field

from affect_data.build.pages import data_recipe_page, data_recipe_schema
from affect_data.databases.registry import DATABASES
from affect_data.databases.table.options import TableOptions
from affect_data.recipe_reference import Key, keys_of, table_of
from affect_train.recipe.methods.registry import registered
from affect_train.recipe.pages import training_recipe_page, training_recipe_schema
from affect_train.recipe.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]


class Inner(BaseModel):
    width: int = Field(3, ge=1, description="in pixels")
    names: tuple[str, ...] = Field(description="of the rows")


class Outer(BaseModel):
    inner: Inner | None = Field(None, description="what lies in it")
    shares: dict[str, float] = Field({}, description="by name | or not")


def test_keys_of_sections_stand_below_them() -> None:
    assert keys_of(Outer, "top.") == [
        Key("top.inner", "a section or null", "`null`", "what lies in it"),
        Key("top.inner.width", "a whole number, at least 1", "`3`", "in pixels"),
        Key("top.inner.names", "a list of text", "must be given", "of the rows"),
        Key("top.shares", "a mapping of names to a number", "`{}`", "by name | or not"),
    ]
    assert (
        table_of(Outer).splitlines()[-1] == "| `shares` | a mapping of names to a number | `{}` | by name \\| or not |"
    )


@pytest.mark.parametrize(
    ("page", "written"), [("data-recipe.md", data_recipe_page), ("training-recipe.md", training_recipe_page)]
)
def test_the_pages_are_those_of_the_code(page: str, written: object) -> None:
    assert (ROOT / "docs" / page).read_text() == written(), "run `make docs`"


def test_every_key_of_a_training_recipe_is_described() -> None:
    sections = [Recipe, *registered()]
    assert not [key.name for section in sections for key in keys_of(section) if not key.description]


def test_every_option_of_a_database_is_described() -> None:
    options = [TableOptions, *(database.Options for database in DATABASES.values())]
    assert not [(own.__name__, key.name) for own in options for key in keys_of(own) if not key.description]


def test_the_schemas_know_the_keys_of_the_demo_recipes() -> None:
    data = yaml.safe_load((ROOT / "recipes/demo/data.yaml").read_text())
    schema = data_recipe_schema()
    assert set(data) <= set(schema["properties"])
    known = schema["properties"]["databases"]["properties"]
    for name, options in data["databases"].items():
        assert set(options) <= set(known[name]["properties"])
    training = yaml.safe_load((ROOT / "recipes/demo/student.yaml").read_text())
    schema = training_recipe_schema()
    assert set(training) <= set(schema["properties"])
    assert {choice["properties"]["name"]["default"] for choice in schema["properties"]["method"]["anyOf"]} >= {
        "supervised",
        "distillation",
        "meta_auxiliary",
    }
