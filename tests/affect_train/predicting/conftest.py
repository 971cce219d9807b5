"""A small model that was not trained, a photograph and a clip of drawn people."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from drawn_clips import HEIGHT, WIDTH, clip, line
from PIL import Image

from affect_data.faces.detectors.libfacedetection import LibFaceDetection
from affect_data.faces.policies import policy_named
from affect_train.inputs.preprocess import Preprocessing
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.tasks import TaskSet

FRAMES = 24


@pytest.fixture(autouse=True)
def _detector() -> None:
    if because := LibFaceDetection.missing():
        pytest.skip(because)


def built(folder: Path, options: dict[str, object], preprocessing: Preprocessing | None = None) -> Path:
    """A model with random weights whose predictions differ from face to face, saved as training saves it."""
    torch.manual_seed(3)
    preprocessing = preprocessing or Preprocessing(32, margin=0.2)
    tasks = TaskSet((1, 12, 25), ("neutral", "happiness", "surprise"), 5)
    model = AffectModel.build(tasks, ModelOptions(**options), preprocessing.to_dict(), preprocessing.digest())
    with torch.no_grad():
        for head in model.heads.values():
            head[-1].weight.mul_(20)
    model.eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """A model that looks at every picture by itself."""
    options: dict[str, object] = {"backbone": world.tiny_vit, "image_size": 32}
    return built(tmp_path_factory.mktemp("predicting") / "model", options)


@pytest.fixture(scope="session")
def template_model(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """A model that was trained on crops by five points."""
    options: dict[str, object] = {"backbone": world.tiny_vit, "image_size": 32}
    preprocessing = Preprocessing.of_crops(32, policy_named("affwild2-112"))
    return built(tmp_path_factory.mktemp("predicting") / "template", options, preprocessing)


@pytest.fixture(scope="session")
def temporal_model(tmp_path_factory: pytest.TempPathFactory, world: SimpleNamespace) -> Path:
    """A model with a recurrent stage over windows of eight frames, every four frames."""
    temporal = {"window": 8, "evaluation_stride": 4, "projection": 8, "hidden": 8}
    options: dict[str, object] = {
        "backbone": world.tiny_vit,
        "image_size": 32,
        "temporal": temporal,
        "freeze_backbone": True,
    }
    return built(tmp_path_factory.mktemp("predicting") / "temporal", options)


def encoded(path: Path, frames: Iterable[np.ndarray], rate: int = 25) -> Path:
    """A video file of frames, uint8 [height, width, 3]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 4_000_000
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a clip of two people who stand beside each other, and a photograph of them; for reading only."""
    folder = tmp_path_factory.mktemp("pictures") / "holiday"
    folder.mkdir()
    paths = [line((80, 90), (100, 90), 90), line((230, 90), (235, 95), 100)]
    frames = [frame.pixels for frame in clip(paths, FRAMES, 4)]
    encoded(folder / "clip.mp4", frames)
    Image.fromarray(frames[0]).resize((2 * WIDTH, 2 * HEIGHT)).save(folder / "photo.png")
    return folder


@pytest.fixture
def encode() -> Callable[..., Path]:
    """Writes a video file of frames."""
    return encoded
