"""The training recipe: what can be said, what fits together, and how a resolved recipe is stored."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_serializer, field_validator
from pydantic_core.core_schema import ValidationInfo

from affect_data.errors import RecipeError
from affect_data.vocabulary import slot_of
from affect_train.recipe_rules import contradictions
from affect_train.recipe_source import RecipeSource, read_source, valid_sections, validation_mistakes
from affect_train.tasks import TaskSet, expression_set

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Weight = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

BestMetric = Literal[
    "score",
    "au.mean_f1",
    "expression.macro_f1",
    "expression.accuracy",
    "va.mean_ccc",
    "va.valence_ccc",
    "va.arousal_ccc",
]


TRACKERS = ("aim", "clearml", "comet_ml", "dvclive", "mlflow", "swanlab", "tensorboard", "trackio", "wandb")


class Section(BaseModel):
    """A part of a recipe: keys that it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ValenceArousal(Section):
    """The valence-arousal head."""

    bins: Annotated[int, Field(ge=2)] = Field(20, description="bins for each axis over [-1, 1]")


class Tasks(Section):
    """What the model predicts."""

    action_units: tuple[int, ...] = Field((), description="FACS numbers")
    expression: str | tuple[str, ...] | None = Field(None, description="an expression set, or a list of class names")
    valence_arousal: ValenceArousal | None = None

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
        # pydantic takes a field with a plain validator for any value, and warns where a tuple became a list.
        return list(classes) if isinstance(classes, tuple) else classes

    def task_set(self) -> TaskSet:
        """The heads, with expression sets resolved to class names."""
        bins = self.valence_arousal.bins if self.valence_arousal else 0
        return TaskSet(self.action_units, expression_set(self.expression) if self.expression else (), bins)


class Head(Section):
    """The layers between the backbone's features and each task's logits."""

    hidden: Annotated[int, Field(ge=0)] = Field(0, description="width of a hidden layer; 0 for a linear head")
    normalisation: Literal["layer", "batch"] = Field(
        "layer",
        description="of the features: over each face's, or of each feature over the faces; a frozen backbone wants `batch`",
    )


class Model(Section):
    """The network."""

    backbone: str | dict[str, Any] = Field(description="a Hub id, a local folder, or a configuration with `model_type`")
    pretrained: bool | None = Field(
        None, description="by default true for a Hub id or folder, false for a configuration"
    )
    image_size: Annotated[int, Field(ge=16, le=2048)] = Field(112, description="side of the square input, in pixels")
    freeze_backbone: bool = False
    standardise: bool = Field(
        default=False,
        description="give every image mean 0 and deviation 1; else the backbone's own mean and deviation are used",
    )
    pooling: Literal["mean", "cls", "cls_mean"] | None = Field(
        None, description="by default cls_mean where the backbone has a class token, else mean"
    )
    dropout: Share = Field(0.0, description="before the last layer of each head")
    drop_path: Share = Field(0.0, description="stochastic depth, for backbones which have it")
    head: Head = Head()
    gradient_checkpointing: bool = Field(
        default=False,
        description="compute the backbone's activations again on the way back: less memory, more time",
    )
    features: Name | None = Field(
        None, description="train the heads on stored features of this name: no image is decoded or augmented"
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
    # Importing transformers takes a while: only recipes with a configuration pay for it.
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    kind = backbone.get("model_type")
    if not isinstance(kind, str):
        raise ValueError("the configuration lacks `model_type`, for example `model_type: vit`")
    if kind not in MODEL_MAPPING_NAMES:
        near = difflib.get_close_matches(kind, MODEL_MAPPING_NAMES, n=1) or ["vit"]
        raise ValueError(
            f"`model_type` {kind!r} is not known to transformers; did you mean {near[0]!r}? usual: vit, dinov2, levit"
        )


class TaskWeights(Section):
    """What the losses of each task are multiplied by."""

    au: Weight = 1.0
    expression: Weight = 1.0
    va: Weight = 1.0


class LabelLosses(Section):
    """The losses of labels, which every method has."""

    uses_soft_labels: ClassVar[bool] = False

    task_weights: TaskWeights = TaskWeights()
    au_reduction: Literal["mean", "sum"] = Field(
        "mean", description="over action units; `sum` is the weight 8 of Deng et al."
    )
    ccc_weight: Weight = Field(1.0, description="of 1 - CCC beside the cross-entropy over bins")
    ccc_epsilon: Annotated[float, Field(gt=0.0)] = Field(
        0.02,
        description="in the denominator of the CCC: keeps its gradient sane while predictions or labels hardly vary",
    )


class Supervised(LabelLosses):
    """Learning from labels alone."""

    name: Literal["supervised"] = "supervised"


class SoftTask(Section):
    """How one task learns from the teachers."""

    learn: bool = Field(default=True, description="false: this task learns from its labels alone")
    hard_weight: Annotated[float, Field(ge=0.0, le=1.0)] | None = Field(
        None, description="in place of `method.hard_weight`"
    )
    temperature: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="in place of `method.temperature`; action units have 1 by default"
    )


