"""The training loop: load, prepare, train, evaluate, save."""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from accelerate import Accelerator

from affect_data.dataset.folder import DatasetFolder
from affect_data.errors import DataError
from affect_data.files import recover_folder, write_json, written_folder
from affect_train.evaluation.evaluate import evaluate_split
from affect_train.evaluation.selection import SELECTED_ON, selection
from affect_train.inputs.batch import AffectBatch
from affect_train.inputs.sending import Sender
from affect_train.inputs.source import Source
from affect_train.network.adapter import merged
from affect_train.network.label_rates import LabelRates
from affect_train.recipe.recipe import Recipe
from affect_train.reporting import Reporter
from affect_train.run_folder import RunFolder, run_lock
from affect_train.runtime import Runtime
from affect_train.training.checkpoint import Checkpoints, Progress, broadcast_buffers, can_checkpoint, read_progress
from affect_train.training.contents import contents_of
from affect_train.training.data import TrainingData
from affect_train.training.habits import write_habits
from affect_train.training.leak_guard import guard_loaded, guard_training
from affect_train.training.learner import Learner, training_accelerator
from affect_train.training.logs import Logs
from affect_train.training.mixing import mixed
from affect_train.training.resume import check_same_run, write_run
from affect_train.training.source import feature_provenance, open_training_source
from affect_train.training.step import optimizer_step
from affect_train.training.values import StepValues

Value = TypeVar("Value")


