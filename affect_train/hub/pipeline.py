"""Predictions by name in one call, as users of ``transformers.pipeline`` expect them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from affect_data.faces.detection import Pixels
from affect_data.faces.detectors.registry import DEFAULT
from affect_train.hub.processor import PICTURES, Picture, face_pixels, photograph_pixels
from affect_train.inference.cropping import faces_as_trained
from affect_train.inference.inference import INFERENCE_BATCH, open_model
from affect_train.inference.predict import named
from affect_train.predicting.finding import LEAST_SCORE, FaceFinder
from affect_train.run_folder import model_folder


class AffectPipeline:
    """A model that is called with pictures, each the crop of one face. A model with a recurrent stage takes each as a video of one frame.

    Args:
        source: run folder, model folder, or a model on the Hub.
        device: that it computes on; by default an accelerator if there is one, otherwise the CPU.

    Raises:
        NotAModelError: there is no model.
        HubError: the Hub has no such repository, refuses, or cannot be reached.
    """

    def __init__(self, source: Path | str, device: str | torch.device | None = None) -> None:
        self.model, self.preprocessing = open_model(model_folder(source))
        self.device = torch.device(device) if device is not None else _device()
        self.model.to(self.device)
        self._finders: dict[tuple[str, float], FaceFinder] = {}

    @overload
    def __call__(self, images: Picture, batch_size: int = INFERENCE_BATCH) -> dict[str, Any]: ...
    @overload
    def __call__(
        self, images: list[Picture] | tuple[Picture, ...], batch_size: int = INFERENCE_BATCH
    ) -> list[dict[str, Any]]: ...
    def __call__(
        self, images: Picture | list[Picture] | tuple[Picture, ...], batch_size: int = INFERENCE_BATCH
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """The predictions for one picture, or a list of them for several: those of `affect-train predict --crop as-is`.

        ``action_units`` holds, by name (``AU12``), ``probability``, ``threshold`` and ``present``; ``expression`` is the most probable,
        ``expression_probabilities`` has all of them by name; ``valence`` and ``arousal`` lie in [-1, 1]. What the model does not predict is absent.

        Args:
            images: paths, bytes, pictures of Pillow, or arrays uint8 [height, width, 3] in RGB.
            batch_size: how many are computed at once.

        Raises:
            DataError: a picture is missing or cannot be decoded.
            UsageError: something is no picture.
        """
        if isinstance(images, PICTURES):
            return next(self._predictions([images]))
        parts = (images[start : start + batch_size] for start in range(0, len(images), batch_size))
        return [said for part in parts for said in self._predictions(part)]

    def faces(
        self, photograph: Picture, detector: str = DEFAULT, least_score: float = LEAST_SCORE
    ) -> list[dict[str, Any]]:
        """The predictions for every face of a photograph, as `affect-train predict --out` finds, cuts and judges them, surest first.

        Each has ``box`` (left, top, right, bottom, in pixels of the upright picture) and ``score`` (of the detector) besides what a call gives; and
        ``not_cut``, the reason, if it could not be cut as in training.

        Args:
            photograph: a path, bytes, a picture of Pillow, or an array uint8 [height, width, 3] in RGB.
            detector: name of the face detector.
            least_score: of a face.

        Raises:
            DataError: the picture is missing or cannot be decoded, or the detector is not installed.
            UsageError: there is no such detector, or this is no picture.
        """
        pixels, data = photograph_pixels(photograph)
        if (detector, least_score) not in self._finders:
            self._finders[detector, least_score] = FaceFinder(detector, least_score)
        (found,) = self._finders[detector, least_score].find([pixels])
        reasons: list[tuple[int, str]] = []
        crops = faces_as_trained(pixels, found, self.preprocessing, data=data, told=lambda *told: reasons.append(told))
        not_cut = dict(reasons)
        parts = (crops[start : start + INFERENCE_BATCH] for start in range(0, len(crops), INFERENCE_BATCH))
        said = [one for part in parts for one in self._judged(part)]
        return [
            {
                "box": list(face.box),
                "score": face.score,
                **one,
                **({"not_cut": not_cut[number]} if number in not_cut else {}),
            }
            for number, (face, one) in enumerate(zip(found, said, strict=True))
        ]

    def _predictions(self, pictures: Sequence[Picture]) -> Iterator[dict[str, Any]]:
        return self._judged(np.stack([face_pixels(picture, self.preprocessing) for picture in pictures]))

    def _judged(self, pixels: Pixels) -> Iterator[dict[str, Any]]:
        """The predictions for crops, uint8 [N, S, S, 3]."""
        inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
        with torch.inference_mode():
            found = {name: values.cpu().numpy() for name, values in self.model.predictions(self.model(inputs)).items()}
        for row in range(len(pixels)):
            yield named(self.model.config, {name: values[row] for name, values in found.items()})


def pipeline(source: Path | str, device: str | torch.device | None = None) -> AffectPipeline:
    """A model to be called with pictures: ``affect_train.pipeline("anna/model")("face.jpg")``.

    Args:
        source: run folder, model folder, or a model on the Hub (``user/name``, ``hf://user/name``, both with ``@revision``).
        device: that it computes on; by default an accelerator if there is one, otherwise the CPU.

    Raises:
        NotAModelError: there is no model.
        HubError: the Hub has no such repository, refuses, or cannot be reached.
    """
    return AffectPipeline(source, device)


def _device() -> torch.device:
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found if found is not None else torch.device("cpu")
