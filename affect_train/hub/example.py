"""The example in a card that runs a published graph without affectkit, torch or transformers."""

from collections.abc import Mapping
from typing import Any

from affect_train.hub.export import PIXELS
from affect_train.hub.published import CONFIG, GRAPH, PublishedModel


def example(published: PublishedModel, config: Mapping[str, Any]) -> str:
    """A section of the card with code that gives the model's predictions for a square picture; empty if there is no graph.

    Args:
        published: ``affectkit.json`` of the repository.
        config: its ``config.json``.
    """
    if not published.opset:
        return ""
    return f"""## Without affectkit

`pip install onnxruntime pillow numpy huggingface-hub`; `face.jpg` is a square crop of one face:

```python
import json, numpy, onnxruntime
from huggingface_hub import hf_hub_download
from PIL import Image, ImageOps
session = onnxruntime.InferenceSession(hf_hub_download("{published.name}", "{GRAPH}"))
config = json.load(open(hf_hub_download("{published.name}", "{CONFIG}")))
size, picture = config["image_size"], Image.open("face.jpg")
side, box = picture.width, None
assert side == picture.height, "crop the face to a square first"
{_reduced(config)}picture = picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
pixels = numpy.asarray(ImageOps.exif_transpose(picture)).transpose(2, 0, 1)[None]
found = dict(zip([output.name for output in session.get_outputs()], session.run(None, {{"{PIXELS}": pixels}})))
{_printed(config)}
```

A picture that is not square is made so by repeating its border; `affect-train` does that."""


def _reduced(config: Mapping[str, Any]) -> str:
    """Lines that decode a JPEG file at a smaller scale, if training did so; libjpeg and Pillow choose the same one."""
    if not config["preprocessing"]["reduced_scale"]:
        return ""
    return """\
if picture.draft("RGB", (size, size)):  # a JPEG file, decoded at 1/2, 1/4 or 1/8
    box = (0, 0, *[side / round(side / picture.width)] * 2)
"""


def _printed(config: Mapping[str, Any]) -> str:
    parts = []
    if config["action_units"]:
        parts.append('"action_units": dict(zip(config["action_units"], found["au"][0].tolist()))')
    if config["expressions"]:
        parts.append('"expressions": dict(zip(config["expressions"], found["expression"][0].tolist()))')
    if config["valence_arousal_bins"]:
        parts.append('"valence": found["valence"].item(), "arousal": found["arousal"].item()')
    return "print(json.dumps({" + ",\n    ".join(parts) + "}))"
