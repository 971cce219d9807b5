"""Every code of `verify` is found in a dataset or repository that was damaged so, and nothing is found in whole ones."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import File, LoopbackHub

from affect_data.build.build import BuildReport
from affect_data.databases.base import Tier
from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError, NotADatasetError
from affect_data.hub.codes import CODES, Finding
from affect_data.hub.pages import publishing_page
from affect_data.hub.publish import plan, publish, write_documents
from affect_data.hub.repository import LocalRepository
from affect_data.hub.staging import Staged, stage
from affect_data.hub.verify import verify

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

Run = Callable[..., CompletedProcess[str]]
Damage = Callable[[Path], None]

TABLE = "data/train/expw-00000.parquet"
GROUP = "train/labels"


def edit(name: str, change: Callable[[dict[str, Any]], None]) -> Damage:
    """Changes a document of JSON."""

    def damage(folder: Path) -> None:
        values = json.loads((folder / name).read_text())
        change(values)
        (folder / name).write_text(json.dumps(values))

    return damage


def restate(folder: Path, path: str) -> None:
    """Makes what a repository says of a file true again, so that only its content is wrong."""
    data = (folder / path).read_bytes()
    rows = pq.read_metadata(folder / path).num_rows if path.endswith(".parquet") else None
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "rows": rows}
    edit("affectkit.json", lambda values: values["files"].update({path: facts}))(folder)


def retable(change: Callable[[pa.Table], pa.Table], path: str = TABLE, **options: Any) -> Damage:
    """Writes a table anew, and states what it is."""

    def damage(folder: Path) -> None:
        table = change(pq.read_table(folder / path))
        pq.write_table(table, folder / path, **{"row_group_size": 100, "write_page_index": True, **options})
        restate(folder, path)

    return damage


def replace(name: str, before: str, after: str) -> Damage:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert before in text
        (folder / name).write_text(text.replace(before, after))

    return damage


def column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def other_picture(table: pa.Table) -> pa.Table:
    images = table.column("image").to_pylist()
    return column(table, "image", [images[1], *images[1:]])


def data_of(column_: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = column_.to_pylist()
    return values


REPOSITORY: list[tuple[str, str, Damage]] = [
    ("R101", TABLE, lambda folder: (folder / TABLE).unlink()),
    ("R101", "README.md", lambda folder: (folder / "README.md").unlink()),
    ("R102", TABLE, lambda folder: (folder / TABLE).write_bytes((folder / TABLE).read_bytes() + b"x")),
    ("R102", "statistics.json", replace("statistics.json", "24", "42")),
    ("R103", "data/train/zzz.parquet", lambda folder: shutil.copyfile(folder / TABLE, folder / "data/train/zzz.parquet") and None),
    ("R104", TABLE, lambda folder: (folder / TABLE).write_bytes(b"x" * (folder / TABLE).stat().st_size)),
    ("R105", TABLE, edit("affectkit.json", lambda values: values["files"][TABLE].update(rows=7))),
    ("R106", "default/train", retable(lambda table: table.slice(1))),
    ("R107", TABLE, retable(lambda table: table.drop_columns(["uid"]))),
    ("R108", TABLE, retable(lambda table: table, write_page_index=False)),
    ("R108", TABLE, retable(lambda table: pa.concat_tables([table] * 20).combine_chunks(), row_group_size=1000)),
    ("R109", "README.md", replace("README.md", "data/train/*.parquet", "data/*.parquet")),
    ("R110", "README.md", replace("README.md", "| anger | 4 |", "| anger | 5 |")),
    ("R111", "croissant.json", edit("croissant.json", lambda values: values.update(url="https://elsewhere.example"))),
    ("R112", "rows", edit("affectkit.json", lambda values: values["rows"].update(train=15))),
    ("R113", TABLE, edit("affectkit.json", lambda values: values.update(tier="derived"))),
    ("R201", "dataset.lock.json", replace("dataset.lock.json", '"affectkit_version": "', '"affectkit_version": "/home/bob/x')),
    ("R202", TABLE, retable(other_picture)),
    ("R203", "default/train", retable(lambda table: column(table, "uid", [data_of(table["uid"])[1], *data_of(table["uid"])[1:]]))),
    ("R203", "soft-teacher/train", retable(lambda table: table.take(pa.array([1, 0, *range(2, len(table))])), "soft-teacher/train/00000.parquet")),
]  # fmt: skip

DATASET: list[tuple[str, str, Damage]] = [
    ("D101", GROUP, lambda folder: next((folder / GROUP).glob("*.arrow")).unlink()),
    ("D101", GROUP, edit(f"{GROUP}/state.json", lambda values: values.update(_fingerprint="0" * 16))),
    ("D102", GROUP, edit(f"{GROUP}/state.json", lambda values: values["_data_files"].pop())),
    ("D103", GROUP, edit("dataset.json", lambda values: values["layout"].update(action_units=[1]))),
    ("D104", "labels", edit("dataset.json", lambda values: values["fingerprints"].update(labels="0" * 16))),
    ("D104", "pictures", edit("dataset.json", lambda values: values["fingerprints"].update(pictures="0" * 16))),
    ("D104", GROUP, edit("dataset.json", lambda values: values["shards"]["train"]["labels"].reverse())),
    ("D105", "dataset.lock.json", lambda folder: (folder / "dataset.lock.json").unlink()),
    ("D105", "rows", edit("dataset.lock.json", lambda values: values["rows"].update(train=1))),
    ("D105", "people", edit("dataset.lock.json", lambda values: values["fingerprints"].update(people="x"))),
    ("D106", "train/soft.teacher", edit("dataset.json", lambda values: values["provenance"].pop("soft.teacher"))),
]


@pytest.fixture(scope="module")
def whole(built_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is published at tier full, as a folder."""
    copy = Path(shutil.copytree(built_faces, tmp_path_factory.mktemp("whole") / "faces"))
    staged = stage(open_dataset(copy), "anna/faces", Tier.FULL)
    write_documents(staged)
    return staged.folder


