"""The card of a dataset, whole; and what a person wrote in one."""

from pathlib import Path

import pytest
from huggingface_hub import DatasetCard
from loopback_hub import File, LoopbackHub

from affect_data.databases.base import Tier
from affect_data.databases.expw import ExpW
from affect_data.dataset.folder import open_dataset
from affect_data.errors import DataError
from affect_data.hub.card import BEGIN, END, USE, head_of, section_of, with_section
from affect_data.hub.publish import plan, publish

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

METADATA = {"pretty_name": "anna/faces", "license": "other", "tags": ["affectkit"]}


def test_the_whole_card_of_tier_derived(hub: LoopbackHub, licensed_faces: Path) -> None:
    planned = plan(licensed_faces, "anna/faces", Tier.DERIVED, acknowledged=["expw"])
    prints = open_dataset(licensed_faces).manifest.fingerprints
    assert (
        (planned.staged.folder / "README.md").read_text()
        == f"""---
pretty_name: anna/faces
license: other
license_name: terms-of-the-databases
license_link: {ExpW.licence.url}
annotations_creators:
- found
source_datasets:
- extended|other
size_categories:
- n<1K
task_categories:
- image-classification
tags:
- affectkit
- facial-expression
- action-units
- valence-arousal
configs:
- config_name: soft-teacher
  data_files:
  - split: train
    path: soft-teacher/train/*.parquet
  - split: validation
    path: soft-teacher/validation/*.parquet
- config_name: folds-cv
  data_files:
  - split: train
    path: folds-cv/train/*.parquet
  - split: validation
    path: folds-cv/validation/*.parquet
---
{BEGIN}

# anna/faces

1 facial-affect database(s) merged by affectkit 0.1.0: one row a face, a mask for every label.

- Tier **derived**: also soft labels, folds, balance weights, audit flags and corrections, keyed by rows of the databases.
- Rows: train 14, validation 10.
- Fingerprint: `{prints.all()}` (pictures `{prints.pictures}`, labels `{prints.labels}`, people `{prints.people}`).

## Loading

    from datasets import load_dataset
    faces = load_dataset("anna/faces", "soft-teacher")

| configuration | splits | columns |
|---|---|---|
| soft-teacher | train, validation | `uid, picture_key, soft.teacher.expression` |
| folds-cv | train, validation | `uid, picture_key, folds.cv` |

Missing is -1 for classes and action units and NaN for numbers, beside a mask.

## Sources

| database | release | rows | terms | where they stand, and what was read |
|---|---|---|---|---|
| [ExpW]({ExpW.homepage}) | 2018 | 24 | {ExpW.licence.terms} | [terms]({ExpW.licence.url}), not read; reported by others |

What the agreement says that you signed with a database's owners decides, not this table.

## Labels

Rows with each kind of label:

| database | split | rows | people | AU | expression | compound | VA | any label | AU + expression + VA |
|---|---|---|---|---|---|---|---|---|---|
| expw | train | 14 | 0 | 0 | 14 | 0 | 0 | 14 | 0 |
| expw | validation | 10 | 0 | 0 | 10 | 0 | 0 | 10 | 0 |

| expression | rows |
|---|---|
| neutral | 3 |
| anger | 4 |
| disgust | 4 |
| fear | 4 |
| happiness | 3 |
| sadness | 3 |
| surprise | 3 |
| contempt | 0 |
| other | 0 |

## What is not there

Nothing was dropped or masked.

## Rebuilding

With the same databases, affectkit makes the same bytes and attaches soft labels, folds and weights again, proven against `dataset.lock.json`:

    affect-data rebuild hf://anna/faces merged --root expw=PATH

## Use

{USE}

## Citing

Cite every database:

```bibtex
{ExpW.citation.strip()}
```

{END}
"""
    )


def test_the_hubs_own_reader_understands_the_head(hub: LoopbackHub, built_faces: Path) -> None:
    card = DatasetCard((plan(built_faces, "anna/faces", Tier.FULL).staged.folder / "README.md").read_text())
    assert card.data.license == "other"
    assert [config["config_name"] for config in card.data.configs] == ["default", "soft-teacher", "folds-cv"]
    assert "viewer" not in card.data.to_dict()


def test_what_a_person_wrote_on_the_hub_stays(hub: LoopbackHub, faces: Path) -> None:
    publish(plan(faces, "anna/faces"))
    repository = hub.repositories["dataset", "anna/faces"]
    ours = section_of(repository.files["README.md"].data.decode())
    written = f"---\npretty_name: My faces\nlanguage:\n- en\ntags:\n- mine\n---\n# Why\n\nBecause.\n\n{BEGIN}\n\nold\n\n{END}\n\nThanks.\n"
    repository.add("by hand", {**repository.files, "README.md": File(written.encode(), large=False)})
    publish(plan(faces, "anna/faces"))
    card = repository.files["README.md"].data.decode()
    assert card.partition("\n---\n")[2] == f"# Why\n\nBecause.\n\n{BEGIN}\n\n{ours}\n\n{END}\n\nThanks.\n"
    head = head_of(card)
    assert (head["pretty_name"], head["language"], head["license"]) == ("My faces", ["en"], "other")
    assert head["tags"][:2] == ["mine", "affectkit"]


def test_our_part_comes_after_what_was_there_before_it() -> None:
    card = with_section("# Mine\n", METADATA, "ours")
    assert card.endswith(f"---\n# Mine\n\n{BEGIN}\n\nours\n\n{END}\n")
    assert with_section(card, METADATA, "ours") == card


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("---\na: [\n---\n", "is no YAML"),
        ("---\n- a\n---\n", "is no YAML mapping"),
        ("---\na: b\n", "does not end: a line '---' is missing"),
        (f"text\n{BEGIN}\n", "one of the lines .* without the other"),
    ],
)
def test_a_card_that_cannot_be_understood_is_not_overwritten(card: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_section(card, METADATA, "ours")
