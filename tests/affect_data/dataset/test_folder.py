"""The dataset folder: what opens and with which features, what is refused, and writes that are whole or not there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from datasets import Array2D, ClassLabel, Features, Image, List, Value, load_from_disk
from hypothesis import given
from hypothesis import strategies as st
from python_processes import KILLED_AT, run_python

import affect_data
from affect_data.build.build import BuildReport
from affect_data.dataset import folder as dataset_folder
from affect_data.dataset.folder import DatasetFolder, open_dataset
from affect_data.dataset.hashing import content_hash
from affect_data.dataset.layout import VOTES
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.schema import IMAGES, LABELS
from affect_data.dataset.writing import add_group
from affect_data.demo.world import SHARES
from affect_data.errors import DataError, NotADatasetError, UnknownNameError
from affect_data.files import exclusive
from affect_data.vocabulary import EXPRESSIONS

NUMBERS = Features({"number": Value("int64")})


@pytest.fixture
def dataset(demo_report: BuildReport, tmp_path: Path) -> DatasetFolder:
    """A copy of the built demo dataset that a test may change."""
    return open_dataset(shutil.copytree(demo_report.dataset.path, tmp_path / "merged"))


def numbers(dataset: DatasetFolder, start: int = 0) -> list[tuple[str, pa.Table]]:
    return [(split, pa.table({"number": np.arange(start, start + dataset.rows(split))})) for split in dataset.splits]


# ---------------------------------------------------------------- opening


@pytest.mark.parametrize("split", ["train", "validation"])
def test_every_group_opens_alone_with_its_features(demo_report: BuildReport, split: str) -> None:
    dataset = demo_report.dataset
    labels = load_from_disk(str(dataset.path / split / LABELS))
    images = load_from_disk(str(dataset.path / split / IMAGES))
    assert labels.features["expression"] == ClassLabel(names=list(EXPRESSIONS))
    assert labels.features["database"] == ClassLabel(names=sorted(SHARES))
    layout = dataset.manifest.layout
    assert labels.features["au"] == {f"AU{unit}": Value("int8") for unit in layout.action_units}
    assert labels.features["image_digest"] == List(Value("uint8"), length=32)
    assert labels.features == layout.features(LABELS)
    votes = load_from_disk(str(dataset.path / split / VOTES))
    assert votes.features == Features({"expression_votes": {name: Value("float32") for name in EXPRESSIONS}})
    assert len(votes) == len(labels)
    assert images.features == Features({"image": Image()})
    assert len(labels) == len(images) == dataset.rows(split)
    assert images[0]["image"].size[0] > 0


def test_the_joined_view_is_the_groups_side_by_side(demo_report: BuildReport) -> None:
    folder = demo_report.dataset
    for split in folder.splits:
        joined = load_dataset(folder.path, split)
        parts = [load_from_disk(str(folder.path / split / group)) for group in (LABELS, "votes", IMAGES)]
        assert joined.column_names == [name for part in parts for name in part.column_names]
        for part in parts:
            for name in part.column_names:
                seen, own = (table.data.table.select([name]) for table in (joined, part))
                if name == "image":
                    assert seen.equals(own)
                else:
                    assert content_hash(seen) == content_hash(own), name


def test_every_folder_of_arrow_files_opens_alone_over_memory_maps_origins_too(demo_report: BuildReport) -> None:
    dataset = demo_report.dataset
    places = sorted({path.parent for path in dataset.path.rglob("*.arrow")})
    named = [dataset.path / split / group for split in dataset.splits for group in dataset.groups(split)]
    assert places == sorted([*named, *(dataset.path / "origins" / name for name in dataset.manifest.databases)])
    for place in places:
        opened = load_from_disk(str(place))
        assert len(opened.cache_files) == len(list(place.glob("*.arrow")))
        assert opened.data.num_rows == len(opened) > 0


def test_a_row_says_which_origin_its_texts_stand_in(demo_report: BuildReport) -> None:
    dataset = demo_report.dataset
    stored, shown = load_from_disk(str(dataset.path / "train" / LABELS)), dataset.labels("train")
    origins = {name: load_from_disk(str(dataset.path / "origins" / name)) for name in dataset.manifest.databases}
    for row in range(0, len(stored), 7):
        database = stored.features["database"].int2str(stored[row]["database"])
        texts = origins[database][stored[row]["origin"]]
        assert texts == {name: shown[name][row] for name in ("release", "subject", "track", "source_file")}


def test_the_package_offers_load_dataset() -> None:
    assert affect_data.load_dataset is load_dataset


def test_the_joined_view_is_over_memory_maps(demo_report: BuildReport) -> None:
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    joined = load_dataset(demo_report.dataset.path, "train")
    size = sum(path.stat().st_size for path in demo_report.dataset.path.glob("train/images/*.arrow"))
    assert joined.data.nbytes > size / 2
    assert pa.total_allocated_bytes() - before < size / 10
    # Labels, votes and images.
    assert len(joined.cache_files) == 3 * len(list(demo_report.dataset.path.glob("train/images/*.arrow")))


def test_labels_as_a_polars_frame_have_the_database_by_name(demo_report: BuildReport) -> None:
    labels = demo_report.dataset.labels("train")
    assert set(labels["database"]) == set(SHARES)
    assert labels["uid"].str.split(":").list.first().equals(labels["database"].rename("uid"))
    assert labels.schema["au"] == pl.Array(pl.Int8, 40)


def test_splits_are_named_train_first(demo_report: BuildReport) -> None:
    assert demo_report.dataset.splits == ("train", "validation")
    assert demo_report.dataset.groups("train") == (IMAGES, LABELS, "native", VOTES)


@pytest.mark.parametrize(
    "ask",
    [
        lambda d: d.rows("dev"),
        lambda d: d.groups("dev"),
        lambda d: d.load("dev"),
        lambda d: load_dataset(d.path, "dev"),
    ],
)
def test_an_unknown_split_is_named_with_those_that_there_are(
    demo_report: BuildReport, ask: Callable[[DatasetFolder], object]
) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown split of '.*merged' 'dev'; known: train, validation"):
        ask(demo_report.dataset)


def test_an_unknown_teacher_is_named_with_the_groups_that_there_are(demo_report: BuildReport) -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown column group of split 'train' in '.*' 'soft\.anna'; known: images, labels"
    ):
        load_dataset(demo_report.dataset.path, "train", ["anna"])


# ---------------------------------------------------------------- what is no dataset


def refusal(path: Path) -> str:
    with pytest.raises(NotADatasetError) as caught:
        load_dataset(path, "train")
    return str(caught.value)


def test_a_folder_that_does_not_exist_names_the_command_that_builds_it(tmp_path: Path) -> None:
    path = tmp_path / "merged"
    assert (
        refusal(path)
        == f"'{path}' is no affectkit dataset: the folder does not exist. Build it with `affect-data build RECIPE {path}`"
    )


def test_a_folder_without_a_manifest_was_not_built_to_its_end(dataset: DatasetFolder) -> None:
    (dataset.path / "dataset.json").unlink()
    assert "it has no dataset.json, so it was not built to its end. Build it with" in refusal(dataset.path)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "dataset.json is not readable (Expecting value"),
        ('{"format": "affectkit-dat', "dataset.json is not readable (Unterminated string"),
        ("[]", "dataset.json is not from affectkit"),
        ('{"format": "other"}', "dataset.json is not from affectkit"),
        ('{"format": "affectkit-dataset", "format_version": 2}', "dataset.json does not validate: ('fingerprints',)"),
    ],
)
def test_a_manifest_that_is_not_ours_or_not_whole_is_refused(dataset: DatasetFolder, text: str, because: str) -> None:
    (dataset.path / "dataset.json").write_text(text)
    assert because in refusal(dataset.path)


@pytest.mark.parametrize(
    ("version", "remedy"),
    [(99, "Update affectkit"), (0, "Build it with"), ("1.0", "Build it with"), (None, "Build it with")],
)
def test_another_format_version_is_refused_with_what_to_do(dataset: DatasetFolder, version: Any, remedy: str) -> None:
    manifest = json.loads((dataset.path / "dataset.json").read_text())
    (dataset.path / "dataset.json").write_text(json.dumps({**manifest, "format_version": version}))
    with pytest.raises(
        dataset_folder.ForeignVersionError, match=rf"has dataset format {version}, this affectkit reads 2\. {remedy}"
    ):
        open_dataset(dataset.path)


@pytest.mark.parametrize("damage", ["other", "gone", "spoilt"])
def test_a_group_that_is_not_the_one_of_the_manifest_is_refused(dataset: DatasetFolder, damage: str) -> None:
    state = dataset.path / "train" / LABELS / "state.json"
    if damage == "other":
        state.write_text(json.dumps({**json.loads(state.read_text()), "_fingerprint": "0" * 16}))
    elif damage == "gone":
        state.unlink()
    else:
        state.write_text("{")
    with pytest.raises(
        NotADatasetError,
        match=r"the column group 'train/labels' is not the one that dataset\.json names, as after an interrupted write",
    ):
        load_dataset(dataset.path, "train")
    load_dataset(dataset.path, "validation")


def test_a_shard_that_was_lost_is_named(dataset: DatasetFolder) -> None:
    lost = sorted((dataset.path / "train" / IMAGES).glob("*.arrow"))[1]
    lost.unlink()
    with pytest.raises(NotADatasetError, match=rf"the column group 'train/images' lacks its file '{lost.name}'"):
        load_dataset(dataset.path, "train")


# ---------------------------------------------------------------- adding a group


def test_a_group_is_joined_to_its_rows_and_opens_alone(dataset: DatasetFolder) -> None:
    changed = add_group(dataset, "balance.demo", numbers(dataset), NUMBERS, {"plan": "demo"})
    assert changed.groups("train") == ("balance.demo", IMAGES, LABELS, "native", VOTES)
    joined = changed.load("train", [LABELS, "balance.demo"])
    assert joined["number"][:] == list(range(dataset.rows("train")))
    assert len(load_from_disk(str(dataset.path / "validation" / "balance.demo"))) == dataset.rows("validation")
    assert changed.manifest.provenance == {"balance.demo": {"plan": "demo"}}
    assert changed.fingerprint == dataset.fingerprint


def test_a_group_is_replaced_and_nothing_else_is_touched(
    dataset: DatasetFolder, digests: Callable[[Path], dict[str, str]]
) -> None:
    before = digests(dataset.path)
    first = add_group(dataset, "x", numbers(dataset), NUMBERS, {})
    second = add_group(first, "x", numbers(dataset, start=5), NUMBERS, {})
    assert second.load("train", ["x"])["number"][0] == 5
    others = {
        path: digest for path, digest in digests(dataset.path).items() if "/x/" not in path and path != "dataset.json"
    }
    assert others == {path: digest for path, digest in before.items() if path != "dataset.json"}


def test_the_same_group_again_gives_the_same_bytes(
    dataset: DatasetFolder, digests: Callable[[Path], dict[str, str]]
) -> None:
    add_group(dataset, "x", numbers(dataset), NUMBERS, {})
    before = digests(dataset.path)
    add_group(dataset, "x", numbers(dataset), NUMBERS, {})
    assert digests(dataset.path) == before


def test_a_group_with_another_number_of_rows_is_refused_and_leaves_no_trace(
    dataset: DatasetFolder, digests: Callable[[Path], dict[str, str]]
) -> None:
    before = digests(dataset.path)
    tables = numbers(dataset)
    tables[1] = ("validation", tables[1][1].slice(1))
    with pytest.raises(
        DataError,
        match=rf"group 'x' has {dataset.rows('validation') - 1:,} rows for split 'validation', the dataset has {dataset.rows('validation'):,}",
    ):
        add_group(dataset, "x", tables, NUMBERS, {})
    assert open_dataset(dataset.path).groups("train") == (IMAGES, LABELS, "native", VOTES)
    assert digests(dataset.path) == before


class KilledError(Exception):
    """Stands for the end of the process."""


REPLACING = """
import pyarrow as pa
from datasets import Features, Value
from affect_data.dataset.folder import open_dataset
from affect_data.dataset.writing import add_group

