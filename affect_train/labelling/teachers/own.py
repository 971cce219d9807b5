"""A model that affect_train trained, as a teacher."""

import json
from pathlib import Path

import torch
from torch import Tensor

from affect_data.dataset.folder import DatasetFolder
from affect_train.addresses import hub_address
from affect_train.inference.inference import logits_of, open_model
from affect_train.inference.inputs import inputs_of
from affect_train.inference.target_prior import TargetPrior
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.inputs import IndexedInputs
from affect_train.labelling.teachers.base import Teacher, TeacherLogits
from affect_train.recipe.model import TemporalOptions
from affect_train.run_folder import model_folder, weights_digest
from affect_train.runtime import Runtime


class AffectTeacher(Teacher):
    """The model of a run folder, of a model folder, or of a repository of the Hub.

    Args:
        path: of it.
        target: the prior that its logits are moved to; None: they stay as they are.

    Raises:
        NotAModelError: the folder holds no model.
        UsageError: the model cannot be moved to that prior.
    """

    def __init__(self, path: Path | str, target: TargetPrior | None = None) -> None:
        source = model_folder(path)
        self.model, preprocessing = open_model(source, target)
        self.target = target
        run = source.resolve().parent if source.name == "model" else source.resolve()
        address = hub_address(path)
        name = run.name if address is None else address.name
        revision = weights_digest(source) + (f"-prior-{target.digest}" if target is not None else "")
        super().__init__(name, revision, self.model.config.task_set(), preprocessing)
        self.model.eval()

    def to(self, device: torch.device) -> "AffectTeacher":
        """The same teacher on `device`."""
        super().to(device)
        self.model.to(device)
        return self

    @property
    def sees_windows(self) -> bool:
        """Whether the model has a recurrent stage."""
        return self.model.config.temporal is not None

    @property
    def view(self) -> str:
        """The crop, the windows of frames if the model has a recurrent stage, and the prior that its logits were moved to."""
        seen = super().view
        if self.sees_windows:
            options = TemporalOptions(**self.model.config.temporal)
            seen += f", windows of {options.window} frames every {options.strides[1]}"
        return seen if self.target is None else f"{seen}, logits moved to the prior {json.dumps(self.target.described)}"

    @property
    def clip_frames(self) -> int:
        """How many frames of a clip the model was trained on."""
        return int(self.model.config.clip_frames)

    def inputs(self, folder: DatasetFolder, split: str, runtime: Runtime) -> IndexedInputs:
        """Pictures, or windows of features if the model has a recurrent stage."""
        return inputs_of(self.model, self.preprocessing, folder, split, runtime)

    def logits(self, pixels: Tensor) -> TeacherLogits:
        """The logits of the model's heads."""
        return logits_of(self.model(pixels))

    def label(self, split: str, faces: FaceBatch) -> TeacherLogits:  # noqa: ARG002 - the same for every split
        """The logits of rows of a dataset; the frames of a window are read together."""
        shown = faces.to(self.device)
        with torch.inference_mode():
            return logits_of(self.model(shown.inputs, shown.places, shown.counts))
