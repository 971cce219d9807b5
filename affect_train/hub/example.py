"""The example in a card that runs a published graph without affectkit, torch or transformers."""

import json
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
    box = ", box" if config["preprocessing"]["reduced_scale"] else ""
    outputs, shown = _outputs(config)
    named = ", ".join(outputs) if len(outputs) > 1 else f"{outputs[0]},"
    return f"""## Without affectkit

`pip install onnxruntime pillow numpy huggingface-hub`; `face.jpg` is a square crop of one face:

```python
import json, numpy, onnxruntime
from huggingface_hub import hf_hub_download as fetch
from PIL import Image, ImageOps
config, session = json.load(open(fetch("{published.name}", "{CONFIG}"))), onnxruntime.InferenceSession(fetch("{published.name}", "{GRAPH}"))
picture, size = Image.open("face.jpg"), (config["image_size"], config["image_size"])
assert picture.width == picture.height, "crop the face to a square first"
{_reduced(config)}face = ImageOps.exif_transpose(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR{box}, reducing_gap=2.0))
{named} = session.run({json.dumps(outputs)}, {{"{PIXELS}": numpy.asarray(face).transpose(2, 0, 1)[None]}})
print(json.dumps({{{shown}}}))
```

A picture that is not square is made so by repeating its border; `affect-train` does that."""


def _reduced(config: Mapping[str, Any]) -> str:
    """A line that decodes a JPEG file at a smaller scale, if training did so; libjpeg and Pillow choose the same one."""
    if not config["preprocessing"]["reduced_scale"]:
        return ""
    return '_, box = picture.draft("RGB", size) or (None, None)  # a JPEG file is decoded at 1/2, 1/4 or 1/8\n'


def _outputs(config: Mapping[str, Any]) -> tuple[list[str], str]:
    """The names of the outputs, and the entries of a dictionary that shows them by name."""
    outputs, parts = [], []
    for name, head in (("action_units", "au"), ("expressions", "expression")):
        if config[name]:
            outputs.append(head)
            parts.append(f'"{name}": dict(zip(config["{name}"], {head}[0].tolist()))')
    if config["valence_arousal_bins"]:
        outputs += ["valence", "arousal"]
        parts.append('"valence": valence.item(), "arousal": arousal.item()')
    return outputs, ", ".join(parts)