folder = open_dataset(sys.argv[1])
tables = [(split, pa.table({"number": list(range(7, 7 + folder.rows(split)))})) for split in folder.splits]
killed_at(int(sys.argv[2]))
add_group(folder, "x", tables, Features({"number": Value("int64")}), {"start": 7})
"""


def first_numbers(path: Path) -> list[int]:
    return [open_dataset(path).load(split, ["x"])["number"][0] for split in open_dataset(path).splits]


@pytest.mark.slow
def test_a_group_that_is_replaced_can_be_read_after_a_kill_at_any_moment(dataset: DatasetFolder) -> None:
    seen = []
    for count in range(1, 100, 3):
        add_group(dataset, "x", numbers(dataset), NUMBERS, {"start": 0})
        if run_python(["-c", KILLED_AT + REPLACING, dataset.path, count]).returncode == 0:
            break
        seen.append(open_dataset(dataset.path).manifest.provenance["x"]["start"])
        assert first_numbers(dataset.path) == [seen[-1]] * 2, count
        for split in dataset.splits:
            assert len(load_dataset(dataset.path, split)) == dataset.rows(split)
    assert seen == sorted(seen)
    assert set(seen) == {0, 7}
    assert first_numbers(dataset.path) == [7, 7]
    assert not [path for end in ("partial", "new", "old") for path in dataset.path.rglob(f".*.{end}")]


def test_a_folder_that_is_being_written_refuses_a_second_writer(dataset: DatasetFolder) -> None:
    with (
        exclusive(dataset.path),
        pytest.raises(DataError, match="is being written by another process; wait for it to end"),
    ):
        add_group(dataset, "x", numbers(dataset), NUMBERS, {})
    add_group(dataset, "x", numbers(dataset), NUMBERS, {})


# ---------------------------------------------------------------- hashing

VALUES = st.lists(
    st.tuples(st.integers(-5, 5), st.text(max_size=4), st.booleans(), st.floats(width=32)), min_size=1, max_size=12
)


def as_table(values: list[tuple[int, str, bool, float]]) -> pa.Table:
    columns = list(zip(*values, strict=True))
    pairs = pa.array([[flag, not flag] for flag in columns[2]], pa.list_(pa.bool_(), 2))
    return pa.table(
        {
            "a": pa.array(columns[0], pa.int8()),
            "b": pa.array(columns[1], pa.string()),
            "c": pairs,
            "d": pa.array(columns[3], pa.float32()),
        }
    )


@given(VALUES, st.integers(0, 12))
def test_the_hash_does_not_depend_on_chunks_or_offsets(values: list[tuple[int, str, bool, float]], cut: int) -> None:
    table = as_table(values)
    pieces = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    inside = pa.concat_tables([table, table]).slice(len(table))
    large = table.set_column(1, "b", table["b"].cast(pa.string()))
    assert len({content_hash(form) for form in (table, pieces, inside, inside.combine_chunks(), large)}) == 1


@given(VALUES, VALUES)
def test_other_values_have_another_hash(
    one: list[tuple[int, str, bool, float]], other: list[tuple[int, str, bool, float]]
) -> None:
    first, second = as_table(one), as_table(other)
    bits = [[*table.drop(["d"]).to_pylist(), table["d"].to_numpy().tobytes()] for table in (first, second)]
    assert (content_hash(first) == content_hash(second)) == (bits[0] == bits[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": ["ab", "c"]}, {"a": ["a", "bc"]}),
        ({"a": ["", "a"]}, {"a": ["a", ""]}),
        ({"a": [1, 2]}, {"b": [1, 2]}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": pa.array([1], pa.int8())}, {"a": pa.array([1], pa.int16())}),
        ({"a": ["x"], "b": ["y"]}, {"a": ["y"], "b": ["x"]}),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 2, "y": 1}]}),
        ({"a": [{"x": 1}]}, {"a": [{"y": 1}]}),
        ({"a": [["x", "y"], ["z"]]}, {"a": [["x"], ["y", "z"]]}),
        ({"a": [["x"], []]}, {"a": [[], ["x"]]}),
        ({"a": [["xy"]]}, {"a": [["x", "y"]]}),
        ({"a": [[1, 2], [3]]}, {"a": [[1], [2, 3]]}),
        ({"a": [[{"x": "1"}], []]}, {"a": [[], [{"x": "1"}]]}),
        ({"a": [[{"x": "1"}]]}, {"a": [[{"x": "2"}]]}),
    ],
)
def test_order_names_types_and_borders_of_text_count(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert content_hash(pa.table(one)) != content_hash(pa.table(other))


def test_the_seed_counts() -> None:
    assert content_hash(pa.table({"a": [1]}), seed="x") != content_hash(pa.table({"a": [1]}), seed="y")


def test_a_type_that_cannot_be_hashed_is_refused() -> None:
    with pytest.raises(TypeError, match="no content hash for Arrow type null"):
        content_hash(pa.table({"a": [{"x": None}]}))


def test_lists_are_hashed_by_what_they_hold_however_they_are_chunked() -> None:
    whole = pa.table({"a": [["x", "y"], [], ["z"]]})
    assert content_hash(pa.concat_tables([whole.slice(0, 1), whole.slice(1)])) == content_hash(whole)
    assert content_hash(whole.slice(2)) == content_hash(pa.table({"a": [["z"]]}))
    content_hash(whole.slice(0, 0))


def test_a_feature_that_arrow_cannot_cast_to_is_refused(dataset: DatasetFolder) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError)):
        add_group(dataset, "x", numbers(dataset), Features({"number": Array2D((2, 2), "float32")}), {})
    assert "x" not in open_dataset(dataset.path).groups("train")
