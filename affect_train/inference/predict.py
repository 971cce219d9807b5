"""What a trained model says of picture files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.errors import UsageError
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inference.inputs import computed_features
from affect_train.inputs.files import PictureFiles
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.windows import FeatureWindows, one_run
from affect_train.network.model import AffectConfig
from affect_train.recipe.model import TemporalOptions
from affect_train.run_folder import model_folder
from affect_train.runtime import Runtime


def predict(path: Path | str, images: Sequence[Path], *, sequence: bool = False) -> list[dict[str, Any]] | None:
    """What a model says of each picture, taken as the crop of one face, on the main process; None on the others.

    AU probabilities, the expression with all probabilities, valence and arousal.

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
    runtime = Runtime.start()
    model = model.to(runtime.accelerator.device)
    if sequence and model.config.temporal is None:
        raise UsageError(f"'{path}' looks at every picture by itself: it has no recurrent stage, leave --sequence out")
    inputs: IndexedInputs = PictureFiles(images, preprocessing)
    if sequence:
        options = TemporalOptions(**model.config.temporal)
        features = computed_features(model, inputs, pa.array(map(str, images)), runtime)
        inputs = FeatureWindows(features, one_run(len(images), options.window, options.strides[1]))
    logits = infer(model, inputs, runtime)
    if logits is None:
        return None
    predicted = predictions(model, logits)
    return [
        {"image": str(image), **_named(model.config, {name: values[row] for name, values in predicted.items()})}
        for row, image in enumerate(images)
    ]


def _named(config: AffectConfig, predicted: dict[str, NDArray[np.floating[Any]]]) -> dict[str, Any]:
    """What is said of one picture, by the names of action units and classes."""
    found = {name: values.tolist() for name, values in predicted.items()}
    tasks, said = config.task_set(), dict[str, Any]()
    if "au" in found:
        described = zip(tasks.action_units, found["au"], config.thresholds, strict=True)
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
