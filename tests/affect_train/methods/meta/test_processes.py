"""Two real processes over gloo against one: the gradients that distributed training averages are those of the whole batch."""

import pytest
import torch
import torch.distributed as dist
from python_processes import loaded_processes
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from affect_train.inputs.batch import AffectBatch
from affect_train.methods import all_terms, build_method, total_loss
from affect_train.network.model import AffectModel
from affect_train.recipe.methods.supervised import SupervisedOptions
from affect_train.recipe.model import ModelOptions
from affect_train.tasks import TaskSet

TASKS = TaskSet((12, 25), ("neutral", "anger", "happiness"), 5)
OPTIONS = SupervisedOptions(coupling={"co_annotation": {}, "soft_co_annotation": {}, "distribution_matching": {}})
ROWS = 7
# The last layer norm of this backbone is not used for its last hidden state: distributed training would wait for its gradient.
BACKBONE = {"model_type": "convnextv2", "depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 8, 8]}


def model_and_batch(part):
    torch.manual_seed(0)
    model = AffectModel.build(TASKS, ModelOptions(backbone=BACKBONE, image_size=32))
    rows = torch.arange(ROWS)[part]
    # All expression labels are with the first process.
    batch = AffectBatch(
        inputs=torch.randint(0, 256, (ROWS, 3, 32, 32), dtype=torch.uint8)[part],
        uids=[str(int(row)) for row in rows],
        rows=rows,
        au=(torch.rand(ROWS, 2) < 0.5).float()[part],
        au_mask=(torch.rand(ROWS, 2) < 0.6)[part],
        expression=torch.tensor([0, 2, -1, -1, -1, -1, -1])[part],
        expression_mask=torch.tensor([True, True, False, False, False, False, False])[part],
        valence=(torch.rand(ROWS) * 2 - 1)[part],
        arousal=(torch.rand(ROWS) * 2 - 1)[part],
        va_mask=torch.tensor([True, False, True, True, False, True, True])[part],
    )
    return model, batch


def all_reduce(values):
    summed = values.clone()
    dist.all_reduce(summed)
    return summed


def train_one_step(rank, rendezvous, results):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    model, batch = model_and_batch(slice(0, 3) if rank == 0 else slice(3, None))
    parallel = DistributedDataParallel(model)
    terms = all_terms(build_method(OPTIONS, TASKS)).losses(parallel(batch.inputs), batch)
    total = total_loss(terms, all_reduce=all_reduce, processes=2)
    total.loss.backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.requires_grad}
    values = {name: value.item() for name, value in total.values.items()}
    torch.save((gradients, values), f"{results}/{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.writes_pickles
@pytest.mark.slow
def test_two_processes_have_the_gradient_and_the_losses_of_one(tmp_path):
    model, batch = model_and_batch(slice(None))
    total = total_loss(all_terms(build_method(OPTIONS, TASKS)).losses(model(batch.inputs), batch))
    total.loss.backward()

    loaded_processes()
    arguments = (tmp_path / "rendezvous", tmp_path)
    multiprocessing.start_processes(train_one_step, arguments, nprocs=2, start_method="forkserver")

    for rank in range(2):
        gradients, values = torch.load(tmp_path / f"{rank}.pt")
        assert values == pytest.approx({name: value.item() for name, value in total.values.items()}, rel=1e-5)
        learning = {name: value for name, value in model.named_parameters() if value.requires_grad}
        assert gradients.keys() == learning.keys()
        for name, value in learning.items():
            torch.testing.assert_close(gradients[name], value.grad, rtol=1e-4, atol=1e-6, msg=name)
