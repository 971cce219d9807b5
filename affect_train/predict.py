"""What a trained model says of picture files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affect_data.errors import DataError
from affect_train.inference import build_accelerator, open_model
from affect_train.model import AffectModel
from affect_train.preprocess import ImageDecodeError, Preprocessing
from affect_train.run_folder import model_folder


def predict(path: Path | str, images: Sequence[Path]) -> list[dict[str, Any]]:
    """For each picture, taken as the crop of one face: AU probabilities, the expression with all probabilities, valence and arousal.

    Args:
        path: run folder or model folder.
        images: picture files of any format that Pillow reads.

    Raises:
        NotAModelError: there is no model.
        DataError: a picture is missing or cannot be decoded.
    """
    model, preprocessing = open_model(model_folder(path))
    model = model.to(build_accelerator().device).eval()
    return [{"image": str(image), **_one(model, _pixels(image, preprocessing))} for image in images]


def _pixels(image: Path, preprocessing: Preprocessing) -> torch.Tensor:
    try:
        pixels = preprocessing(image.read_bytes())
    except FileNotFoundError:
        raise DataError(f"image '{image}' does not exist") from None
    except OSError as error:
        raise DataError(f"image '{image}' cannot be read: {error.strerror}") from error
    except ImageDecodeError as error:
        raise DataError(f"image '{image}': {error}") from error
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


def _one(model: AffectModel, pixels: torch.Tensor) -> dict[str, Any]:
    with torch.inference_mode():
        found = {name: values[0].tolist() for name, values in model.predictions(model(pixels.to(model.device))).items()}
    tasks, said = model.config.task_set(), dict[str, Any]()
    if "au" in found:
        described = zip(tasks.action_units, found["au"], model.config.thresholds, strict=True)
        said["action_units"] = {
            f"AU{number}": {"probability": value, "present": value >= limit} for number, value, limit in described
        }
    if "expression" in found:
        probabilities = dict(zip(tasks.expressions, found["expression"], strict=True))
        said["expression"] = max(probabilities, key=probabilities.__getitem__)
        said["expression_probabilities"] = probabilities
    if "valence" in found:
        said |= {"valence": found["valence"], "arousal": found["arousal"]}
    return said
