"""The cost of a step of `meta_auxiliary`: time relative to an ordinary step, memory relative to the full second-order graph, error of its gradient.

    python benchmarks/meta.py
    python benchmarks/meta.py --part changes [--backbone FOLDER]        # the error by how much logits change between the compared passes
    python benchmarks/meta.py --smoke                   # tiny; shows that it runs, measures nothing

A ViT (12 layers, 192 wide, patches of 16, 112 px) takes steps on 16 faces with action units and 16 with an expression; the meta batch has 16 more
faces with action units, or is a share of the first 16. The ordinary step learns the same 32 faces with fixed weights. Every variant has a process of
its own, whose largest resident memory is read after its second step; "above" subtracts what was resident before the first one. Then that process
takes the variant's steps and ordinary ones in turn, so that other work on the machine affects both alike; in the first line both are ordinary. Errors
are those of the loss's gradient by the rows' weights against the full second-order graph, on fresh networks and on a trained one. With batch
normalisation before the heads the rows of a pass depend on one another; such a step is compared with an ordinary step with batch normalisation.

Faces are bright and dark bands, which are the action units; the expression follows from three of them, and a third of the expressions is wrong, as
the method expects. The trained network has learned one batch by heart; its errors are measured on that batch and on others.
"""

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from common import Round, Variant, machine, ratio, run_variants, serve
from safetensors.torch import load_model, save_model

ORDINARY, SECOND_ORDER = "ordinary step", "second order"
OPTIONS: dict[str, dict[str, Any]] = {
    ORDINARY: {"name": "supervised"},
    "central difference": {},
    "central, shared trial": {"trial": "shared"},
    "central, meta batch a share": {"meta_batch": {"share": 0.5}},
    "central, every 4th step": {"every": 4},
    SECOND_ORDER: {"gradient": "second_order"},
    "central, batch norm": {"normalisation": "batch"},
    "central, batch norm, shared": {"normalisation": "batch", "trial": "shared"},
}
HEADS = [{"normalisation": "layer"}, {"normalisation": "batch"}]
COMPARED = [name for name in OPTIONS if name not in (ORDINARY, SECOND_ORDER, "central, every 4th step")]
LEARNED = 2_000_000
"""The faces that the trained network has learned, by their seed."""
CHANGES = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
"""Of logits, between the compared passes; 1e-3 is what the method takes."""
PERIOD = 4
"""Steps of a round, so that one with an update every fourth step has one."""
ROWS, META_ROWS, UNITS = 32, 16, 7
SIZES = {
    False: {
        "hidden_size": 192,
        "num_hidden_layers": 12,
        "num_attention_heads": 3,
        "intermediate_size": 768,
        "patch_size": 16,
    },
    True: {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "patch_size": 16,
    },
}


