"""Training on a GPU: images a second of a whole run beside the bare model on batches that lie on the device.

    python benchmarks/gpu.py                    # one GPU, less than ten minutes
    python benchmarks/gpu.py --smoke            # a tiny model on whatever there is; shows that it runs, measures nothing

ViT-S/16 and ViT-B/16 at 224 px, from scratch, in bf16 where the device has it. The bare model has one batch on the device and does forward pass,
losses, backward pass and fused AdamW, over and over. The run is ours as a recipe starts it: JPEGs from a dataset folder, as many loader processes as
the machine has, the augmentation of a recipe by default, made on the device. Waiting is the time in which the training process had no batch.

First the device's augmentation is compared with the CPU's.
"""

import argparse
import datetime as dt
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import face_dataset, jpeg_pictures, machine

UNITS = 12
BACKBONES = {"ViT-S/16": (384, 6, 12), "ViT-B/16": (768, 12, 12)}
"""Width, heads and layers."""


class Size(NamedTuple):
    """How much is done.

    Attributes:
        image: side of the model's input.
        stored: side of the stored pictures.
        rows: how many there are.
        batch: rows of a step.
        warm_up: steps before the clock starts.
        seconds: that are measured, each way.
        backbones: width, heads and layers by name.
    """

    image: int
    stored: int
    rows: int
    batch: int
    warm_up: int
    seconds: float
    backbones: dict[str, tuple[int, int, int]]


FULL = Size(224, 256, 2048, 128, 10, 20.0, BACKBONES)
TINY = Size(32, 40, 64, 16, 1, 0.5, {"tiny": (16, 2, 1)})


def recipe_of(folder: Path, size: Size, shape: tuple[int, int, int]) -> Any:  # noqa: ANN401
    """A recipe that leaves all that counts here at its default."""
    from affect_data.vocabulary import ACTION_UNITS
    from affect_train.recipe.recipe import recipe_from

    width, heads, layers = shape
    backbone = {"model_type": "vit", "hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers}
    backbone |= {"intermediate_size": 4 * width, "patch_size": 16}
    return recipe_from(
        {
            "dataset": str(folder / "merged"),
            "output": str(folder / "run"),
            "tasks": {"action_units": list(ACTION_UNITS[:UNITS]), "expression": None, "valence_arousal": None},
            "model": {"backbone": backbone, "image_size": size.image},
            "batches": {"size": size.batch, "sampler": "uniform"},
            "training": {"epochs": 10_000, "validation_split": None, "trackers": []},
        },
        [],
    )


def finish(device: torch.device) -> None:
    """Waits for all work of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def bare_rate(run: Any, batch: Any, size: Size) -> float:  # noqa: ANN401
    """Images a second of the run's own model on one batch that lies on the device."""
    from affect_train.methods import total_loss

    learner, device = run.learner, run.accelerator.device
    optimizer = torch.optim.AdamW(learner.model.parameters(), lr=0.0, fused=device.type == "cuda")
    learner.model.train()

    def steps(seconds: float, count: int) -> int:
        started, done = time.perf_counter(), 0
        while done < count or time.perf_counter() - started < seconds:
            total_loss(learner.terms.losses(learner.model(batch.inputs), batch)).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            if done % 20 == 0:
                finish(device)
        finish(device)
        return done

    steps(0.0, size.warm_up)
    started = time.perf_counter()
    return steps(size.seconds, 1) * size.batch / (time.perf_counter() - started)


def run_rate(run: Any, batches: Iterator[Any], size: Size) -> tuple[float, float]:  # noqa: ANN401
    """Images a second of the run, and the share of the time in which it waited for a batch."""
    from affect_train.training.loop import train_step
    from affect_train.training.values import read

    device, values, waited = run.accelerator.device, [], 0.0
    for _ in range(size.warm_up):
        train_step(run, next(batches))
    finish(device)
    started = time.perf_counter()
    while time.perf_counter() - started < size.seconds or not values:
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        values.append(train_step(run, batch))
        if len(values) % run.recipe.training.log_every == 0:
            read(values)
    read(values)
    finish(device)
    taken = time.perf_counter() - started
    return len(values) * size.batch / taken, waited / taken


def compare_augmentation(device: torch.device) -> str:
    """How far the device's augmentation is from the CPU's, in words; ends the program if it is further than it may be."""
    from affect_train.inputs.augment import TOLERANCE, Augmentation, augmentation_key

    augmentation = Augmentation(
        flip=True, rotation_degrees=10, scale=0.1, shift=0.05, brightness=0.2, contrast=0.2, noise=0.05, grey=0.2
    )
    pixels = torch.randint(0, 256, (64, 3, 112, 112), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    drawn = augmentation.draw([augmentation_key(0, 0, 0, str(row)) for row in range(64)], 112)
    there = drawn._replace(values=drawn.values.to(device)).applied(pixels.to(device)).cpu()
    difference = (there.int() - drawn.applied(pixels).int()).abs()
    largest, share = int(difference.max()), float((difference > 0).double().mean())
    if largest > TOLERANCE:
        raise SystemExit(f"augmentation on {device} differs from that on the CPU by {largest} of 255")
    return f"augmentation on {device} and on the CPU: largest difference {largest} of 255, in {share:.1e} of the values"


def measure(size: Size) -> None:
    """Prints the table."""
    from affect_train.runtime import Runtime
    from affect_train.training.learner import training_accelerator
    from affect_train.training.loop import prepared, steps_left
    from affect_train.training.source import open_training_source

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        units = (np.random.default_rng(0).random((size.rows, UNITS)) < 0.3).astype(np.int8)
        face_dataset(folder / "merged", jpeg_pictures(size.rows, size.stored, 95), units)
        for number, (title, shape) in enumerate(size.backbones.items()):
            recipe = recipe_of(folder, size, shape)
            runtime = Runtime.start(training_accelerator(recipe), workers=recipe.batches.workers)
            device = runtime.accelerator.device
            if not number:
                described = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
                print(f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {described}, torch {torch.__version__}; {machine()}")
                print(compare_augmentation(device))
                print(
                    f"{'':<10} {'bare':>9} {'run':>9} {'of bare':>8} {'waiting':>8} {'memory GB':>10}   images a second"
                )
            run = prepared(recipe, open_training_source(recipe, None), runtime)
            batches = steps_left(run)
            (batch,) = next(batches)
            bare = bare_rate(run, batch, size)
            rate, waiting = run_rate(run, batches, size)
            memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else float("nan")
            precision, workers = runtime.accelerator.mixed_precision, runtime.workers
            print(
                f"{title:<10} {bare:>9,.0f} {rate:>9,.0f} {rate / bare:>8.2f} {waiting:>8.2f} {memory:>10.1f}   "
                f"{size.image} px, batches of {size.batch}, {precision}, {workers} loader processes"
            )
            run.data.batches.close()
            del run, batches, batch


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="a tiny model for a second; measures nothing")
    if parser.parse_args().smoke:
        measure(TINY)
        return
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU on this machine; `--smoke` shows on its CPU that the benchmark runs")
    measure(FULL)


if __name__ == "__main__":
    main()