@dataclass
class Run:
    """A run under way."""

    recipe: Recipe
    runtime: Runtime
    data: TrainingData
    learner: Learner
    progress: Progress = field(default_factory=Progress)
    evaluation: dict[str, Any] | None = None

    @property
    def accelerator(self) -> Accelerator:
        """The Accelerator of this process."""
        return self.runtime.accelerator

    @property
    def reporter(self) -> Reporter:
        """The reporter of this process."""
        return self.runtime.reporter

    @property
    def epoch_steps(self) -> int:
        """Optimizer steps of an epoch."""
        return math.ceil(self.data.order.steps / self.recipe.training.accumulation)

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the run."""
        return planned_steps(self.recipe, self.data)

    @property
    def out_of_patience(self) -> bool:
        """Whether there have been `training.patience` evaluations without a better score."""
        patience = self.recipe.training.patience
        return patience is not None and self.progress.evaluations_since_best >= patience

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.progress.step >= self.total_steps or self.out_of_patience


def planned_steps(recipe: Recipe, data: TrainingData) -> int:
    """Optimizer steps of a whole run."""
    steps = recipe.training.epochs * math.ceil(data.order.steps / recipe.training.accumulation)
    return min(steps, recipe.training.max_steps or steps)


def train(recipe: Recipe, folder: DatasetFolder | None = None, *, dry_run: bool = False) -> dict[str, Any] | None:
    """The result of a recipe's run, started or resumed, on the main process; None on the others.

    Args:
        recipe: a validated recipe.
        folder: its dataset, if that is open already.
        dry_run: check everything, train one step, write nothing.

    Raises:
        NotADatasetError: the dataset is not built.
        LeakError: people or videos are in two splits, and the recipe does not accept this.
        AffectError: dataset, soft labels, model and method do not fit one another.
        NonFiniteLossError: a loss became NaN or infinite.
        UsageError: another run is writing to the output folder, or the folder holds a run of another recipe.
    """
    source = open_training_source(recipe, folder)
    runtime = Runtime.start(training_accelerator(recipe), workers=recipe.batches.workers)
    run = prepared(recipe, source, runtime)
    describe(run)
    if dry_run:
        return try_one_step(run)
    output = RunFolder(recipe.output)
    checkpoints = Checkpoints(output.checkpoints, recipe.training.keep_last, recipe.training.keep_best)
    with run_lock(output, runtime.accelerator):
        start_or_resume(run, output, checkpoints)
        skipped = run.data.skipped
        with Logs(recipe, runtime, output, resume_at=run.progress.step, skipped=skipped) as logs:
            train_steps(run, output, checkpoints, logs)
        return finish(run, output)


def prepared(recipe: Recipe, source: Source, runtime: Runtime) -> Run:
    """A run before its first step: leaks are ruled out, data loaded, the model built.

    Raises:
        AffectError: dataset, soft labels, model and method do not fit one another, or there are leaks.
    """
    if source.folder is not None:
        guard_training(recipe, source.folder, runtime)
    data = TrainingData.load(recipe, source, runtime.accelerator)
    if source.folder is None:
        guard_loaded(recipe, data, runtime.reporter)
    learner = Learner.build(
        recipe, runtime.accelerator, planned_steps(recipe, data), feature_provenance(recipe, source), data.habits
    )
    if data.rows is not None and data.train.labels is not None:
        where = f"'{recipe.dataset}', split {recipe.training.split}"
        for note in learner.terms.prepare(data.train.labels, data.rows, where):
            runtime.reporter.say(note)
        note_label_rates(recipe, learner, data, runtime.accelerator)
    learner = replace(learner, wrapper=learner.method.attach(learner, data, runtime.accelerator, recipe))
    return Run(recipe, runtime, data, learner)


def note_label_rates(recipe: Recipe, learner: Learner, data: TrainingData, accelerator: Accelerator) -> None:
    """Writes into the model's configuration how often labels are among the rows that it learns from, so that it can be moved to another prior.

    Rows that are drawn by the weights of a balance are not as frequent as their number says, so nothing is written then.
    """
    if recipe.batches.balance or data.rows is None or data.train.labels is None:
        return
    counted = LabelRates.counted(data.train.labels, data.rows, recipe.tasks.task_set())
    accelerator.unwrap_model(learner.model).config.label_rates = learner.method.rates_learned(counted).to_dict()


def describe(run: Run) -> None:
    """Reports what is about to be trained."""
    parameters = sum(parameter.numel() for parameter in run.learner.model.parameters() if parameter.requires_grad)
    rows = "rows are streamed"
    trained = run.data.rows
    if trained is not None and run.data.train.labels is not None:
        pools = run.data.train.labels.pools(run.recipe.tasks.task_set())
        labelled = ", ".join(f"{task} {np.isin(found, trained).sum():,}" for task, found in pools.items())
        rows = f"{len(trained):,} rows (labelled: {labelled})"
    for note in run.data.notes:
        run.reporter.say(note)
    precision = "" if run.accelerator.mixed_precision == "no" else f" in {run.accelerator.mixed_precision}"
    run.reporter.say(
        f"{run.accelerator.num_processes} process(es) on {run.accelerator.device}{precision}; {parameters:,} parameters learn; "
        f"{rows}; {run.total_steps:,} steps, {run.epoch_steps:,} an epoch"
    )


def start_or_resume(run: Run, folder: RunFolder, checkpoints: Checkpoints) -> None:
    """Resumes from the last checkpoint of the output folder, or starts anew if there is none.

    Raises:
        UsageError: the folder holds a run of another recipe.
        CheckpointError: the checkpoint cannot be used.
    """
    if not can_checkpoint(run.accelerator):
        run.reporter.say("DeepSpeed keeps its state in pickles, which are not written: this run cannot be resumed")
    latest, contents = checkpoints.latest(), contents_of(run.recipe, run.data.source)
    if latest is not None:
        check_same_run(folder, run.recipe, contents, read_progress(latest), run.total_steps)
        run.progress = checkpoints.load(run.accelerator, run.learner.parts(run.accelerator), latest, run.recipe.seed)
        run.reporter.say(f"resumed from {latest} at step {run.progress.step:,}")
        if run.progress.processes != run.accelerator.num_processes:
            run.reporter.say(
                f"{run.accelerator.num_processes} process(es) go on where {run.progress.processes} stopped: with the same rows in the same "
                "order, but dropout draws anew and sums are rounded differently"
            )
        if run.total_steps > run.progress.planned:
            make_longer(run)
    run.accelerator.wait_for_everyone()
    if run.accelerator.is_main_process:
        folder.path.mkdir(parents=True, exist_ok=True)
        recover_folder(folder.model)
        write_run(folder, run.recipe, contents)
    run.accelerator.wait_for_everyone()


def make_longer(run: Run) -> None:
    """Lets a run that has done all of its steps go on, at the learning rate that its new, longer schedule has at this step."""
    before, now = run.progress.planned, run.total_steps
    ended, goes_on = run.learner.set_learning_rate()
    named = run.recipe.schedule.name
    run.reporter.say(
        f"made longer: from {before:,} to {now:,} steps, going on after step {run.progress.step:,}. The learning rate ended at {ended:.3g} "
        f"and goes on at {goes_on:.3g}, where the {named} schedule of {now:,} steps has it"
        + (
            "; this is not the run that it would have been with this length from the beginning"
            if ended != goes_on
            else ""
        )
    )


def train_steps(run: Run, folder: RunFolder, checkpoints: Checkpoints, logs: Logs) -> None:
    """Trains all steps that are left, with evaluations and checkpoints on the way."""
    options = run.recipe.training
    with run.reporter.bar("train", run.total_steps, run.progress.step) as advance:
        for micro_batches in steps_left(run):
            losses = train_step(run, micro_batches)
            step = run.progress.step + 1
            run.progress = replace(
                run.progress,
                step=step,
                score=None,
                processes=run.accelerator.num_processes,
                planned=run.total_steps,
            )
            last, end_of_epoch = step == run.total_steps, step % run.epoch_steps == 0
            due = step % options.evaluate_every_steps == 0 if options.evaluate_every_steps else end_of_epoch
            saves = last or due or end_of_epoch or step % (options.save_every_steps or step + 1) == 0
            logs.step(step, micro_batches, losses)
            if last or step % options.log_every == 0:
                logs.write_losses(
                    step, (step - 1) // run.epoch_steps, run.total_steps, max(run.learner.schedule.get_last_lr())
                )
            advance(1)
            if saves:
                logs.check_losses()
            if last or due:
                evaluate_and_save(run, folder, logs)
            if saves:
                checkpoints.save(run.accelerator, run.learner.parts(run.accelerator), run.progress)
            if run.out_of_patience:
                run.reporter.say(
                    f"step {step:,}: stopped, {options.best_metric} has not become better than {run.progress.best_score:.4f} "
                    f"in {options.patience} evaluations"
                )


def steps_left(run: Run) -> Iterator[list[AffectBatch]]:
    """The micro-batches of each optimizer step that is left, on this process's device."""
    accumulation, order, send = run.recipe.training.accumulation, run.data.order, Sender(run.accelerator.device)
    while not run.finished:
        epoch, done = divmod(run.progress.step, run.epoch_steps)
        order.set_position(epoch, done * accumulation)
        batches = map(send, run.data.batches)
        while not run.finished and (micro_batches := list(islice(batches, accumulation))):
            yield micro_batches


