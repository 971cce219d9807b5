"""Training and evaluation on datasets that are no dataset folder: mapped, published and streamed ones."""

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset, Features, Image, Value, concatenate_datasets
from python_processes import run_python
from training_runs import fresh_accelerator, rows_of, same_bits, train_until, weights_of

from affect_data.dataset.folder import LABEL_NAMES, open_dataset
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.schema import IMAGES, LABELS, features
from affect_data.errors import UsageError
from affect_data.leaks.leaks import LeakError
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS
from affect_train.errors import NoLabelsError
from affect_train.evaluation.evaluate import evaluate
from affect_train.labelling.label import label
from affect_train.recipe.recipe import Recipe, recipe_from
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]
Recipes = Callable[..., Recipe]

NAMES = ["Happy", "angry", "sad", "FEAR", "disgusted", "surprised", "natural"]
"""The dataset's own classes, in its own order and spelling."""

OURS = {"happiness": 0, "anger": 1, "sadness": 2, "fear": 3, "disgust": 4, "surprise": 5, "neutral": 6}

COLUMNS = {
    "image": "picture",
    "uid": "name",
    "subject": "person",
    "track": "video",
    "expression": "emotion",
    "valence": "val",
    "arousal": "aro",
    "action_units": {1: "AU01", 12: "AU12", 25: "AU25"},
    "face_box": "bbox",
    "missing": {"emotion": [-9], "val": [-5], "aro": -5, "AU01": [9], "AU12": [9], "AU25": [9]},
}


@pytest.fixture(autouse=True)
def _no_caches_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def foreign_rows(dataset: Path, split: str) -> list[dict[str, Any]]:
    """The rows of a dataset folder as somebody else would have written them down."""
    rows = []
    slots = {unit: ACTION_UNITS.index(unit) for unit in (1, 12, 25)}
    pictures = load_dataset(dataset, split).cast_column("image", Image(decode=False))["image"]
    for row, picture in zip(open_dataset(dataset).labels(split).iter_rows(named=True), pictures, strict=True):
        units = {f"AU{unit:02d}": row["au"][slot] if row["au_mask"][slot] else 9 for unit, slot in slots.items()}
        rows += [
            {
                "name": row["uid"],
                "person": row["subject"],
                "video": f"{row['database']}/{row['track']}",
                "picture": picture,
                "emotion": OURS[EXPRESSIONS[row["expression"]]] if row["expression_mask"] else -9,
                "val": row["valence"] if row["va_mask"] else -5.0,
                "aro": row["arousal"] if row["va_mask"] else -5.0,
                **units,
                "bbox": None if np.isnan(row["face_box"][0]) else row["face_box"],
            }
        ]
    return rows


FOREIGN = Features(
    {
        "name": Value("string"),
        "person": Value("string"),
        "video": Value("string"),
        "picture": Image(),
        "emotion": Value("int64"),
        "val": Value("float32"),
        "aro": Value("float32"),
        "AU01": Value("int8"),
        "AU12": Value("int8"),
        "AU25": Value("int8"),
        "bbox": [Value("float32")],
    }
)


