"""Datasets in every form in which they lie about: folders, files, the Hub."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value, concatenate_datasets
from read_only_hub import COMMIT, hub

from affect_data.dataset.folder import LABEL_NAMES, open_dataset
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.schema import IMAGES, LABELS, features
from affect_data.errors import DataError, NotADatasetError, RecipeError, UnknownNameError, UsageError
from affect_train.inputs.batch import Pick
from affect_train.inputs.foreign.reading import SourceError
from affect_train.inputs.foreign.source import ForeignSource
from affect_train.inputs.foreign.stream_batches import StreamedFaces
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.source import open_source
from affect_train.recipe.dataset import DatasetOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet(expressions=("happiness", "sadness"))


@pytest.fixture(autouse=True)
def _no_caches_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def source(path: Path | str, expression: Any = "label", image: str = "image", **options: Any) -> ForeignSource:
    values = {"path": str(path), "columns": {"image": image, "expression": expression}, **options}
    opened = open_source(DatasetOptions.model_validate_json(json.dumps(values), strict=True))
    assert isinstance(opened, ForeignSource)
    return opened


def both_ways(opened: Callable[..., ForeignSource], split: str = "train") -> list[str]:
    """The expressions of a split, loaded and streamed, after every face was decoded in both ways to the same pixels."""
    preprocessing, whole = Preprocessing(8), opened().load(split, TASKS)
    images = FaceImages(whole.dataset, preprocessing, faces=whole.faces)
    loaded = images.__getitems__([Pick(row) for row in range(len(images))])
    if isinstance(loaded, DataError):
        raise loaded
    streamed = StreamedFaces(opened(streaming=True).stream(split), TASKS, preprocessing)
    faces = list(streamed.in_order(3))
    assert [row for batch in faces for row in batch.rows.tolist()] == list(range(len(images)))
    pixels = [face for batch in faces for face in batch.inputs]
    assert all((face == other).all() for face, other in zip(pixels, loaded.inputs, strict=True))
    # as a loader process gets them
    copied = pickle.loads(pickle.dumps(images)).__getitems__([Pick(len(images) - 1)])
    assert (copied.inputs[0] == loaded.inputs[-1]).all()
    dataset, labels = streamed.labels()
    assert labels.expression.tolist() == whole.labels.expression.tolist()
    assert dataset["subject"][:] == whole.dataset["subject"][:]
    return [TASKS.expressions[code] if code >= 0 else "" for code in labels.expression.tolist()]


@pytest.fixture
def faces(world: SimpleNamespace) -> Dataset:
    rows = {"image": [{"bytes": world.face_bytes(row), "path": None} for row in range(5)], "label": [0, 1, 0, 1, -1]}
    return Dataset.from_dict(rows, features=Features({"image": Image(), "label": ClassLabel(names=["happy", "sad"])}))


EXPECTED = ["happiness", "sadness", "happiness", "sadness", ""]


def test_folders_of_pictures_are_read(tmp_path: Path, world: SimpleNamespace) -> None:
    for row, name in enumerate(("happy", "sad", "happy")):
        file = tmp_path / f"pictures/train/{name}/{row}.{'png' if row % 2 else 'jpg'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(world.face_bytes(row))
    assert both_ways(lambda **options: source(tmp_path / "pictures", **options)) == [
        "happiness",
        "happiness",
        "sadness",
    ]


@pytest.mark.parametrize("streaming", [False, True], ids=["loaded", "streamed"])
def test_class_folders_deep_inside_an_archive_are_to_be_unpacked(
    tmp_path: Path, world: SimpleNamespace, *, streaming: bool
) -> None:
    for number, name in enumerate(("happy", "sad")):
        (tmp_path / "archive/DATASET/train" / name).mkdir(parents=True)
        (tmp_path / "archive/DATASET/train" / name / f"{number}.png").write_bytes(world.face_bytes(number))
    shutil.make_archive(str(tmp_path / "zipped/faces"), "zip", tmp_path, "archive")

    def read() -> None:
        opened = source(tmp_path / "zipped", streaming=streaming)
        if streaming:
            list(StreamedFaces(opened.stream("train"), TASKS, Preprocessing(8)).in_order(2))
        opened.load("train", TASKS)

    with pytest.raises(DataError, match="Unpack its archives, if there are any: class folders are read from a folder"):
        read()


def test_a_table_names_picture_files_beside_it(tmp_path: Path, world: SimpleNamespace) -> None:
    (tmp_path / "table/faces").mkdir(parents=True)
    for row in range(2):
        (tmp_path / f"table/faces/{row}.img").write_bytes(world.face_bytes(row))
    (tmp_path / "table/train.csv").write_text("file,emotion\nfaces/0.img,Happy\nfaces/1.img,\n")

    def opened(**options: Any) -> ForeignSource:
        return source(tmp_path / "table", "emotion", "file", **options)

    assert both_ways(opened) == ["happiness", ""]
    (tmp_path / "table/faces/1.img").unlink()
    with pytest.raises(DataError, match=r"the picture 'faces/1.img' does not exist in '.*table'"):
        both_ways(opened)
    with pytest.raises(
        DataError, match=r"'table', split train, row 'table:train/0-1': the picture 'faces/1.img' does not exist"
    ):
        list(StreamedFaces(opened(streaming=True).stream("train"), TASKS, Preprocessing(8)).in_order(3))


def test_a_table_cannot_name_pictures_outside_of_its_folder(tmp_path: Path, world: SimpleNamespace) -> None:
    (tmp_path / "table/faces").mkdir(parents=True)
    (tmp_path / "secret.img").write_bytes(world.face_bytes(0))
    (tmp_path / "table/faces/link.img").symlink_to(tmp_path / "secret.img")
    outside = {
        "../secret.img": "leads out of the folder by '..'",
        str(tmp_path / "secret.img"): "lies outside of the dataset",
        f"file://{tmp_path}/secret.img": "lies outside of the dataset",
        f"zip://a.img::{tmp_path}/secret.zip": "lies outside of the dataset",
        "sftp://machine/secret.img": "is a place of the kind 'sftp'",
        "simplecache::sftp://machine/secret.img": "is a place of the kind",
        "faces/link.img": "is a symbolic link that leads out of the folder, and is not read; put a copy there, or add `follow_links: true`",
    }
    for path, because in outside.items():
        (tmp_path / "table/train.csv").write_text(f"file,emotion\n{path},Happy\n")
        with pytest.raises(DataError, match=re.escape(because)):
            both_ways(lambda **options: source(tmp_path / "table", "emotion", "file", **options))
        with pytest.raises(DataError, match=re.escape(because)):
            list(
                StreamedFaces(
                    source(tmp_path / "table", "emotion", "file", streaming=True).stream("train"),
                    TASKS,
                    Preprocessing(8),
                ).in_order(3)
            )
    followed = both_ways(lambda **options: source(tmp_path / "table", "emotion", "file", follow_links=True, **options))
    assert followed == ["happiness"]


def test_pictures_inside_may_be_named_absolutely(
    tmp_path: Path, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table/0.img").write_bytes(world.face_bytes(0))
    (tmp_path / "table/train.csv").write_text(f"file,emotion\n{tmp_path}/table/0.img,Happy\n")
    monkeypatch.chdir(tmp_path)
    for path in ("table", str(tmp_path / "table"), "./table"):
        assert both_ways(lambda path=path, **options: source(path, "emotion", "file", **options)) == ["happiness"]


def test_files_of_rows_to_which_links_lead_out_are_refused(tmp_path: Path, world: SimpleNamespace) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table/0.img").write_bytes(world.face_bytes(0))
    (tmp_path / "rows.csv").write_text("file,emotion\n0.img,Happy\n")
    (tmp_path / "table/train.csv").symlink_to(tmp_path / "rows.csv")
    with pytest.raises(
        DataError, match=r"train.csv' is a symbolic link that leads out of the folder.*`follow_links: true`"
    ):
        source(tmp_path / "table", "emotion", "file")
    assert both_ways(lambda **options: source(tmp_path / "table", "emotion", "file", follow_links=True, **options)) == [
        "happiness"
    ]


def test_a_picture_of_too_many_bytes_is_named_with_the_limit(
    tmp_path: Path, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "table").mkdir()
    (tmp_path / "table/0.img").write_bytes(world.face_bytes(0))
    (tmp_path / "table/train.csv").write_text("file,emotion\n0.img,Happy\n")
    monkeypatch.setenv("AFFECT_MAX_PICTURE_BYTES", "100")
    with pytest.raises(
        DataError, match=r"the picture '0.img': at most 100 bytes are read, found .* AFFECT_MAX_PICTURE_BYTES"
    ):
        both_ways(lambda **options: source(tmp_path / "table", "emotion", "file", **options))


def test_columns_of_file_bytes_are_pictures(tmp_path: Path, faces: Dataset) -> None:
    plain = Dataset.from_dict(
        {"jpg": [face["bytes"] for face in faces.cast_column("image", Image(decode=False))["image"]], "label": EXPECTED}
    )
    plain = plain.cast(Features({"jpg": Value("binary"), "label": Value("string")}))
    plain.to_parquet(tmp_path / "plain/train.parquet")
    columns = {"image": "jpg", "expression": "label", "missing": {"label": ""}}
    assert both_ways(lambda **options: source(tmp_path / "plain", columns=columns, **options)) == EXPECTED


def test_what_save_to_disk_wrote_is_read(tmp_path: Path, faces: Dataset) -> None:
    faces.save_to_disk(tmp_path / "single")
    assert both_ways(lambda **options: source(tmp_path / "single", **options)) == EXPECTED
    DatasetDict({"dev": faces.select([1, 0])}).save_to_disk(tmp_path / "several")
    assert both_ways(lambda **options: source(tmp_path / "several", **options), "dev") == ["sadness", "happiness"]


def test_a_dataset_folder_can_be_streamed(dataset: Path) -> None:
    own = open_source(DatasetOptions(path=str(dataset), streaming=True))
    loaded = open_source(DatasetOptions(path=str(dataset))).load("train", TASKS)
    stream = StreamedFaces(own.stream("train"), TASKS, Preprocessing(8))
    assert sum(len(batch.uids) for batch in stream.in_order(16)) == 40
    assert stream.labels()[1].expression.tolist() == loaded.labels.expression.tolist()
    # 3 batches for 2 processes: the second makes a pass without rows, so that none waits for it
    shared = [[len(batch.rows) for batch in stream.in_order(16, 2, rank)] for rank in (0, 1)]
    assert shared == [[16, 8], [16, 0]]


def test_a_broken_picture_is_named_by_its_row(tmp_path: Path, faces: Dataset) -> None:
    rows = [{"bytes": b"no picture", "path": None}]
    Dataset.from_dict({"image": rows, "label": [0]}, features=faces.features).to_parquet(
        tmp_path / "broken/train.parquet"
    )
    with pytest.raises(
        DataError, match=r"row 0 \(broken:train/0\): the image cannot be decoded: .* Mend the picture or its box"
    ):
        both_ways(lambda **options: source(tmp_path / "broken", **options))
    nothing = Dataset.from_dict({"image": [None], "label": [0]}, features=faces.features)
    nothing.to_parquet(tmp_path / "empty/train.parquet")
    with pytest.raises(SourceError, match=r"dataset 'empty': split train, row 0: there is no picture \(1 such rows\)"):
        source(tmp_path / "empty").load("train", TASKS)


def test_a_folder_that_has_changed_is_read_anew(tmp_path: Path, faces: Dataset) -> None:
    file = tmp_path / "data/train.parquet"
    for order in ([0, 1], [1, 0, 2]):
        faces.select(order).to_parquet(file)
        found = source(tmp_path / "data")
        assert found.load("train", TASKS).labels.expression.tolist() == [place % 2 for place in order]


def test_two_rows_of_one_uid_are_refused(tmp_path: Path, faces: Dataset) -> None:
    faces.add_column("name", ["a", "b", "c", "b", "d"]).to_parquet(tmp_path / "twice/train.parquet")
    columns = {"expression": "label", "uid": "name"}
    with pytest.raises(SourceError, match=r"split train has two rows of the uid 'b'"):
        source(tmp_path / "twice", columns=columns).load("train", TASKS)


def test_unknown_splits_configurations_revisions_and_folders_are_named(tmp_path: Path, faces: Dataset) -> None:
    faces.to_parquet(tmp_path / "data/train.parquet")
    with pytest.raises(UnknownNameError, match=r"unknown split of dataset '.*data' 'test'; known: train"):
        source(tmp_path / "data").load("test", TASKS)
    with pytest.raises(SourceError, match=r"BuilderConfig 'large' not found. Available: \['default'\]"):
        source(tmp_path / "data", configuration="large")
    with pytest.raises(SourceError, match=r"a folder has no revisions. Remove `dataset.revision`"):
        source(tmp_path / "data", revision="main")
    with pytest.raises(
        SourceError, match=r"the folder '.*nowhere' does not exist. Name an existing folder, or a dataset of the Hub"
    ):
        source(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        SourceError, match=r"doesn't contain any data files. It takes parquet, arrow, csv, json or picture files"
    ):
        source(tmp_path / "empty")


def test_a_dataset_without_a_mapping_must_have_the_columns_of_the_schema(
    tmp_path: Path, faces: Dataset, dataset: Path
) -> None:
    faces.to_parquet(tmp_path / "data/train.parquet")
    with pytest.raises(
        RecipeError, match=r"dataset.columns: missing; .* say what they mean \(docs/datasets.md\). It has: image, label"
    ):
        source(tmp_path / "data", columns=None).load("train", TASKS)
    folder = open_dataset(dataset)
    labels = folder.view.table(folder.stored_labels("train"), LABEL_NAMES)
    whole = Dataset(labels).cast(features(LABELS, folder.manifest.databases))
    old = (
        concatenate_datasets([whole, folder.load("train", [IMAGES])], axis=1)
        .remove_columns("va_mask")
        .cast_column("expression", ClassLabel(names=["fear", *"abcdefgh"]))
    )
    old.cast_column("au_mask", List(Value("bool"))).to_parquet(tmp_path / "old/train.parquet")
    with pytest.raises(RecipeError) as caught:
        source(tmp_path / "old", columns=None).load("train", TASKS)
    assert [mistake[:60] for mistake in caught.value.mistakes] == [
        "column 'au_mask' holds list<item: bool>; the schema of this ",
        "column 'expression' has the classes fear, a, b, c, d, e, f, g"[:60],
        "column 'va_mask' of the schema is not there; publish the dat"[:60],
    ]


def test_a_dataset_without_a_mapping_may_have_the_columns_of_a_dataset_folder_if_all_are_there(
    tmp_path: Path, dataset: Path
) -> None:
    stored = load_dataset(dataset, "train")
    units = {name: Value("int8") for name in ("AU1", "AU12", "AU25")}
    other = (
        stored.remove_columns(["va_mask"])
        .cast_column("expression", ClassLabel(names=["fear", *"abcdefgh"]))
        .cast_column("au_mask", units)
        .cast_column("face_box", List(Value("float64"), length=4))
    )
    other.to_parquet(tmp_path / "other/train.parquet")
    with pytest.raises(RecipeError) as caught:
        source(tmp_path / "other", columns=None).load("train", TASKS)
    assert [mistake[:60] for mistake in caught.value.mistakes] == [
        "column 'au_mask' holds struct<AU1: int8, AU12: int8, AU25: int8>"[:60],
        "column 'expression' has the classes fear, a, b, c, d, e, f, g"[:60],
        "column 'va_mask' of a dataset folder is not there; publish t"[:60],
        "column 'face_box' holds fixed_size_list<item: double>[4]; a d"[:60],
    ]
    stored.remove_columns("au").to_parquet(tmp_path / "half/train.parquet")
    with pytest.raises(RecipeError, match=r"column 'au' of a dataset folder is not there"):
        source(tmp_path / "half", columns=None).load("train", TASKS)


def test_published_rows_that_break_a_rule_of_the_schema_are_refused(tmp_path: Path, dataset: Path) -> None:
    rows = load_dataset(dataset, "train")
    rows.remove_columns("va_mask").add_column("va_mask", [True] * len(rows)).to_parquet(
        tmp_path / "wrong/train.parquet"
    )
    broken = (
        r"20 row\(s\) break the rule 'valence_and_arousal_are_labels_or_masked' .* Publish it again from its dataset"
    )
    with pytest.raises(SourceError, match=broken):
        source(tmp_path / "wrong", columns=None).load("train", TASKS)


def test_published_people_without_a_name_are_unknown_and_other_columns_have_no_nulls(
    tmp_path: Path, dataset: Path
) -> None:
    rows, half = load_dataset(dataset, "train"), [None, "a"] * 20
    rows.add_column("subject", half).to_parquet(tmp_path / "people/train.parquet")
    found = source(tmp_path / "people", columns=None).load("train", TASKS).dataset
    assert found["subject"][:4] == ["", "a", "", "a"]
    assert found["track"][:2] == ["", ""]
    rows.remove_columns("valence").add_column("valence", [0.5, *[None] * 39]).cast_column(
        "valence", Value("float32")
    ).to_parquet(tmp_path / "null/train.parquet")
    with pytest.raises(
        SourceError, match=r"column 'valence' has 39 nulls, the first in row 1 of 40\. Publish it again"
    ):
        source(tmp_path / "null", columns=None).load("train", TASKS)


def test_published_people_by_number_are_refused_for_leaks_would_be_overlooked(tmp_path: Path, dataset: Path) -> None:
    load_dataset(dataset, "train").add_column("subject", list(range(40))).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(RecipeError, match=r"column 'subject' holds int64; it takes texts"):
        source(tmp_path, columns=None).load("train", TASKS)


def test_a_description_lists_its_mistakes_with_their_lines(tmp_path: Path) -> None:
    described = tmp_path / "faces.yaml"
    described.write_text(
        "dataset:\n  path: data\n  streamin: true\n  columns:\n    imge: x\n    action_units: {1: AU01, x: AU02}\n"
    )
    with pytest.raises(RecipeError) as caught:
        open_source(described)
    assert [mistake.partition(";")[0] for mistake in caught.value.mistakes] == [
        f"{described}:6: dataset.columns.action_units.x: found 'x'",
        f"{described}:5: dataset.columns.imge: unknown key",
        f"{described}:3: dataset.streamin: unknown key",
    ]
    with pytest.raises(UsageError, match=r"dataset description '.*nowhere\.yaml' does not exist"):
        open_source(tmp_path / "nowhere.yaml")
    described.write_text(f"dataset: {tmp_path / 'unbuilt'}\n")
    with pytest.raises(NotADatasetError, match=r"the folder does not exist"):
        open_source(described)


READ = """
import json, sys
from affect_data.errors import AffectError
from affect_train.recipe.dataset import DatasetOptions
from affect_train.inputs.source import open_source
from affect_train.tasks import TaskSet
for values in json.loads(sys.argv[1]):
    try:
        found = open_source(DatasetOptions(**values))
        if found.streamed is not None:
            stream = found.stream("train")
            rows = sum(len(table.labels) for file in range(stream.files) for table in stream.tables(file))
        else:
            rows = len(found.load("train", TaskSet(expressions=("happiness", "sadness"))).labels)
        print(json.dumps({"rows": rows, **found.report()}))
    except AffectError as error:
        print(json.dumps({"error": str(error)}))
