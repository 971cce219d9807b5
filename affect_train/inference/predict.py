"""What a trained model says of picture files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affect_data.errors import DataError, UsageError
from affect_data.pictures import PictureError
from affect_train.inference.inference import build_accelerator, logits_of, open_model
from affect_train.inputs.preprocess import Preprocessing
from affect_train.inputs.windows import cut
from affect_train.network.model import AffectModel, AffectOutput
from affect_train.recipe.model import Temporal
from affect_train.run_folder import model_folder


def predict(path: Path | str, images: Sequence[Path], *, sequence: bool = False) -> list[dict[str, Any]]:
    """For each picture, taken as the crop of one face: AU probabilities, the expression with all probabilities, valence and arousal.

    Args:
        path: run folder or model folder.
        images: picture files of any format that Pillow reads.
        sequence: they are consecutive frames of one face, which a model with a recurrent stage then reads in windows; else each stands alone.

    Raises:
        UsageError: a sequence is given to a model without a recurrent stage.
        NotAModelError: there is no model.
        DataError: a picture is missing or cannot be decoded.
    """
    model, preprocessing = open_model(model_folder(path))
    model = model.to(build_accelerator().device).eval()
    if sequence and model.config.temporal is None:
        raise UsageError(f"'{path}' looks at every picture by itself: it has no recurrent stage, leave --sequence out")
    with torch.inference_mode():
        if sequence:
            features = torch.cat([model.features(_pixels(image, preprocessing).to(model.device)) for image in images])
            outputs = frame_outputs(model, features)
        else:
            outputs = (model(_pixels(image, preprocessing).to(model.device)) for image in images)
        return [{"image": str(image), **_one(model, output)} for image, output in zip(images, outputs, strict=True)]


def frame_outputs(model: AffectModel, features: torch.Tensor) -> Iterator[AffectOutput]:
    """What a model with a recurrent stage says of consecutive frames, one after the other.

    Args:
        model: of the features.
        features: float [frames, D].
    """
    options = Temporal(**model.config.temporal)
    ends = (np.zeros(1, np.int64), np.array([len(features)]))
    starts, lengths = cut(*ends, options.window, options.strides[1])
    total, seen = dict[str, torch.Tensor](), torch.zeros(len(features), 1, device=features.device)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        frames = slice(start, start + length)
        # As features are stored, so that the labels are those of the dataset's rows.
        output = model.classify(features[frames].half().float(), torch.arange(length, device=features.device))
        seen[frames] += 1
        for head, logits in logits_of(output).items():
            total.setdefault(head, torch.zeros(len(features), logits.shape[1], device=features.device))
            total[head][frames] += logits.float()
    for frame in range(len(features)):
        yield AffectOutput(**{f"{head}_logits": (sums / seen)[frame : frame + 1] for head, sums in total.items()})


def _pixels(image: Path, preprocessing: Preprocessing) -> torch.Tensor:
    try:
        pixels = preprocessing(image.read_bytes())
    except FileNotFoundError:
        raise DataError(f"image '{image}' does not exist") from None
    except OSError as error:
        raise DataError(f"image '{image}' cannot be read: {error.strerror}") from error
    except PictureError as error:
        raise DataError(f"image '{image}': {error}") from error
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]


def _one(model: AffectModel, output: AffectOutput) -> dict[str, Any]:
    found = {name: values[0].tolist() for name, values in model.predictions(output).items()}
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
