"""Statistics of a dataset that is small enough to count by hand."""

import math
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.statistics.statistics import Statistics, statistics

# Action units 1 2 4 6 7 10 12 15 23 24 25 26; expressions 0 neutral, 1 anger, 4 happiness; -5 and -1 are missing.
HEADER = "image,valence,arousal,expression,aus\n"
NO_AU = ",".join(["-1"] * 12)
TRAIN = (
    "video1/00001.jpg,0.5,-0.5,4,0,0,0,1,0,0,1,0,0,0,1,0",
    "video1/00002.jpg,-0.5,0.5,1,0,0,1,0,1,0,0,0,0,0,0,0",
    f"video1/00003.jpg,0.9,0.1,-1,{NO_AU}",
    f"video1/00004.jpg,-5,-5,4,{NO_AU}",
)
VALIDATION = ("video2/00001.jpg,-5,-5,-1,0,0,0,0,0,0,1,0,0,0,0,0",)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, make_expw: Callable[..., Path]) -> Statistics:
    folder = tmp_path_factory.mktemp("statistics")
    root = folder / "affwild2"
    for name, lines in (("training", TRAIN), ("validation", VALIDATION)):
        for line in lines:
            picture = root / "cropped_aligned" / line.partition(",")[0]
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8)).save(picture)
        (root / f"{name}_set_annotations.txt").write_text(HEADER + "".join(f"{line}\n" for line in lines))
    expw = make_expw(folder / "expw", faces=5, expressions=[3, 3, 6, 0, 3])
    recipe = recipe_from({"databases": {"affwild2": {}, "expw": {}}}, "x")
    return statistics(
        build(recipe, {"affwild2": root, "expw": expw}, folder / "merged", accept_incomplete=True).dataset
    )


def test_coverage_counts_rows_by_database_split_and_task(found: Statistics) -> None:
    columns = ["database", "split", "rows", "au", "expression", "va", "compound_expression", "any_label", "all_three"]
    assert found.coverage.select(columns).rows() == [
        ("affwild2", "train", 4, 2, 3, 3, 0, 4, 2),
        ("affwild2", "validation", 1, 1, 0, 0, 0, 1, 0),
        ("expw", "train", 5, 0, 5, 0, 0, 5, 0),
    ]


def test_action_units_count_labels_and_presence(found: Statistics) -> None:
    table = {row["action_unit"]: row for row in found.action_units.iter_rows(named=True)}
    assert sorted(table) == [1, 2, 4, 6, 7, 10, 12, 15, 23, 24, 25, 26]
    assert {number: row["present"] for number, row in table.items() if row["present"]} == {
        4: 1,
        6: 1,
        7: 1,
        12: 2,
        25: 1,
    }
    assert all((row["labelled"], row["with_intensity"]) == (3, 0) for row in table.values())
    assert table[12]["rate"] == pytest.approx(2 / 3)
    assert table[1]["rate"] == 0


def test_expressions_count_every_class_also_empty_ones(found: Statistics) -> None:
    assert dict(found.expressions.select("expression", "rows").rows()) == {
        "neutral": 1, "anger": 2, "disgust": 0, "fear": 0, "happiness": 5, "sadness": 0, "surprise": 0, "contempt": 0, "other": 0,
    }  # fmt: skip


def test_valence_and_arousal_have_mean_and_deviation_over_labelled_rows_alone(found: Statistics) -> None:
    train = found.valence_arousal.filter(split="train").row(0, named=True)
    assert train["rows"] == 3
    assert train["valence_mean"] == pytest.approx((0.5 - 0.5 + 0.9) / 3)
    assert train["arousal_mean"] == pytest.approx(0.1 / 3)
    mean = 0.3
    assert train["valence_std"] == pytest.approx(
        math.sqrt(((0.5 - mean) ** 2 + (0.5 + mean) ** 2 + (0.9 - mean) ** 2) / 3)
    )
    validation = found.valence_arousal.filter(split="validation")
    assert validation.is_empty() or validation.row(0, named=True)["rows"] == 0


def test_complete_cases_are_few(found: Statistics) -> None:
    assert found.complete_case["labelled"] == 10
    assert found.complete_case["complete"] == 2
    assert found.complete_case["lost_share"] == pytest.approx(0.8)


def test_no_compound_expression_is_no_line(found: Statistics) -> None:
    assert found.compound_expressions.is_empty()


def test_the_json_form_is_plain_and_complete(found: Statistics) -> None:
    import json

    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["complete_case"]["complete"] == 2
    assert len(document["coverage"]) == 3
    assert isinstance(found.coverage, pl.DataFrame)