def train_step(run: Run, micro_batches: list[AffectBatch]) -> StepValues:
    """The value of every loss term in one optimizer step, which changes the weights."""
    number, clip_norm, alpha = run.progress.step + 1, run.recipe.training.clip_norm, run.recipe.augmentation.mixup
    if alpha:
        micro_batches = [
            mixed(batch, alpha, (run.recipe.seed, number, place)) for place, batch in enumerate(micro_batches)
        ]
    return optimizer_step(run.accelerator, run.learner, micro_batches, number=number, clip_norm=clip_norm)


def evaluate_and_save(run: Run, folder: RunFolder, logs: Logs) -> None:
    """Evaluates on the validation split, and saves the model if it is the best so far, or if nothing decides which is best."""
    broadcast_buffers(run.accelerator, run.accelerator.unwrap_model(run.learner.model))
    with run.learner.average.applied() if run.learner.average is not None else nullcontext():
        score, best = validation_score(run, logs), run.progress.best_score
        improved = score is not None and (best is None or score > best)
        if improved or score is None or not run.recipe.training.keep_best:
            note_selection(run, is_only=score is None or (best is None and run.progress.step == run.total_steps))
            save_model(run.accelerator, run.learner.model, folder.model)
            if run.accelerator.is_main_process:
                write_habits(run.accelerator.unwrap_model(run.learner.model), folder.path)
            if run.evaluation is not None:
                write_json(folder.evaluation, evaluation_report(run))
    run.progress = replace(
        run.progress,
        score=score,
        best_score=score if improved else best,
        evaluations_since_best=0 if improved or score is None else run.progress.evaluations_since_best + 1,
    )


