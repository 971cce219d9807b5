"""What is done with a trained model: logits for a split, soft labels, evaluation, prediction."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Features, Value
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.loading import load_dataset
from affect_data.dataset.writing import add_group
from affect_data.demo.sampler import FaceSampler
from affect_data.errors import DataError, NotADatasetError, UnknownNameError, UsageError
from affect_train.errors import ModelMismatchError, NotAModelError
from affect_train.evaluation.evaluate import evaluate
from affect_train.inference import inference
from affect_train.inference.inference import (
    ComputedRows,
    in_row_order,
    infer,
    logits_of,
    note_inference,
    open_model,
    predictions,
)
from affect_train.inference.predict import predict
from affect_train.inputs.batch import Pick
from affect_train.inputs.labels import load_labels
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.labelling.label import label, weights_digest
from affect_train.recipe.recipe import recipe_from
from affect_train.recipe.section import HeldOutOptions
from affect_train.runtime import Runtime
from affect_train.training.loop import train

Values = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, dataset: Path, world: SimpleNamespace) -> Path:
    """A short training run on the tiny dataset."""
    folder = tmp_path_factory.mktemp("runs") / "teacher"
    values = {
        "dataset": str(dataset),
        "output": str(folder),
        "tasks": {
            "action_units": [25, 1],
            "expression": ["happiness", "neutral", "sadness"],
            "valence_arousal": {"bins": 4},
        },
        "model": {"backbone": world.tiny_vit, "image_size": 32},
        "batches": {"size": 8},
        "optimizer": {"learning_rate": 0.01},
    }
    train(recipe_from(values))
    fresh_accelerator()
    return folder


def logits_by_hand(run: Path, dataset: Path, split: str) -> dict[str, np.ndarray]:
    """One picture at a time, from the bytes."""
    model, preprocessing = open_model(run / "model")
    rows = load_dataset(dataset, split).with_format("arrow")[:]
    found: dict[str, list[np.ndarray]] = {}
    boxes = open_dataset(dataset).labels(split, ["face_box"])["face_box"]
    for image, box in zip(rows["image"].to_pylist(), boxes.to_list(), strict=True):
        pixels = torch.from_numpy(preprocessing(image["bytes"], box).transpose(2, 0, 1).copy())[None]
        with torch.no_grad():
            for head, values in logits_of(model(pixels)).items():
                found.setdefault(head, []).append(values[0].numpy())
    return {head: np.stack(values) for head, values in found.items()}


def test_logits_stand_in_row_order_and_see_no_augmentation(
    run: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "INFERENCE_BATCH", 8)
    model, preprocessing = open_model(run / "model")
    model.train()
    seen: list[int] = []
    logits = infer(
        model, FaceImages(load_dataset(dataset, "validation"), preprocessing), Runtime.start(), advance=seen.append
    )
    expected = logits_by_hand(run, dataset, "validation")
    assert {head: values.shape for head, values in logits.items()} == {
        "au": (21, 2),
        "expression": (21, 3),
        "valence": (21, 4),
        "arousal": (21, 4),
    }
    for head, values in expected.items():
        assert np.allclose(logits[head], values, atol=1e-5), head
    assert seen == [8, 8, 5]
    assert model.training


def test_batch_size_and_precision_are_those_of_the_command_or_else_of_the_models_run(
    run: Path, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, preprocessing = open_model(run / "model")
    inputs, seen = FaceImages(load_dataset(dataset, "validation"), preprocessing), list[int]()

    def logits(**asked: Any) -> np.ndarray:
        seen.clear()
        found = infer(model, inputs, Runtime.start(**asked), advance=seen.append)
        assert found is not None
        return found["au"]

    exact = logits()
    assert seen == [21]
    rounded = logits(batch_size=20, precision="bf16")
    assert seen == [20, 1]
    assert not np.allclose(rounded, exact, atol=1e-6)
    assert np.allclose(rounded, exact, atol=0.05)
    note_inference(model, 8, "bf16")
    # this device does not compute in the precision of the run
    assert np.allclose(logits(), exact, atol=1e-5)
    assert seen == [8, 8, 5]
    monkeypatch.setattr(inference, "precision_for", lambda asked: "bf16")
    assert np.allclose(logits(), rounded, atol=1e-2)
    assert not np.allclose(logits(), exact, atol=1e-6)
    with pytest.raises(UsageError, match=r"--precision: fp16 takes a GPU; use bf16, or no"):
        Runtime.start(precision="fp16")


def test_a_run_notes_how_it_evaluates_where_that_is_not_the_usual(run: Path) -> None:
    model, _ = open_model(run / "model")
    note_inference(model, 64, "no")
    assert not {"inference_batch", "inference_precision"} & set(model.config.to_dict())
    note_inference(model, 100, "bf16")
    again = type(model.config).from_dict(model.config.to_dict())
    assert (again.inference_batch, again.inference_precision) == (100, "bf16")


def test_rows_that_two_processes_saw_are_there_once_and_missing_ones_are_noticed() -> None:
    parts = [
        ComputedRows(np.array([0, 2]), {"au": np.array([[0.0], [2.0]])}),
        ComputedRows(np.array([1, 2]), {"au": np.array([[1.0], [2.0]])}),
    ]
    assert in_row_order(parts, 3)["au"].tolist() == [[0.0], [1.0], [2.0]]
    with pytest.raises(RuntimeError, match=r"1 of 4 rows were seen by no process"):
        in_row_order(parts, 4)


def test_labelling_writes_the_logits_of_every_row_of_every_split_with_their_origin(
    run: Path, own_dataset: Path, world: SimpleNamespace
) -> None:
    images = {path: path.read_bytes() for path in own_dataset.rglob("*.arrow")}
    result = label(run, own_dataset, "teacher")
    assert result["rows"] == {"train": 16, "validation": 9}
    for split, rows in result["rows"].items():
        joined = load_dataset(own_dataset, split, ["teacher"]).with_format("arrow")[:]
        expected = logits_by_hand(run, own_dataset, split)
        for head, values in expected.items():
            column = joined[f"soft.teacher.{head}"]
            assert column.type.value_type == "halffloat"
            stored = np.array(column.to_pylist(), dtype=np.float32)
            assert stored.shape[0] == rows
            assert np.allclose(stored, values, atol=2e-3, rtol=2e-3)
    assert {path: path.read_bytes() for path in images} == images
    origin = SOFT_LABELS.read(open_dataset(own_dataset), "teacher")
    assert origin.teacher_id == "teacher"
    assert origin.teacher_revision == weights_digest(run / "model")
    assert origin.action_units == (25, 1)
    assert origin.expressions == ("happiness", "neutral", "sadness")
    assert origin.valence_arousal_bins == 4
    assert "margin 0.2, 32 px, preprocessing " in origin.view
    assert not origin.out_of_fold


def test_a_student_learns_from_written_soft_labels(
    run: Path, own_dataset: Path, tmp_path: Path, recipe_values: Values
) -> None:
    label(run, own_dataset, "teacher")
    tasks = {"action_units": [1, 12], "expression": ["neutral", "happiness", "sadness"], "valence_arousal": {"bins": 4}}
    student = recipe_values(
        dataset=str(own_dataset), tasks=tasks, method={"name": "distillation"}, soft_labels=["teacher"]
    )
    result = train(recipe_from(student, ["batches.size=6"]), dry_run=True)
    assert len(result["losses"]) >= 4
    assert all(np.isfinite(value) for value in result["losses"].values())


def test_a_student_of_seven_classes_learns_from_a_teacher_of_three(
    run: Path, own_dataset: Path, recipe_values: Values
) -> None:
    label(run, own_dataset, "teacher")
    tasks = {"expression": "aff_wild2_7"}
    student = recipe_values(
        dataset=str(own_dataset), tasks=tasks, method={"name": "distillation"}, soft_labels=["teacher"]
    )
    losses = train(recipe_from(student, ["batches.size=6"]), dry_run=True)["losses"]
    assert losses["expression_soft"] > 0
    assert all(np.isfinite(value) for value in losses.values())


def test_evaluation_scores_every_row_and_each_database(run: Path, dataset: Path) -> None:
    report = evaluate(run, dataset, ["validation"])
    assert json.loads((run / "evaluation.json").read_text()) == report
    found = report["splits"]["validation"]
    model, _ = open_model(run / "model")
    predicted = predictions(model, logits_by_hand(run, dataset, "validation"))
    numbers = np.arange(100, 121)
    au25 = numbers // 3 % 2
    assert found["overall"]["au"]["by_action_unit"]["25"]["f1"] == pytest.approx(
        f1_score(au25, predicted["au"][:, 0] >= 0.5)
    )
    # the heads' classes happiness, neutral, sadness are 4, 0 and 5 of the fixture's number % 7
    classes = {4: 0, 0: 1, 5: 2}
    valid = np.isin(numbers % 7, list(classes))
    truth = np.array([classes[code] for code in (numbers % 7)[valid]])
    accuracy = accuracy_score(truth, predicted["expression"].argmax(1)[valid])
    assert found["overall"]["expression"]["accuracy"] == pytest.approx(accuracy)
    assert found["overall"]["expression"]["labels"] == valid.sum() == 9
    assert found["rows"] == 21
    by_database = {name: metrics["va"]["labels"] for name, metrics in found["databases"].items()}
    assert by_database == {"affwild2": 11, "expw": 10}
    even = numbers % 2 == 0
    f1_of_even = f1_score(au25[even], predicted["au"][even, 0] >= 0.5)
    assert found["databases"]["affwild2"]["au"]["by_action_unit"]["25"]["f1"] == pytest.approx(f1_of_even)


def test_only_the_rows_of_a_fold_count_where_one_is_named(run: Path, dataset: Path, tmp_path: Path) -> None:
    folded = Path(shutil.copytree(dataset, tmp_path / "folded"))
    numbers = np.arange(100, 121)
    folds = {"train": np.zeros(40, np.int8), "validation": (numbers % 3 - 1).astype(np.int8)}
    tables = [(split, pa.table({"folds.jaa": values})) for split, values in folds.items()]
    add_group(open_dataset(folded), "folds.jaa", tables, Features({"folds.jaa": Value("int8")}), {})
    output = tmp_path / "fold.json"
    report = evaluate(run, folded, ["validation"], fold=HeldOutOptions(folds="jaa", fold=1), output=output)
    assert report["fold"] == {"folds": "jaa", "fold": 1}
    found = report["splits"]["validation"]
    chosen = numbers % 3 == 2
    assert found["rows"] == chosen.sum() == 7
    model, _ = open_model(run / "model")
    predicted = predictions(model, logits_by_hand(run, dataset, "validation"))
    au25 = numbers // 3 % 2
    expected = f1_score(au25[chosen], predicted["au"][chosen, 0] >= 0.5)
    assert found["overall"]["au"]["by_action_unit"]["25"]["f1"] == pytest.approx(expected)
    even = chosen & (numbers % 2 == 0)
    assert found["databases"]["affwild2"]["va"]["labels"] == even.sum()
    with pytest.raises(UsageError, match=r"no row of the split 'validation' is in fold 2 of 'jaa'"):
        evaluate(run, folded, ["validation"], fold=HeldOutOptions(folds="jaa", fold=2), output=output)
    with pytest.raises(UnknownNameError, match=r"unknown folds in .* 'five'; known: jaa"):
        evaluate(run, folded, ["validation"], fold=HeldOutOptions(folds="five", fold=0), output=output)
    before = (run / "model" / "config.json").read_bytes()
    with pytest.raises(UsageError, match="is in fold 2"):
        evaluate(
            run,
            folded,
            ["validation"],
            fold=HeldOutOptions(folds="jaa", fold=2),
            tune_thresholds="train",
            output=output,
        )
    assert (run / "model" / "config.json").read_bytes() == before


def test_a_model_folder_is_evaluated_into_a_named_file(run: Path, dataset: Path, tmp_path: Path) -> None:
    report = evaluate(run / "model", dataset, ["train", "validation"], output=tmp_path / "numbers.json")
    assert set(report["splits"]) == {"train", "validation"}
    assert json.loads((tmp_path / "numbers.json").read_text()) == report


def test_thresholds_are_tuned_on_another_split_stored_with_the_model_and_shown_beside_one_half(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    copied = Path(shutil.copytree(run, tmp_path / "copied"))
    model, _ = open_model(copied / "model")
    with torch.no_grad():
        model.heads["au"][-1].bias -= 3  # no probability reaches one half
    model.save_pretrained(copied / "model")
    before = evaluate(copied, dataset, ["validation"])
    assert before["splits"]["validation"]["overall"]["au"]["mean_f1"] == 0
    assert "thresholds_from" not in before
    report = evaluate(copied, dataset, ["validation"], tune_thresholds="train")
    # by hand, from the logits of the train split
    tasks = model.config.task_set()
    _, truth = load_labels(open_dataset(dataset), "train", tasks)
    scores = predictions(model, logits_by_hand(copied, dataset, "train"))["au"]
    found = report["splits"]["validation"]["overall"]["au"]
    for column, number in enumerate(tasks.action_units):
        threshold = found["by_action_unit"][str(number)]["threshold"]
        valid = truth.au_mask[:, column]
        known, own = truth.au[valid, column], scores[valid, column]
        best = max(f1_score(known, own >= limit) for limit in [*own, 0.5])
        assert f1_score(known, own >= threshold) == pytest.approx(best)
    assert found["at_half"] == before["splits"]["validation"]["overall"]["au"]
    assert found["by_action_unit"] != found["at_half"]["by_action_unit"]
    stored, _ = open_model(copied / "model")
    assert stored.config.thresholds == [unit["threshold"] for unit in found["by_action_unit"].values()]
    assert report["thresholds_from"]["split"] == stored.config.thresholds_from["split"] == "train"
    # another evaluation uses what is stored, and says where it is from
    assert evaluate(copied, dataset, ["validation"]) == report
    assert json.loads((copied / "evaluation.json").read_text()) == report


def test_thresholds_are_not_tuned_on_a_split_that_is_reported(run: Path, dataset: Path) -> None:
    with pytest.raises(UsageError, match=r"the split 'validation' is reported: thresholds tuned on it would flatter"):
        evaluate(run, dataset, ["train", "validation"], tune_thresholds="validation")
    with pytest.raises(UnknownNameError, match=r"'test'; known: train, validation"):
        evaluate(run, dataset, ["validation"], tune_thresholds="test")


def test_a_bootstrap_gives_intervals_over_people_for_all_rows_and_each_database(
    run: Path, dataset: Path, tmp_path: Path
) -> None:
    first, second = (
        evaluate(run, dataset, ["validation"], bootstrap=200, output=tmp_path / "report.json") for _ in range(2)
    )
    assert first == second
    found = first["splits"]["validation"]
    # three subjects in each of the two databases
    assert found["overall"]["intervals"]["clusters"] == {"subject": 6, "track": 0, "row": 0}
    assert found["databases"]["expw"]["intervals"]["clusters"] == {"subject": 3, "track": 0, "row": 0}
    low, high = found["overall"]["intervals"]["metrics"]["expression.accuracy"]
    assert low <= found["overall"]["expression"]["accuracy"] <= high
    assert low < high


def test_valence_is_also_scored_per_video(run: Path, dataset: Path) -> None:
    report = evaluate(run, dataset, ["validation"])["splits"]["validation"]
    # rows 100..120, four a clip, every other one of each database: clips 25..29 have two rows in each, clip 30 one
    assert report["overall"]["va"]["per_track"]["valence_tracks"] == 10
    assert report["databases"]["affwild2"]["va"]["per_track"]["valence_tracks"] == 5


def test_a_split_that_is_not_there_is_an_error(run: Path, dataset: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'test'; known: train, validation"):
        evaluate(run, dataset, ["test"])


def test_a_split_without_any_label_of_the_model_is_an_error(run: Path, tmp_path: Path, world: SimpleNamespace) -> None:
    bare = world.write_dataset(tmp_path / "bare", {"validation": [(number, ()) for number in range(4)]})
    with pytest.raises(
        ModelMismatchError,
        match=r"split validation: found no label of any task of the model; expected labels of au, expression, va",
    ):
        evaluate(run, bare, ["validation"])


def test_an_unbuilt_dataset_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    for refused in (lambda: evaluate(tmp_path, tmp_path, ["validation"]), lambda: label(tmp_path, tmp_path, "teacher")):
        with pytest.raises(NotADatasetError, match=r"has no dataset.json, so it was not built to its end"):
            refused()


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """A copy of the run's model whose files a test may change."""
    return Path(shutil.copytree(run / "model", tmp_path / "copied"))


