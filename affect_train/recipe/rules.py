"""Contradictions between the sections of a recipe, each valid in itself. Rules of a single method are with its options."""

from collections.abc import Iterator

from affect_data.faces.policies import BOX
from affect_train.recipe.dataset import DatasetOptions
from affect_train.recipe.methods.options import MethodOptions, Refusable
from affect_train.recipe.methods.registry import names_of
from affect_train.recipe.model import ModelOptions, TaskOptions
from affect_train.recipe.section import TASKS, Mistake, Sections, trained_tasks
from affect_train.recipe.training import BatchOptions, CropOptions, TrainingOptions

BALANCED_SPLIT = "train"
"""The only split that has balances."""


def contradictions(sections: Sections) -> Iterator[Mistake]:
    """All contradictions between sections; a section with a mistake of its own is absent."""
    if isinstance(sections.get("dataset"), DatasetOptions):
        yield from _dataset_contradictions(sections["dataset"], sections)
    if "tasks" in sections:
        yield from _task_contradictions(sections["tasks"], sections.get("training"))
    if "method" in sections:
        yield from _method_contradictions(sections["method"], sections)
    if "model" in sections:
        yield from _model_contradictions(sections["model"])
        yield from _habit_contradictions(sections["model"], sections)
    if "batches" in sections:
        yield from _batch_contradictions(sections["batches"], sections)
    yield from _temporal_contradictions(sections)
    if "crop" in sections:
        yield from _crop_contradictions(sections["crop"])
    if "training" in sections:
        yield from _training_contradictions(sections["training"], sections)


def _habit_contradictions(model: ModelOptions, sections: Sections) -> Iterator[Mistake]:
    trained = trained_tasks(sections)
    for head in () if model.habits is None or not trained else model.habits.heads:
        if head not in trained and model.habits is not None and "heads" in model.habits.model_fields_set:
            yield ("model", "habits", "heads"), f"found {head}, but `tasks` trains only {', '.join(trained)}"


def _task_contradictions(tasks: TaskOptions, training: TrainingOptions | None) -> Iterator[Mistake]:
    if not (tasks.action_units or tasks.expression or tasks.valence_arousal):
        yield ("tasks",), "names no task; give `action_units`, `expression` or `valence_arousal`"
        return
    trained = tasks.task_set().names
    if training is not None and training.best_metric.partition(".")[0] not in ("score", *trained):
        found = training.best_metric
        yield ("training", "best_metric"), f"found {found!r}, but `tasks` trains only {', '.join(trained)}; use 'score'"


def _method_contradictions(method: MethodOptions, sections: Sections) -> Iterator[Mistake]:
    for asked, path, remedy in _asked_of_a_method(sections):
        if asked in method.refuses:
            subject = repr(method.name) if path == ("method", "name") else f"the method {method.name!r}"
            yield path, f"{subject} {method.refuses[asked]}; {remedy}"
    if method.coupling is not None and getattr(sections.get("model"), "habits", None) is not None:
        yield ("method", "coupling"), "relates what faces show, not what a database calls it; set `model.habits: null`"
    if "soft_labels" in sections:
        yield from _soft_label_contradictions(method, sections["soft_labels"])
    if getattr(sections.get("augmentation"), "mixup", 0):
        yield from _mixing_contradictions(method, sections.get("model"))
    yield from method.mistakes(sections)


def _mixing_contradictions(method: MethodOptions, model: ModelOptions | None) -> Iterator[Mistake]:
    key = ("augmentation", "mixup")
    if not method.takes_mixed:
        able = names_of(lambda options: options.takes_mixed)
        yield key, f"the method {method.name!r} learns from one face at a time; set it to 0, or use {able}"
    elif method.coupling is not None:
        yield key, "a coupling compares the labels of one face, and mixed pictures show two; set it to 0"
    if model is not None and (model.features or model.temporal):
        yield key, "stored features are of single pictures; set it to 0"
    if model is not None and model.habits is not None:
        yield key, "the two faces of a mixed picture may be of two databases, each with its habits; set it to 0"


