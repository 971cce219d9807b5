"""The card of a model, whole; and what a person wrote in one."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from loopback_hub import File, LoopbackHub

from affect_data.databases.affwild2.reader import AffWild2
from affect_data.databases.expw import ExpW
from affect_data.hub.card import BEGIN, END
from affect_train.hub.card import LIMITS, USE, card_metadata, card_section
from affect_train.hub.publish import planned

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


def card_of(run: Path, dataset: Path) -> str:
    with planned(run, "anna/teacher", dataset=dataset) as plan:
        return (plan.staged.folder / "README.md").read_text()


def shown(found: dict[str, Any], task: str, metric: str) -> str:
    """A metric of an evaluation with its interval and its number of labels, as a row of the card has it."""
    low, high = found["intervals"]["metrics"][f"{task}.{metric}"]
    return f"{found[task][metric]:.3f} | {low:.3f} to {high:.3f} | {found[task]['labels']}"


def test_the_whole_card(hub: LoopbackHub, trained: Path, dataset: Path) -> None:
    evaluation = json.loads((trained / "evaluation.json").read_text())
    found = evaluation["splits"]["validation"]["overall"]
    databases = evaluation["splits"]["validation"]["databases"]
    units, classes = found["au"]["by_action_unit"], found["expression"]["by_class"]
    config = json.loads((trained / "model/config.json").read_text())
    rows = {
        name: " | ".join(
            f"{own[task][metric]:.3f}"
            for task, metric in (
                ("au", "mean_f1"), ("au", "accuracy"), ("expression", "macro_f1"), ("expression", "accuracy"), ("va", "valence_ccc"),
                ("va", "arousal_ccc"),
            )
        )
        for name, own in databases.items()
    }  # fmt: skip
    fingerprint = evaluation["fingerprint"]
    assert (
        card_of(trained, dataset)
        == f"""---
license: other
license_name: terms-of-the-databases
library_name: transformers
pipeline_tag: image-classification
tags:
- affectkit
- facial-expression
- action-units
- valence-arousal
---
{BEGIN}

# anna/teacher

Predicts 2 action units, 3 expressions, valence and arousal of a face; trained by affectkit on partial labels.

- Backbone: `vit`; input 32 x 32 pixels, RGB.
- Crop: a square around the face box with a margin of 0.2 of its longer side; preprocessing `{config["preprocessing_hash"]}`.
- Weights: `{evaluation["weights"]}`, safetensors.
- `model.onnx`: opset 17, the same outputs to 1e-4.

## With affectkit

    affect-train predict anna/teacher face.jpg
    affect-train label anna/teacher merged --name teacher

```python
import affect_train

print(affect_train.pipeline("anna/teacher")("face.jpg"))
```

or with transformers:

```python
import affect_train.hub  # lets transformers know these models
from transformers import AutoImageProcessor, AutoModel

model = AutoModel.from_pretrained("anna/teacher").eval()
processor = AutoImageProcessor.from_pretrained("anna/teacher")
found = model.predictions(model(**processor("face.jpg", return_tensors="pt")))
```

## Without affectkit

`pip install onnxruntime pillow numpy huggingface-hub`; `face.jpg` is a square crop of one face:

```python
import json, numpy, onnxruntime
from huggingface_hub import hf_hub_download as fetch
from PIL import Image, ImageOps
config, session = json.load(open(fetch("anna/teacher", "config.json"))), onnxruntime.InferenceSession(fetch("anna/teacher", "model.onnx"))
picture, size = Image.open("face.jpg"), (config["image_size"], config["image_size"])
assert picture.width == picture.height, "crop the face to a square first"
_, box = picture.draft("RGB", size) or (None, None)  # a JPEG file is decoded at 1/2, 1/4 or 1/8
face = ImageOps.exif_transpose(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0))
au, expression, valence, arousal = session.run(["au", "expression", "valence", "arousal"], {{"pixels": numpy.asarray(face).transpose(2, 0, 1)[None]}})
print(json.dumps({{"action_units": dict(zip(config["action_units"], au[0].tolist())), "expressions": dict(zip(config["expressions"], expression[0].tolist())), "valence": valence.item(), "arousal": arousal.item()}}))
```

A picture that is not square is made so by repeating its border; `affect-train` does that.

## Outputs

| column of `au` | action unit | present from |
|---|---|---|
| 0 | AU25 | {config["thresholds"][0]:.3f} |
| 1 | AU1 | {config["thresholds"][1]:.3f} |

The thresholds were tuned for F1 on the split `train` of `merged` ({fingerprint}).

| column of `expression` (`id2label`) | class |
|---|---|
| 0 | happiness |
| 1 | neutral |
| 2 | sadness |

`valence` and `arousal` lie in [-1, 1]: expectations over 4 equal bins.

## Training data

Dataset `merged`, fingerprint `{fingerprint}`:

| database | terms | where they stand, and what was read |
|---|---|---|
| [{AffWild2.title}]({AffWild2.homepage}) | {AffWild2.licence.terms} | [terms]({AffWild2.licence.url}), read 2026-11-30: the project's page, not the agreement; \
what that says of passing on is reported by others |
| [{ExpW.title}]({ExpW.homepage}) | {ExpW.licence.terms} | [terms]({ExpW.licence.url}), not read; reported by others |

What the agreement says that you signed with a database's owners decides, not this table.

## Training

Method `supervised`, 1 epoch(s), batches of 20, learning rate 0.001, seed 0; everything else is in `recipe.yaml`.

## Evaluation

On `merged`, fingerprint `{fingerprint}`.

### Split validation: 21 rows

