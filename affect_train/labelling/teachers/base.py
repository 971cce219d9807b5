"""The teacher: a model of any kind that labels faces, known by the names of its classes and action units."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError
from affect_train.clips import pooled
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.crops import shown_rows
from affect_train.inputs.inputs import IndexedInputs
from affect_train.inputs.loading import FaceImages
from affect_train.inputs.preprocess import Preprocessing
from affect_train.recipe.model import CLIP_FRAMES
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet

TeacherLogits = dict[str, Tensor]
"""Float tensors [N, width] by head: au, expression, valence, arousal; heads that the teacher lacks are absent."""


class TeacherError(DataError):
    """A teacher that cannot be used: its file, its description or its outputs do not fit."""

    def __init__(self, name: str, because: str, remedy: str) -> None:
        super().__init__(f"teacher '{name}': {because}. {remedy}")


class Teacher(ABC):
    """A model that labels faces.

    Args:
        name: of a run, a folder or a file, or a Hub id; never an absolute path.
        revision: hash of everything that its logits depend on besides the view, or the Hub's revision.
        tasks: what it predicts, in the order of its logits.
        preprocessing: how a face becomes its input.
        out_of_fold: True if no row is labelled by a model that was trained on it.
    """

    def __init__(
        self, name: str, revision: str, tasks: TaskSet, preprocessing: Preprocessing, *, out_of_fold: bool = False
    ) -> None:
        self.name = name
        self.revision = revision
        self.tasks = tasks
        self.preprocessing = preprocessing
        self.out_of_fold = out_of_fold
        self.device = torch.device("cpu")

    @property
    def view(self) -> str:
        """How the teacher sees the pictures, in words, with the hash of the preprocessing."""
        seen = self.preprocessing
        return f"un-augmented {seen.described}, {seen.image_size} px, preprocessing {seen.digest()}"

    def to(self, device: torch.device) -> "Teacher":
        """The same teacher, which computes on `device` where it can."""
        self.device = device
        return self

    @property
    def sees_windows(self) -> bool:
        """Whether the logits of a frame depend on the frames around it."""
        return False

    @property
    def clip_frames(self) -> int:
        """How many frames of a clip it sees."""
        return CLIP_FRAMES

    def inputs(self, folder: DatasetFolder, split: str, runtime: Runtime) -> IndexedInputs:  # noqa: ARG002 - for those who take more than pictures
        """The teacher's inputs for a split; all processes call it."""
        rows = shown_rows(folder, split, self.preprocessing)
        return FaceImages(rows, self.preprocessing, clip_frames=self.clip_frames, videos=folder.videos)

    @abstractmethod
    def logits(self, pixels: Tensor) -> TeacherLogits:
        """The logits of N faces.

        Args:
            pixels: uint8 [N, 3, S, S], RGB, on the teacher's device.
        """

    def label(self, split: str, faces: FaceBatch) -> TeacherLogits:  # noqa: ARG002 - for teachers that differ by row
        """The logits of rows of a dataset."""
        shown = faces.to(self.device)
        with torch.inference_mode():
            return {head: pooled(values, shown.counts) for head, values in self.logits(shown.inputs).items()}
