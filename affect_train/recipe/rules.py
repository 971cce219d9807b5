"""What is wrong between the sections of a recipe, each of which is right in itself."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from affect_train.recipe.dataset import DatasetSource

if TYPE_CHECKING:
    from affect_train.recipe.methods import Distillation, Supervised
    from affect_train.recipe.model import Tasks
    from affect_train.recipe.recipe import Batches, Training


def contradictions(sections: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong between sections; a section that is wrong in itself is absent."""
    if isinstance(sections.get("dataset"), DatasetSource):
        yield from _source_contradictions(sections["dataset"], sections)
    if "tasks" in sections:
        yield from _task_contradictions(sections["tasks"], sections.get("method"), sections.get("training"))
    if "method" in sections and "soft_labels" in sections:
        yield from _soft_label_contradictions(sections["method"], sections["soft_labels"])
    if "model" in sections and sections["model"].features and not sections["model"].freeze_backbone:
        yield ("model", "features"), "stored features stay as they are; set `model.freeze_backbone: true`"
    yield from _engine_contradictions(sections)
    if "tasks" in sections and "method" in sections and sections["method"].coupling is not None:
        yield from _coupling_contradictions(sections["tasks"], sections["method"])
    yield from _temporal_contradictions(sections)
    steps = sections["training"].max_steps if "training" in sections else None
    if steps and "schedule" in sections and sections["schedule"].warmup_steps >= steps:
        warmup = sections["schedule"].warmup_steps
        yield ("schedule", "warmup_steps"), f"found {warmup}; expected less than `training.max_steps` ({steps})"


def _task_contradictions(
    tasks: "Tasks", method: "Supervised | Distillation | None", training: "Training | None"
) -> Iterator[tuple[tuple[str, ...], str]]:
    if not (tasks.action_units or tasks.expression or tasks.valence_arousal):
        yield ("tasks",), "names no task; give `action_units`, `expression` or `valence_arousal`"
        return
    trained = tasks.task_set().names
    if training is not None and training.best_metric.partition(".")[0] not in ("score", *trained):
        found = training.best_metric
        yield ("training", "best_metric"), f"found {found!r}, but `tasks` trains only {', '.join(trained)}; use 'score'"
    if method is not None and not any(getattr(method.task_weights, task) for task in trained):
        yield (
            ("method", "task_weights"),
            f"every trained task ({', '.join(trained)}) has weight 0; nothing would be learned",
        )


