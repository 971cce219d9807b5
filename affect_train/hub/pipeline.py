"""Predictions by name in one call, as users of ``transformers.pipeline`` expect them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from affect_train.hub.processor import PICTURES, Picture, face_pixels
from affect_train.inference.inference import INFERENCE_BATCH, open_model
from affect_train.inference.predict import named
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

    def _predictions(self, pictures: Sequence[Picture]) -> Iterator[dict[str, Any]]:
        pixels = np.stack([face_pixels(picture, self.preprocessing) for picture in pictures])
        inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
        with torch.inference_mode():
            found = {name: values.cpu().numpy() for name, values in self.model.predictions(self.model(inputs)).items()}
        for row in range(len(pictures)):
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
