"""Weights divided over two processes, as FSDP divides them: a state that is kept and given back goes on to the same bits.

Accelerate divides weights on GPUs alone, so the state is tried without its launcher: two processes over gloo, and PyTorch's own division of weights.
"""

from pathlib import Path

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


def test_a_state_of_divided_weights_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    done = run_python(["-c", PROGRAM, tmp_path], processes=2)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == ["True", "True"]
