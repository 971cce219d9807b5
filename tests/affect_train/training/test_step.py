"""The gradient of an optimizer step, however its rows are divided over micro-batches and processes."""

from pathlib import Path

import pytest
import torch
from accelerate import debug_launcher
from training_runs import TINY_VIT, fresh_accelerator

from affect_train.inputs.batch import AffectBatch
from affect_train.methods import build_method
from affect_train.network.model import AffectModel
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.model import ModelOptions
from affect_train.runtime import build_accelerator
from affect_train.tasks import TaskSet
from affect_train.training.learner import Learner
from affect_train.training.step import accumulate_gradients, step_statistics

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


def learner_of(accelerator, backbone=TINY_VIT, **options) -> Learner:
    torch.manual_seed(0)
    model = AffectModel.build(TASKS, ModelOptions(backbone=backbone, image_size=32, **options))
    method = build_method(SupervisedOptions(), TASKS)
    return Learner(accelerator.prepare(model), method, method, None, None)


def gradients(micro_batches: int, results: Path) -> None:
    torch.set_num_threads(1)
    accelerator = build_accelerator()
    learner = learner_of(accelerator)
    rank, processes = accelerator.process_index, accelerator.num_processes
    values = accumulate_gradients(accelerator, learner, micro_batches_of(rank, processes, micro_batches), number=1)
    model = accelerator.unwrap_model(learner.model)
    found = {name: one.grad for name, one in model.named_parameters() if one.requires_grad}
    torch.save((found, values), results / f"{processes}x{micro_batches}.rank{rank}.pt")


@pytest.mark.writes_pickles
@pytest.mark.slow
def test_one_batch_accumulation_two_processes_and_both_have_the_same_gradient(tmp_path: Path) -> None:
    for micro_batches in (1, 4):
        gradients(micro_batches, tmp_path)
        fresh_accelerator()
        debug_launcher(gradients, (micro_batches, tmp_path), num_processes=2)
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
