"""The card of a published model: our part is written from files of the repository; text that people add outside it stays."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from affect_data.hub.card import DECIDES, table
from affect_train.hub.example import example
from affect_train.hub.published import EVALUATION, GRAPH, PublishedModel
from affect_train.recipe.recipe import Recipe

USE: Final = """\
The outputs say which expression a face *displays*, as the annotators of the training data would judge it. They do not say what a person feels: people
smile without being happy, and are happy without smiling ([Barrett et al. 2019](https://doi.org/10.1177/1529100619832930)).

Intended: research on displayed facial expressions and on learning from partial labels. Subgroups should be compared before any claim that holds for
people in general: nothing here says that the model is equally right for all.

Not intended, and in part unlawful: telling emotions of people at work or in education (European Union, AI Act, article 5), deciding about a person,
identifying anybody. Wherever a system recognises emotions, the people whom it sees must be told (article 50)."""

LIMITS: Final = """\
- The input is the crop of one upright face. The model finds no face, and says something of pictures without one too.
- Action units are judged one by one by their thresholds; a probability is not calibrated unless the evaluation says so.
- It has seen the databases named above and nothing else: other cameras, ages and poses are other data."""

METRICS: Final[Mapping[str, tuple[str, str]]] = {
    "au.mean_f1": ("AU mean F1", "au"),
    "au.accuracy": ("AU accuracy", "au"),
    "expression.macro_f1": ("expression macro-F1", "expression"),
    "expression.accuracy": ("expression accuracy", "expression"),
    "va.valence_ccc": ("valence CCC", "va"),
    "va.arousal_ccc": ("arousal CCC", "va"),
}
"""By its place in an evaluation: what a metric is called, and whose labels it counts."""


def card_metadata(published: PublishedModel, recipe: Recipe) -> dict[str, Any]:
    """The YAML header of the card, as the Hub reads it."""
    sources = [source for source in published.sources.values() if not source.drawn]
    links = {source.url for source in sources if source.url}
    backbone = recipe.model.backbone
    is_on_the_hub = isinstance(backbone, str) and backbone.count("/") == 1 and not backbone.startswith((".", "/", "~"))
    return {
        "license": "other",
        "license_name": "terms-of-the-databases" if sources else "drawn-faces",
        **({"license_link": links.pop()} if len(links) == 1 else {}),
        "library_name": "transformers",
        "pipeline_tag": "image-classification",
        **({"base_model": backbone} if is_on_the_hub else {}),
        "tags": ["affectkit", "facial-expression", "action-units", "valence-arousal"],
    }


def card_section(
    published: PublishedModel, config: Mapping[str, Any], recipe: Recipe, evaluation: Mapping[str, Any]
) -> str:
    """Our part of the card, as Markdown.

    Args:
        published: ``affectkit.json`` of the repository.
        config: its ``config.json``.
        recipe: its ``recipe.yaml``.
        evaluation: its ``evaluation.json``; empty if there is none.
    """
    parts = [
        _head(published, config),
        _using(published),
        example(published, config),
        _outputs(config),
        _data(published),
        _training(published, recipe),
        *_evaluations(published, evaluation),
        f"## Limits\n\n{LIMITS}",
        f"## Use\n\n{USE}",
        _citations(published),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(published: PublishedModel, config: Mapping[str, Any]) -> str:
    predicted = {
        f"{len(config['action_units'])} action units": config["action_units"],
        f"{len(config['expressions'])} expressions": config["expressions"],
        "valence and arousal": config["valence_arousal_bins"],
    }
    lines = [
        f"# {published.name}",
        "",
        f"Predicts {', '.join(name for name, heads in predicted.items() if heads)} of a face; trained by affectkit on partial labels.",
        "",
        f"- Backbone: `{config['backbone_config']['model_type']}`; input {config['image_size']} x {config['image_size']} pixels, RGB.",
        f"- Crop: {_crop(config['preprocessing'])}; preprocessing `{config['preprocessing_hash']}`.",
        f"- Weights: `{published.weights}`, safetensors.",
    ]
    if published.opset:
        lines.append(f"- `{GRAPH}`: opset {published.opset}, the same outputs to 1e-4.")
    lines += [f"- Not published: {name} ({because})." for name, because in published.left_out.items()]
    return "\n".join(lines)


def _crop(preprocessing: Mapping[str, Any]) -> str:
    policy = preprocessing.get("policy")
    if policy is None:
        return f"a square around the face box with a margin of {preprocessing['margin']:g} of its longer side"
    room = preprocessing.get("room", 0.0)
    middle = f", of which the model sees the middle {1 - 2 * room:.0%}" if room else ""
    return (
        f"`{policy['name']}`, version {policy['version']}, of affectkit's crop policies{middle}; `affect-train predict` and "
        "`processor(picture, faces=...)` cut found faces by the same code, ready crops must be cut so"
    )


def _using(published: PublishedModel) -> str:
    return f"""## With affectkit

    affect-train predict {published.name} face.jpg
    affect-train label {published.name} merged --name teacher

```python
import affect_train

print(affect_train.pipeline("{published.name}")("face.jpg"))
```

or with transformers:

```python
import affect_train.hub  # lets transformers know these models
from transformers import AutoImageProcessor, AutoModel

model = AutoModel.from_pretrained("{published.name}").eval()
processor = AutoImageProcessor.from_pretrained("{published.name}")
found = model.predictions(model(**processor("face.jpg", return_tensors="pt")))
```"""


def _outputs(config: Mapping[str, Any]) -> str:
    parts = ["## Outputs"]
    if config["action_units"]:
        pairs = zip(config["action_units"], config["thresholds"], strict=True)
        parts.append(table(("column of `au`", "action unit", "present from"), [
            (place, f"AU{unit}", limit) for place, (unit, limit) in enumerate(pairs)
        ]))  # fmt: skip
        parts.append(_thresholds(config.get("thresholds_from")))
    if config["expressions"]:
        rows = sorted((int(place), name) for place, name in config["id2label"].items())
        parts.append(table(("column of `expression` (`id2label`)", "class"), rows))
    if config["valence_arousal_bins"]:
        parts.append(
            f"`valence` and `arousal` lie in [-1, 1]: expectations over {config['valence_arousal_bins']} equal bins."
        )
    return "\n\n".join(parts)


def _thresholds(tuned_on: Mapping[str, Any] | None) -> str:
    if tuned_on is None:
        return "The thresholds were not tuned."
    return f"The thresholds were tuned for F1 on the split `{tuned_on['split']}` of `{tuned_on['dataset']}` ({tuned_on['fingerprint']})."


def _data(published: PublishedModel) -> str:
    trained_on = published.trained_on
    commit = f", commit `{trained_on['commit']}`" if trained_on.get("commit") else ""
    rows = []
    for source in published.sources.values():
        title = f"[{source.title}]({source.homepage})" if source.homepage else source.title
        if source.drawn:
            rows.append((title, "drawn faces, no licence", "–"))
        else:
            where = f"[terms]({source.url}), " if source.url else ""
            rows.append((title, source.clause, f"{where}{source.reading}"))
    header = ("database", "terms", "where they stand, and what was read")
    decides = "" if all(source.drawn for source in published.sources.values()) else f"\n\n{DECIDES}"
    return (
        f"## Training data\n\nDataset `{trained_on['name']}`, fingerprint `{trained_on['fingerprint']}`{commit}:\n\n"
        f"{table(header, rows)}{decides}"
    )


def _training(published: PublishedModel, recipe: Recipe) -> str:
    steps = recipe.training.max_steps
    length = f"{steps:,} steps" if steps is not None else f"{recipe.training.epochs} epoch(s)"
    lines = [
        "## Training",
        "",
        f"Method `{recipe.method.name}`, {length}, batches of {recipe.batches.size}, "
        f"learning rate {recipe.optimizer.learning_rate:g}, seed {recipe.seed}; everything else is in `recipe.yaml`.",
    ]
    lines += [f"- Used `{group}`, fingerprint `{fingerprint}`." for group, fingerprint in published.groups.items()]
    return "\n".join(lines)


def _evaluations(published: PublishedModel, evaluation: Mapping[str, Any]) -> Iterator[str]:
    if not evaluation:
        yield f"## Evaluation\n\nNone is published: {published.left_out[EVALUATION]}."
        return
    yield f"## Evaluation\n\nOn `{evaluation['dataset']}`, fingerprint `{evaluation['fingerprint']}`."
    for split, found in evaluation["splits"].items():
        yield f"### Split {split}: {found['rows']:,} rows"
        yield _scores(found["overall"])
        yield _by_name(found["overall"])
        if len(found["databases"]) > 1:
            databases = [(name, *(_value(own, place) for place in METRICS)) for name, own in found["databases"].items()]
            yield table(("database", *(name for name, _ in METRICS.values())), databases)
        if found.get("subgroups"):
            yield _subgroups(found["subgroups"], found["subgroup_minimum"])


def _subgroups(groups: Sequence[Mapping[str, Any]], least: Mapping[str, int]) -> str:
    """The groups of people, with the metrics that any of them has."""
    places = [place for place in METRICS if any(_value(group["metrics"], place) is not None for group in groups)]
    rows = [
        (
            group["database"],
            f"{group['attribute'].replace('_', ' ')}: {group['value']}",
            group["rows"],
            group.get("people"),
            *(_with_interval(group["metrics"], place) for place in places),
        )
        for group in groups
    ]
    said = (
        "Groups of people. The words are the databases' own, and the model predicts none of them; ages in years are put together by tens. A task is "
        f"scored for a group that has at least {least['rows']:,} rows with a label of it, of at least {least['people']:,} people; where a database "
        "does not say who is shown, videos count as people, or else rows. Smaller groups are only counted."
    )
    return f"{said}\n\n{table(('database', 'group', 'rows', 'people', *(METRICS[place][0] for place in places)), rows)}"


def _with_interval(found: Mapping[str, Any], place: str) -> str | None:
    value, interval = _value(found, place), found.get("intervals", {}).get("metrics", {}).get(place)
    if value is None:
        return None
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _scores(overall: Mapping[str, Any]) -> str:
    intervals = overall.get("intervals", {})
    rows = []
    for place, (name, task) in METRICS.items():
        value, interval = _value(overall, place), intervals.get("metrics", {}).get(place)
        if value is not None:
            shown = "–" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
            rows.append((name, value, shown, overall[task]["labels"]))
    level = f"{intervals['level']:.0%} interval" if intervals else "interval"
    resampled = f"\n\nIntervals: bootstrap over people, {intervals['resamples']:,} resamples." if intervals else ""
    return table(("metric", "value", level, "labels"), rows) + resampled


def _by_name(overall: Mapping[str, Any]) -> str:
    parts = []
    units = overall.get("au", {}).get("by_action_unit", {})
    if units:
        rows = [(f"AU{unit}", own["f1"], own["labels"], own["present"]) for unit, own in units.items()]
        parts.append(table(("action unit", "F1", "labels", "present"), rows))
    classes = overall.get("expression", {}).get("by_class", {})
    if classes:
        parts.append(
            table(("expression", "F1", "labels"), [(name, own["f1"], own["labels"]) for name, own in classes.items()])
        )
    return "\n\n".join(parts)


def _value(found: Mapping[str, Any], place: str) -> float | None:
    task, _, metric = place.partition(".")
    value = found.get(task, {}).get(metric)
    return None if value is None else float(value)


def _citations(published: PublishedModel) -> str:
    entries = dict.fromkeys(source.citation.strip() for source in published.sources.values() if source.citation)
    if not entries:
        return ""
    return "## Citing\n\nCite every database:\n\n```bibtex\n" + "\n\n".join(entries) + "\n```"