def note_selection(run: Run, *, is_only: bool) -> None:
    """Notes in the model which split chooses its checkpoint, unless there is only one to choose, or the last one is kept."""
    options, chosen = run.recipe.training, None
    chooses = options.keep_best > 0 or options.patience is not None
    if options.validation_split is not None and chooses and not is_only:
        chosen = selection(run.data.source, options.validation_split, options.best_metric)
    setattr(run.accelerator.unwrap_model(run.learner.model).config, SELECTED_ON, chosen)


def validation_score(run: Run, logs: Logs) -> float | None:
    """The metric that decides which model is best, on every process; None if the recipe names no validation split."""
    split, accelerator, score = run.data.validation, run.accelerator, None
    if split is None:
        return None
    run.evaluation = evaluate_split(accelerator.unwrap_model(run.learner.model), split, run.runtime)
    if run.evaluation is not None:
        score = metric(run.evaluation["overall"], run.recipe.training.best_metric)
        logs.evaluation(run.progress.step, run.evaluation["overall"], score)
    return from_main_process(accelerator, score)


def evaluation_report(run: Run) -> dict[str, Any]:
    """What ``evaluation.json`` says of the saved model."""
    return {
        **run.data.source.report(),
        "step": run.progress.step,
        "splits": {run.recipe.training.validation_split: run.evaluation},
    }


def metric(metrics: dict[str, Any], name: str) -> float:
    """A metric by its dotted name.

    Raises:
        DataError: the validation split has no label for it.
    """
    value: Any = metrics
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None or not math.isfinite(value):
        raise DataError(
            f"training.best_metric '{name}' is not defined on the validation split, which has no label for it; "
            "choose another metric or validation split, or set `training.validation_split: null`"
        )
    return float(value)


def from_main_process(accelerator: Accelerator, values: Value) -> Value:
    """The main process's values, on every process."""
    if accelerator.num_processes == 1:
        return values
    shared = [values]
    torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]


def save_model(accelerator: Accelerator, model: torch.nn.Module, folder: Path) -> None:
    """Writes the model for inference, in place of an earlier one; all processes call it."""
    weights = accelerator.get_state_dict(model)
    if accelerator.is_main_process:
        with written_folder(folder) as partial:
            whole = accelerator.unwrap_model(model)
            whole.save_pretrained(partial, state_dict=merged(whole, weights))
    accelerator.wait_for_everyone()


def try_one_step(run: Run) -> dict[str, Any] | None:
    """The result of a dry run, on the main process: one optimizer step, of which nothing is kept."""
    losses = dict(train_step(run, next(steps_left(run))))
    run.data.batches.close()
    if not run.accelerator.is_main_process:
        return None
    return {"dry_run": True, "steps": run.total_steps, "losses": losses}


def finish(run: Run, folder: RunFolder) -> dict[str, Any] | None:
    """The result of a finished run, on the main process; None on the others."""
    run.data.batches.close()
    left_out = left_out_rows(run)
    if not run.accelerator.is_main_process:
        return None
    for note in run.learner.wrapper.finish(folder.path):
        run.reporter.say(note)
    return {
        "output": str(folder.path),
        "model": str(folder.model),
        "steps": run.progress.step,
        "best_score": run.progress.best_score,
        "undecodable_rows": left_out,
        "evaluation": str(folder.evaluation) if folder.evaluation.exists() else None,
    }


def left_out_rows(run: Run) -> int:
    """How many different rows were left out because they cannot be decoded, summed over processes; all processes call it."""
    if run.data.skipped is None:
        return 0
    own = torch.tensor([len(run.data.skipped)], device=run.accelerator.device)
    return int(run.accelerator.reduce(own, reduction="sum").item())