def faces(seed: int, rows: int, size: int) -> Any:  # noqa: ANN401
    """A batch; even rows have action units, odd ones an expression."""
    from affect_train.inputs.batch import AffectBatch

    rng = np.random.default_rng(seed)
    units = rng.random((rows, UNITS)) < 0.5
    bands = np.where(units[:, :, None], np.float32(150), np.float32(50)).repeat(UNITS, axis=2)
    pixels = np.kron(bands, np.ones((size // UNITS, size // UNITS), np.float32))
    pixels = (pixels + rng.normal(0, 10, pixels.shape)).clip(0, 255).astype(np.uint8)
    expression = (units[:, :3] @ np.array([1, 2, 4])) % 7
    wrong = rng.random(rows) < 1 / 3
    expression = np.where(wrong, rng.integers(0, 7, rows), expression)
    labelled = np.arange(rows) % 2 == 0
    none = torch.zeros(rows)
    return AffectBatch(
        inputs=torch.from_numpy(np.repeat(pixels[:, None], 3, axis=1)).contiguous(memory_format=torch.channels_last),
        uids=[f"{seed}/{row}" for row in range(rows)],
        rows=torch.arange(rows),
        au=torch.from_numpy((units & labelled[:, None]).astype(np.float32)),
        au_mask=torch.from_numpy(np.repeat(labelled[:, None], UNITS, axis=1)),
        expression=torch.from_numpy(np.where(labelled, -1, expression)),
        expression_mask=torch.from_numpy(~labelled),
        valence=none,
        arousal=none,
        va_mask=none.bool(),
    )


def learner_of(
    options: dict[str, Any], seed: int, *, smoke: bool, state: Path | None = None, backbone: str | None = None
) -> Any:  # noqa: ANN401
    """The learner of a variant, and its Accelerator; the meta batches come from memory."""
    from affect_train.methods.meta.meta_rows import MetaRows
    from affect_train.recipe.recipe import recipe_from
    from affect_train.training.learner import Learner, training_accelerator

    head = {"normalisation": options.get("normalisation", "layer")}
    options = {key: value for key, value in options.items() if key != "normalisation"}
    method = {"name": "meta_auxiliary", "meta_batch": {"size": META_ROWS}, **options}
    if method["name"] == "supervised":
        method = {"name": "supervised"}
    recipe = recipe_from(
        {
            "dataset": "in memory",
            "output": "nowhere",
            "seed": seed,
            "tasks": {"action_units": [1, 2, 4, 6, 7, 12, 25], "expression": "aff_wild2_7"},
            "model": {"backbone": backbone or {"model_type": "vit", **SIZES[smoke]}, "image_size": 112, "head": head},
            "method": method,
            "batches": {"size": ROWS},
            "optimizer": {"learning_rate": 5e-4},
            "schedule": {"name": "constant"},
            "training": {"trackers": []},
        }
    )
    accelerator = training_accelerator(recipe)
    learner = Learner.build(recipe, accelerator, 1000)
    if state is not None:
        load_model(learner.model, state)
    if recipe.method.name != "supervised":
        data: Any = SimpleNamespace(
            train=SimpleNamespace(labels=range(ROWS)), order=SimpleNamespace(steps=1000), reserved=None
        )
        size, drawn = recipe.method.meta_batch.size, learner.method
        drawn.options = recipe.method.model_copy(
            update={"meta_batch": recipe.method.meta_batch.model_copy(update={"size": None})}
        )
        learner = replace(learner, wrapper=drawn.attach(learner, data, accelerator, recipe))
        if size is not None:
            batches = [faces(10_000 + number, 2 * size, 112) for number in range(4)]
            meta = [MetaRows.of(batch, batch.au_mask.any(dim=1)) for batch in batches]
            learner.wrapper.loader = SimpleNamespace(batch=lambda number: meta[number % len(meta)])
    return learner, accelerator


def step(learner: Any, accelerator: Any, batch: Any, number: int) -> dict[str, float]:  # noqa: ANN401
    from affect_train.training.step import optimizer_step

    return optimizer_step(accelerator, learner, [batch], number=number)


def status(name: str) -> int:
    """Bytes, from an entry of this process's status: VmRSS, or VmHWM, the largest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"the system does not tell {name}")


def prepare(name: str, *, smoke: bool) -> tuple[dict[str, Any], Callable[[], Round]]:
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    learner, accelerator = learner_of(OPTIONS[name], 0, smoke=smoke)
    batches = [faces(number, ROWS, 112) for number in range(PERIOD)]
    before = status("VmRSS")
    for number in (1, 2):
        step(learner, accelerator, batches[number], number)
    described = {"peak": status("VmHWM"), "before": before}
    ordinary, _ = learner_of(OPTIONS[ORDINARY], 0, smoke=smoke)
    step(ordinary, accelerator, batches[0], 1)
    done = 2

    def work() -> Round:
        nonlocal done
        taken, cpu = {"variant": 0.0, "ordinary": 0.0}, 0.0
        for _ in range(PERIOD):
            done += 1
            for which, one in (("variant", learner), ("ordinary", ordinary)):
                start, cpu_start = time.perf_counter(), time.process_time()
                step(one, accelerator, batches[done % PERIOD], done)
                taken[which] += time.perf_counter() - start
                cpu += time.process_time() - cpu_start if which == "variant" else 0.0
        return Round(PERIOD, taken["variant"], cpu, beside=taken["ordinary"])

    return described, work


# ---------------------------------------------------------------- errors


def gradient_of(learner: Any, accelerator: Any, options: dict[str, Any], batch: Any) -> torch.Tensor:  # noqa: ANN401
    """The gradient of the meta loss by the weights of the rows, without a step."""
    from affect_train.methods.meta.directional import LOGIT_CHANGE, DirectionalDerivatives
    from affect_train.training.step import accumulate_gradients

    method, found = learner.wrapper, []
    kept = method.options, method.loader
    if "share" in options.get("meta_batch", {}):
        method.loader = None
    values = {key: value for key, value in options.items() if key not in ("meta_batch", "normalisation", "change")}
    method.options = kept[0].model_copy(
        update={**values, "meta_batch": kept[0].meta_batch.model_copy(update={"share": 0.5})}
    )
    method.derivatives = DirectionalDerivatives(lambda sums: sums, options.get("change", LOGIT_CHANGE))
    method._learn = lambda *arguments: found.append(arguments[-1])
    method.before_step(1, [batch])
    accumulate_gradients(accelerator, learner, [batch], number=1)
    method.before_update()
    learner.optimizer.zero_grad()
    del method._learn
    method.options, method.loader = kept
    return found[0].detach()


def train_network(folder: Path, head: dict[str, str], steps: int, *, smoke: bool) -> None:
    """Writes a network that has learned one batch; says how far it came."""
    learner, accelerator = learner_of({"name": "supervised", **head}, 0, smoke=smoke)
    losses = [step(learner, accelerator, faces(LEARNED, ROWS, 112), 1) for _ in range(steps)]
    save_model(learner.model, str(trained_network(folder, head)))
    first, last = (
        {name: np.mean([one[name] for one in part]) for name in ("au", "expression")}
        for part in (losses[:5], losses[-5:])
    )
    print(
        f"trained for {steps} steps, {head['normalisation']} norm: action unit loss {first['au']:.3f} to {last['au']:.3f}, "
        f"expression loss {first['expression']:.3f} to {last['expression']:.3f}"
    )


def trained_network(folder: Path, head: dict[str, str]) -> Path:
    return folder / f"{head['normalisation']}.safetensors"


def errors(
    folder: Path, head: dict[str, str], seeds: int, *, smoke: bool
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """For every state and variant the relative error and cosine of each seed; a seed is another network, or other faces for the trained one."""
    from accelerate.state import AcceleratorState

    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    names = [name for name in COMPARED if OPTIONS[name].get("normalisation", "layer") == head["normalisation"]]
    for state in ("fresh", "trained"):
        for seed in range(seeds):
            AcceleratorState._reset_state(reset_partial_state=True)
            trained = trained_network(folder, head) if state == "trained" else None
            learner, accelerator = learner_of(head, seed, smoke=smoke, state=trained)
            batch = faces(LEARNED + seed, ROWS, 112)
            references: dict[bool, torch.Tensor] = {}
            for name in names:
                options = OPTIONS[name]
                shared = "meta_batch" in options
                if shared not in references:
                    exact = {"gradient": "second_order", **({"meta_batch": {"share": 0.5}} if shared else {})}
                    references[shared] = gradient_of(learner, accelerator, exact, batch)
                exact_one, gradient = references[shared], gradient_of(learner, accelerator, options, batch)
                error = float((gradient - exact_one).norm() / exact_one.norm())
                cosine = float(torch.nn.functional.cosine_similarity(gradient, exact_one, dim=0))
                found.setdefault((state, name), []).append((error, cosine))
    return found


def report_changes(seeds: int, training: int, backbone: str | None, *, smoke: bool) -> None:
    """The relative error of central differences for every change of the logits, worst of the seeds, before and after training."""
    from accelerate.state import AcceleratorState

    print(f"{'error, worst seed':<28} " + " ".join(f"{change:>8.0e}" for change in CHANGES))
    for head in HEADS:
        worst: dict[str, list[float]] = {}
        for seed in range(seeds):
            AcceleratorState._reset_state(reset_partial_state=True)
            learner, accelerator = learner_of({"every": 10**6, **head}, seed, smoke=smoke, backbone=backbone)
            batch = faces(LEARNED + seed, ROWS, 112)
            for steps in (0, training // 4, training):
                for number in range(steps):
                    step(learner, accelerator, batch, number + 2)
                exact = gradient_of(learner, accelerator, {"every": 1, "gradient": "second_order"}, batch)
                name = f"{head['normalisation']} norm, {'fresh' if not steps else f'{steps} steps later'}"
                errors = worst.setdefault(name, [0.0] * len(CHANGES))
                for place, change in enumerate(CHANGES):
                    found = gradient_of(learner, accelerator, {"every": 1, "change": change}, batch)
                    errors[place] = max(errors[place], float((found - exact).norm() / exact.norm()))
        for name, errors in worst.items():
            print(f"{name:<28} " + " ".join(f"{error:>8.2%}" for error in errors), flush=True)


# ---------------------------------------------------------------- the tables


def report_costs(variants: dict[str, Variant]) -> None:
    second = variants[SECOND_ORDER]
    print(
        f"{'':<28} {'s a step':>8} {'x ordinary':>10} {'min..max':>12} | {'peak MB':>7} {'of second':>9} {'above':>6} {'of second':>9}"
    )
    for name, variant in variants.items():
        shares = [one / other for one, other in zip(variant.wall, variant.beside, strict=True)]
        peak, above = variant.described["peak"], variant.described["peak"] - variant.described["before"]
        most = second.described["peak"] - second.described["before"]
        print(
            f"{name:<28} {np.median(variant.wall) / variant.units:>8.3f} {ratio(variant.wall, variant.beside):>10.2f} "
            f"{f'{min(shares):.2f}..{max(shares):.2f}':>12} | {peak / 2**20:>7.0f} "
            f"{peak / second.described['peak']:>9.2f} {above / 2**20:>6.0f} {above / most:>9.2f}"
        )


def report_errors(found: dict[tuple[str, str], list[tuple[float, float]]]) -> None:
    print(f"{'error and cosine, worst seed':<28} {'fresh':>20} {'trained':>20}")
    for name in COMPARED:
        worst = []
        for state in ("fresh", "trained"):
            pairs = found[state, name]
            worst.append(f"{max(error for error, _ in pairs):.2%}, {min(cosine for _, cosine in pairs):.4f}")
        print(f"{name:<28} {worst[0]:>20} {worst[1]:>20}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help=f"of {PERIOD} steps")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--training", type=int, default=60, help="steps of the trained network")
    parser.add_argument("--smoke", action="store_true", help="a tiny network, one round, two variants")
    parser.add_argument("--variant", choices=list(OPTIONS), help=argparse.SUPPRESS)
    parser.add_argument("--part", choices=["both", "costs", "errors", "changes"], default="both")
    parser.add_argument("--backbone", help="a folder with a model of transformers, for `--part changes`")
    parser.add_argument("--only", nargs="+", choices=list(OPTIONS), help="variants whose costs are measured")
    arguments = parser.parse_args()
    if arguments.variant:
        serve(lambda: prepare(arguments.variant, smoke=arguments.smoke))
        return
    rounds, seeds, training = (1, 1, 3) if arguments.smoke else (arguments.rounds, arguments.seeds, arguments.training)
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    only = arguments.only or ([] if arguments.smoke else OPTIONS)
    names = [name for name in OPTIONS if name in only or name in (ORDINARY, SECOND_ORDER)]
    print(f"{rounds} rounds of {PERIOD} steps, {ROWS} + {META_ROWS} faces, {seeds} seeds; {machine()}", flush=True)
    if arguments.part in ("costs", "both"):
        report_costs(run_variants(__file__, names, ["--smoke"] if arguments.smoke else [], rounds, lambda _: None))
        print()
    if arguments.part in ("errors", "both"):
        with tempfile.TemporaryDirectory() as name:
            found = {}
            for head in HEADS:
                train_network(Path(name), head, training, smoke=arguments.smoke)
                found |= errors(Path(name), head, seeds, smoke=arguments.smoke)
            report_errors(found)
    if arguments.part == "changes":
        report_changes(seeds, training, arguments.backbone, smoke=arguments.smoke)
    print(f"load at the end: {machine()}")


if __name__ == "__main__":
    main()