@pytest.fixture(scope="session")
def mapped(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of the fixture `dataset` in four parquet files for training and two for validation, with other columns, names and codes."""
    folder = tmp_path_factory.mktemp("foreign")
    for split, files in (("train", 4), ("validation", 2)):
        rows = Dataset.from_list(foreign_rows(dataset, split), features=FOREIGN)
        for file in range(files):
            rows.shard(files, file).to_parquet(folder / f"{split}-{file:05d}-of-{files:05d}.parquet")
    return folder


def stored_rows(dataset: Path, split: str) -> Dataset:
    """A split with the columns that a dataset folder stores."""
    return load_dataset(dataset, split)


def named_rows(dataset: Path, split: str) -> Dataset:
    """The same with people and videos beside them."""
    named = open_dataset(dataset).labels(split, ["subject", "track"])
    return concatenate_datasets([load_dataset(dataset, split), Dataset.from_polars(named)], axis=1)


def schema_rows(dataset: Path, split: str) -> Dataset:
    """A split with the columns of the schema."""
    folder = open_dataset(dataset)
    labels = Dataset(folder.view.table(folder.stored_labels(split), LABEL_NAMES))
    described = features(LABELS, folder.manifest.databases)
    return concatenate_datasets([labels.cast(described), folder.load(split, [IMAGES])], axis=1)


def publish(folder: Path, rows: Callable[[str], Dataset]) -> Path:
    """Two splits as `Dataset.push_to_hub` lays them out."""
    for split, files in (("train", 4), ("validation", 1)):
        for file in range(files):
            part = rows(split).shard(files, file)
            part.to_parquet(folder / f"data/{split}-{file:05d}-of-{files:05d}.parquet")
    return folder


@pytest.fixture(scope="session")
def published(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixture `dataset`, published with people and videos."""
    return publish(tmp_path_factory.mktemp("published"), lambda split: named_rows(dataset, split))


def section(folder: Path, **options: Any) -> dict[str, Any]:
    columns = {**COLUMNS, "expression": {"column": "emotion", "names": NAMES}}
    return {"path": str(folder), "columns": columns, **options}


@pytest.fixture
def recipe(recipe_values: Values, tmp_path: Path) -> Recipes:
    def build(dataset: Any, *overrides: str, run: str = "run", **sections: Any) -> Recipe:
        sections.setdefault("batches", {"size": 8, "sampler": "uniform"})
        values = recipe_values(dataset=dataset if isinstance(dataset, dict) else str(dataset), **sections)
        return recipe_from(values, [f"output={tmp_path / run}", "training.record_rows=true", *overrides])

    return build


def losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["losses"] for line in lines if line["kind"] == "train"]


def evaluation(run: Path) -> dict[str, Any]:
    return json.loads((run / "evaluation.json").read_text())["splits"]["validation"]


def assert_same_run(first: Path, second: Path) -> None:
    assert losses(first) == losses(second)
    assert evaluation(first)["overall"] == evaluation(second)["overall"]
    assert all(torch.equal(value, weights_of(second)[name]) for name, value in weights_of(first).items())


def test_a_mapped_dataset_trains_to_the_bits_of_the_folder_that_holds_the_same_rows(
    recipe: Recipes, dataset: Path, mapped: Path, tmp_path: Path
) -> None:
    train(recipe(dataset, "batches.sampler=task_balanced", "batches.size=12", "training.log_every=1", run="folder"))
    foreign = recipe(
        section(mapped), "batches.sampler=task_balanced", "batches.size=12", "training.log_every=1", run="mapped"
    )
    train(foreign)
    assert_same_run(tmp_path / "folder", tmp_path / "mapped")


@pytest.mark.parametrize("rows", [named_rows, schema_rows])
def test_a_published_dataset_needs_no_mapping(
    recipe: Recipes, dataset: Path, tmp_path: Path, rows: Callable[[Path, str], Dataset]
) -> None:
    published = publish(tmp_path / "data", lambda split: rows(dataset, split))
    train(recipe(dataset, "training.log_every=1", run="folder"))
    train(recipe({"path": str(published)}, "training.log_every=1", run="published"))
    assert_same_run(tmp_path / "folder", tmp_path / "published")
    assert set(evaluation(tmp_path / "published")["databases"]) == {"affwild2", "expw"}