def _asked_of_a_method(sections: Sections) -> Iterator[tuple[Refusable, tuple[str, ...], str]]:
    """What other sections ask of the method: the demand, the key that is at fault if the method refuses it, and the remedy."""
    dataset, model, training = (sections.get(name) for name in ("dataset", "model", "training"))
    if isinstance(dataset, DatasetOptions) and dataset.streaming:
        yield "streaming", ("method", "name"), "set `dataset.streaming: false`"
    if model is not None and model.temporal is not None:
        able = names_of(lambda options: "windows" not in options.refuses)
        yield "windows", ("method", "name"), f"use {able}"
    if model is not None and model.gradient_checkpointing:
        yield "gradient_checkpointing", ("model", "gradient_checkpointing"), "set it to false"
    if training is not None and training.accumulation > 1:
        remedy = "set it to 1 and `batches.size` to the rows of a step"
        yield "accumulation", ("training", "accumulation"), remedy
    if training is not None and training.mixed_precision == "fp16":
        yield "fp16", ("training", "mixed_precision"), "use bf16, or no"
    if model is not None and model.habits is not None:
        yield "habits", ("model", "habits"), "set it to null"
    if training is not None and training.compile is not None:
        yield "compile", ("training", "compile"), "set it to null"


def _batch_contradictions(batches: BatchOptions, sections: Sections) -> Iterator[Mistake]:
    model, trained = sections.get("model"), trained_tasks(sections) or TASKS
    if batches.balance and batches.sampler == "database_proportional":
        yield (
            ("batches", "sampler"),
            f"found {batches.sampler!r}, but `batches.balance` decides which rows come; use 'task_balanced', 'uniform' or no balance",
        )
    if batches.sampler != "task_balanced" and (batches.pools or not batches.shared_labels):
        key = "pools" if batches.pools else "shared_labels"
        yield ("batches", key), f"only the sampler 'task_balanced' draws from pools; found {batches.sampler!r}"
    if not batches.shared_labels and model is not None and model.temporal is not None:
        yield ("batches", "shared_labels"), "the frames of a window keep all their labels; set it to true"
    if isinstance(batches.balance, dict):
        names = list(batches.pools) or list(trained)
        for name in batches.balance:
            if name not in names:
                yield ("batches", "balance", name), f"no pool has this name; the pools are {', '.join(names)}"
    if "tasks" in sections:
        for name, pool in batches.pools.items():
            foreign = sorted(set(pool.labels) - set(trained))
            if foreign:
                yield ("batches", "pools", name), f"{', '.join(foreign)} is no task of this recipe"
    pools = len(batches.pools or trained_tasks(sections))
    if batches.sampler == "task_balanced" and batches.size < pools:
        yield (
            ("batches", "size"),
            f"found {batches.size}, but {pools} pools share a batch; give each at least one row",
        )
    training = sections.get("training")
    if batches.balance and training is not None and training.split != BALANCED_SPLIT:
        yield (
            ("batches", "balance"),
            f"weighs the rows of the split {BALANCED_SPLIT!r}, but `training.split` is {training.split!r}",
        )
    if batches.repeat_cap and not batches.balance:
        yield (
            ("batches", "repeat_cap"),
            "without `batches.balance` no row is repeated before all others have come; remove it",
        )


def _training_contradictions(training: TrainingOptions, sections: Sections) -> Iterator[Mistake]:
    if training.patience and training.validation_split is None:
        yield ("training", "patience"), "stopping early takes evaluations; name a `training.validation_split`"
    if training.patience and not training.keep_best:
        yield ("training", "patience"), "the best model would not be kept; set `training.keep_best` to 1 or more"
    steps, schedule = training.max_steps, sections.get("schedule")
    if steps and schedule is not None and schedule.warmup_steps >= steps:
        found = schedule.warmup_steps
        yield ("schedule", "warmup_steps"), f"found {found}; expected less than `training.max_steps` ({steps})"


def _model_contradictions(model: ModelOptions) -> Iterator[Mistake]:
    if model.features and not model.freeze_backbone:
        yield ("model", "features"), "stored features stay as they are; set `model.freeze_backbone: true`"
    if model.adapter and model.freeze_backbone:
        yield ("model", "adapter"), "a frozen backbone has nothing that learns; set `model.freeze_backbone: false`"
    if model.gradient_checkpointing and model.freeze_backbone:
        yield ("model", "gradient_checkpointing"), "a frozen backbone keeps no activations; set it to false"


