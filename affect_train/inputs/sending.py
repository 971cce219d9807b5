"""How batches come to the device: pinned, in few pieces, and on a stream of their own, while the device is busy with earlier ones."""

from collections.abc import Iterator, Mapping
from typing import Final, Protocol, Self, TypeVar

import torch
from torch import Tensor

ALIGNED: Final = 8
"""Bytes; every tensor begins at a multiple in the piece that holds them all, so that it can be read there as what it is."""


def sent_together(tensors: Mapping[str, Tensor], device: torch.device | str) -> dict[str, Tensor]:
    """The same tensors on `device`, by name: views of one piece of memory, which is sent at once.

    Args:
        tensors: on the CPU, of any dtypes and shapes.
        device: of the result.
    """
    starts, total = [], 0
    for tensor in tensors.values():
        starts.append(total)
        total += -(-tensor.nbytes // ALIGNED) * ALIGNED
    piece = torch.empty(total, dtype=torch.uint8, pin_memory=torch.device(device).type == "cuda")
    for start, tensor in zip(starts, tensors.values(), strict=True):
        piece[start : start + tensor.nbytes].copy_(tensor.reshape(-1).view(torch.uint8))
    there = piece.to(device, non_blocking=True)
    return {
        name: there[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        for start, (name, tensor) in zip(starts, tensors.items(), strict=True)
    }


class Sendable(Protocol):
    """A batch."""

    def to(self, device: torch.device | str) -> Self:
        """The same on `device`."""
        ...

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor of it."""
        ...


Batch = TypeVar("Batch", bound=Sendable)


class Sender:
    """Sends batches to a device. Its own work waits for a batch, but no batch waits for its work.

    Args:
        device: of this process.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def __call__(self, batch: Batch) -> Batch:
        """The batch on the device."""
        if self._stream is None:
            return batch.to(self._device)
        with torch.cuda.stream(self._stream):
            sent = batch.to(self._device)
        work = torch.cuda.current_stream(self._device)
        work.wait_stream(self._stream)
        for tensor in sent.tensors():
            # Otherwise the stream that sends would use this memory for the next batch while the work still reads it.
            tensor.record_stream(work)
        return sent
