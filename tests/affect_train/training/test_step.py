"""The gradient of an optimizer step, however its rows are divided over micro-batches and processes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import debug_launcher
from torch.utils._python_dispatch import TorchDispatchMode
from training_runs import TINY_VIT, fresh_accelerator

from affect_train.errors import NonFiniteLossError
from affect_train.inputs.batch import AffectBatch, SoftTargets
from affect_train.methods import all_terms, build_method
from affect_train.network.model import AffectModel
from affect_train.network.synchronised import synchronise
from affect_train.recipe.methods.confidence_weighted import ConfidenceWeightedOptions
from affect_train.recipe.methods.distillation import DistillationOptions
from affect_train.recipe.methods.options import MethodOptions
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.model import ModelOptions
from affect_train.runtime import build_accelerator
from affect_train.tasks import TaskSet
from affect_train.training.ema import MovingAverage
from affect_train.training.learner import Learner
from affect_train.training.step import accumulate_gradients, optimizer_step, step_statistics
from affect_train.training.values import Guard, obeys_flag, read

TASKS = TaskSet((1, 2), ("neutral", "anger", "happiness"), 5)
ROWS = 16
CONVNET = {"model_type": "levit", "hidden_sizes": [16, 16, 16], "num_attention_heads": [1, 1, 1], "depths": [1, 1, 1]}


def batch_of(part: slice) -> AffectBatch:
    """Labels spread unevenly: all expressions with the first rows, all but one valence with the last, and a run of rows without any label."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.arange(ROWS)
    expression_mask = rows < 6
    va_mask = (rows == 1) | (rows >= 9)
    au_mask = (torch.rand(ROWS, 2, generator=generator) < 0.5) & (rows != 6)[:, None] & (rows != 7)[:, None]
    return AffectBatch(
        inputs=torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8, generator=generator)[part],
        uids=[str(int(row)) for row in rows[part]],
        rows=rows[part],
        au=((torch.rand(ROWS, 2, generator=generator) < 0.5) & au_mask).float()[part],
        au_mask=au_mask[part],
        expression=(rows % 3).where(expression_mask, -1)[part],
        expression_mask=expression_mask[part],
        valence=(torch.rand(ROWS, generator=generator) * 2 - 1).where(va_mask, 0.0)[part],
        arousal=(torch.rand(ROWS, generator=generator) * 2 - 1).where(va_mask, 0.0)[part],
        va_mask=va_mask[part],
    )


def micro_batches_of(rank: int, processes: int, micro_batches: int) -> list[AffectBatch]:
    own, size = ROWS // processes * rank, ROWS // processes // micro_batches
    return [batch_of(slice(own + size * number, own + size * (number + 1))) for number in range(micro_batches)]


def learner_of(accelerator, backbone=TINY_VIT, method=None, **options) -> Learner:
    torch.manual_seed(0)
    model = AffectModel.build(TASKS, ModelOptions(backbone=backbone, image_size=32, **options))
    if accelerator.num_processes > 1:
        synchronise(model)
    method = build_method(method or SupervisedOptions(), TASKS)
    return Learner(accelerator.prepare(model), method, all_terms(method), None, None)


def guarded(learner: Learner) -> Learner:
    """The learner with torch's fused optimizer, which obeys a flag on a CPU too, and with its guard."""
    optimizer = torch.optim.AdamW(learner.model.parameters(), lr=0.01, fused=True)
    assert obeys_flag(optimizer)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    average = MovingAverage(learner.model, 0.9)
    return replace(learner, optimizer=optimizer, schedule=schedule, average=average, guard=Guard(optimizer))


