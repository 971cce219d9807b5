"""Side groups that a database declares: typed, stored only where they are declared, and whole in every way that a dataset goes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pytest
from datasets import ClassLabel, List, Value, load_from_disk
from PIL import Image

import affect_data
from affect_data.audit.run import run_audits
from affect_data.build.build import OutputTakenError, build
from affect_data.build.check import check
from affect_data.build.content import differences
from affect_data.build.diff import diff
from affect_data.build.recipe import DataRecipe, recipe_from
from affect_data.corrections.decisions import Decision, Labels
from affect_data.corrections.versions import apply_decisions, undo_version
from affect_data.databases.base import Database, Licence, Tier
from affect_data.databases.registry import DATABASES
from affect_data.databases.root import DatabaseRoot
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import LOCK, DatasetFolder, open_dataset
from affect_data.errors import DataError, DefectsFoundError, UnknownNameError
from affect_data.report.page import write_report
from affect_data.statistics.statistics import statistics

GIVEN = {
    "age": pl.Float64, "age_band": pl.String, "sex": pl.String, "ethnicity": pl.String, "side_12": pl.String, "side_1": pl.String,
    "native_expression": pl.String, "timestamp": pl.Float64, "au_12": pl.Int8, "au_1": pl.Int8, "score_comfort": pl.Float64,
}  # fmt: skip


class Panel(Database):
    """Panel: made-up faces with all that a database can say beside the labels.

    Official layout::

        rows.json      a list of rows
    """

    name = "panel"
    title = "Panel"
    homepage = "https://panel.example/"
    citation = "@misc{doe2026panel,\n  title = {Panel},\n  author = {Doe},\n  year = {2026}\n}"
    licence = Licence("made up for a test", publishes=Tier.RECIPE, url="https://panel.example/")
    source_family = "panel"
    action_units = (1, 12)
    expressions = ("happiness", "neutral")
    people = MappingProxyType(
        {"age": (), "age_band": ("young", "old"), "sex": ("female", "male", "unsure"), "ethnicity": ("A", "B")}
    )
    action_unit_sides = (1, 12)
    native_expressions = ("delighted", "content", "bored")
    rater_labels = ("expression", "va", "au")
    has_timestamps = True
    scores = MappingProxyType({"comfort": "how comfortable the person says to be"})

    def scan(self, root: DatabaseRoot) -> pl.DataFrame:
        """The rows as the file has them."""
        rows = json.loads(root.read_document("rows.json"))
        names = dict.fromkeys(name for row in rows for name in row)
        kinds = {name: kind for name, kind in GIVEN.items() if name in names}
        if "raters" in names:
            fields = {"rater": pl.String, "expression": pl.String, "valence": pl.Float64, "arousal": pl.Float64}
            kinds["raters"] = pl.List(pl.Struct({**fields, "au_12": pl.Int64}))
        full = [dict.fromkeys(names) | row for row in rows]
        frame = pl.DataFrame(full, schema_overrides=kinds, infer_schema_length=None)
        return frame.with_columns(source_file=pl.lit("rows.json"), source_line=pl.int_range(1, pl.len() + 1))


ANN = {"rater": "ann", "expression": "happiness", "valence": 0.5, "arousal": -0.25, "au_12": 1}
BEN = {"rater": "ben", "expression": "neutral", "valence": None, "arousal": None, "au_12": None}
ROWS: list[dict[str, Any]] = [
    {
        "image": "0.png", "subject": "s", "track": "t", "frame": 0, "timestamp": 0.0, "expression": "happiness", "au_12": 1, "au_1": 0,
        "age": 31.0, "age_band": "old", "sex": "female", "ethnicity": "B", "side_12": "left", "native_expression": "delighted",
        "raters": [ANN, BEN], "score_comfort": 7.5,
    },
    {"image": "1.png", "subject": "s", "track": "t", "frame": 1, "timestamp": 0.04, "au_12": 1, "sex": "unsure", "raters": [BEN]},
    {"image": "2.png", "subject": "s", "track": "t", "frame": 2, "timestamp": None, "au_12": 0, "native_expression": "bored"},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATABASES, "panel", Panel)


def write_panel(root: Path, rows: list[dict[str, Any]]) -> Path:
    root.mkdir(parents=True)
    for row in rows:
        Image.new("RGB", (8, 8), (int(row["image"][0]) * 20, 9, 9)).save(root / row["image"])
    (root / DRAWN_MARKER).write_text("made up\n")
    (root / "rows.json").write_text(json.dumps(rows))
    return root


def changed(row: int, **values: object) -> list[dict[str, Any]]:
    return [{**given, **(values if place == row else {})} for place, given in enumerate(ROWS)]


@pytest.fixture
def recipe() -> DataRecipe:
    return recipe_from({"databases": {"panel": {}, "expw": {}}, "workers": 1}, "data.yaml")


@pytest.fixture
def roots(tmp_path: Path, make_expw: Callable[..., Path]) -> dict[str, Path]:
    return {"panel": write_panel(tmp_path / "panel", ROWS), "expw": make_expw(tmp_path / "expw", faces=2)}


@pytest.fixture
def dataset(recipe: DataRecipe, roots: dict[str, Path], tmp_path: Path) -> DatasetFolder:
    return build(recipe, roots, tmp_path / "merged").dataset


GROUPS = ("au_side", "comfort", "native", "people", "raters", "time")


def test_every_group_is_a_dataset_by_itself_with_types_and_masks(dataset: DatasetFolder) -> None:
    assert dataset.groups("train") == tuple(sorted((*GROUPS, "images", "labels")))
    alone = {group: load_from_disk(str(dataset.path / "train" / group)) for group in GROUPS}
    assert alone["people"].features == {
        "age": Value("float32"),
        "age_mask": Value("bool"),
        "age_band": ClassLabel(names=["young", "old"]),
        "age_band_mask": Value("bool"),
        "sex": ClassLabel(names=["female", "male", "unsure"]),
        "sex_mask": Value("bool"),
        "ethnicity": ClassLabel(names=["A", "B"]),
        "ethnicity_mask": Value("bool"),
    }
    assert alone["au_side"].features == {"au_side": {"AU1": Value("int8"), "AU12": Value("int8")}}
    assert alone["time"].features == {"timestamp": Value("float64")}
    assert alone["comfort"].features == {"comfort": Value("float32")}
    told = alone["raters"].features["raters"]
    assert isinstance(told, List)
    assert told.feature["au"] == {"AU1": Value("int8"), "AU12": Value("int8")}
    assert {len(rows) for rows in alone.values()} == {5}


def test_what_was_given_is_what_is_read_and_other_databases_have_none(dataset: DatasetFolder) -> None:
    labels = dataset.labels("train", ["uid", "database"], side=GROUPS)
    panel = labels.filter(database="panel")
    assert panel["sex"].to_list() == ["female", "unsure", ""]
    assert panel["sex_mask"].to_list() == [True, True, False]
    assert panel["age"].to_list()[:1] == [31.0]
    assert panel["age_mask"].to_list() == [True, False, False]
    assert panel["ethnicity"].to_list() == ["B", "", ""]
    assert panel["native_expression"].to_list() == ["delighted", "", "bored"]
    assert panel["timestamp"].fill_nan(None).to_list() == [0.0, 0.04, None]
    assert panel["comfort"].fill_nan(None).to_list() == [7.5, None, None]
    first, second = panel["raters"][0]
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert first == {"rater": "ann", "expression": 4, "valence": 0.5, "arousal": -0.25, "au": {"AU1": -1, "AU12": 1}}
    assert second == {"rater": "ben", "expression": 0, "valence": nan, "arousal": nan, "au": {"AU1": -1, "AU12": -1}}
    assert panel["raters"].list.len().to_list() == [2, 1, 0]
    other = labels.filter(database="expw").select(pl.exclude("uid", "database"))
    assert not other.select(pl.selectors.ends_with("_mask")).to_numpy().any()
    assert not np.isfinite(other.select("age", "timestamp", "comfort").to_numpy()).any()
    assert other["raters"].list.len().sum() == 0
    assert (other["au_side"].to_numpy() == -1).all()


def test_an_action_unit_of_a_row_has_its_side(dataset: DatasetFolder) -> None:
    for rows in (
        list(affect_data.load_dataset(dataset.path, "train", side=["au_side"])),
        dataset.labels("train", side=["au_side"]).rows(named=True),
    ):
        panel = [row for row in rows if row["uid"].startswith("panel")]
        assert [affect_data.action_unit(row, 12).side for row in panel] == ["left", None, None]
        assert [affect_data.action_unit(row, 12).occurrence for row in panel] == [1, 1, 0]
        assert [affect_data.action_unit(row, 1).occurrence for row in panel] == [0, None, None]
        assert affect_data.action_unit(panel[0], 12).name == "lip corner puller"


def test_a_dataset_of_other_databases_has_no_such_group(roots: dict[str, Path], tmp_path: Path) -> None:
    alone = recipe_from({"databases": {"expw": {}}, "workers": 1}, "data.yaml")
    folder = build(alone, roots, tmp_path / "alone").dataset
    assert folder.groups("train") == ("images", "labels")
    with pytest.raises(UnknownNameError, match=r"unknown side group of .* 'people'"):
        folder.labels("train", side=["people"])


def test_the_same_files_are_the_same_dataset_and_another_age_is_told(
    dataset: DatasetFolder, recipe: DataRecipe, roots: dict[str, Path]
) -> None:
    assert build(recipe, roots, dataset.path).unchanged
    before = json.loads((dataset.path / LOCK).read_text())
    kept = shutil.copy(dataset.path / LOCK, dataset.path.with_name("before.lock.json"))
    (roots["panel"] / "rows.json").write_text(json.dumps(changed(0, raters=[BEN, ANN])))
    with pytest.raises(OutputTakenError, match="labels of train: panel"):
        build(recipe, roots, dataset.path)
    after = build(recipe, roots, dataset.path, overwrite=True).dataset
    assert "labels of train: panel" in differences(before, json.loads((after.path / LOCK).read_text()))
    assert after.manifest.fingerprints == dataset.manifest.fingerprints, "the unified labels are the same"
    assert diff(kept, after.path).found[-2:] == ("labels of train: panel", "column groups of train: raters")
    told = after.labels("train", ["uid"], side=["raters"]).filter(pl.col("uid").str.starts_with("panel"))["raters"]
    assert [[each["rater"] for each in row] for row in told] == [["ben", "ann"], ["ben"], []]


def test_corrections_and_their_undoing_leave_side_groups_as_they_are(
    dataset: DatasetFolder, tmp_path: Path, digests: Callable[[Path], dict[str, str]]
) -> None:
    before = {group: digests(dataset.path / "train" / group) for group in GROUPS}
    (row,) = dataset.labels("train").filter(uid="panel:t/0").rows(named=True)
    decision = Decision(
        id="1", uid=row["uid"], database="panel", split="train", image_digest=row["image_digest"], face=-1, action="correct",
        old=Labels(expression="happiness"), new=Labels(expression="neutral"), who="ann", when="2026-11-30T00:00:00+00:00",
        why="neutral", dataset=dataset.fingerprint,
    )  # fmt: skip
    (tmp_path / "decisions.jsonl").write_text(decision.model_dump_json(exclude_unset=True) + "\n")
    apply_decisions(dataset.path, tmp_path / "decisions.jsonl")
    corrected = open_dataset(dataset.path)
    assert corrected.labels("train").filter(uid="panel:t/0")["expression"].item() == 0
    assert {group: digests(dataset.path / "train" / group) for group in GROUPS} == before
    undo_version(dataset.path)
    assert open_dataset(dataset.path).manifest == dataset.manifest
    assert {group: digests(dataset.path / "train" / group) for group in GROUPS} == before


def test_a_lost_group_is_named_and_built_again(
    dataset: DatasetFolder, recipe: DataRecipe, roots: dict[str, Path]
) -> None:
    shutil.rmtree(dataset.path / "train" / "people")
    with pytest.raises(OutputTakenError, match="train/people"):
        build(recipe, roots, dataset.path)
    assert build(recipe, roots, dataset.path, overwrite=True).dataset.manifest == dataset.manifest


def test_statistics_count_what_is_said_beside_the_labels(dataset: DatasetFolder) -> None:
    assert statistics(dataset).side.rows() == [
        ("panel", "train", column, value, rows)
        for column, value, rows in (
            ("age", "", 1),
            ("age_band", "old", 1),
            ("sex", "female", 1),
            ("sex", "unsure", 1),
            ("ethnicity", "B", 1),
            ("au_side", "AU12 left", 1),
            ("raters", "", 2),
            ("native_expression", "bored", 1),
            ("native_expression", "delighted", 1),
            ("timestamp", "", 2),
            ("comfort", "", 1),
        )
    ]


def test_an_origin_of_a_row_comes_back_as_text(dataset: DatasetFolder) -> None:
    row = next(row for row in affect_data.load_dataset(dataset.path, "train") if row["uid"] == "panel:t/1")
    assert dataset.origin(row) == {
        "database": "panel",
        "release": "",
        "subject": "s",
        "track": "t",
        "source_file": "rows.json",
    }


def test_audits_and_the_report_run_over_a_dataset_with_side_groups(dataset: DatasetFolder, tmp_path: Path) -> None:
    run_audits(dataset)
    write_report(dataset, tmp_path / "report.html")


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (changed(1, sex="Female"), "rows.json:2: found sex = 'Female'; expected one of female, male, unsure"),
        (changed(0, age=-3.0), "rows.json:1: found age = -3.0; expected a number from 0 to 150"),
        (changed(0, side_12="middle"), "rows.json:1: found side_12 = 'middle'; expected one of left, right, both, top, bottom"),
        (changed(2, side_12="left"), "rows.json:3: found side_12 = 'left', but AU12 absent; expected a side of a present action unit"),
        (changed(2, native_expression="sad"), "found native_expression = 'sad'; expected one of delighted, content, bored"),
        (changed(1, raters=[BEN, BEN]), "rows.json:2: found the rater 'ben' twice; expected one entry for each rater"),
        (changed(1, raters=[{**BEN, "rater": ""}]), "rows.json:2: found a rater without an id; expected the id of each rater"),
        (changed(1, raters=[{**BEN, "expression": "bored"}]), "found a rater's expression = 'bored'; expected one of neutral, anger"),
        (changed(1, raters=[{**BEN, "valence": 5.0}]), "found a rater's valence = 5.0; expected a number in [-1, 1]"),
        (changed(1, raters=[{**BEN, "au_12": 9}]), "found a rater's au_12 = 9; expected 0, 1 or null"),
        (changed(2, timestamp=0.03), "rows.json:3: found timestamp = 0.03 after 0.04 in rows.json:2; expected a time that does not run backwards"),
        (changed(2, timestamp=-1.0), "rows.json:3: found timestamp = -1.0; expected a number from 0 on"),
        (changed(0, score_comfort=float("inf")), "rows.json:1: found score_comfort = inf; expected a number"),
    ],
)  # fmt: skip
def test_a_value_that_contradicts_the_declaration_is_refused_with_its_line(
    rows: list[dict[str, Any]], message: str, tmp_path: Path
) -> None:
    root = write_panel(tmp_path / "other", rows)
    recipe = recipe_from({"databases": {"panel": {}}, "workers": 1}, "data.yaml")
    with pytest.raises(DefectsFoundError) as refused:
        build(recipe, {"panel": root}, tmp_path / "out")
    assert message in str(refused.value)
    (found,) = check(recipe, {"panel": root})
    assert message in " ".join(map(str, found.defects))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sex", pl.lit(1), "panel: the reader gives 'sex' as Int32; it is String. Please report it."),
        ("age", pl.lit("31"), "panel: the reader gives 'age' as String; it is a number. Please report it."),
        ("side_12", pl.lit(0), "panel: the reader gives 'side_12' as Int32; it is String."),
        ("timestamp", pl.lit("0:04"), "panel: the reader gives 'timestamp' as String; it is a number."),
        ("raters", pl.lit("ann"), "panel: the reader gives 'raters' as String; it is a list of structs of arousal, au_1, au_12, expression,"),
    ],
)  # fmt: skip
def test_a_column_of_another_type_is_refused_by_name(
    column: str, value: pl.Expr, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = Panel.scan
    monkeypatch.setattr(Panel, "scan", lambda self, root: scan(self, root).with_columns(value.alias(column)))
    recipe = recipe_from({"databases": {"panel": {}}, "workers": 1}, "data.yaml")
    with pytest.raises(DataError) as refused:
        build(recipe, {"panel": write_panel(tmp_path / "other", ROWS)}, tmp_path / "out")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("attribute", "nothing", "message"),
    [
        ("people", MappingProxyType({}), r"unknown columns age \(a side column, which its class must declare by `people`\)"),
        ("action_unit_sides", (12,), None),
        ("action_unit_sides", (), r"side_12 \(a side column, which its class must declare by `action_unit_sides`\)"),
        ("scores", MappingProxyType({}), r"score_comfort \(a side column, which its class must declare by `scores`\)"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_declared_is_refused_with_how_to_declare_it(
    attribute: str, nothing: object, message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Panel, attribute, nothing)
    recipe = recipe_from({"databases": {"panel": {}}, "workers": 1}, "data.yaml")
    roots = {"panel": write_panel(tmp_path / "other", ROWS)}
    if message is None:
        assert build(recipe, roots, tmp_path / "out").dataset.manifest.layout.columns_of("au_side")
    else:
        with pytest.raises(DataError, match=message):
            build(recipe, roots, tmp_path / "out")