class SoftTasks(Section):
    """How each task learns from the teachers."""

    au: SoftTask = SoftTask()
    expression: SoftTask = SoftTask()
    va: SoftTask = SoftTask()


class Distillation(LabelLosses):
    """Learning from labels and from teachers' logits."""

    uses_soft_labels: ClassVar[bool] = True

    name: Literal["distillation"] = "distillation"
    hard_weight: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.6, description="of the label where there is one; the teacher has the rest"
    )
    temperature: Annotated[float, Field(gt=0.0)] = 1.5
    temperature_squared: bool = Field(
        default=True, description="multiply soft losses by temperature squared, so that their gradients keep their size"
    )
    missing_labels: Literal["teacher", "ignore"] = Field(
        "teacher", description="what a row without a label of a task learns: what the teacher says of it, or nothing"
    )
    confidence: Literal["none", "entropy"] = Field(
        "none",
        description="`entropy`: what a teacher says counts by 1 - entropy / the entropy of a guess, row by row and action unit by action unit",
    )
    soft_tasks: SoftTasks = SoftTasks()


MethodOptions = Annotated[Supervised | Distillation, Field(discriminator="name")]


class Batches(Section):
    """How rows become batches."""

    size: Count = Field(64, description="rows of one global batch")
    sampler: Literal["task_balanced", "database_proportional", "uniform"] = "task_balanced"
    balance: Name | None = Field(
        None, description="draw rows by the weights of this balance of the dataset (`affect-data balance`)"
    )
    repeat_cap: Count | None = Field(
        None,
        description="how often a row may come among as many draws as its pool has rows; by default the balance's own",
    )
    steps_per_epoch: Count | None = Field(None, description="batches of an epoch; by default the sampler decides")
    workers: Annotated[int, Field(ge=0)] = Field(0, description="processes that decode; 0: the training process")
    threads: Count = Field(1, description="threads that decode in each of these processes")
    cache: bool = Field(default=False, description="keep every decoded face in memory; for datasets that fit")


class Augmentation(Section):
    """Random changes of training images."""

    flip: bool = Field(default=True, description="mirror half of the images")
    rotation_degrees: Annotated[float, Field(ge=0.0, le=180.0)] = Field(
        10.0, description="rotate by up to this angle either way"
    )
    scale: Share = Field(0.1, description="enlarge or shrink by up to this share")
    shift: Share = Field(0.05, description="move by up to this share of the side, along each axis")
    brightness: Share = Field(0.2, description="multiply by up to 1 plus or minus this share")
    contrast: Share = Field(0.2, description="move away from or towards the mean by up to this share")
    noise: Share = Field(0.0, description="standard deviation of Gaussian noise, up to this share of the range")
    grey: Annotated[float, Field(ge=0.0, le=1.0)] = Field(0.0, description="share of the images that lose their colour")


class Crop(Section):
    """The region of the source image that the model sees."""

    margin: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.2,
        description="added on every side of the face box, relative to its longer side; the whole image is taken where there is no box",
    )
    reduced_scale: bool = Field(
        default=True,
        description="decode large JPEG files at a fraction of their size: faster, about 42 dB from full decoding",
    )


