"""What a model says of cropped faces: of each by itself, or of the faces of a track in windows, as they come."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affect_data.faces.detection import Pixels
from affect_train.inference.inference import INFERENCE_BATCH, Logits, logits_of, predictions
from affect_train.network.model import AffectModel
from affect_train.recipe.model import TemporalOptions

Predicted = dict[str, NDArray[Any]]
"""Of one face, as `AffectModel.predictions` names it: au [A], expression [C], valence and arousal []."""


@dataclass
class _Face:
    """A face that waits for its prediction.

    Attributes:
        key: what the caller knows it by.
        logits: sums over its windows, float64 by head.
        windows: how many were added.
        final: whether no more are to come.
    """

    key: Any
    logits: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    windows: int = 0
    final: bool = False


class Estimator:
    """Predictions for faces, given in the order in which the faces came; a subclass looks at more than one face at a time.

    Args:
        model: on its device, in evaluation mode.
    """

    def __init__(self, model: AffectModel) -> None:
        self.model = model
        self._device = next(model.parameters()).device
        self._crops: list[Pixels] = []
        self._waiting: deque[_Face] = deque()
        self._new: list[tuple[_Face, int, int]] = []

    def add(self, key: Any, crop: Pixels, track: int, frame: int) -> Iterator[tuple[Any, Predicted]]:  # noqa: ANN401 - the caller's
        """Takes a face; gives the keys and predictions of those that are ready.

        Args:
            key: given back with the prediction.
            crop: uint8 [S, S, 3].
            track: number of its track.
            frame: number of its frame; frames of a track come in order.
        """
        face = _Face(key)
        self._waiting.append(face)
        self._new.append((face, track, frame))
        self._crops.append(crop)
        if len(self._crops) >= INFERENCE_BATCH:
            self._compute()
            yield from self._ready()

    def finish(self) -> Iterator[tuple[Any, Predicted]]:
        """The rest, at the end of a file."""
        self._compute()
        self._end()
        yield from self._ready()

    def _compute(self) -> None:
        if not self._crops:
            return
        pixels = torch.from_numpy(np.stack(self._crops)).permute(0, 3, 1, 2).to(self._device)
        with torch.inference_mode():
            self._take(self._new, pixels)
        self._crops, self._new = [], []

    def _take(self, faces: Sequence[tuple[_Face, int, int]], pixels: Tensor) -> None:
        self._note([face for face, _, _ in faces], _numpy(logits_of(self.model(pixels))))
        for face, _, _ in faces:
            face.final = True

    def _end(self) -> None:
        """Tells that no face comes any more."""

    def _note(self, faces: Sequence[_Face], logits: Logits) -> None:
        for place, face in enumerate(faces):
            for head, values in logits.items():
                face.logits[head] = face.logits.get(head, 0.0) + values[place].astype(np.float64)
            face.windows += 1

    def _ready(self) -> Iterator[tuple[Any, Predicted]]:
        done = []
        while self._waiting and self._waiting[0].final:
            done.append(self._waiting.popleft())
        if not done:
            return
        means = {
            head: np.stack([face.logits[head] / face.windows for face in done]).astype(np.float32)
            for head in done[0].logits
        }
        found = predictions(self.model, means)
        for place, face in enumerate(done):
            yield face.key, {name: values[place] for name, values in found.items()}


@dataclass
class _Run:
    """Consecutive frames of a track, those that a later window still shows.

    Attributes:
        faces: of these frames.
        features: of each, float32 [D].
        frame: the number of the last.
        shown: how many of the faces were in a window already.
    """

    faces: list[_Face]
    features: list[Tensor]
    frame: int
    shown: int = 0


class WindowEstimator(Estimator):
    """Predictions of a model with a recurrent stage: each track is read in windows of consecutive frames, cut as in evaluation.

    A window ends where a track misses a frame. A face in several windows has the mean of its logits. No more is kept of a track than one window.
    """

    def __init__(self, model: AffectModel) -> None:
        super().__init__(model)
        options = TemporalOptions(**model.config.temporal)
        self._window, self._stride = options.window, options.strides[1]
        self._runs: dict[int, _Run] = {}

    def _take(self, faces: Sequence[tuple[_Face, int, int]], pixels: Tensor) -> None:
        # As features are stored, in half precision.
        features = self.model.features(pixels).half().float()
        for place, (face, track, frame) in enumerate(faces):
            run = self._runs.get(track)
            if run is None or frame != run.frame + 1:
                self._close(track)
                run = self._runs[track] = _Run([], [], frame)
            run.faces.append(face)
            run.features.append(features[place])
            run.frame = frame
            if len(run.faces) == self._window:
                self._read(run)
                for done in run.faces[: self._stride]:
                    done.final = True
                del run.faces[: self._stride], run.features[: self._stride]
                run.shown = len(run.faces)
        latest = faces[-1][2]
        for track in [track for track, run in self._runs.items() if run.frame < latest - 1]:
            self._close(track)

    def _end(self) -> None:
        with torch.inference_mode():
            for track in list(self._runs):
                self._close(track)

    def _close(self, track: int) -> None:
        run = self._runs.pop(track, None)
        if run is None:
            return
        if len(run.faces) > run.shown:
            self._read(run)
        for face in run.faces:
            face.final = True

    def _read(self, run: _Run) -> None:
        places = torch.arange(len(run.faces), device=self._device)
        self._note(
            run.faces, _numpy(logits_of(self.model.labelled(self.model.classify(torch.stack(run.features), places))))
        )


def estimator_of(model: AffectModel) -> Estimator:
    """An estimator for the kind of the model: one with a recurrent stage reads windows, any other sees each face by itself."""
    return Estimator(model) if model.config.temporal is None else WindowEstimator(model)


def _numpy(tensors: dict[str, Tensor]) -> Logits:
    return {name: values.float().cpu().numpy() for name, values in tensors.items()}
