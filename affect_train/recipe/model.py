"""The sections ``tasks`` and ``model`` of a training recipe: what is predicted, and by which network."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_serializer, field_validator
from pydantic_core.core_schema import ValidationInfo

from affect_data.vocabulary import slot_of
from affect_train.recipe.model_types import known_model_types
from affect_train.recipe.section import Count, Name, Section, Share
from affect_train.tasks import TaskSet, expression_set

CLIP_FRAMES: Final = 8
"""How many frames of a clip are shown, where nothing else is said."""


class ValenceArousalOptions(Section):
    """The valence-arousal head."""

    bins: Annotated[int, Field(ge=2)] = Field(20, description="bins for each axis over [-1, 1]")


class TaskOptions(Section):
    """What the model predicts."""

    action_units: tuple[int, ...] = Field((), description="FACS numbers")
    expression: str | tuple[str, ...] | None = Field(None, description="an expression set, or a list of class names")
    valence_arousal: ValenceArousalOptions | None = Field(None, description="train valence and arousal; null: not")

    @field_validator("action_units")
    @classmethod
    def _are_known_once(cls, numbers: tuple[int, ...]) -> tuple[int, ...]:
        for number in numbers:
            slot_of(number)
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            raise ValueError(f"AU{', AU'.join(map(str, twice))} is named twice; name every action unit once")
        return numbers

    @field_validator("expression", mode="plain")
    @classmethod
    def _is_a_class_set(cls, classes: Any) -> str | tuple[str, ...] | None:  # noqa: ANN401 - checked here
        if classes is None:
            return None
        is_list = isinstance(classes, list | tuple) and all(isinstance(name, str) for name in classes)
        if not (isinstance(classes, str) or is_list):
            raise ValueError(
                f"found {classes!r}; expected the name of an expression set, a list of class names, or null"
            )
        resolved = expression_set(classes)
        if len(set(resolved)) != len(resolved) or len(resolved) < 2:
            raise ValueError(f"found {classes!r}; expected two classes at least, each once")
        return classes if isinstance(classes, str) else resolved

    @field_serializer("expression", when_used="json")
    def _as_plain_values(self, classes: str | tuple[str, ...] | None) -> str | list[str] | None:
        # For a field with a plain validator, pydantic cannot know that the tuple becomes a list, and would warn.
        return list(classes) if isinstance(classes, tuple) else classes

    def task_set(self) -> TaskSet:
        """The heads as a `TaskSet`, with expression sets resolved to class names."""
        bins = self.valence_arousal.bins if self.valence_arousal else 0
        return TaskSet(self.action_units, expression_set(self.expression) if self.expression else (), bins)


class HeadOptions(Section):
    """The layers between the backbone's features and each task's logits."""

    hidden: Annotated[int, Field(ge=0)] = Field(0, description="width of a hidden layer; 0 for a linear head")
    shared: Annotated[int, Field(ge=0)] = Field(0, description="width of a hidden layer that all heads share; 0: none")
    zero: list[Literal["au", "expression", "valence", "arousal"]] = Field(
        default_factory=list,
        description="heads whose last layer starts at zero: at first they predict the same for every face",
    )
    normalisation: Literal["layer", "batch"] = Field(
        "layer",
        description="`layer`: over the features of each face; `batch`: of each feature over the faces, for a frozen backbone",
    )


class TemporalOptions(Section):
    """A recurrent stage between the backbone's features and the heads, over windows of consecutive frames."""

    window: Annotated[int, Field(ge=2, le=4096)] = Field(32, description="frames of a window")
    stride: Count | None = Field(
        None, description="frames between the beginnings of training windows; by default half a window"
    )
    evaluation_stride: Count | None = Field(
        None,
        description="the same for evaluation and labels, by default a window; with less, a frame has the mean of its windows",
    )
    projection: Annotated[int, Field(ge=0)] = Field(
        128, description="width that features are brought to before; 0 leaves them as they are"
    )
    hidden: Count = Field(64, description="units of the bidirectional GRU, either way")
    layers: Count = Field(1, description="of the GRU, one above the other")
    sharing: Literal["per_task", "shared"] = Field(
        "per_task", description="a GRU for each of action units, expressions, valence-arousal, or one for all"
    )

    @field_validator("stride", "evaluation_stride")
    @classmethod
    def _leave_no_frame_out(cls, stride: int | None, info: ValidationInfo) -> int | None:
        window = info.data.get("window")
        if stride is not None and window is not None and stride > window:
            raise ValueError(f"{stride} is more than the window of {window} frames, so that frames would be left out")
        return stride

    @property
    def strides(self) -> tuple[int, int]:
        """Frames from one window's beginning to the next, in training and in evaluation, with defaults resolved."""
        return self.stride or self.window // 2, self.evaluation_stride or self.window


