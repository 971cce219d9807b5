"""Clips, people and a database's own classes are published, verified and read by everybody, as photographs are."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affect_data.build.build import build
from affect_data.build.recipe import recipe_from
from affect_data.databases.base import Tier
from affect_data.databases.totals import DRAWN_MARKER
from affect_data.dataset.folder import DatasetFolder
from affect_data.demo import dfew, raf_db
from affect_data.demo.sampler import FaceSampler
from affect_data.hub.publish import write_documents
from affect_data.hub.staging import Staged, stage
from affect_data.hub.verify import verify


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """Fourteen clips of DFEW and some photographs of RAF-DB, whose people it describes."""
    world = tmp_path_factory.mktemp("world")
    for module, name, faces in ((dfew, "dfew", 14), (raf_db, "raf_db", 12)):
        (world / name).mkdir()
        module.write(world / name, FaceSampler(5), faces)
        (world / name / DRAWN_MARKER).write_text("Faces drawn by a test; nobody's.\n", encoding="utf-8")
    recipe = recipe_from({"databases": {"dfew": {}, "raf_db": {}}}, "clips")
    roots = {name: world / name for name in ("dfew", "raf_db")}
    return build(recipe, roots, tmp_path_factory.mktemp("clips") / "merged", accept_incomplete=True).dataset


@pytest.fixture(scope="module")
def staged(folder: DatasetFolder) -> Staged:
    found = stage(folder, "anna/clips", Tier.FULL)
    write_documents(found)
    return found


def test_both_are_what_they_say(folder: DatasetFolder, staged: Staged) -> None:
    assert list(verify(str(folder.path), deep=True).findings) == []
    assert list(verify(str(staged.folder), deep=True).findings) == []


def test_every_frame_and_every_attribute_is_in_the_tables(folder: DatasetFolder, staged: Staged) -> None:
    tables = [pq.read_table(staged.folder / path) for path in staged.published.configs["default"].splits["train"]]
    table = pa.concat_tables(tables)
    assert table["frames"].to_pylist() == folder.load("train", ["frames"]).data.table["frames"].to_pylist()
    assert max(len(frames) for frames in table["frames"].to_pylist()) > 1
    for group in folder.manifest.layout.side_groups:
        stored = folder.load("train", [group]).data.table
        assert table.select(stored.column_names).equals(stored.cast(table.select(stored.column_names).schema))
    assert "sex" in table.column_names


def test_row_groups_of_clips_are_smaller_than_those_of_photographs(staged: Staged) -> None:
    largest = {}
    for path in staged.published.configs["default"].splits["train"]:
        metadata = pq.read_metadata(staged.folder / path)
        rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        largest[path.rpartition("/")[2].partition("-")[0]] = (max(rows), metadata.num_rows)
    assert largest["dfew"][0] <= 8 < largest["dfew"][1]
    assert largest["raf_db"][0] == largest["raf_db"][1]


def test_a_frame_that_rotted_is_found(folder: DatasetFolder, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder.path, tmp_path / "copy"))
    file = next((copy / "train" / "frames").glob("*.arrow"))
    data = bytearray(file.read_bytes())
    data[data.index(b"JFIF")] ^= 1
    file.write_bytes(data)
    assert [(finding.code, finding.where) for finding in verify(str(copy), deep=True).findings] == [
        ("D202", f"train/frames/{file.name}")
    ]
