"""The page on the format is enough to write a reader: the one that stands there, with pyarrow alone, reads what the package reads."""

import hashlib
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from affect_data.build.build import BuildReport, build
from affect_data.build.recipe import recipe_from
from affect_data.dataset.folder import DatasetFolder
from affect_data.demo.world import World, write_demo
from affect_data.vocabulary import ACTION_UNITS, COMPOUND_EXPRESSIONS, EXPRESSIONS, LABEL_SCOPES

PAGE = Path(__file__).parents[3] / "docs" / "format.md"


@pytest.fixture(scope="module")
def reader() -> dict[str, Any]:
    """What the page's example defines."""
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert "affect" not in code.replace('"affectkit-dataset"', "")
    defined: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), defined)
    return defined


def by_unit(values: list[float], mask: list[bool]) -> dict[str, float]:
    return {f"AU{unit}": value for unit, value, known in zip(ACTION_UNITS, values, mask, strict=True) if known}


def expected(labels: pl.DataFrame, side: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of `DatasetFolder.labels` in the terms of the page's reader."""
    plain = ("uid", "frame", "face", "source_line", "release", "subject", "track", "source_file", "database")
    rows = []
    for row in labels.iter_rows(named=True):
        box = row["face_box"]
        found = {name: row[name] for name in (*plain, "image_digest")}
        found |= {
            "label_scope": LABEL_SCOPES[row["label_scope"]],
            "au": by_unit(row["au"], row["au_mask"]),
            "au_intensity": by_unit(row["au_intensity"], row["au_intensity_mask"]),
            "expression": EXPRESSIONS[row["expression"]] if row["expression_mask"] else None,
            "valence_arousal": (row["valence"], row["arousal"]) if row["va_mask"] else None,
            "face_box": None if math.isnan(box[0]) else box,
        }
        if "votes" in side:
            shares = zip(EXPRESSIONS, row["expression_votes"], strict=True)
            found["expression_votes"] = {name: share for name, share in shares if not math.isnan(share)}
        if "compound" in side:
            code = row["compound_expression"]
            found["compound_expression"] = COMPOUND_EXPRESSIONS[code] if row["compound_expression_mask"] else None
        rows.append(found)
    return rows


@pytest.fixture(scope="module", params=["the demo world", "clips and compound expressions"])
def dataset(
    request: pytest.FixtureRequest, demo_report: BuildReport, tmp_path_factory: pytest.TempPathFactory
) -> DatasetFolder:
    if request.param == "the demo world":
        return demo_report.dataset
    folder, names = tmp_path_factory.mktemp("clips"), ("dfew", "raf_db")
    write_demo(folder / "world", seed=1, faces=30, world=World(shares=dict.fromkeys(names, 1.0)))
    recipe = recipe_from({"databases": {name: {} for name in names}, "workers": 1}, "clips.yaml")
    return build(recipe, {name: folder / "world" / name for name in names}, folder / "merged").dataset


def test_the_reader_of_the_page_reads_every_label_that_the_package_reads(
    dataset: DatasetFolder, reader: dict[str, Any]
) -> None:
    for split in dataset.splits:
        assert reader["read_rows"](dataset.path, split) == expected(dataset.labels(split), dataset.manifest.layout.side)


def test_the_pictures_have_the_digests_of_the_rows(dataset: DatasetFolder, reader: dict[str, Any]) -> None:
    split = dataset.splits[-1]
    fingerprint = reader["read_manifest"](dataset.path)["groups"][split]["images"]
    images, features = reader["read_group"](dataset.path / split, "images", fingerprint)
    assert features == {"image": {"_type": "Image"}}
    digests = [hashlib.sha256(row["image"]["bytes"]).hexdigest() for row in images]
    assert digests == [row["image_digest"] for row in reader["read_rows"](dataset.path, split)]


def test_files_begin_and_end_as_the_page_says(demo_report: BuildReport) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for file in sorted(demo_report.dataset.path.rglob("*.arrow")):
        data = file.read_bytes()
        length = int(np.frombuffer(data[4:8], "<i4")[0])
        assert data[:4] == bytes.fromhex("FF FF FF FF")
        assert length % 8 == 0
        assert data[-8:] == bytes.fromhex("FF FF FF FF 00 00 00 00")
    assert "`FF FF FF FF`" in text
    assert "`FF FF FF FF 00 00 00 00`" in text


def test_the_page_names_every_key_of_the_manifest(demo_report: BuildReport, reader: dict[str, Any]) -> None:
    manifest, text = reader["read_manifest"](demo_report.dataset.path), PAGE.read_text(encoding="utf-8")
    assert [key for key in (*manifest, *manifest["layout"]) if f"`{key}`" not in text] == []


def test_a_group_whose_last_step_was_killed_is_read_beside_its_place(
    make_expw: Callable[..., Path], tmp_path: Path, reader: dict[str, Any]
) -> None:
    recipe = recipe_from({"databases": {"expw": {}}, "workers": 1}, "expw.yaml")
    dataset = build(recipe, {"expw": make_expw(tmp_path / "expw")}, tmp_path / "merged").dataset
    before = reader["read_rows"](dataset.path, "train")
    (dataset.path / "train/labels").rename(dataset.path / "train/.labels.new")
    assert reader["read_rows"](dataset.path, "train") == before
    (dataset.path / "train/.labels.new/state.json").write_text('{"_fingerprint": "0"}')
    with pytest.raises(ValueError, match=r"is not the one that dataset\.json names"):
        reader["read_rows"](dataset.path, "train")
