"""Tensors of a method that never change, on the device where they are needed."""

import torch
from torch import Tensor


class Constants:
    """Tensors by name. Each is sent to a device once, because a step that sends one has to wait for the device."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, torch.device], Tensor] = {}
        self._given: dict[str, Tensor] = {}

    def __setitem__(self, name: str, value: Tensor) -> None:
        self._given[name] = value
        self._held = {key: held for key, held in self._held.items() if key[0] != name}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def on(self, device: torch.device, name: str) -> Tensor:
        """The tensor of a name on a device."""
        if (name, device) not in self._held:
            self._held[name, device] = self._given[name].to(device)
        return self._held[name, device]