def codes(address: Path | str, *, deep: bool = False) -> set[tuple[str, str]]:
    return {(finding.code, finding.where) for finding in verify(str(address), deep=deep).findings}


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_whole_has_no_defect(whole: Path, built_faces: Path, deep: bool) -> None:
    found = verify(str(whole), deep=deep)
    assert (found.kind, list(found.findings), found.rows) == ("repository", [], {"train": 14, "validation": 10})
    found = verify(str(built_faces), deep=deep)
    assert (found.kind, list(found.findings)) == ("dataset", [])


def test_a_dataset_of_six_databases_has_no_defect(demo_report: BuildReport) -> None:
    assert list(verify(str(demo_report.dataset.path), deep=True).findings) == []


@pytest.mark.parametrize(
    ("code", "where", "damage"), REPOSITORY, ids=[f"{code} {where}" for code, where, _ in REPOSITORY]
)
def test_a_damaged_repository_is_found_out(whole: Path, tmp_path: Path, code: str, where: str, damage: Damage) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    damage(folder)
    if code.startswith("R2"):
        # What is found by values alone is looked for where metadata are right.
        restate(folder, where if where.endswith(".json") else TABLE)
        rewrite(folder)
        assert codes(folder) == set()
    assert (code, where) in codes(folder, deep=code.startswith("R2"))


def rewrite(folder: Path) -> None:
    """Writes the documents anew that are made from others."""
    repository = LocalRepository(folder)
    lock, statistics = repository.json("dataset.lock.json"), repository.json("statistics.json")
    write_documents(Staged(folder, repository.published, lock, statistics))


@pytest.mark.parametrize(("code", "where", "damage"), DATASET, ids=[f"{code} {where}" for code, where, _ in DATASET])
def test_a_damaged_dataset_is_found_out(faces: Path, code: str, where: str, damage: Damage) -> None:
    damage(faces)
    assert (code, where) in codes(faces)