def gradients(micro_batches: int, results: Path, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    accelerator = build_accelerator()
    learner = learner_of(accelerator, **options)
    rank, processes = accelerator.process_index, accelerator.num_processes
    values = accumulate_gradients(accelerator, learner, micro_batches_of(rank, processes, micro_batches), number=1)
    model = accelerator.unwrap_model(learner.model)
    found = {name: one.grad for name, one in model.named_parameters() if one.requires_grad}
    found |= {name: value for name, value in model.named_buffers() if "running" in name}
    torch.save((found, dict(values)), results / f"{processes}x{micro_batches}.rank{rank}.pt")


@pytest.mark.writes_pickles
@pytest.mark.slow
def test_one_batch_accumulation_two_processes_and_both_have_the_same_gradient(tmp_path: Path) -> None:
    for micro_batches in (1, 4):
        gradients(micro_batches, tmp_path, {})
        fresh_accelerator()
        debug_launcher(gradients, (micro_batches, tmp_path, {}), num_processes=2)
    whole, values = torch.load(tmp_path / "1x1.rank0.pt")
    assert set(values) == {"au", "expression", "valence", "arousal", "valence_ccc", "arousal_ccc"}
    assert values["valence_ccc"] > 0.5
    # some task lacks labels on a process, and some micro-batches have none at all
    assert not batch_of(slice(8, 16)).expression_mask.any()
    assert not batch_of(slice(6, 8)).va_mask.any()
    for name in ("1x4.rank0", "2x1.rank0", "2x1.rank1", "2x4.rank0", "2x4.rank1"):
        divided, divided_values = torch.load(tmp_path / f"{name}.pt")
        assert divided_values == pytest.approx(values, rel=1e-5), name
        assert divided.keys() == whole.keys()
        for parameter, gradient in whole.items():
            torch.testing.assert_close(divided[parameter], gradient, rtol=2e-4, atol=1e-6, msg=f"{name}: {parameter}")


@pytest.mark.writes_pickles
@pytest.mark.slow
def test_batches_are_normalised_over_the_rows_of_all_processes(tmp_path: Path) -> None:
    options = {"backbone": {**CONVNET, "key_dim": [8, 8, 8]}, "head": {"normalisation": "batch"}}
    gradients(1, tmp_path, options)
    fresh_accelerator()
    debug_launcher(gradients, (1, tmp_path, options), num_processes=2)
    whole, values = torch.load(tmp_path / "1x1.rank0.pt")
    assert sum(name.endswith("running_var") for name in whole) > 10
    for rank in (0, 1):
        divided, divided_values = torch.load(tmp_path / f"2x1.rank{rank}.pt")
        assert divided_values == pytest.approx(values, rel=1e-5)
        assert divided.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(divided[name], value, rtol=1e-3, atol=1e-5, msg=name)


def test_the_statistics_of_a_window_are_those_of_the_pass_with_gradient_dropout_included() -> None:
    accelerator = build_accelerator()
    learner = learner_of(accelerator, dropout=0.5)
    micro_batches = micro_batches_of(0, 1, 4)
    torch.manual_seed(11)
    merged = step_statistics(accelerator, learner, micro_batches)
    found = {name: torch.zeros(7, dtype=torch.float64) for name in merged}
    for batch in micro_batches:
        terms = learner.terms.losses(learner.model(batch.inputs), batch)
        found = {name: total + terms[name].statistics.detach() for name, total in found.items()}
    assert set(merged) == {"valence_ccc", "arousal_ccc"}
    assert all(torch.equal(merged[name], total) for name, total in found.items())
    assert merged["valence_ccc"][0] == 8
    with torch.no_grad():
        another = learner.terms.losses(learner.model(micro_batches[-1].inputs), micro_batches[-1])
        again = learner.terms.losses(learner.model(micro_batches[-1].inputs), micro_batches[-1])
    assert not torch.equal(another["valence_ccc"].statistics, again["valence_ccc"].statistics)


def test_the_pass_for_statistics_leaves_running_means_as_they_were() -> None:
    accelerator = build_accelerator()
    learner = learner_of(accelerator, {**CONVNET, "key_dim": [8, 8, 8]})
    before = {name: value.clone() for name, value in learner.model.named_buffers()}
    assert any("running_mean" in name for name in before)
    step_statistics(accelerator, learner, micro_batches_of(0, 1, 2))
    assert all(torch.equal(value, before[name]) for name, value in learner.model.named_buffers())
    learner.model(batch_of(slice(None)).inputs)
    assert not all(torch.equal(value, before[name]) for name, value in learner.model.named_buffers())


class Waits(TorchDispatchMode):
    """Notes operations for which a step waits for its device: values that are read or decide the size of a result, and constants that are sent."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "_unique2", "unique_consecutive", "equal")

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.found: list[str] = []
        # What leaves torch is seen by no mode: a CPU has no need of an operation for it.
        for name in ("tolist", "numpy", "cpu"):
            real = getattr(torch.Tensor, name)
            patch.setattr(
                torch.Tensor, name, lambda *given, _name=name, _real=real: self.found.append(_name) or _real(*given)
            )

    def __torch_dispatch__(self, operation, types, arguments=(), options=None) -> Any:
        name = operation.overloadpacket.__name__
        indices = arguments[1] if name in ("index", "index_put", "index_put_") else ()
        masks = any(one is not None and one.dtype == torch.bool for one in indices)
        varying = name == "repeat_interleave" and not (options or {}).get("output_size")
        if name in self.NAMES or masks or varying:
            self.found.append(name)
        return operation(*arguments, **(options or {}))


COUPLING = {
    "co_annotation": {"au_weight": 1.0, "expression_weight": 1.0},
    "soft_co_annotation": {"weight": 1.0},
    "distribution_matching": {"weight": 1.0, "reduction": "mean"},
}


@pytest.mark.parametrize(
    ("method", "micro_batches"),
    [
        (SupervisedOptions(), 1),
        (SupervisedOptions(), 2),
        (SupervisedOptions(coupling={**COUPLING, "relations": {"happiness": {1: 1.0}, "anger": {2: 1.0}}}), 1),
        (SupervisedOptions(au_reduction="image_mean"), 1),
        (DistillationOptions(confidence="entropy"), 1),
        (ConfidenceWeightedOptions(), 1),
    ],
    ids=["supervised", "accumulation", "coupled", "image_mean", "distillation", "confidence_weighted"],
)
def test_a_step_waits_for_its_device_only_when_a_loss_is_read(
    method: MethodOptions, micro_batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    accelerator = build_accelerator()
    learner = guarded(learner_of(accelerator, method=method))
    batches = micro_batches_of(0, 1, micro_batches)
    if isinstance(method, DistillationOptions):
        soft = SoftTargets(au=torch.zeros(16, 2), au_mask=torch.tensor([True, False]), expression=torch.ones(16, 3))
        batches = [replace(batches[0], soft={"teacher": soft})]
    optimizer_step(accelerator, learner, batches, number=1, clip_norm=1.0)
    with Waits(monkeypatch) as waits:
        values = optimizer_step(accelerator, learner, batches, number=2, clip_norm=1.0)
        assert waits.found == []
        assert all(0 <= value < 100 for value in values.values())
        assert waits.found == ["tolist"], "all terms in one transfer"
    assert values.keys() == learner.terms.counts(batches[0]).keys()


def test_from_a_loss_that_is_no_number_on_no_weight_changes_until_it_is_read() -> None:
    accelerator = build_accelerator()
    learner, batch = guarded(learner_of(accelerator)), batch_of(slice(None))
    steps = [optimizer_step(accelerator, learner, [batch], number=1)]
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    broken = replace(batch, au=torch.full((ROWS, 2), torch.nan), uids=[f"broken{row}" for row in range(ROWS)])
    steps.append(optimizer_step(accelerator, learner, [broken], number=2))
    steps.append(optimizer_step(accelerator, learner, [batch], number=3))
    assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())
    read(steps[:1])
    with pytest.raises(NonFiniteLossError, match=r"step 2: the loss of au is not finite; the batch holds broken0"):
        read(steps)


def test_a_guarded_step_changes_the_weights_as_any_other() -> None:
    accelerator = build_accelerator()
    free, guard = learner_of(accelerator), guarded(learner_of(accelerator))
    free = replace(guarded(free), guard=None)
    for number in (1, 2, 3):
        values = [optimizer_step(accelerator, one, [batch_of(slice(None))], number=number) for one in (free, guard)]
        assert dict(values[0]) == dict(values[1])
    assert all(map(torch.equal, free.model.state_dict().values(), guard.model.state_dict().values()))