def _temporal_contradictions(sections: Sections) -> Iterator[Mistake]:
    model, batches = sections.get("model"), sections.get("batches")
    if model is None or model.temporal is None:
        return
    if model.features is None:
        yield (
            ("model", "temporal"),
            "windows are read from stored features; run `affect-train features` and name them in `model.features`",
        )
    if batches is not None and batches.balance:
        yield (
            ("batches", "balance"),
            f"found {batches.balance!r}, which weighs rows, but a recurrent stage draws windows; remove it",
        )


def _crop_contradictions(crop: CropOptions) -> Iterator[Mistake]:
    if crop.policy == BOX and crop.room:
        yield (
            ("crop", "room"),
            f"found {crop.room:g}, but the policy {BOX!r} stores no crops that could have room; name another policy, or remove it",
        )
    if crop.policy != BOX and crop.margin != CropOptions().margin:
        yield (
            ("crop", "margin"),
            f"found {crop.margin:g}, but the policy {crop.policy!r} has its own; remove it, or set the default {CropOptions().margin:g}",
        )


FOLDER_ONLY = "takes a dataset folder, whose column groups hold it; build one with `affect-data build`, or leave it out"


def _dataset_contradictions(dataset: DatasetOptions, sections: Sections) -> Iterator[Mistake]:
    batches, training, model, tasks = (sections.get(name) for name in ("batches", "training", "model", "tasks"))
    if sections.get("soft_labels"):
        yield ("soft_labels",), FOLDER_ONLY
    if batches is not None and batches.balance:
        yield ("batches", "balance"), FOLDER_ONLY
    if training is not None and training.held_out:
        yield ("training", "held_out"), FOLDER_ONLY
    if model is not None and model.features:
        yield ("model", "features"), FOLDER_ONLY
    if model is not None and model.habits:
        yield ("model", "habits"), FOLDER_ONLY
    if "crop" in sections and sections["crop"].policy != BOX:
        yield ("crop", "policy"), FOLDER_ONLY
    if sections.get("method") is not None and sections["method"].reserved is not None:
        yield tuple(sections["method"].reserved_key.split(".")), FOLDER_ONLY
    if tasks is not None and dataset.columns is not None:
        wanted = {"au": tasks.action_units, "expression": tasks.expression, "va": tasks.valence_arousal}
        for task in (task for task, named in wanted.items() if named and task not in dataset.columns.tasks()):
            key = {"au": "action_units", "expression": "expression", "va": "valence` and `arousal"}[task]
            yield ("dataset", "columns"), f"`tasks` trains {task}, but no column is named for it; add `{key}`"
    if dataset.streaming:
        yield from _streaming_contradictions(batches, training)


def _streaming_contradictions(batches: BatchOptions | None, training: TrainingOptions | None) -> Iterator[Mistake]:
    if batches is not None and batches.sampler != "uniform":
        yield (
            ("batches", "sampler"),
            f"found {batches.sampler!r}, which picks rows from the whole dataset; a streamed one takes 'uniform', or set `dataset.streaming: false`",
        )
    if batches is not None and batches.cache:
        yield ("batches", "cache"), "streamed faces are not kept; set it to false"
    if batches is not None and batches.workers:
        yield ("batches", "workers"), "a stream is read by one process; set it to 0, and `batches.threads` to more"
    if batches is not None and training is not None and not (batches.steps_per_epoch or training.max_steps):
        yield (
            ("batches", "steps_per_epoch"),
            "a stream does not know its length; say how many batches an epoch has, or set `training.max_steps`",
        )


def _soft_label_contradictions(method: MethodOptions, names: tuple[str, ...]) -> Iterator[Mistake]:
    found = ", ".join(names)
    if method.uses_soft_labels and not names:
        remedy = "name a group that `affect-train label` wrote"
        yield ("soft_labels",), f"empty, but the method {method.name!r} learns from soft labels; {remedy}"
    if names and not method.uses_soft_labels:
        able = names_of(lambda options: options.uses_soft_labels)
        yield (
            ("soft_labels",),
            f"found {found}, but the method {method.name!r} does not use them; use {able}, or []",
        )
    if len(set(names)) != len(names):
        yield ("soft_labels",), f"found {found}; name every group once"
