"""Predictions of a trained model for picture files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from affect_data.errors import UsageError
from affect_data.faces.orientation import AS_STORED, orientation_of
from affect_train.inference.crops import check_crops
from affect_train.inference.inference import infer, open_model, predictions
from affect_train.inference.inputs import computed_features
from affect_train.inference.target_prior import TargetPrior
from affect_train.inputs.files import PictureFiles, picture_bytes
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.windows import FeatureWindows, one_run
from affect_train.network.model import AffectConfig
from affect_train.recipe.model import TemporalOptions
from affect_train.reporting import Reporter
from affect_train.run_folder import model_folder
from affect_train.runtime import Runtime


def predict(
    path: Path | str,
    images: Sequence[Path],
    *,
    sequence: bool = False,
    as_is: bool = False,
    target: TargetPrior | None = None,
    labels_as: str | None = None,
) -> list[dict[str, Any]] | None:
    """The predictions for each picture, the crop of one face, on the main process; None on the others.

    They are the probabilities of action units, the expression, the probabilities of all expressions, valence and arousal. A picture with an EXIF
    orientation is turned upright first, and its entry says so.

    Args:
        path: run folder, model folder, or a model on the Hub.
        images: picture files; of an animated one, the first picture is used.
        as_is: take every picture as a crop, without checking that it is one.
        target: the prior that the model's logits are moved to; None: they stay as they are.
        labels_as: the database as whose labels the predictions are to be; None: the shared network's own.
        sequence: whether they are consecutive frames of one face, to be read in windows by a recurrent stage; otherwise each stands alone.

    Raises:
        UsageError: a sequence is given to a model without a recurrent stage, or it has learned no habits of databases.
        UnknownNameError: it has not learned from that database.
        NotAModelError: there is no model.
        DataError: a picture is missing, cannot be decoded, or is not the crop of one face.
    """
    model, preprocessing = open_model(model_folder(path), target, labels_as)
    runtime = Runtime.start()
    model = model.to(runtime.accelerator.device)
    if sequence and model.config.temporal is None:
        raise UsageError(f"'{path}' looks at every picture by itself: it has no recurrent stage, leave --sequence out")
    if not as_is:
        check_crops(images, preprocessing.shown_margin, runtime.reporter)
    inputs: IndexedInputs = PictureFiles(images, preprocessing)
    if sequence:
        options = TemporalOptions(**model.config.temporal)
        features = computed_features(model, inputs, pa.array(map(str, images)), runtime)
        inputs = FeatureWindows(features, one_run(len(images), options.window, options.strides[1]), options.window)
    logits = infer(model, inputs, runtime)
    if logits is None:
        return None
    predicted = predictions(model, logits)
    found = []
    for row, image in enumerate(images):
        said = named(model.config, {name: values[row] for name, values in predicted.items()})
        found.append({"image": str(image), **_turned(image, runtime.reporter), **said})
    return found


def _turned(image: Path, reporter: Reporter) -> dict[str, int]:
    """The EXIF orientation of a picture that was turned upright, and a line that says so."""
    orientation = orientation_of(picture_bytes(image))
    if orientation == AS_STORED:
        return {}
    reporter.say(f"image '{image}': turned upright by its EXIF orientation {orientation}")
    return {"exif_orientation": orientation}


def named(config: AffectConfig, predicted: Mapping[str, NDArray[np.floating[Any]]]) -> dict[str, Any]:
    """The predictions for one picture, by the names of action units and classes.

    Args:
        config: of the model.
        predicted: values for one face as `predictions` gives them.
    """
    found = {name: values.tolist() for name, values in predicted.items()}
    tasks, said = config.task_set(), dict[str, Any]()
    if "au" in found:
        described = zip(tasks.action_units, found["au"], config.thresholds, strict=True)
        said["action_units"] = {
            f"AU{number}": {"probability": value, "threshold": limit, "present": value >= limit}
            for number, value, limit in described
        }
    if "expression" in found:
        probabilities = dict(zip(tasks.expressions, found["expression"], strict=True))
        said["expression"] = max(probabilities, key=probabilities.__getitem__)
        said["expression_probabilities"] = probabilities
    if "valence" in found:
        said |= {"valence": found["valence"], "arousal": found["arousal"]}
    return said