def _engine_contradictions(sections: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    batches, training, model = (sections.get(name) for name in ("batches", "training", "model"))
    if batches is not None and batches.balance and batches.sampler == "database_proportional":
        yield (
            ("batches", "sampler"),
            f"found {batches.sampler!r}, but `batches.balance` decides which rows come; use 'task_balanced', 'uniform' or no balance",
        )
    if batches is not None and batches.sampler != "task_balanced" and (batches.pools or not batches.shared_labels):
        key = "pools" if batches.pools else "shared_labels"
        yield ("batches", key), f"only the sampler 'task_balanced' draws from pools; found {batches.sampler!r}"
    if batches is not None and not batches.shared_labels and model is not None and model.temporal is not None:
        yield ("batches", "shared_labels"), "the frames of a window keep all their labels; set it to true"
    if batches is not None and isinstance(batches.balance, dict):
        names = list(batches.pools) or list(_trained(sections))
        for name in batches.balance:
            if name not in names:
                yield ("batches", "balance", name), f"no pool has this name; the pools are {', '.join(names)}"
    if batches is not None and batches.pools and "tasks" in sections:
        for name, pool in batches.pools.items():
            foreign = sorted(set(pool.labels) - set(_trained(sections)))
            if foreign:
                yield ("batches", "pools", name), f"{', '.join(foreign)} is no task of this recipe"
    if batches is not None and batches.repeat_cap and not batches.balance:
        yield (
            ("batches", "repeat_cap"),
            "without `batches.balance` no row is repeated before all others have come; remove it",
        )
    if training is not None and training.patience and training.validation_split is None:
        yield ("training", "patience"), "stopping early takes evaluations; name a `training.validation_split`"
    if training is not None and training.patience and not training.keep_best:
        yield ("training", "patience"), "the best model would not be kept; set `training.keep_best` to 1 or more"
    if model is not None and model.gradient_checkpointing and model.freeze_backbone:
        yield (
            ("model", "gradient_checkpointing"),
            "a frozen backbone keeps no activations; set it to false",
        )


def _temporal_contradictions(sections: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
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
    if "method" in sections and sections["method"].name == "meta_auxiliary":
        yield (
            ("method", "name"),
            "'meta_auxiliary' judges its steps by rows, but a recurrent stage draws windows; use 'supervised' or 'distillation'",
        )


def _coupling_contradictions(
    tasks: "Tasks", method: "Supervised | Distillation"
) -> Iterator[tuple[tuple[str, ...], str]]:
    if not (tasks.action_units and tasks.expression):
        yield ("method", "coupling"), "takes `tasks.action_units` and `tasks.expression`; give both, or remove it"
        return
    # Here, because the methods import the recipe.
    from affect_train.errors import CouplingError
    from affect_train.methods.coupling.coupling import table_relations

    if method.coupling is not None and method.coupling.prior != "data":
        try:
            table_relations(method.coupling, tasks.task_set())
        except CouplingError as error:
            yield ("method", "coupling"), error.because


FOLDER_ONLY = "takes a dataset folder, whose column groups hold it; build one with `affect-data build`, or leave it out"


def _source_contradictions(source: DatasetSource, sections: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    batches, training, model, tasks = (sections.get(name) for name in ("batches", "training", "model", "tasks"))
    if sections.get("soft_labels"):
        yield ("soft_labels",), FOLDER_ONLY
    if batches is not None and batches.balance:
        yield ("batches", "balance"), FOLDER_ONLY
    if training is not None and training.held_out:
        yield ("training", "held_out"), FOLDER_ONLY
    if model is not None and model.features:
        yield ("model", "features"), FOLDER_ONLY
    if sections.get("method") is not None and sections["method"].reserved is not None:
        yield ("method", "meta_batch"), FOLDER_ONLY
    if tasks is not None and source.columns is not None:
        wanted = {"au": tasks.action_units, "expression": tasks.expression, "va": tasks.valence_arousal}
        for task in (task for task, named in wanted.items() if named and task not in source.columns.tasks()):
            key = {"au": "action_units", "expression": "expression", "va": "valence` and `arousal"}[task]
            yield ("dataset", "columns"), f"`tasks` trains {task}, but no column is named for it; add `{key}`"
    if source.streaming:
        yield from _streaming_contradictions(batches, training)
        yield from _methods_over_all_rows(sections.get("method"))


def _methods_over_all_rows(
    method: "Supervised | Distillation | None",
) -> Iterator[tuple[tuple[str, ...], str]]:
    remedy = "looks at the labels of all rows before the first step; set `dataset.streaming: false`"
    if method is not None and method.name not in ("supervised", "distillation"):
        yield ("method", "name"), f"{method.name!r} {remedy}"
    if method is not None and method.coupling is not None:
        yield ("method", "coupling"), remedy
    if method is not None and method.au_class_weights != "none":
        yield ("method", "au_class_weights"), f"{method.au_class_weights!r} {remedy}"


def _streaming_contradictions(
    batches: "Batches | None", training: "Training | None"
) -> Iterator[tuple[tuple[str, ...], str]]:
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


def _trained(sections: Mapping[str, Any]) -> tuple[str, ...]:
    tasks = sections.get("tasks")
    if tasks is not None and (tasks.action_units or tasks.expression or tasks.valence_arousal):
        names: tuple[str, ...] = tasks.task_set().names
        return names
    return ("au", "expression", "va")


def _soft_label_contradictions(
    method: "Supervised | Distillation", names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str]]:
    found = ", ".join(names)
    if method.uses_soft_labels and not names:
        remedy = "name a group that `affect-train label` wrote"
        yield ("soft_labels",), f"empty, but the method {method.name!r} learns from soft labels; {remedy}"
    if names and not method.uses_soft_labels:
        yield (
            ("soft_labels",),
            f"found {found}, but the method {method.name!r} does not use them; use 'distillation', or []",
        )
    if len(set(names)) != len(names):
        yield ("soft_labels",), f"found {found}; name every group once"
