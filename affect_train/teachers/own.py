"""A model that affect_train trained, as a teacher."""

from pathlib import Path

import torch
from torch import Tensor

from affect_train.errors import NotAModelError
from affect_train.inference import logits_of, open_model
from affect_train.run_folder import model_folder
from affect_train.teachers.base import Teacher, TeacherLogits, files_digest

WEIGHTS = "*.safetensors"


class AffectTeacher(Teacher):
    """The model of a run folder or model folder.

    Raises:
        NotAModelError: there is none.
    """

    def __init__(self, path: Path | str) -> None:
        source = model_folder(path)
        self.model, preprocessing = open_model(source)
        run = source.resolve().parent if source.name == "model" else source.resolve()
        super().__init__(run.name, weights_digest(source), self.model.config.task_set(), preprocessing)
        self.model.eval()

    def to(self, device: torch.device) -> "AffectTeacher":
        """The same teacher on `device`."""
        super().to(device)
        self.model.to(device)
        return self

    def logits(self, pixels: Tensor) -> TeacherLogits:
        """See `Teacher.logits`."""
        return logits_of(self.model(pixels))


def weights_digest(source: Path) -> str:
    """sha256 of a model's weight files, hexadecimal.

    Raises:
        NotAModelError: there are none.
    """
    files = sorted(source.glob(WEIGHTS))
    if not files:
        raise NotAModelError(source, f"it holds no {WEIGHTS}", "Train it again, or name another run")
    return files_digest(files)