| metric | value | 95% interval | labels |
|---|---|---|---|
| AU mean F1 | {shown(found, "au", "mean_f1")} |
| AU accuracy | {shown(found, "au", "accuracy")} |
| expression macro-F1 | {shown(found, "expression", "macro_f1")} |
| expression accuracy | {shown(found, "expression", "accuracy")} |
| valence CCC | {shown(found, "va", "valence_ccc")} |
| arousal CCC | {shown(found, "va", "arousal_ccc")} |

Intervals: bootstrap over people, 20 resamples.

| action unit | F1 | labels | present |
|---|---|---|---|
| AU25 | {units["25"]["f1"]:.3f} | 21 | {units["25"]["present"]} |
| AU1 | {units["1"]["f1"]:.3f} | 21 | {units["1"]["present"]} |

| expression | F1 | labels |
|---|---|---|
| happiness | {classes["happiness"]["f1"]:.3f} | 3 |
| neutral | {classes["neutral"]["f1"]:.3f} | 3 |
| sadness | {classes["sadness"]["f1"]:.3f} | 3 |

| database | AU mean F1 | AU accuracy | expression macro-F1 | expression accuracy | valence CCC | arousal CCC |
|---|---|---|---|---|---|---|
| affwild2 | {rows["affwild2"]} |
| expw | {rows["expw"]} |

## Limits

{LIMITS}

## Use

{USE}

## Citing

Cite every database:

```bibtex
{AffWild2.citation.strip()}

{ExpW.citation.strip()}
```

{END}
"""  # noqa: E501 - a line of the card
    )


def test_the_hubs_own_reader_understands_the_head(hub: LoopbackHub, trained: Path, dataset: Path) -> None:
    data = ModelCard(card_of(trained, dataset)).data
    assert (data.library_name, data.pipeline_tag, data.license) == ("transformers", "image-classification", "other")


def test_what_a_person_wrote_on_the_hub_stays(hub: LoopbackHub, trained: Path, dataset: Path, teacher: str) -> None:
    repository = hub.repositories["model", "anna/teacher"]
    written = repository.files["README.md"].data.decode()
    edited = written.replace("---\nlicense: other", "---\nlanguage: en\nlicense: mit").replace(
        BEGIN, f"By Anna.\n\n{BEGIN}"
    )
    edited = edited.replace("# anna/teacher", "# something else") + "\nAsk me.\n"
    repository.add("words", {**repository.files, "README.md": File(edited.encode(), large=False)})
    found = card_of(trained, dataset)
    assert found == (
        written.replace("---\nlicense: other", "---\nlanguage: en\nlicense: other").replace(
            BEGIN, f"By Anna.\n\n{BEGIN}"
        )
        + "\nAsk me.\n"
    )


def test_a_model_without_graph_and_evaluation_says_so(hub: LoopbackHub, trained: Path, dataset: Path) -> None:
    with planned(trained, "anna/teacher", dataset=dataset) as plan:
        staged = plan.staged
    left_out = {"model.onnx": "its recurrent stage reads windows of videos", "evaluation.json": "there is none"}
    published = staged.published.model_copy(update={"opset": 0, "left_out": left_out})
    section = card_section(published, staged.config, staged.recipe, {})
    assert "- Not published: model.onnx (its recurrent stage reads windows of videos)." in section
    assert "## Evaluation\n\nNone is published: there is none." in section
    assert "onnxruntime" not in section


def test_groups_of_people_have_a_table_with_the_minimum(hub: LoopbackHub, trained: Path, dataset: Path) -> None:
    with planned(trained, "anna/teacher", dataset=dataset) as plan:
        staged = plan.staged
    group = {"database": "raf_db", "attribute": "age_band", "rows": 1200}
    scored = {
        "expression": {"macro_f1": 0.5, "accuracy": 0.625, "labels": 1100},
        "intervals": {"level": 0.95, "metrics": {"expression.macro_f1": [0.25, 0.75], "expression.accuracy": None}},
    }
    groups = [
        {**group, "value": "20-39", "people": 300, "metrics": scored},
        {**group, "value": "70+", "rows": 7, "metrics": {}},
    ]
    evaluation = deepcopy(dict(staged.evaluation))
    evaluation["splits"]["validation"] |= {"subgroups": groups, "subgroup_minimum": {"rows": 60, "people": 12}}
    section = card_section(staged.published, staged.config, staged.recipe, evaluation)
    without = card_section(staged.published, staged.config, staged.recipe, staged.evaluation)
    assert (
        section.replace(
            """Groups of people. The words are the databases' own, and the model predicts none of them; ages in years are put together by tens. \
A task is scored for a group that has at least 60 rows with a label of it, of at least 12 people; where a database does not say who is shown, \
videos count as people, or else rows. Smaller groups are only counted.

| database | group | rows | people | expression macro-F1 | expression accuracy |
|---|---|---|---|---|---|
| raf_db | age band: 20-39 | 1,200 | 300 | 0.500 (0.250 to 0.750) | 0.625 |
| raf_db | age band: 70+ | 7 | – | – | – |

""",
            "",
        )
        == without
        != section
    )


def test_a_backbone_of_the_hub_is_the_base_model(hub: LoopbackHub, trained: Path, dataset: Path) -> None:
    with planned(trained, "anna/teacher", dataset=dataset) as plan:
        staged = plan.staged
    model = staged.recipe.model.model_copy(update={"backbone": "facebook/dinov2-small"})
    recipe = staged.recipe.model_copy(update={"model": model})
    assert card_metadata(staged.published, recipe)["base_model"] == "facebook/dinov2-small"
    assert "base_model" not in card_metadata(staged.published, staged.recipe)
