"""The network that weighs the rows, and the record of its weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the usual name
from accelerate import Accelerator
from torch import Tensor, nn

from affect_data.files import written_file
from affect_train.losses import sum_dtype
from affect_train.recipe.methods.meta_auxiliary import WeightNetworkOptions

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from affect_train.inputs.batch import AffectBatch


WEIGHTS = "weights.parquet"
"""In the folder of a run, the weight of each row."""

DOUBTFUL = 0.3
"""Above this rank correlation of weights and losses, the weights are doubted."""


class WeightNetwork(nn.Module):
    """From a row's loss, features or both to its weight in (0, 1): one hidden layer and a sigmoid.

    Sources: Shu et al., *Meta-Weight-Net* (arXiv 1902.07379), for the loss as input; Li & Shan (arXiv 2105.06620), for features.

    Args:
        width: of the features.
        options: of the recipe.
        seed: of the initial weights, which are the same on every process. Other random numbers stay as they were.
    """

    def __init__(self, width: int, options: WeightNetworkOptions, seed: int) -> None:
        super().__init__()
        self.input = options.input
        self.width = width
        entries = {"loss": 1, "feature": width, "both": width + 1}[options.input]
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(entries, options.hidden), nn.ReLU(), nn.Linear(options.hidden, 1))

    def forward(self, features: Tensor, losses: Tensor) -> Tensor:
        """The weights of the rows, float32 [N].

        Args:
            features: float [N, D]; no gradient flows back.
            losses: float [N]; no gradient flows back.
        """
        parts = []
        if self.input != "loss":
            # On the scale of the losses, whatever the backbone.
            parts.append(F.layer_norm(features.detach().float(), (self.width,)))
        if self.input != "feature":
            parts.append(losses.detach().float()[:, None])
        weights: Tensor = self.layers(torch.cat(parts, dim=1)).squeeze(1).sigmoid()
        return weights


class WeightRecord:
    """The mean weight and loss of each row in the last epoch in which it came.

    Args:
        rows: how many the split has.
        device: where the weights are computed.
    """

    def __init__(self, rows: int, device: torch.device) -> None:
        self.epochs = torch.full((rows,), -1, dtype=torch.int32, device=device)
        self.sums = torch.zeros(rows, 2, dtype=torch.float32, device=device)
        self.counts = torch.zeros(rows, dtype=torch.int32, device=device)

    def add(self, epoch: int, rows: Tensor, weights: Tensor, losses: Tensor) -> None:
        """Takes in the weights and losses of some rows; a row may come twice.

        Args:
            epoch: 0-based.
            rows: int64 [N].
            weights: float [N].
            losses: float [N], before they are weighted.
        """
        known = self.epochs[rows] == epoch
        self.sums[rows] = self.sums[rows] * known[:, None]
        self.counts[rows] = self.counts[rows] * known
        self.epochs[rows] = epoch
        self.sums.index_add_(0, rows, torch.stack([weights.float(), losses.float()], dim=1))
        self.counts.index_add_(0, rows, torch.ones_like(rows, dtype=torch.int32))

    def add_labelled(
        self, accelerator: Accelerator, epoch: int, batch: "AffectBatch", weights: Tensor, losses: Tensor
    ) -> None:
        """Takes in the rows with an expression of the batches of all processes.

        Args:
            accelerator: of this process.
            epoch: 0-based.
            batch: of N rows.
            weights: float [N].
            losses: float [N], before they are weighted.
        """
        columns = [batch.rows, batch.expression_mask, weights, losses]
        values = torch.stack([one.to(sum_dtype(weights.device)) for one in columns], dim=1)
        if accelerator.num_processes > 1:
            values = accelerator.gather(values)
        values = values[values[:, 1] > 0]
        self.add(epoch, values[:, 0].long(), values[:, 2], values[:, 3])

    def write(self, path: Path, split: "Dataset") -> "pa.Table":
        """The `table` of the rows of a split; also written to a parquet file, whole or not at all."""
        table = self.table(split.select_columns(["uid"]).with_format("arrow")[:].column(0))
        write_table(path, table)
        return table

    def table(self, uids: "pa.ChunkedArray") -> "pa.Table":
        """Columns uid, weight, loss, times (how often the row came in that epoch) and epoch (0-based) of the rows that came.

        Args:
            uids: of all rows of the split.
        """
        import pyarrow as pa

        counts = self.counts.cpu().numpy()
        rows = np.flatnonzero(counts)
        means = (self.sums.cpu().numpy()[rows] / counts[rows, None]).astype(np.float32)
        values = {
            "weight": means[:, 0],
            "loss": means[:, 1],
            "times": counts[rows],
            "epoch": self.epochs.cpu().numpy()[rows],
        }
        return pa.table({"uid": uids.take(pa.array(rows)), **values})

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"epochs": self.epochs, "sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what a checkpoint kept."""
        for name, own in self.state_dict().items():
            own.copy_(state[name])


def doubts(table: "pa.Table", where: str) -> list[str]:
    """A warning if rows with a larger loss weigh more, so that a small weight is no sign of a wrong label; otherwise nothing.

    Args:
        table: from `WeightRecord.table`.
        where: path of the table, for the message.
    """
    import polars as pl

    weights, losses = (pl.Series(table.column(name).to_numpy()) for name in ("weight", "loss"))
    correlation = pl.select(pl.corr(weights, losses, method="spearman")).item()
    if correlation is None or not correlation > DOUBTFUL:
        return []
    return [
        f"doubtful weights: in '{where}' rows weigh more the larger their loss is (rank correlation {correlation:+.2f} over {len(weights):,} rows), "
        "so that wrong labels may weigh most; do not draw rows by these weights, nor take a small one for a wrong label. Other seeds, "
        "batch-normalised heads or weights that are learned later may come out the other way (docs/methods.md)"
    ]


def write_table(path: Path, table: "pa.Table") -> None:
    """Writes a parquet file, whole or not at all."""
    import pyarrow.parquet as pq

    with written_file(path) as partial:
        pq.write_table(table, partial)


def write_network(path: Path, network: WeightNetwork) -> None:
    """Writes the network's weights as safetensors, whole or not at all."""
    from safetensors.torch import save_file

    states = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with written_file(path) as partial:
        save_file(states, partial, metadata={"input": network.input, "features": str(network.width)})