def changed_config(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def test_a_model_with_unknown_classes_is_refused(copied: Path) -> None:
    changed_config(copied, expressions=["joyful", "neutral", "sadness"])
    with pytest.raises(NotAModelError, match=r"is no affect_train model: .*'joyful' is no expression"):
        open_model(copied)


def test_a_model_whose_preprocessing_was_changed_is_refused(copied: Path) -> None:
    changed_config(copied, preprocessing=Preprocessing(32, margin=0.5).to_dict())
    with pytest.raises(NotAModelError, match=r"its preprocessing has hash [0-9a-f]{16}, training saw [0-9a-f]{16}"):
        open_model(copied)


def test_folders_without_a_model_are_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(NotAModelError, match=r"the folder does not exist"):
        predict(tmp_path / "nowhere", [])
    with pytest.raises(NotAModelError, match=r"it holds neither config.json nor model/config.json"):
        predict(tmp_path, [])
    shutil.copy(run / "recipe.yaml", tmp_path)
    with pytest.raises(NotAModelError, match=r"its training has not saved a model yet"):
        predict(tmp_path, [])


def test_predictions_name_what_the_model_says_of_a_picture(run: Path, tmp_path: Path, world: SimpleNamespace) -> None:
    pictures = [tmp_path / "a.jpg", tmp_path / "b.png"]
    for number, path in enumerate(pictures):
        path.write_bytes(world.face_bytes(number))
    first, second = predict(run, pictures, as_is=True)
    model, preprocessing = open_model(run / "model")
    pixels = torch.from_numpy(preprocessing(world.face_bytes(1)).transpose(2, 0, 1).copy())[None]
    with torch.no_grad():
        expected = model.predictions(model(pixels))
    assert second["image"] == str(pictures[1])
    assert list(second["action_units"]) == ["AU25", "AU1"]
    assert second["action_units"]["AU1"]["probability"] == pytest.approx(float(expected["au"][0, 1]), abs=1e-6)
    assert second["expression_probabilities"]["sadness"] == pytest.approx(float(expected["expression"][0, 2]), abs=1e-6)
    assert second["expression"] == ("happiness", "neutral", "sadness")[int(expected["expression"][0].argmax())]
    assert second["valence"] == pytest.approx(float(expected["valence"][0]), abs=1e-6)
    assert first["expression_probabilities"] != second["expression_probabilities"]


def test_a_phones_picture_and_the_upright_one_give_equal_results(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upright = FaceSampler(3).photograph().draw(160)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    upright.save(tmp_path / "upright.jpg", quality=95)
    phone, plain = predict(run, [tmp_path / "phone.jpg", tmp_path / "upright.jpg"], as_is=True)
    assert phone["exif_orientation"] == 6
    assert "exif_orientation" not in plain
    assert f"image '{tmp_path / 'phone.jpg'}': turned upright by its EXIF orientation 6" in capsys.readouterr().err
    assert phone["expression_probabilities"] == pytest.approx(plain["expression_probabilities"], abs=0.01)
    assert phone["valence"] == pytest.approx(plain["valence"], abs=0.01)


def test_what_is_no_crop_is_refused_unless_it_is_said_to_be_one(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (120, 60)).save(tmp_path / "wall.png")
    with pytest.raises(DataError, match=r"takes crops of one face each, and these are none:\n  image '.*wall.png': "):
        predict(run, [tmp_path / "wall.png"])
    assert predict(run, [tmp_path / "wall.png"], as_is=True)[0]["image"] == str(tmp_path / "wall.png")


def test_missing_and_broken_pictures_are_errors(run: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xffbroken")
    for as_is in (False, True):
        with pytest.raises(DataError, match=r"image '.*none.jpg' does not exist"):
            predict(run, [tmp_path / "none.jpg"], as_is=as_is)
        with pytest.raises(DataError, match=r"image '.*broken.jpg': the image cannot be decoded"):
            predict(run, [tmp_path / "broken.jpg"], as_is=as_is)
        with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
            predict(run, [tmp_path], as_is=as_is)


def test_training_and_inference_see_the_same_pixels(run: Path, dataset: Path) -> None:
    _, preprocessing = open_model(run / "model")
    assert preprocessing == Preprocessing(32, margin=0.2)
    split = load_dataset(dataset, "train")
    trained = FaceImages(split, Preprocessing(32, 0.2)).__getitems__([Pick(1)]).inputs
    assert torch.equal(FaceImages(split, preprocessing).__getitems__([Pick(1)]).inputs, trained)
