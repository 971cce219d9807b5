"""A description proposes an entry, and says what contradicts it."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from own_tables import ROWS, write_table
from PIL import Image

from affect_data.build.recipe import recipe_from
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.table.describe import Description, describe
from affect_data.errors import DataError


def described(folder: Path, **columns: list[Any]) -> Description:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    write_table(folder / "t.csv", rows)
    return describe(folder / "t.csv")


def test_the_proposal_is_an_entry_that_a_recipe_takes(own: Path) -> None:
    rows = [
        {**row, "emotion": name, "part": split}
        for row, name, split in zip(
            ROWS, ("Happy", "sad", "anger", "fear"), ("train", "val", "test", "test"), strict=True
        )
    ]
    write_table(own / "labels.csv", rows)
    found = describe(own / "labels.csv")
    assert found.questions == []
    assert found.values == {
        "emotion": [("Happy", "happiness", 1), ("anger", "anger", 1), ("fear", "fear", 1), ("sad", "sadness", 1)]
    }
    assert found.entry["columns"]["image"] == {"column": "file", "folder": "pictures"}
    reader = recipe_from({"databases": {"mine": found.entry}}).readers()["mine"]
    scan = reader.read(DatabaseRoot(own))
    assert scan.defects == ()
    assert scan.rows["split"].to_list() == ["train", "validation", "test", "test"]
    assert scan.rows["valence"].to_list() == [-1.0, 0.0, None, 1.0]
    assert scan.rows["au_intensity_12"].to_list() == [2.0, 0.0, 5.0, None]


def test_names_without_their_ending_and_folder_are_found_and_names_that_lead_out_are_not_tried(tmp_path: Path) -> None:
    deep = tmp_path / "own" / "data" / "aligned"
    deep.mkdir(parents=True)
    for name in ("outside.png", "own/data/aligned/p1.png", "own/data/aligned/p2.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    found = described(tmp_path / "own", image_name=["p1", "p2", "p3"], emotion=["happy", "sad", "fear"])
    assert found.entry["columns"]["image"] == {"column": "image_name", "folder": "data/aligned", "suffix": ".png"}
    found = described(tmp_path / "own", image_name=["../outside.png"], emotion=["happy"])
    assert found.entry["columns"]["image"] == "image_name"
    assert found.questions == [
        "image_name: no folder here has '../outside.png': say `folder` or `suffix` under `columns.image`"
    ]


def test_what_is_said_of_people_is_proposed_in_its_own_words(tmp_path: Path) -> None:
    found = described(tmp_path, emotion=["happy", "sad"], age=[31, 999], Gender=["F", "M"], race=["b", "b"])
    columns = found.entry["columns"]
    assert (columns["age"], columns["missing"]) == ("age", {"age": 999})
    assert columns["sex"] == {"column": "Gender", "names": {"F": "F", "M": "M"}}
    assert columns["ethnicity"] == {"column": "race", "names": {"b": "b"}}
    assert found.unread == ()


def test_what_has_to_be_decided_is_asked(tmp_path: Path) -> None:
    found = described(
        tmp_path, path=[f"{n}.jpg" for n in range(4)], label=[0, 1, 2, 3], valence=[0.1, -0.2, 0.3, -99], arousal=[0.1, 0, 0, -99],
        AU01_r=[0, 1, 1, 0], AU02_c=[0, 1, 2, 0], AU4=[0, 1, 9, 0], notes=list("abcd"),
    )  # fmt: skip
    assert found.unread == ("notes",)
    assert found.entry["columns"]["action_units"] == {1: {"intensity": "AU01_r"}, 2: "AU02_c", 4: "AU4"}
    assert found.entry["columns"]["missing"] == {"AU4": 9, "valence": -99, "arousal": -99}
    asked = " | ".join(found.questions)
    for part in (
        "AU01_r is called an intensity and holds 0 and 1 alone", "AU02_c is called occurrence and holds other numbers",
        "AU4: 9 is taken for no label", "valence and arousal go from -0.2 to 0.3: is their range -1 to 1?", "label: say what 0, 1, 2, 3 mean",
    ):  # fmt: skip
        assert part in asked


def test_codes_that_only_number_class_folders_take_their_names(tmp_path: Path) -> None:
    names = ("anger", "happy", "sad")
    found = described(tmp_path, path=[f"{name}/{n}.jpg" for name in names for n in range(2)], label=[0, 0, 1, 1, 2, 2])
    assert found.entry["columns"]["expression"] == {
        "column": "label",
        "names": {"0": "anger", "1": "happiness", "2": "sadness"},
    }
    assert found.questions[1:] == [
        "label numbers the folders of the pictures in alphabetical order, as programs count them: the names are theirs"
    ]


def test_two_values_of_one_class_are_shown(tmp_path: Path) -> None:
    found = described(tmp_path, file=["a.jpg", "b.jpg", "c.jpg"], emotion=["happy", "joy", "sad"])
    assert "emotion: happy and joy would both mean happiness" in found.questions


def test_votes_boxes_and_class_folders_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "votes").mkdir()
    found = described(
        tmp_path / "votes", file=["a.jpg"], happy=[3], sad=[0], fear=[1], left=[0], top=[0], width=[9], height=[9]
    )
    assert found.entry["columns"]["votes"] == {"happiness": "happy", "sadness": "sad", "fear": "fear"}
    assert found.entry["columns"]["face_box_format"] == "corner_and_size"
    (tmp_path / "folders" / "Happy").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "folders" / "Happy" / "1.png")
    folders = describe(tmp_path / "folders")
    assert folders.entry == {"reader": "table", "class_folders": ".", "columns": {}}
    assert folders.values == {"class": [("Happy", "happiness", 1)]}


def test_the_command_prints_it_and_refuses_what_is_no_table(
    own: Path, affect_data: Callable[..., CompletedProcess[str]]
) -> None:
    shown = affect_data("describe", own / "labels.csv")
    assert shown.returncode == 0
    assert "valence_arousal_range" in shown.stdout
    assert "to decide: emotion: say what 0, 1, 3, 9 mean" in shown.stdout
    assert affect_data("describe", own / "nothing.csv").returncode == 1
    (own / "twice.csv").write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="two columns called 'a'"):
        describe(own / "twice.csv")
