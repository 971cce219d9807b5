"""Every recipe of the project validates, says how it is run, and names no folder of a machine."""

from pathlib import Path

import pytest
import yaml

RECIPES = Path(__file__).parents[1] / "recipes"
# `arms.yaml` is the input of a program beside it, whose tests read it.
FILES = sorted(path for path in RECIPES.rglob("*.y*ml") if path.name != "arms.yaml")
NAMES = [path.relative_to(RECIPES).as_posix() for path in FILES]


def loaded(path: Path) -> dict[str, object]:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(values, dict)
    return values


def kind_of(path: Path) -> str:
    if path.parent.name in ("accelerate", "teachers"):
        return path.parent.name
    if path.name == "study.yaml":
        return "study"
    return "data" if "databases" in loaded(path) else "training" if "tasks" in loaded(path) else "unknown"


def test_there_are_recipes_of_data_for_the_demo_and_for_real_faces() -> None:
    assert {"demo/data.yaml", "ferplus/data.yaml"} <= set(NAMES)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_recipe_validates_as_what_it_is(path: Path) -> None:
    kind = kind_of(path)
    if kind == "data":
        from affect_data.build.recipe import read_recipe

        recipe = read_recipe(path)
        assert recipe.databases
        assert all(options.root is None for options in recipe.databases.values())
    elif kind == "training":
        from affect_train.recipe.recipe import read_recipe as read_training_recipe

        assert read_training_recipe(path).tasks
    elif kind == "study":
        from affect_train.study import read_study

        assert read_study(path).claims
    elif kind == "teachers":
        from affect_train.labelling.teachers.description import read_description

        assert read_description(path).task_set().names
    else:
        assert kind == "accelerate", f"{path.name} has neither the key `databases` nor `tasks`"
        from accelerate.commands.config.config_args import load_config_from_file

        assert load_config_from_file(str(path)).distributed_type is not None


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_the_header_of_a_recipe_holds_the_command_that_runs_it(path: Path) -> None:
    header = [line for line in path.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if line.startswith("#")]
    place = f"recipes/{path.relative_to(RECIPES).as_posix()}"
    assert any(place in line and line.split()[1] in ("affect-data", "affect-train", "accelerate") for line in header)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_recipe_names_no_folder_of_a_machine(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not any(part.startswith(("/", "~")) for part in line.split())