def test_a_published_dataset_without_people_and_videos_trains_the_same_and_says_that_no_leak_was_looked_for(
    recipe: Recipes, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = publish(tmp_path / "data", lambda split: stored_rows(dataset, split))
    train(recipe(dataset, "training.log_every=1", run="folder"))
    capsys.readouterr()
    train(recipe({"path": str(published)}, "training.log_every=1", run="published"))
    assert "leaks: not looked for, because the rows name neither people nor videos" in capsys.readouterr().err
    first, second = (weights_of(tmp_path / run) for run in ("folder", "published"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    found, expected = (evaluation(tmp_path / run)["overall"] for run in ("published", "folder"))
    # A mean over videos takes to know them.
    videos = [report["va"].pop("per_track")["valence_tracks"] for report in (found, expected)]
    assert videos[0] == 0 < videos[1]
    assert found["va"] == expected["va"]
    assert (found["au"], found["expression"]) == (expected["au"], expected["expression"])


def uids_of(dataset: Path, rows: list[list[int]]) -> list[str]:
    uids = load_dataset(dataset, "train")["uid"][:]
    return [uids[row] for batch in rows for row in batch]


def streamed_uids(dataset: Path, rows: list[list[int]], files: int = 4) -> list[str]:
    """The uids of streamed row numbers: file times 2^32 plus place, of files that hold equal parts of the split."""
    uids = load_dataset(dataset, "train")["uid"][:]
    return [uids[row // 2**32 * (len(uids) // files) + row % 2**32] for batch in rows for row in batch]


STREAM = ("batches.steps_per_epoch=5", "training.epochs=3", "training.validation_split=null")


def test_a_stream_shows_the_rows_of_the_dataset_once_a_pass_in_an_order_of_seed_and_pass(
    recipe: Recipes, dataset: Path, mapped: Path, tmp_path: Path
) -> None:
    # 40 rows in batches of 8: an epoch of 5 steps is a pass
    train(recipe(section(mapped, streaming=True, shuffle_buffer=7), *STREAM, run="stream"))
    train(recipe(section(mapped), "training.epochs=3", "training.validation_split=null", run="loaded"))
    streamed, loaded = rows_of(tmp_path / "stream"), rows_of(tmp_path / "loaded")
    passes = [streamed_uids(dataset, streamed[start : start + 5]) for start in (0, 5, 10)]
    for start, uids in zip((0, 5, 10), passes, strict=True):
        assert sorted(uids) == sorted(uids_of(dataset, loaded[start : start + 5]))
    assert passes[0] != passes[1] != passes[2]
    train(recipe(section(mapped, streaming=True, shuffle_buffer=7), *STREAM, run="again"))
    assert rows_of(tmp_path / "again") == streamed
    train(recipe(section(mapped, streaming=True, shuffle_buffer=7), *STREAM, "seed=1", run="other"))
    assert rows_of(tmp_path / "other") != streamed


def test_a_streamed_validation_split_gives_the_metrics_of_the_loaded_one(
    recipe: Recipes, dataset: Path, mapped: Path, published: Path, tmp_path: Path
) -> None:
    settings = ("batches.steps_per_epoch=5", "training.max_steps=2")
    train(recipe(section(mapped, streaming=True), *settings, run="stream"))
    assert evaluation(tmp_path / "stream")["rows"] == 21
    described = tmp_path / "faces.yaml"
    described.write_text(yaml.safe_dump(section(mapped)))
    loaded = evaluate(tmp_path / "stream/model", described, ["train", "validation"], bootstrap=20, tune_thresholds=None)
    described.write_text(yaml.safe_dump(section(mapped, streaming=True)))
    streamed = evaluate(tmp_path / "stream/model", described, ["train", "validation"], bootstrap=20)
    assert streamed["splits"] == loaded["splits"]
    assert loaded["splits"]["validation"]["overall"]["va"] == evaluation(tmp_path / "stream")["overall"]["va"]
    assert streamed["fingerprint"] is None
    own = evaluate(tmp_path / "stream/model", dataset, ["validation"], bootstrap=20, tune_thresholds="train")
    described.write_text(yaml.safe_dump({"path": str(published), "streaming": True}))
    again = evaluate(tmp_path / "stream/model", described, ["validation"], bootstrap=20, tune_thresholds="train")
    # People and videos as text are those that a dataset folder has by number, so that the bootstrap draws the same.
    assert "intervals" in again["splits"]["validation"]["overall"]
    assert json.dumps(again["splits"]) == json.dumps(own["splits"])
    assert again["thresholds_from"]["labels"] == own["thresholds_from"]["labels"]


def test_an_interrupted_stream_goes_on_to_the_same_bits(recipe: Recipes, mapped: Path, tmp_path: Path) -> None:
    # An epoch of 3 steps ends within a pass of 5; the stop is within the second pass.
    settings = (
        "batches.steps_per_epoch=3",
        "training.epochs=4",
        "training.save_every_steps=2",
        "training.validation_split=null",
    )
    streamed = section(mapped, streaming=True, shuffle_buffer=16)
    train(recipe(streamed, *settings, run="whole"))
    train_until(recipe(streamed, *settings, run="cut"), 9)
    train(recipe(streamed, *settings, run="cut"))
    assert same_bits(tmp_path / "whole", tmp_path / "cut")


WITHOUT_CACHES_OF_OTHERS = """
import datasets, sys
from pathlib import Path
from affect_train.cli.app import module_main
datasets.config.HF_DATASETS_CACHE = Path(sys.argv.pop(1))
module_main()
"""


@pytest.mark.slow
def test_two_processes_share_a_stream(recipe: Recipes, mapped: Path, tmp_path: Path) -> None:
    streamed = section(mapped, streaming=True, shuffle_buffer=7)
    settings = ("batches.steps_per_epoch=5", "training.epochs=2", "model.dropout=0")
    train(recipe(streamed, *settings, run="one"))
    made = recipe(streamed, *settings, run="two")
    made.write(tmp_path / "recipe.yaml")
    done = run_python(
        ["-c", WITHOUT_CACHES_OF_OTHERS, tmp_path / "cache", tmp_path / "recipe.yaml", "--json"], processes=2
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 process(es) on cpu" in done.stderr
    one, parts = rows_of(tmp_path / "one"), [rows_of(tmp_path / "two", rank) for rank in (0, 1)]
    together = [first + second for first, second in zip(*parts, strict=True)]
    for start in (0, 5):
        # 40 rows in batches of 8: every pass of both has every row once
        passes = [sorted(chain.from_iterable(rows[start : start + 5])) for rows in (together, one)]
        assert passes[0] == passes[1]
    assert evaluation(tmp_path / "two")["rows"] == 21
    assert together == one
    for name, value in weights_of(tmp_path / "one").items():
        assert torch.allclose(value, weights_of(tmp_path / "two")[name], atol=2e-4), name


def test_people_in_two_splits_are_refused_as_in_a_dataset_folder(recipe: Recipes, mapped: Path) -> None:
    columns = {**section(mapped)["columns"], "subject": "AU01"}
    with pytest.raises(
        LeakError,
        match=r"subject '1' of .*: 1?[0-9]+ rows in (train and validation|validation and train)\n(.|\n)*leaks: report",
    ):
        train(recipe({"path": str(mapped), "columns": columns}), dry_run=True)
    fresh_accelerator()
    result = train(recipe({"path": str(mapped), "columns": columns}, "training.leaks=report"), dry_run=True)
    assert result["steps"] == 5


def test_a_stream_without_a_label_of_a_task_is_an_error(recipe: Recipes, mapped: Path) -> None:
    missing = {"emotion": [-9], "val": -5, "aro": -5, "AU01": [0, 1, 9]}
    columns = {**section(mapped)["columns"], "action_units": {45: "AU01"}, "missing": missing}
    settings = ("tasks.action_units=[45]", "training.max_steps=9", "training.validation_split=null")
    made = recipe({"path": str(mapped), "columns": columns, "streaming": True}, *settings)
    with pytest.raises(NoLabelsError, match=r"split train: no row has a label of au; "):
        train(made)


def test_columns_are_written_into_dataset_folders_alone(mapped: Path, tmp_path: Path) -> None:
    described = tmp_path / "faces.yaml"
    described.write_text(yaml.safe_dump(section(mapped)))
    with pytest.raises(
        UsageError, match=r"affect-train label writes columns into a dataset folder, which '.*faces.yaml' is not"
    ):
        label(tmp_path / "model", described, "teacher")