def test_values_that_changed_on_the_disk_are_found_by_reading_them(faces: Path) -> None:
    first = sorted((faces / GROUP).glob("*.arrow"))[0]
    data = bytearray(first.read_bytes())
    table = pa.ipc.open_stream(bytes(data)).read_all()
    expressions = table.column("expression").to_pylist()
    changed = column(table, "expression", [(expressions[0] + 1) % 7, *expressions[1:]])
    sink = BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(changed)
    first.write_bytes(sink.getvalue())
    assert codes(faces) == set()
    assert codes(faces, deep=True) == {("D201", f"{GROUP}/{first.name}")}


def test_a_picture_that_rotted_is_found_by_reading_it(faces: Path) -> None:
    first = sorted((faces / "train/images").glob("*.arrow"))[0]
    data = bytearray(first.read_bytes())
    place = data.index(b"IDAT") + 8
    data[place] ^= 255
    first.write_bytes(data)
    assert codes(faces) == set()
    found = verify(str(faces), deep=True).findings
    assert [finding.code for finding in found] == ["D202"]


def test_a_row_that_breaks_a_rule_is_found(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for first in sorted((faces / GROUP).glob("*.arrow")):
        table = pa.ipc.open_stream(first.read_bytes()).read_all()
        sink = BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(column(table, "expression_mask", [False] * len(table)))
        first.write_bytes(sink.getvalue())
    assert ("D203", "train") in codes(faces, deep=True)


def test_a_repository_on_the_hub_is_verified_from_metadata(hub: LoopbackHub, built_faces: Path) -> None:
    publish(plan(built_faces, "anna/faces", Tier.FULL))
    before = hub.requests.total()
    started = time.process_time()
    assert list(verify("hf://anna/faces").findings) == []
    assert time.process_time() - started < 2
    assert hub.requests.total() - before < 60
    assert list(verify("hf://anna/faces", deep=True).findings) == []
    repository = hub.repositories["dataset", "anna/faces"]
    files = {path: file for path, file in repository.files.items() if path != TABLE}
    other = File(repository.files[TABLE].data[::-1], large=True)
    repository.add("by hand", {**files, TABLE: other, "data/train/more.parquet": other})
    assert {("R102", TABLE), ("R103", "data/train/more.parquet"), ("R104", TABLE)} <= codes("hf://anna/faces")


def test_a_repository_that_was_made_public_is_found_out(hub: LoopbackHub, licensed_faces: Path) -> None:
    publish(plan(licensed_faces, "anna/faces", Tier.FULL, acknowledged=["expw"]))
    assert codes("anna/faces") == set()
    hub.repositories["dataset", "anna/faces"].private = False
    assert codes("anna/faces") == {("R114", "expw")}


def test_every_code_is_tried_above_and_has_a_sentence_and_a_remedy() -> None:
    tried = {code for code, _, _ in (*REPOSITORY, *DATASET)} | {"D107", "D201", "D202", "D203", "D204", "R114"}
    # D3xx: test_verify_sources.py
    tried |= {"D301", "D302", "D303"}
    assert tried == set(CODES)
    finding = Finding("R101", "README.md", "it is not there")
    assert str(finding) == "R101 README.md: it is not there (a file is missing). To fix: publish the dataset again"


def test_codes_stand_in_the_documentation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "publishing.md").read_text()
    assert publishing_page(page) == page, "run `make docs`"


def test_the_command_ends_with_one_and_says_what_is_wrong(whole: Path, tmp_path: Path, affect_data: Run) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "copy"))
    assert affect_data("verify", folder, "--deep").returncode == 0
    (folder / "recipe.yaml").unlink()
    ran = affect_data("verify", folder)
    assert ran.returncode == 1
    assert ran.stdout.startswith("R101 recipe.yaml: it is not there")
    found = json.loads(affect_data("verify", folder, "--json").stdout)
    assert found["right"] is False
    assert found["findings"][0]["remedy"] == "publish the dataset again"


def test_what_is_no_dataset_and_no_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotADatasetError, match=r"it has no dataset\.json"):
        verify(str(tmp_path))
    (tmp_path / "affectkit.json").write_text('{"format": "affectkit-published", "format_version": 9}')
    with pytest.raises(DataError, match=r"has format 9, this affectkit reads 1 .* Update affectkit"):
        verify(str(tmp_path))
