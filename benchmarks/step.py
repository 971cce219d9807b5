"""Milliseconds of a training step on batches in memory: a bare torch loop, our loop, transformers' Trainer.

    python benchmarks/step.py
    python benchmarks/step.py --smoke                   # tiny; shows that it runs, measures nothing

The same tiny ViT with the same heads learns the same batches by the same losses with AdamW and a constant rate; after the first pass the weights
of all variants must be equal. Our loop is `affect_train.training.loop.train_steps` as a run calls it, with its log file,
and with TensorBoard too; only the decoded faces come from memory. Trainer logs as often, to nowhere.
What is timed lies between two requests for a batch.

Milliseconds grow with the load of the machine, and so does the overhead: compare the differences with the bare loop's time. The quietest rounds
(least over least) come nearest to an idle machine.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from common import Round, Variant, machine, run_variants, serve
from safetensors.torch import load_file, save_file

BARE, OURS, TRAINER = "bare torch loop", "ours", "transformers.Trainer"
OURS_TRACKED = "ours, TensorBoard"
WARM_UP = 5
"""Steps of every round before its clock starts."""
BATCH, SIZE, BATCHES = 16, 32, 16
LOG_EVERY = 20

BACKBONE = {
    "model_type": "vit",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "patch_size": 8,
}


class Feed(Sequence[Any]):
    """Batches in memory, again and again; knows when each was asked for.

    Args:
        batches: of the first turn.
        steps: how many are given out in all.
    """

    def __init__(self, batches: Sequence[Any], steps: int) -> None:
        self.batches, self.steps = batches, steps
        self.asked: list[tuple[float, float]] = []

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, number: int) -> Any:  # noqa: ANN401
        self.asked.append((time.perf_counter(), time.process_time()))
        return self.batches[number % len(self.batches)]

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(self.steps))

    def round(self) -> Round:
        """What the steps took between the request after the warm-up and the last one."""
        (wall, cpu), (last_wall, last_cpu) = self.asked[WARM_UP], self.asked[-1]
        return Round(len(self.asked) - 1 - WARM_UP, last_wall - wall, last_cpu - cpu)


def recipe_of(output: str, steps: int, trackers: Sequence[str] = ()) -> Any:  # noqa: ANN401
    from affect_train.recipe.recipe import recipe_from

    return recipe_from(
        {
            "dataset": "in memory",
            "output": output,
            "tasks": {"action_units": [1, 2, 4, 6, 12], "expression": "aff_wild2_7", "valence_arousal": {"bins": 20}},
            "model": {"backbone": BACKBONE, "image_size": SIZE},
            "method": {"name": "supervised"},
            "batches": {"size": BATCH},
            "schedule": {"name": "constant"},
            "training": {
                "epochs": 1,
                "max_steps": steps,
                "log_every": LOG_EVERY,
                "validation_split": None,
                "trackers": list(trackers),
            },
        }
    )


def batches_in_memory() -> list[Any]:
    """Faces of noise; every label is missing in a third of the rows."""
    from affect_train.inputs.batch import AffectBatch

    rng = np.random.default_rng(0)
    found = []
    for number in range(BATCHES):
        au_mask, expression_mask, va_mask = (
            rng.random((BATCH, 5)) < 0.67,
            rng.random(BATCH) < 0.67,
            rng.random(BATCH) < 0.67,
        )
        valence, arousal = (np.where(va_mask, rng.uniform(-1, 1, BATCH), 0).astype(np.float32) for _ in range(2))
        pixels = rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), dtype=np.uint8)
        found.append(
            AffectBatch(
                inputs=torch.from_numpy(pixels).permute(0, 3, 1, 2),
                uids=[f"{number}/{row}" for row in range(BATCH)],
                rows=torch.arange(BATCH),
                au=torch.from_numpy((au_mask & (rng.random((BATCH, 5)) < 0.3)).astype(np.float32)),
                au_mask=torch.from_numpy(au_mask),
                expression=torch.from_numpy(np.where(expression_mask, rng.integers(0, 7, BATCH), -1)),
                expression_mask=torch.from_numpy(expression_mask),
                valence=torch.from_numpy(valence),
                arousal=torch.from_numpy(arousal),
                va_mask=torch.from_numpy(va_mask),
            )
        )
    return found


def plain_loss(method: Any, output: Any, batch: Any) -> torch.Tensor:  # noqa: ANN401
    """The loss of one batch of one process, without what several processes or batches need."""
    from affect_train.losses import concordance
    from affect_train.methods import LossTerm

    total = torch.zeros(())
    for term in method.losses(output, batch).values():
        value = term.sum / term.count if isinstance(term, LossTerm) else 1 - concordance(term.sums, term.epsilon)
        total = total + term.weight * value.float()
    return total


# ---------------------------------------------------------------- variants

Steps = Callable[[Feed], None]


def bare(recipe: Any, learner: Any) -> Steps:  # noqa: ANN401, ARG001
    model, optimizer, schedule = learner.model, learner.optimizer.optimizer, learner.schedule.scheduler

    def train(feed: Feed) -> None:
        model.train()
        for batch in feed:
            loss = plain_loss(learner.method, model(batch.inputs), batch)
            if not np.isfinite(loss.item()):
                raise SystemExit("the loss is not finite")
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    return train


def ours(recipe: Any, learner: Any) -> Steps:  # noqa: ANN401
    from affect_train.reporting import Reporter
    from affect_train.run_folder import RunFolder
    from affect_train.runtime import Runtime
    from affect_train.training.checkpoint import Checkpoints
    from affect_train.training.logs import Logs
    from affect_train.training.loop import Run, train_steps

    accelerator, folder = recipe_accelerator(recipe), RunFolder(recipe.output)
    folder.path.mkdir(parents=True, exist_ok=True)
    runtime = Runtime(accelerator, Reporter(speaks=False))

    def train(feed: Feed) -> None:
        order = SimpleNamespace(steps=len(feed), set_position=lambda *_: None)
        data: Any = SimpleNamespace(order=order, batches=feed, validation=None)
        run = Run(recipe, runtime, data, learner)
        with Logs(recipe, runtime, folder, resume_at=0) as logs:
            train_steps(run, folder, Checkpoints(folder.checkpoints, 1, 1), logs)

    return train


def trainer(recipe: Any, learner: Any) -> Steps:  # noqa: ANN401
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_callback import PrinterCallback

    class OnBatches(Trainer):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, **_: Any) -> torch.Tensor:  # noqa: ANN401
            batch = inputs["batch"]
            return plain_loss(learner.method, model(batch.inputs), batch)

        def _get_train_sampler(self, dataset: Any = None) -> Any:  # noqa: ANN401
            return torch.utils.data.SequentialSampler(self.train_dataset if dataset is None else dataset)

    optimizer, schedule = learner.optimizer.optimizer, learner.schedule.scheduler

    def train(feed: Feed) -> None:
        arguments = TrainingArguments(
            output_dir=recipe.output,
            max_steps=len(feed),
            per_device_train_batch_size=1,
            max_grad_norm=0.0,
            logging_steps=LOG_EVERY,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            dataloader_pin_memory=False,
        )
        loop = OnBatches(
            model=learner.model,
            args=arguments,
            train_dataset=feed,
            data_collator=lambda items: {"batch": items[0]},
            optimizers=(optimizer, schedule),
        )
        loop.remove_callback(PrinterCallback)
        loop.train()

    return train


VARIANTS = {BARE: bare, OURS: ours, OURS_TRACKED: ours, TRAINER: trainer}


def recipe_accelerator(recipe: Any) -> Any:  # noqa: ANN401
    from affect_train.training.learner import training_accelerator

    return training_accelerator(recipe)


def prepare(name: str, folder: Path, steps: int) -> tuple[dict[str, Any], Callable[[], Round]]:
    from affect_train.training.learner import Learner

    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    trackers = ["tensorboard"] if name == OURS_TRACKED else []
    recipe = recipe_of(str(folder / name.replace(" ", "-")), steps, trackers)
    learner = Learner.build(recipe, recipe_accelerator(recipe), steps)
    batches, train = batches_in_memory(), VARIANTS[name](recipe, learner)

    def work() -> Round:
        feed = Feed(batches, steps)
        train(feed)
        if len(feed.asked) != steps:
            raise SystemExit(f"{name}: {len(feed.asked)} batches were asked for, not {steps}")
        return feed.round()

    work()
    target = folder / f"{name}.safetensors"
    save_file(learner.model.state_dict(), target)
    return {"output": str(target)}, work


# ---------------------------------------------------------------- all variants


def check_weights(variants: list[Variant]) -> None:
    """Ends the program if the variants did not learn the same weights."""
    states = {variant.name: load_file(variant.described["output"]) for variant in variants}
    for name, state in states.items():
        for key, values in states[BARE].items():
            if not torch.allclose(state[key], values, rtol=1e-4, atol=1e-5):
                worst = float((state[key] - values).abs().max())
                raise SystemExit(f"{name}: {key} differs from the bare loop's by {worst:.2g} after the first pass")


def report(variants: dict[str, Variant]) -> None:
    milliseconds = {
        name: {kind: np.array(getattr(variant, kind)) / variant.units * 1e3 for kind in ("wall", "cpu")}
        for name, variant in variants.items()
    }
    print(
        f"{'':<22} {'ms a step':>9} {'min..max':>15} {'cpu ms':>8} | {'over bare':>9} {'by cpu':>8} {'of bare':>8} {'least':>8}"
    )
    for name, taken in milliseconds.items():
        over = {kind: np.median(values - milliseconds[BARE][kind]) for kind, values in taken.items()}
        wall, bare_wall = taken["wall"], milliseconds[BARE]["wall"]
        share = np.median(taken["cpu"] / milliseconds[BARE]["cpu"])
        print(
            f"{name:<22} {np.median(wall):>9.3f} {f'{wall.min():.3f}..{wall.max():.3f}':>15} {np.median(taken['cpu']):>8.3f} | "
            f"{over['wall']:>+9.3f} {over['cpu']:>+8.3f} {share:>8.2f} {wall.min() - bare_wall.min():>+8.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="of a round")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--smoke", action="store_true", help="a few steps, one round")
    parser.add_argument("--variant", choices=list(VARIANTS), help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.variant:
        serve(lambda: prepare(arguments.variant, arguments.data, arguments.steps))
        return
    steps, rounds = (WARM_UP + 10, 1) if arguments.smoke else (arguments.steps, arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        print(f"{rounds} rounds of {steps} steps, batches of {BATCH}; {machine()}")
        report(run_variants(__file__, list(VARIANTS), ["--data", folder, "--steps", str(steps)], rounds, check_weights))
    print(f"load at the end: {machine()}")


if __name__ == "__main__":
    main()
