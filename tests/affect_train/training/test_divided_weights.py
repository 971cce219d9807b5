"""Weights divided over two processes, as FSDP divides them: a state that is kept and given back goes on to the same bits.

Accelerate divides weights on GPUs alone, so the state is tried without its launcher: two processes over gloo, and PyTorch's own division of weights.
"""

from pathlib import Path

import pytest
from python_processes import run_python

PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
import torch
import torch.distributed as dist
from accelerate.utils import DistributedType
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from affect_train.training.checkpoint import restore, states_of
from affect_train.training.state import load_state, save_state

dist.init_process_group("gloo")
rank, folder = dist.get_rank(), Path(sys.argv[1])
accelerator = SimpleNamespace(distributed_type=DistributedType.FSDP)
mesh = init_device_mesh("cpu", (2,))

def new(seed):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    fully_shard(model, mesh=mesh)
    return {"model": model, "optimizer": SimpleNamespace(optimizer=torch.optim.AdamW(model.parameters(), lr=0.1))}

def steps(parts, numbers):
    for number in numbers:
        inputs = torch.randn(4, 6, generator=torch.Generator().manual_seed(10 * number + rank))
        parts["model"](inputs).square().sum().backward()
        parts["optimizer"].optimizer.step()
        parts["optimizer"].optimizer.zero_grad()

def whole(parts):
    return {name: value.full_tensor() for name, value in parts["model"].state_dict().items()}

straight = new(0)
steps(straight, range(6))
first = new(0)
steps(first, range(3))
states = states_of(accelerator, first)
if rank == 0:
    assert states["model"]["0.weight"].shape == (5, 6)
    for name, state in states.items():
        save_state(folder, name, state)
dist.barrier()
second = new(1)
restore(accelerator, second, {name: load_state(folder, name) for name in second})
steps(second, range(3, 6))
wanted, found = whole(straight), whole(second)
assert wanted.keys() == found.keys()
print(all(torch.equal(value, found[name]) for name, value in wanted.items()), flush=True)
dist.destroy_process_group()
"""

PASSES = """
import sys
from datetime import timedelta
from types import SimpleNamespace
import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from affect_train.inference import inference
from affect_train.inputs.batch import FaceBatch
from affect_train.inputs.inputs import IndexedInputs, KeptProcesses
from affect_train.network.model import AffectModel
from affect_train.recipe.model import ModelOptions
from affect_train.runtime import Runtime
from affect_train.tasks import TaskSet

inference.INFERENCE_BATCH = 4
dist.init_process_group("gloo", timeout=timedelta(seconds=20))
rank = dist.get_rank()

class Faces(IndexedInputs):
    def __len__(self):
        return int(sys.argv[1])

    def __getitems__(self, picks):
        seeds = [torch.Generator().manual_seed(pick.row) for pick in picks]
        pixels = [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=seed) for seed in seeds]
        return FaceBatch(torch.tensor([pick.row for pick in picks]), [str(pick.row) for pick in picks], torch.stack(pixels))

def logits(processes):
    torch.manual_seed(0)
    backbone = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 8}
    model = AffectModel.build(TaskSet((1, 2), ("neutral", "anger"), 0), ModelOptions(backbone=backbone, image_size=32))
    if processes > 1:
        mesh = init_device_mesh("cpu", (2,))
        for block in model.backbone.layers if hasattr(model.backbone, "layers") else model.backbone.encoder.layer:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    accelerator = SimpleNamespace(
        num_processes=processes, process_index=rank if processes > 1 else 0, is_main_process=rank == 0,
        mixed_precision="no", device=torch.device("cpu"),
    )
    return inference.infer(model, KeptProcesses(Faces()), Runtime(accelerator, None))

divided, whole = logits(2), logits(1)
if rank == 0:
    print(all(np.allclose(values, divided[name], atol=1e-6) for name, values in whole.items()), {v.shape for v in whole.values()}, flush=True)
dist.barrier()
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("rows", [9, 3])
def test_divided_weights_are_evaluated_on_batches_that_processes_cannot_share_evenly(rows: int) -> None:
    done = run_python(["-c", PASSES, str(rows)], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.startswith("True")
    assert f"({rows}, 2)" in done.stdout


def test_a_state_of_divided_weights_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    done = run_python(["-c", PROGRAM, tmp_path], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "".join(done.stdout.split()) == "TrueTrue"
