"""The starters by name, and the backbones that are known to work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from affect_data.bounds import RECIPE_BYTES, read_file
from affect_data.errors import UnknownNameError, UsageError
from affect_data.files import write_text

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True)
class KnownBackbone:
    """A kind of network that the tests build, train, save and load.

    Attributes:
        model_type: its name in transformers.
        on_the_hub: a model of this kind with pretrained weights.
        millions: of its parameters.
        sizes: which `model.image_size` fits.
    """

    model_type: str
    on_the_hub: str
    millions: float
    sizes: str


BACKBONES: Final = (
    KnownBackbone("dinov2", "facebook/dinov2-small", 22.1, "multiples of 14, such as 112 and 224"),
    KnownBackbone("vit", "google/vit-base-patch16-224", 86.4, "multiples of 16, such as 112 and 224"),
    KnownBackbone("convnextv2", "facebook/convnextv2-tiny-1k-224", 27.9, "from 32 on, such as 112 and 224"),
    KnownBackbone("levit", "facebook/levit-128S", 7.0, "224"),
)


def starters() -> dict[str, str]:
    """What each starter is for, by its name: the first sentence of its file."""
    return {path.stem: _text(path).splitlines()[0].removeprefix("# ") for path in sorted(FOLDER.glob("*.yaml"))}


def copy_starter(name: str, path: Path) -> None:
    """Writes a starter to a new file.

    Raises:
        UnknownNameError: there is no such starter.
        UsageError: the file exists.
    """
    if name not in starters():
        raise UnknownNameError("starter", name, starters())
    if path.exists():
        raise UsageError(f"'{path}' exists, and is not overwritten; name another file")
    write_text(path, _text(FOLDER / f"{name}.yaml").replace(f"{name}.yaml", path.name))


def _text(path: Path) -> str:
    return read_file(path, RECIPE_BYTES).decode()
