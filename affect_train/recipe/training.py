"""The sections of a training recipe on how a model is trained: batches, optimizer, schedule, and what is kept."""

import difflib
from typing import Annotated, Literal

from pydantic import Field, field_validator

from affect_train.recipe.section import Count, HeldOutOptions, Name, Section, Share, Weight

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


class PoolOptions(Section):
    """A pool of rows, which has a share of every batch."""

    labels: Annotated[tuple[Literal["au", "expression", "va"], ...], Field(min_length=1)] = Field(
        description="a row of the pool has a label of each of these tasks"
    )
    databases: tuple[Name, ...] = Field((), description="the databases of its rows; by default all")


class BatchOptions(Section):
    """How rows become batches."""

    size: Count = Field(64, description="rows of one global batch")
    sampler: Literal["task_balanced", "database_proportional", "uniform"] = Field(
        "task_balanced", description="which rows a batch holds, and what an epoch shows (docs/training.md)"
    )
    pools: dict[Name, PoolOptions] = Field(
        {}, description="what `task_balanced` gives equal shares of a batch; by default the labelled rows of each task"
    )
    shared_labels: bool = Field(
        default=True,
        description="a row teaches all the labels it has; false: only those of the pool that it was drawn from",
    )
    balance: Name | dict[Name, Name] | None = Field(
        None,
        description="draw rows by the weights of this balance of the dataset (`affect-data balance`), or for each pool the name of one",
    )
    repeat_cap: Count | None = Field(
        None,
        description="how often a row may come in one pass, as many draws as its pool has rows; by default the balance's own",
    )
    steps_per_epoch: Count | None = Field(None, description="batches of an epoch; by default the sampler decides")
    workers: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="processes that decode; 0: the training process; by default what the machine has beside a GPU, and 0 without one",
    )
    threads: Count = Field(1, description="threads that decode in each of these processes")
    undecodable: Literal["stop", "skip"] = Field(
        "stop",
        description="a row whose picture cannot be decoded: `stop` ends the run; `skip` takes another row of its pool, within a limit",
    )
    evaluation: Count = Field(
        64, description="rows that the model sees at a time in evaluation, during the run and by default after it"
    )
    cache: bool = Field(default=False, description="keep every decoded face in memory; for datasets that fit")


class AugmentationOptions(Section):
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
    erase: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.0,
        description="share of the images of which a rectangle, 2 to 33 % of the area, becomes grey (random erasing)",
    )
    mixup: Weight = Field(
        0.0,
        description="alpha of the Beta distribution of the shares in which pictures and labels of pairs that are labelled alike are mixed; 0: none",
    )


class CropOptions(Section):
    """The region of the source image that the model sees."""

    policy: Literal["box", "affwild2-112", "fmae-5", "loose-1.3"] = Field(
        "box",
        description="`box` cuts around the face box in training; others read what `affect-data align --crops` stored (docs/faces.md)",
    )
    margin: Annotated[float, Field(ge=0.0, le=2.0)] = Field(
        0.2,
        description="of `box`: added on every side of the face box, relative to its longer side; the whole image is taken where there is no box",
    )
    room: Annotated[float, Field(ge=0.0, le=0.4)] = Field(
        0.0,
        description="of stored crops: this share on each side is not shown, but moved into view where augmentation turns, zooms or shifts",
    )
    reduced_scale: bool = Field(
        default=True,
        description="decode large JPEG files at a fraction of their size: faster, about 42 dB from full decoding",
    )


class TrainingOptions(Section):
    """How long to train, and what to keep."""

    epochs: Count = Field(1, description="passes as the sampler defines them")
    max_steps: Count | None = Field(None, description="stop after so many updates, whatever the epochs")
    accumulation: Count = Field(1, description="batches whose gradients make one update")
    clip_norm: Annotated[float, Field(gt=0.0)] | None = Field(
        None, description="largest norm of the gradient of all weights; null: any"
    )
    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = Field(
        "auto",
        description="of the forward pass; weights and losses stay float32; `auto`: bf16 on a GPU that has it; `fp16` needs a GPU",
    )
    tf32: bool = Field(
        default=True,
        description="a GPU that can rounds the factors of float32 products to the ten bits of TensorFloat32",
    )
    compile: Literal["inductor", "cudagraphs", "aot_eager", "eager"] | None = Field(
        None, description="compile the model with this backend of torch.compile"
    )
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        None, description="evaluate and keep an exponential moving average of the weights, with this decay a step"
    )
    log_every: Count = Field(20, description="updates from one line of the log to the next")
    trackers: tuple[str, ...] = Field(("tensorboard",), description="experiment trackers that Accelerate knows")
    evaluate_every_steps: Count | None = Field(None, description="by default once an epoch")
    save_every_steps: Count | None = Field(None, description="checkpoints beside those at epochs and evaluations")
    keep_last: Count = Field(1, description="how many of the newest checkpoints stay")
    keep_best: Annotated[int, Field(ge=0)] = Field(
        1, description="how many of the best checkpoints stay, by `best_metric`"
    )
    best_metric: BestMetric = Field(
        "score", description="by which an evaluation is better than another; `score` is the mean over the tasks"
    )
    patience: Count | None = Field(
        None, description="stop after so many evaluations in a row without a better `best_metric`"
    )
    record_rows: bool = Field(default=False, description="write down which rows each process trained on")
    leaks: Literal["refuse", "report"] = Field(
        "refuse", description="what a person or a video in two splits of the dataset does to the run"
    )
    copies: Literal["refuse", "report"] = Field(
        "report", description="what a picture in two splits does: equal bytes, or copies that `affect-data audit` found"
    )
    split: Name = Field("train", description="that is trained on")
    held_out: HeldOutOptions | None = Field(None, description="a fold of the training split that is not trained on")
    without_databases: tuple[Name, ...] = Field(
        (), description="databases whose rows are not trained on, such as those that the model is judged on"
    )
    validation_split: Name | None = Field("validation", description="that is evaluated during the run; null: none")

    @field_validator("trackers")
    @classmethod
    def _are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in TRACKERS:
                near = difflib.get_close_matches(name, TRACKERS, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"found {name!r}; known: {', '.join(TRACKERS)}{hint}")
        return names
