import pytest
import torch

from affect_train.inputs.batch import AffectBatch
from affect_train.network.output import AffectOutput
from affect_train.tasks import TaskSet

TASKS = TaskSet((1, 2, 12), ("neutral", "anger", "happiness"), 4)


@pytest.fixture
def tasks():
    return TASKS


@pytest.fixture
def make_batch():
    """Eight rows with labels spread unevenly over the tasks."""

    def make(soft=None, seed=0, **changes):
        generator = torch.Generator().manual_seed(seed)
        au_mask = torch.rand(8, 3, generator=generator) < 0.5
        expression_mask = torch.tensor([True, True, False, True, False, False, True, False])
        va_mask = torch.tensor([True, False, True, True, True, False, False, True])
        labels = {
            "inputs": torch.zeros(8, 3, 2, 2, dtype=torch.uint8),
            "uids": [f"row{row}" for row in range(8)],
            "rows": torch.arange(8),
            "au": ((torch.rand(8, 3, generator=generator) < 0.5) & au_mask).float(),
            "au_mask": au_mask,
            "expression": torch.randint(0, 3, (8,), generator=generator).where(expression_mask, -1),
            "expression_mask": expression_mask,
            "valence": (torch.rand(8, generator=generator) * 2 - 1).where(va_mask, 0.0),
            "arousal": (torch.rand(8, generator=generator) * 2 - 1).where(va_mask, 0.0),
            "va_mask": va_mask,
            "soft": soft or {},
        }
        return AffectBatch(**{**labels, **changes})

    return make


@pytest.fixture
def make_output():
    def make(seed=1, rows=8):
        generator = torch.Generator().manual_seed(seed)
        sizes = {"au": 3, "expression": 3, "valence": 4, "arousal": 4}
        return AffectOutput(
            **{
                f"{name}_logits": torch.randn(rows, size, generator=generator, requires_grad=True)
                for name, size in sizes.items()
            }
        )

    return make
