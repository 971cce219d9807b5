"""A model that affect_train trained, as a teacher."""

from pathlib import Path

import torch
from torch import Tensor

from affect_data.dataset.folder import DatasetFolder
from affect_train.addresses import hub_address
from affect_train.inference.inference import logits_of, open_model
from affect_train.inference.inputs import inputs_of
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.inputs import IndexedInputs
from affect_train.labelling.teachers.base import Teacher, TeacherLogits
from affect_train.recipe.model import TemporalOptions
from affect_train.run_folder import model_folder, weights_digest
from affect_train.runtime import Runtime


class AffectTeacher(Teacher):
    """The model of a run folder, of a model folder, or of a repository of the Hub.

    Raises:
        NotAModelError: the folder holds no model.
    """

    def __init__(self, path: Path | str) -> None:
        source = model_folder(path)
        self.model, preprocessing = open_model(source)
        run = source.resolve().parent if source.name == "model" else source.resolve()
        address = hub_address(path)
        name = run.name if address is None else address.name
        super().__init__(name, weights_digest(source), self.model.config.task_set(), preprocessing)
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
        """The crop, and the windows of frames if the model has a recurrent stage."""
        if not self.sees_windows:
            return super().view
        options = TemporalOptions(**self.model.config.temporal)
        return f"{super().view}, windows of {options.window} frames every {options.strides[1]}"

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