class Optimizer(Section):
    """The optimiser."""

    name: Literal["adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-3
    weight_decay: Weight = 0.05
    betas: tuple[Share, Share] = (0.9, 0.999)
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="each layer of the backbone learns this much slower than the one above it; 1: all alike"
    )


class Schedule(Section):
    """The learning rate over time."""

    name: Literal["cosine", "constant"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class HeldOut(Section):
    """Rows of the training split that are not trained on."""

    folds: Name = Field(
        description="folds of the dataset, as `affect-data folds` and `affect-train cross-label` write them"
    )
    fold: Annotated[int, Field(ge=0)] = Field(description="the fold that stays out; rows in no fold stay out too")


class Training(Section):
    """How long to train, and what to keep."""

    epochs: Count = 1
    max_steps: Count | None = None
    accumulation: Count = 1
    clip_norm: Annotated[float, Field(gt=0.0)] | None = None
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    compile: Literal["inductor", "cudagraphs", "aot_eager", "eager"] | None = Field(
        None, description="compile the model with this backend of torch.compile"
    )
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None, description="evaluate and keep an exponential moving average of the weights, with this decay a step"
    )
    log_every: Count = 20
    trackers: tuple[str, ...] = Field(("tensorboard",), description="experiment trackers that Accelerate knows")
    evaluate_every_steps: Count | None = Field(None, description="by default once an epoch")
    save_every_steps: Count | None = Field(None, description="checkpoints beside those at epochs and evaluations")
    keep_last: Count = 1
    keep_best: Annotated[int, Field(ge=0)] = 1
    best_metric: BestMetric = "score"
    patience: Count | None = Field(
        None, description="stop after so many evaluations in a row without a better `best_metric`"
    )
    record_rows: bool = Field(default=False, description="write down which rows each process trained on")
    split: Name = "train"
    held_out: HeldOut | None = Field(None, description="a fold of the training split that is not trained on")
    validation_split: Name | None = "validation"

    @field_validator("trackers")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in TRACKERS:
                near = difflib.get_close_matches(name, TRACKERS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"found {name!r}; known: {', '.join(TRACKERS)}{hint}")
        return names


class Recipe(Section):
    """All that a training run depends on."""

    dataset: Annotated[str, StringConstraints(min_length=1)] = Field(description="a dataset folder")
    output: Annotated[str, StringConstraints(min_length=1)] = Field(description="the folder of the run")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    tasks: Tasks
    model: Model
    method: MethodOptions = Supervised()
    soft_labels: tuple[Name, ...] = Field((), description="soft-label groups of the dataset")
    batches: Batches = Batches()
    augmentation: Augmentation = Augmentation()
    crop: Crop = Crop()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    training: Training = Training()

    def to_yaml(self) -> str:
        """The recipe with every default written out; `read_recipe` gives an equal recipe from it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def write(self, path: Path) -> None:
        """Writes `to_yaml` under a temporary name and renames it."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(self.to_yaml(), encoding="utf-8")
        temporary.replace(path)


def read_recipe(path: Path | str, overrides: Iterable[str] = ()) -> Recipe:
    """The validated recipe of a YAML file.

    Args:
        path: the file.
        overrides: ``key.key=value``, applied in order; the values are YAML.

    Raises:
        RecipeError: lists every mistake, with its line.
    """
    return _validated(read_source(Path(path), overrides))


def recipe_from(values: Mapping[str, Any], overrides: Iterable[str] = ()) -> Recipe:
    """The validated recipe of plain values, as YAML would give them.

    Raises:
        RecipeError: lists every mistake.
    """
    source = RecipeSource("recipe", dict(values))
    for setting in overrides:
        source.override(setting)
    return _validated(source)


def _validated(source: RecipeSource) -> Recipe:
    if source.mistakes and not source.values:
        raise RecipeError(source.name, source.mistakes)
    mistakes, invalid = validation_mistakes(Recipe, source)
    sections = valid_sections(Recipe, source, invalid)
    together = [source.mistake(path, message) for path, message in contradictions(sections)]
    if source.mistakes or mistakes or together:
        raise RecipeError(source.name, [*source.mistakes, *mistakes, *together])
    return Recipe.model_construct(**sections)
