"""Training a recurrent stage over windows of stored features, and what a trained one says of rows."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from affect_data.errors import RecipeError, UsageError
from affect_data.soft_labels import read_provenance
from affect_data.store import load_dataset, open_dataset
from affect_data.vocabulary import EXPRESSIONS
from affect_train.cross_label import cross_label
from affect_train.ensemble import ensemble
from affect_train.errors import ModelMismatchError, NoWindowsError
from affect_train.evaluate import evaluate
from affect_train.features import features_of, read_feature_provenance, store_features
from affect_train.inference import build_accelerator, infer, open_model
from affect_train.label import label
from affect_train.labels import column_array, load_labels
from affect_train.loop import train
from affect_train.model import load_model
from affect_train.predict import predict
from affect_train.recipe import read_recipe, recipe_from
from affect_train.temporal.inputs import inputs_of
from affect_train.temporal.windows import FeatureWindows, placed, track_windows

Values = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> Iterator[None]:
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def fresh() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)


# ---------------------------------------------------------------- a dataset of videos


def video_row(row: dict[str, Any]) -> dict[str, Any]:
    """Videos of ten frames with a gap after the sixth; every eleventh video's worth of rows is photographs."""
    number = row["frame"]
    photograph = number // 10 % 4 == 3
    row = {**row, "database": int(photograph), "track": "" if photograph else f"clip{number // 10}"}
    row["frame"] = -1 if photograph else number + (number % 10 > 5)
    row["subject"] = f"s{number // 10}"
    return row


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    from transformers import AutoConfig, AutoModel

    settings = {key: value for key, value in world.tiny_vit.items() if key != "model_type"}
    torch.manual_seed(4)
    model = AutoModel.from_config(AutoConfig.for_model("vit", image_size=32, **settings))
    folder = tmp_path_factory.mktemp("backbones") / "tiny"
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def videos(tmp_path: Path, world: SimpleNamespace, backbone: Path) -> Path:
    """80 rows for training and 40 for validation, a quarter of them photographs, with the features `tiny`."""
    partial = (("au",), ("expression",), ("va",), ("au", "va"))
    splits = {
        "train": [(number, partial[number // 7 % 4]) for number in range(80)],
        "validation": [(number, world.all) for number in range(200, 240)],
    }
    path = world.write_dataset(tmp_path / "videos", splits, edit=video_row)
    store_features(str(backbone), path, "tiny", image_size=32)
    fresh()
    return path


@pytest.fixture
def values(recipe_values: Values, backbone: Path, videos: Path) -> Values:
    def build(temporal: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
        model = {
            "backbone": str(backbone),
            "image_size": 32,
            "freeze_backbone": True,
            "features": "tiny",
            "temporal": {"window": 4, "projection": 8, "hidden": 6, **(temporal or {})},
        }
        defaults = {"batches": {"size": 6}, "optimizer": {"learning_rate": 0.01}}
        return recipe_values(dataset=str(videos), model=model, **{**defaults, **sections})

    return build


def trained(values: Values, tmp_path: Path, *overrides: str, **arguments: Any) -> Path:
    train(recipe_from(values(**arguments), ["training.epochs=2", *overrides]))
    fresh()
    return tmp_path / "run"


def test_training_over_windows_lowers_the_losses_and_says_what_takes_no_part(
    values: Values, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(values, tmp_path, "training.epochs=8", "training.record_rows=true")
    told = " ".join(capsys.readouterr().err.split())
    # six videos of 6 and 4 frames: two windows and one each
    assert "18 windows of 4 to 4 frames over 12 runs of consecutive frames (60 rows)" in told
    assert "20 rows without a track, or held out, take no part" in told
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [record["losses"] for record in records if record["kind"] == "train"]
    assert losses[-1]["expression"] < losses[0]["expression"]
    batches = [json.loads(line)["rows"][0] for line in (run / "rows.rank0.jsonl").read_text().splitlines()]
    assert {len(rows) for rows in batches} == {24}
    assert all(np.diff(rows[start : start + 4]).tolist() == [1, 1, 1] for rows in batches for start in range(0, 24, 4))
    assert not {row for rows in batches for row in rows} & {*range(30, 40), *range(70, 80)}


def test_windows_are_drawn_by_their_labels_in_equal_shares(values: Values, tmp_path: Path, videos: Path) -> None:
    run = trained(values, tmp_path, "training.epochs=1", "training.record_rows=true")
    tasks = recipe_from(values()).tasks.task_set()
    dataset, labels = load_labels(videos, "train", tasks)
    windows = track_windows(dataset, 4, 2)
    labelled = labels.pools(tasks)
    names = list(labelled)
    for line in (run / "rows.rank0.jsonl").read_text().splitlines():
        rows = np.reshape(json.loads(line)["rows"][0], (6, 4))
        for place, window in enumerate(rows):
            assert np.isin(window, labelled[names[place % 3]]).any()
    held = windows.pools({name: SimpleNamespace(rows=rows) for name, rows in labelled.items()})
    assert {name: len(pool) for name, pool in held.items()} != {name: len(windows) for name in names}


def test_a_saved_model_says_of_every_row_what_it_says_of_its_window(
    values: Values, tmp_path: Path, videos: Path
) -> None:
    run = trained(values, tmp_path, temporal={"evaluation_stride": 2})
    model, preprocessing = open_model(run / "model")
    assert model.config.temporal["window"] == 4
    folder, accelerator = open_dataset(videos), build_accelerator()
    assert features_of(model, folder) == "tiny"
    inputs = inputs_of(model, preprocessing, folder, "validation", accelerator)
    assert isinstance(inputs, FeatureWindows)
    found = infer(model, inputs, accelerator)
    stored = column_array(folder.load("validation", ["features.tiny"]), "features.tiny")
    features = torch.from_numpy(stored.astype(np.float32))

    def say(rows: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(placed(features[rows], torch.arange(len(rows)))).expression_logits

    # frames 0..5 in windows 0..3 and 2..5, frames 6..9 behind the gap in one
    first, second, third = say([0, 1, 2, 3]), say([2, 3, 4, 5]), say([6, 7, 8, 9])
    expected = torch.cat([first[:2], (first[2:] + second[:2]) / 2, second[2:], third])
    assert np.allclose(found["expression"][:10], expected, atol=1e-6)
    # a photograph is a window of one frame
    assert np.allclose(found["expression"][30], say([30])[0], atol=1e-6)


def test_evaluation_inside_training_is_that_of_the_saved_model_with_stored_and_with_computed_features(
    values: Values, tmp_path: Path, videos: Path, world: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(values, tmp_path, "training.keep_best=0", "training.epochs=1")
    inside = json.loads((run / "evaluation.json").read_text())["splits"]["validation"]
    stored = evaluate(run / "model", videos, ["validation"])["splits"]["validation"]
    fresh()
    assert stored == inside
    assert stored["rows"] == 40
    bare = world.write_dataset(
        tmp_path / "bare", {"validation": [(number, world.all) for number in range(200, 240)]}, edit=video_row
    )
    capsys.readouterr()
    computed = evaluate(run / "model", bare, ["validation"])["splits"]["validation"]
    assert "has no features of this model's backbone: computing those of 40 rows" in capsys.readouterr().err
    assert computed == stored


def test_soft_labels_of_a_recurrent_teacher_teach_another(
    values: Values, tmp_path: Path, videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(values, tmp_path)
    written = label(run, videos, "gru")
    fresh()
    assert written["rows"] == {"train": 80, "validation": 40}
    assert read_provenance(videos, "gru").view.endswith("windows of 4 frames every 4")
    model, preprocessing = open_model(run / "model")
    accelerator = build_accelerator()
    inputs = inputs_of(model, preprocessing, open_dataset(videos), "train", accelerator)
    logits = infer(model, inputs, accelerator)
    stored = load_dataset(videos, "train", ["gru"])
    for head, found in logits.items():
        assert np.allclose(column_array(stored, f"soft.gru.{head}"), found, atol=2e-3)
    fresh()
    capsys.readouterr()
    label(run, videos, "gru")
    assert "nothing was done" in capsys.readouterr().err
    fresh()
    student = values(soft_labels=["gru"], method={"name": "distillation"})
    result = train(recipe_from({**student, "output": str(tmp_path / "student")}, ["training.epochs=2"]))
    assert result["steps"] > 2


def test_out_of_fold_labels_and_ensembles_take_recurrent_models(values: Values, tmp_path: Path, videos: Path) -> None:
    recipe = recipe_from(values(output=str(tmp_path / "oof")), ["training.max_steps=4"])
    written = cross_label(recipe, 2, "oof")
    fresh()
    assert sum(written["folds"].values()) == 80
    folds = column_array(open_dataset(videos).load("train", ["folds.oof"]), "folds.oof")
    stored = column_array(load_dataset(videos, "train", ["oof"]), "soft.oof.expression")
    for fold, run in enumerate(written["runs"]):
        model, preprocessing = open_model(Path(run) / "model")
        inputs = inputs_of(model, preprocessing, open_dataset(videos), "train", build_accelerator())
        said = infer(model, inputs, build_accelerator())["expression"]
        assert np.allclose(stored[folds == fold], said[folds == fold], atol=2e-3)
        assert not np.allclose(stored[folds != fold], said[folds != fold], atol=2e-3)
    fresh()
    label(written["runs"][0], videos, "first")
    fresh()
    merged = ensemble(videos, [written["runs"][0]], ["first"], splits=["validation"])["splits"]["validation"]["overall"]
    fresh()
    alone = evaluate(written["runs"][0], videos, ["validation"])["splits"]["validation"]["overall"]
    assert merged["expression"]["accuracy"] == alone["expression"]["accuracy"]
    assert merged["va"]["valence_ccc"] == pytest.approx(alone["va"]["valence_ccc"], abs=2e-3)


def test_soft_terms_count_frames_and_no_filling(values: Values, tmp_path: Path, videos: Path) -> None:
    """Windows of six where runs have six and four frames: a soft loss over all rows is the mean over real frames alone."""
    run = trained(values, tmp_path)
    label(run, videos, "gru")
    fresh()
    from affect_train.methods import build_method
    from affect_train.preparation import TrainingData

    settings = values({"window": 6, "stride": 6}, soft_labels=["gru"], method={"name": "distillation"})
    recipe = recipe_from(settings)
    data = TrainingData.load(recipe, build_accelerator())
    faces = next(iter(data.loader))
    batch = data.train.labels.batch(faces)
    runs = sum(1 for place in faces.pixels[:, 0] if place == 0)
    assert runs == 6
    assert len(batch) < 36
    counts = build_method(recipe.method, recipe.tasks.task_set()).counts(batch)
    soft = [count for name, count in counts.items() if name.endswith("soft") and not name.startswith("au")]
    assert soft
    assert all(int(count) == len(batch) for count in soft)


def test_held_out_folds_keep_their_tracks_out_of_the_windows(values: Values, tmp_path: Path, videos: Path) -> None:
    from affect_data.folds import write_folds

    write_folds(open_dataset(videos), "two", 2, seed=0, splits=("train",))
    folds = column_array(open_dataset(videos).load("train", ["folds.two"]), "folds.two")
    run = trained(
        values, tmp_path, "training.record_rows=true", "training.held_out={folds: two, fold: 0}", "training.epochs=3"
    )
    seen = {row for line in (run / "rows.rank0.jsonl").read_text().splitlines() for row in json.loads(line)["rows"][0]}
    tracked = [row for row in range(80) if row // 10 % 4 != 3]
    assert seen == {row for row in tracked if folds[row] == 1}


def test_frames_of_a_video_are_predicted_as_the_rows_of_a_track(
    values: Values, tmp_path: Path, videos: Path, world: SimpleNamespace
) -> None:
    run = trained(values, tmp_path, "crop.margin=0.2")
    # whole pictures, as the command takes them
    bare = world.write_dataset(
        tmp_path / "bare",
        {"validation": [(number, world.all) for number in range(200, 206)]},
        edit=lambda row: {**video_row(row), "face_box": [np.nan] * 4},
    )
    model, preprocessing = open_model(run / "model")
    accelerator = build_accelerator()
    inputs = inputs_of(model, preprocessing, open_dataset(bare), "validation", accelerator)
    logits = infer(model, inputs, accelerator)
    expected = torch.from_numpy(logits["expression"]).softmax(dim=1).numpy()
    fresh()
    pictures = []
    for number in range(200, 206):
        pictures.append(tmp_path / f"{number}.img")
        pictures[-1].write_bytes(world.face_bytes(number))
    together = predict(run, pictures, sequence=True)
    fresh()
    found = [list(one["expression_probabilities"].values()) for one in together]
    assert np.allclose(found, expected, atol=2e-3)
    alone = predict(run, pictures)
    assert alone[0] != together[0]


def test_a_sequence_takes_a_recurrent_stage(recipe_values: Values, tmp_path: Path, world: SimpleNamespace) -> None:
    train(recipe_from(recipe_values(), ["training.max_steps=1"]))
    fresh()
    picture = tmp_path / "face.jpg"
    picture.write_bytes(world.face_bytes(2))
    with pytest.raises(UsageError, match="looks at every picture by itself: it has no recurrent stage, leave --seq"):
        predict(tmp_path / "run", [picture], sequence=True)


# ---------------------------------------------------------------- from a model of ours to its features


def test_a_model_of_ours_gives_its_features_from_its_run_and_its_model_folder_alike(
    recipe_values: Values, videos: Path, tmp_path: Path
) -> None:
    student = recipe_values(dataset=str(videos))
    student["model"] |= {"standardise": True}
    train(recipe_from(student, ["training.max_steps=2", "crop.margin=0.4"]))
    fresh()
    store_features(str(tmp_path / "run"), videos, "student")
    fresh()
    store_features(str(tmp_path / "run/model"), videos, "again")
    fresh()
    provenance = read_feature_provenance(videos, "student")
    again = read_feature_provenance(videos, "again")
    assert provenance.normalisation.endswith("then every image to mean 0 and deviation 1")
    assert provenance.preprocessing["margin"] == 0.4
    assert (again.preprocessing_hash, again.backbone_digest) == (
        provenance.preprocessing_hash,
        provenance.backbone_digest,
    )
    first, second = (
        column_array(open_dataset(videos).load("train", [f"features.{name}"]), f"features.{name}")
        for name in ("student", "again")
    )
    assert np.array_equal(first, second)

    temporal = {
        "backbone": str(tmp_path / "run/model"),
        "image_size": 32,
        "freeze_backbone": True,
        "features": "student",
        "temporal": {"window": 4},
        "standardise": True,
    }
    recipe = recipe_values(dataset=str(videos), model=temporal, output=str(tmp_path / "gru"), batches={"size": 6})
    train(recipe_from(recipe, ["training.max_steps=2", "crop.margin=0.4"]))
    fresh()
    assert features_of(load_model(tmp_path / "gru/model"), open_dataset(videos)) in ("student", "again")
    with pytest.raises(ModelMismatchError, match=r"features 'student', normalisation: found mean .* deviation 1; expe"):
        train(recipe_from(recipe, ["training.max_steps=2", "crop.margin=0.4", "model.standardise=false"]))


# ---------------------------------------------------------------- what is refused


def test_a_recurrent_stage_takes_stored_features_and_no_balance(recipe_values: Values) -> None:
    model = {"backbone": "somewhere", "temporal": {"window": 8, "stride": 9}}
    with pytest.raises(RecipeError, match=r"model.temporal.stride: 9 is more than the window of 8 frames") as error:
        recipe_from(recipe_values(model=model))
    model["temporal"] = {"window": 8, "evaluation_stride": 9}
    with pytest.raises(RecipeError, match=r"model.temporal.evaluation_stride: 9 is more than the window of 8 frames"):
        recipe_from(recipe_values(model=model))
    model["temporal"] = {}
    with pytest.raises(RecipeError) as error:
        recipe_from(recipe_values(model=model, batches={"balance": "plan"}))
    assert "model.temporal: windows are read from stored features; run `affect-train features`" in str(error.value)
    assert "batches.balance: found 'plan', which weighs rows, but a recurrent stage draws windows" in str(error.value)
    with pytest.raises(RecipeError, match=r"method.name: 'meta_auxiliary' judges its steps by rows, but a recurrent"):
        recipe_from(recipe_values(model=model, method={"name": "meta_auxiliary"}))
    resolved = recipe_from(recipe_values(model={**model, "features": "tiny", "freeze_backbone": True}))
    assert resolved.model.temporal.strides == (16, 32)


def test_a_dataset_without_videos_is_refused(values: Values, videos: Path, world: SimpleNamespace) -> None:
    def still(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "track": "", "subject": f"s{row['frame']}"}

    photographs = world.write_dataset(
        videos.parent / "photographs",
        {"train": [(n, world.all) for n in range(8)], "validation": [(9, world.all)]},
        edit=still,
    )
    store_features(values()["model"]["backbone"], photographs, "tiny", image_size=32)
    fresh()
    with pytest.raises(NoWindowsError, match=r"split train: no row has a track and a frame number.*remove `model.temp"):
        train(recipe_from({**values(), "dataset": str(photographs)}))


def test_a_task_that_only_photographs_are_labelled_for_is_named(
    values: Values, videos: Path, world: SimpleNamespace, backbone: Path
) -> None:
    mixed = world.write_dataset(
        videos.parent / "mixed",
        {
            "train": [(number, ("expression",) if number // 10 == 3 else ("au",)) for number in range(40)],
            "validation": [(number, world.all) for number in range(200, 210)],
        },
        edit=video_row,
    )
    store_features(str(backbone), mixed, "tiny", image_size=32)
    fresh()
    settings = {**values(), "dataset": str(mixed), "tasks": {"action_units": [1, 12], "expression": "aff_wild2_7"}}
    with pytest.raises(
        NoWindowsError, match=r"no row with a label of expression has a track.*remove expression from `t"
    ):
        train(recipe_from(settings))
    proportional = recipe_from(settings, ["batches.sampler=database_proportional", "training.max_steps=2"])
    fresh()
    assert train(proportional)["steps"] == 2


# ---------------------------------------------------------------- what it is for


def test_it_learns_what_depends_on_the_frame_before_and_a_head_on_single_frames_cannot(
    recipe_values: Values, backbone: Path, tmp_path: Path, world: SimpleNamespace
) -> None:
    """Every frame is one of two pictures at random; its expression says which one came before."""
    bits = np.random.default_rng(0).integers(0, 2, 4000)
    classes = [EXPRESSIONS.index(name) for name in ("happiness", "sadness")]

    def edit(row: dict[str, Any]) -> dict[str, Any]:
        number = row["frame"]
        before = classes[bits[number - 1]] if number % 24 else -1
        row = {**row, "database": 0, "track": f"clip{number // 24}", "subject": f"s{number // 24}"}
        return {**row, "expression": before, "expression_mask": before >= 0, "face_box": [np.nan] * 4}

    splits = {
        "train": [(number, ("expression",)) for number in range(1200)],
        "validation": [(number, ("expression",)) for number in range(2400, 2880)],
    }
    path = world.write_dataset(
        tmp_path / "toy", splits, face=lambda number: world.face_bytes(2 * int(bits[number]) + 1, 32), edit=edit
    )
    store_features(str(backbone), path, "tiny", image_size=32)
    fresh()
    model = {"backbone": str(backbone), "image_size": 32, "freeze_backbone": True, "features": "tiny"}
    common = {
        "dataset": str(path),
        "tasks": {"expression": ["happiness", "sadness"]},
        "optimizer": {"learning_rate": 0.01},
        "training": {"epochs": 12, "best_metric": "expression.accuracy"},
    }

    def accuracy(name: str, size: int, **options: Any) -> float:
        output = str(tmp_path / name)
        result = train(
            recipe_from(recipe_values(**common, output=output, model={**model, **options}, batches={"size": size}))
        )
        fresh()
        return result["best_score"]

    framewise = accuracy("frames", 96, head={"hidden": 16})
    recurrent = accuracy("windows", 8, temporal={"window": 12, "projection": 16, "hidden": 16})
    assert framewise < 0.6
    assert recurrent > 0.9


# ---------------------------------------------------------------- several processes, and killed ones


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LAUNCH = [
    "-m",
    "accelerate.commands.launch",
    "--config_file",
    str(Path(__file__).parents[2] / "recipes/accelerate/multi_gpu.yaml"),
    "--main_process_port",
    "0",
]
JUDGE = """
import sys
import torch
from pathlib import Path
from affect_train.evaluate import evaluate
from affect_train.label import label
torch.set_num_threads(1)
run, dataset, report, name = sys.argv[1:]
evaluate(run, dataset, ["train", "validation"], output=Path(report))
label(run, dataset, name)
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def launch(*arguments: str) -> None:
    command = [sys.executable, *LAUNCH, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_two_processes_train_evaluate_and_label_as_one(values: Values, videos: Path, tmp_path: Path) -> None:
    """Windows of two frames that overlap: 68 of the training split, more than a batch, so that both processes have some."""
    recipe = values({"window": 2, "stride": 1, "evaluation_stride": 1})
    file = tmp_path / "recipe.yaml"
    settings = ["training.record_rows=true", "training.epochs=2", "training.validation_split=null"]
    file.write_text(recipe_from(recipe, settings).to_yaml())
    train(read_recipe(file, [f"output={tmp_path / 'one'}"]))
    fresh()
    launch("-m", "affect_train", str(file), f"output={tmp_path / 'two'}")
    parts = [rows_of(tmp_path / f"two/rows.rank{rank}.jsonl") for rank in (0, 1)]
    whole = rows_of(tmp_path / "one/rows.rank0.jsonl")
    assert [first + second for first, second in zip(*parts, strict=True)] == whole
    assert {len(rows) for rows in parts[0]} == {6}
    alone, shared = (load_file(tmp_path / run / "model/model.safetensors") for run in ("one", "two"))
    for name, value in alone.items():
        assert torch.allclose(value, shared[name], atol=2e-4), name

    reports = [tmp_path / "one.json", tmp_path / "two.json"]
    evaluate(tmp_path / "one", videos, ["train", "validation"], output=reports[0])
    fresh()
    label(tmp_path / "one", videos, "alone")
    fresh()
    script = tmp_path / "judge.py"
    script.write_text(JUDGE)
    launch(str(script), str(tmp_path / "one"), str(videos), str(reports[1]), "shared")
    assert reports[0].read_text() == reports[1].read_text()
    for split in ("train", "validation"):
        joined = load_dataset(videos, split, ["alone", "shared"])
        for head in ("au", "expression", "valence", "arousal"):
            assert np.array_equal(
                column_array(joined, f"soft.alone.{head}"), column_array(joined, f"soft.shared.{head}")
            )


@pytest.mark.slow
def test_a_killed_run_over_windows_goes_on_to_the_same_bits(values: Values, tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    settings = [
        "training.epochs=15",
        "training.save_every_steps=10",
        "training.validation_split=null",
        "model.dropout=0.2",
    ]
    file.write_text(recipe_from(values({"layers": 2}), [*settings, "training.record_rows=true"]).to_yaml())
    train(read_recipe(file, [f"output={tmp_path / 'whole'}"]))
    fresh()
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "affect_train", str(file), f"output={cut}"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list(cut.glob("checkpoints/step-*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    saved = [path.name for path in cut.glob("checkpoints/step-*")]
    assert saved
    assert "step-00000090" not in saved
    train(read_recipe(file, [f"output={cut}"]))
    whole, resumed = (load_file(folder / "model/model.safetensors") for folder in (tmp_path / "whole", cut))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert (cut / "rows.rank0.jsonl").read_text() == (tmp_path / "whole/rows.rank0.jsonl").read_text()


def rows_of(path: Path) -> list[list[int]]:
    return [json.loads(line)["rows"][0] for line in path.read_text().splitlines()]
