"""The ONNX graph of a model: equal to the model, or not there."""

import json
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from loopback_hub import File, LoopbackHub, Repository
from PIL import Image
from torch import nn
from transformers import AutoConfig

from affect_train.hub.example import example
from affect_train.hub.export import OPSET, NotExportedError, export_onnx, teacher_description
from affect_train.hub.published import PublishedModel
from affect_train.inputs.preprocess import Preprocessing
from affect_train.labelling.teachers import open_teacher
from affect_train.network.model import AffectConfig, AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet((4, 12), ("anger", "neutral"), 3)
DINO = {
    "model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_ratio": 2, "patch_size": 8, "image_size": 56,
}  # fmt: skip
CONVNEXT = {"model_type": "convnext", "depths": [1, 1], "hidden_sizes": [8, 16], "num_stages": 2}


def built(tasks: TaskSet = TASKS, **options: Any) -> AffectModel:
    torch.manual_seed(0)
    return AffectModel.build(tasks, ModelOptions(**{"image_size": 32, **options})).eval()


def interpolating() -> AffectModel:
    """A transformer that was trained at another size, so that its positions are interpolated."""
    torch.manual_seed(0)
    backbone = AutoConfig.for_model(**DINO)
    config = AffectConfig(backbone, **TASKS.to_dict(), image_size=32, standardise=True, head_hidden=8, head_shared=12)
    model = AffectModel(config).eval()
    for parameter in model.parameters():
        # Fresh weights are so small that nothing shows in the outputs.
        nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("kind", ["transformer", "convolutional"])
def test_the_graph_equals_the_model_for_any_number_of_faces(kind: str, tmp_path: Path) -> None:
    model = interpolating() if kind == "transformer" else built(backbone=CONVNEXT, head={"normalisation": "batch"})
    export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for count in (1, 5):
        generator = torch.Generator().manual_seed(count)
        pixels = torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
        with torch.inference_mode():
            output = model(pixels)
            expected = model.predictions(output)
        found = dict(
            zip([one.name for one in session.get_outputs()], session.run(None, {"pixels": pixels.numpy()}), strict=True)
        )
        assert list(found) == [
            "au", "expression", "valence", "arousal", "au_logits", "expression_logits", "valence_logits", "arousal_logits",
        ]  # fmt: skip
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-4)
        np.testing.assert_allclose(found["valence_logits"], output.valence_logits, atol=1e-4)


def test_the_opset_is_the_stated_one_and_no_source_file_is_named(tmp_path: Path, world: SimpleNamespace) -> None:
    export_onnx(built(backbone=world.tiny_vit), tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx")
    assert [entry.version for entry in graph.opset_import if not entry.domain] == [OPSET]
    assert b".py" not in (tmp_path / "model.onnx").read_bytes()


def test_heads_that_a_model_lacks_have_no_output(tmp_path: Path, world: SimpleNamespace) -> None:
    export_onnx(built(TaskSet((12,)), backbone=world.tiny_vit), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [output.name for output in session.get_outputs()] == ["au", "au_logits"]


@pytest.mark.parametrize("reduced_scale", [True, False])
def test_the_description_makes_the_graph_a_teacher_of_the_same_pixels(
    tmp_path: Path, world: SimpleNamespace, reduced_scale: bool
) -> None:
    model, seen = built(backbone=world.tiny_vit), Preprocessing(32, 0.3, reduced_scale)
    export_onnx(model, tmp_path / "model.onnx")
    (tmp_path / "teacher.yaml").write_text(teacher_description(model, seen, "model.onnx"))
    teacher = open_teacher(tmp_path / "teacher.yaml")
    assert teacher.preprocessing == seen
    assert teacher.tasks == TASKS


# The example leaves closing its files to the interpreter, which ends after it.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("reduced_scale", [True, False])
def test_the_example_of_the_card_fits_the_heads_and_the_pixels(
    hub: LoopbackHub, tmp_path: Path, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, reduced_scale: bool
) -> None:
    model, seen = built(TaskSet((12,)), backbone=world.tiny_vit), Preprocessing(32, 0.2, reduced_scale)
    export_onnx(model, tmp_path / "model.onnx")
    config = {**model.config.to_dict(), "preprocessing": seen.to_dict()}
    shown = json.dumps({key: config[key] for key in ("image_size", "action_units")}).encode()
    graph = File((tmp_path / "model.onnx").read_bytes(), large=True)
    hub.objects[graph.sha256] = graph.data
    repository = hub.repositories["model", "anna/teacher"] = Repository("model", "anna/teacher", private=True)
    repository.add("a model", {"config.json": File(shown, large=False), "model.onnx": graph})
    effect = Image.effect_mandelbrot((300, 300), (-2.0, -1.5, 1.0, 1.5), 40).convert("RGB")
    effect.save(tmp_path / "face.jpg")
    monkeypatch.chdir(tmp_path)
    published = PublishedModel.model_construct(name="anna/teacher", opset=OPSET)
    code = example(published, config).partition("```python\n")[2].partition("```")[0]
    printed = StringIO()
    with redirect_stdout(printed):
        exec(code, {})
    pixels = torch.from_numpy(seen((tmp_path / "face.jpg").read_bytes()).copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = float(model.predictions(model(pixels))["au"])
    assert json.loads(printed.getvalue()) == {"action_units": {"12": pytest.approx(expected, abs=1e-4)}}


def test_a_model_that_reads_videos_has_no_graph(tmp_path: Path, world: SimpleNamespace) -> None:
    model = built(backbone=world.tiny_vit, freeze_backbone=True, features="tiny", temporal={"window": 4})
    with pytest.raises(NotExportedError, match="its recurrent stage reads windows of videos"):
        export_onnx(model, tmp_path / "model.onnx")


class Odd(nn.Module):
    """A layer that a trace gets wrong: it remembers what it saw first."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * float(100 * values.detach().abs().max())


class Foreign(nn.Module):
    """A layer without a counterpart in ONNX."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(values[:, :, None]) + values


@pytest.mark.parametrize(
    ("layer", "message"),
    [(Odd(), r"the graph's output .* differs by .* from the model's"), (Foreign(), "torch cannot export it")],
)
def test_a_graph_that_differs_or_does_not_exist_is_not_kept(
    tmp_path: Path, world: SimpleNamespace, layer: nn.Module, message: str
) -> None:
    model = built(backbone=world.tiny_vit)
    model.norm = nn.Sequential(model.norm, layer)
    with pytest.raises(NotExportedError, match=message):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_its_two_packages_there_is_no_graph(
    tmp_path: Path, world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        NotExportedError, match=r"onnx and onnxruntime not installed: pip install 'affectkit\[publish\]'"
    ):
        export_onnx(built(backbone=world.tiny_vit), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