"""


def read_elsewhere(sources: list[dict[str, Any]], tmp_path: Path, **environment: str) -> list[dict[str, Any]]:
    """What another process reads: `datasets` looks at its environment once, when it is imported."""
    variables = {
        **os.environ,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    command = [sys.executable, "-c", READ, json.dumps(sources)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_dataset_of_the_hub_is_read_by_revision_and_again_without_the_hub(tmp_path: Path, faces: Dataset) -> None:
    faces.to_parquet(tmp_path / "files/data/train-00000-of-00001.parquet")
    columns = {"expression": "label"}
    wanted = [
        {"path": "someone/faces", "columns": columns},
        {"path": "someone/faces", "columns": columns, "revision": "v1", "streaming": True},
        {"path": "someone/faces", "columns": columns, "revision": "v2"},
        {"path": "someone/nothing", "columns": columns},
    ]
    with hub("someone/faces", tmp_path / "files", revision="v1") as address:
        wanted[0]["revision"] = "v1"
        loaded, streamed, revision, nothing = read_elsewhere(wanted, tmp_path, HF_ENDPOINT=address, HF_HUB_OFFLINE="0")
    assert "error" not in loaded, loaded
    assert loaded["rows"] == streamed["rows"] == 5
    assert loaded["dataset"] == "someone/faces@v1"
    assert loaded["commit"] == streamed["commit"] == COMMIT
    assert loaded["fingerprint"] is not None
    assert "Revision 'v2' doesn't exist for dataset 'someone/faces' on the Hub" in revision["error"]
    assert "Dataset 'someone/nothing' doesn't exist on the Hub or cannot be accessed" in nothing["error"]
    assert "Check the name and the revision" in nothing["error"]
    offline, unreachable = read_elsewhere([wanted[0], {"path": "someone/other"}], tmp_path, HF_HUB_OFFLINE="1")
    assert offline == loaded
    assert unreachable["error"].startswith("dataset 'someone/other': Couldn't reach 'someone/other' on the Hub")
    assert "With `HF_HUB_OFFLINE=1` only datasets in the cache can be read" in unreachable["error"]
    assert "\n" not in unreachable["error"]