class AdapterOptions(Section):
    """Low-rank adapters (LoRA): the backbone stays as it is, and small matrices beside its layers learn."""

    rank: Count = Field(8, description="of the product of two matrices that is added to each layer")
    alpha: Annotated[float, Field(gt=0.0)] = Field(16.0, description="the product is multiplied by this over the rank")
    dropout: Share = Field(0.0, description="of the adapters' inputs")
    layers: tuple[str, ...] = Field(
        (), description="ends of the names of the linear layers that have one, such as `q_proj`; all without"
    )


class HabitOptions(Section):
    """What each database does in its own way (docs/habits.md): learned beside the shared network, and dropped when that is used."""

    heads: tuple[Literal["au", "expression", "va"], ...] = Field(
        ("au", "expression", "va"),
        description="`expression`: a confusion matrix; `va`: gain and offset; `au`: shifts of the threshold",
    )
    reference: Name | None = Field(
        None,
        description="the database whose labels the network learns to give; null: for each head, and each action unit, the one with the most labels",
    )
    learning_rate: Annotated[float, Field(gt=0.0)] = Field(
        10.0, description="of the habits, as a multiple of `optimizer.learning_rate`"
    )

    @field_validator("heads")
    @classmethod
    def _name_some_once(cls, heads: tuple[str, ...]) -> tuple[str, ...]:
        if not heads or len(set(heads)) != len(heads):
            raise ValueError(f"found {list(heads)}; name one head at least, each once, or set `model.habits: null`")
        return heads


class ModelOptions(Section):
    """The network."""

    backbone: str | dict[str, Any] = Field(description="a Hub id, a local folder, or a configuration with `model_type`")
    pretrained: bool | None = Field(
        None, description="by default true for a Hub id or folder, false for a configuration"
    )
    image_size: Annotated[int, Field(ge=16, le=2048)] = Field(112, description="side of the square input, in pixels")
    freeze_backbone: bool = Field(default=False, description="train the heads alone")
    adapter: AdapterOptions | None = Field(
        None, description="train low-rank adapters and the heads; the model that is saved has them in its weights"
    )
    standardise: bool = Field(
        default=False,
        description="give every image mean 0 and deviation 1; else the backbone's own mean and deviation are used",
    )
    pooling: Literal["mean", "cls", "cls_mean"] | None = Field(
        None, description="by default cls_mean where the backbone has a class token, else mean"
    )
    dropout: Share = Field(0.0, description="before the last layer of each head")
    drop_path: Share = Field(0.0, description="stochastic depth, for backbones which have it")
    head: HeadOptions = HeadOptions()
    gradient_checkpointing: bool = Field(
        default=False,
        description="compute the backbone's activations again in the backward pass: less memory, more time",
    )
    features: Name | None = Field(
        None, description="train the heads on stored features of this name: no image is decoded or augmented"
    )
    clip_frames: Count = Field(
        CLIP_FRAMES,
        description="how many frames of a clip are shown, evenly spread; its outputs are the mean over them",
    )
    temporal: TemporalOptions | None = Field(
        None, description="a recurrent stage over windows of frames; takes stored `features`"
    )
    habits: HabitOptions | None = Field(
        None, description="learn what each database does in its own way, `{}` for all heads; null: all label alike"
    )

    @field_validator("backbone", mode="plain")
    @classmethod
    def _is_named_or_configured(cls, backbone: object) -> str | dict[str, Any]:
        if isinstance(backbone, str) and backbone.strip():
            return backbone
        if not isinstance(backbone, dict):
            raise ValueError(
                f"found {backbone!r}; expected a Hub id, a local folder, or a configuration with `model_type`"
            )
        _check_model_type(backbone)
        return backbone

    @field_validator("pretrained")
    @classmethod
    def _has_weights(cls, pretrained: bool | None, info: ValidationInfo) -> bool | None:  # noqa: FBT001
        if pretrained and isinstance(info.data.get("backbone"), dict):
            raise ValueError(
                "true, but a configuration has no weights; name a Hub id or a folder as `backbone`, or set it to false"
            )
        return pretrained

    @field_validator("image_size")
    @classmethod
    def _fits_the_patches(cls, size: int, info: ValidationInfo) -> int:
        backbone = info.data.get("backbone")
        if isinstance(backbone, dict):
            patch, configured = backbone.get("patch_size"), backbone.get("image_size", size)
            if isinstance(patch, int) and patch > 0 and size % patch:
                raise ValueError(
                    f"{size} is no multiple of the backbone's patch size {patch}; try {max(size // patch, 1) * patch}"
                )
            if configured != size:
                raise ValueError(f"{size}, but `model.backbone.image_size` says {configured}; remove the latter")
        return size


def _check_model_type(backbone: Mapping[str, Any]) -> None:
    kind = backbone.get("model_type")
    if not isinstance(kind, str):
        raise ValueError("the configuration lacks `model_type`, for example `model_type: vit`")
    if kind not in known_model_types():
        near = difflib.get_close_matches(kind, sorted(known_model_types()), n=1) or ["vit"]
        raise ValueError(
            f"`model_type` {kind!r} is not known to transformers; did you mean {near[0]!r}? usual: vit, dinov2, levit"
        )
