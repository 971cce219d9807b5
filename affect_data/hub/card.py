"""The card of a published dataset. Our part is written from files of the repository; text that people add outside it stays."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from affect_data.errors import DataError
from affect_data.hub.policy import HOLDS
from affect_data.hub.published import AUDIT, Published
from affect_data.vocabulary import ACTION_UNITS, EXPRESSIONS
from affect_data.yaml12 import NotYamlError, read_yaml, write_yaml

BEGIN: Final = "<!-- affectkit: written from the files of this repository; write beside it, not in it -->"
END: Final = "<!-- /affectkit -->"

DECIDES: Final = "What the agreement says that you signed with a database's owners decides, not this table."

USE: Final = """\
The labels say which expression a face *displays*, as annotators judged it. They do not say what a person feels: people smile without being happy,
and are happy without smiling ([Barrett et al. 2019](https://doi.org/10.1177/1529100619832930)).

Intended: research on displayed facial expressions, on annotation, and on learning from partial labels, by people whom the agreements of the
databases cover. Subgroups should be compared before any claim that holds for people in general.

Not intended, and in part unlawful: telling emotions of people at work or in education (European Union, AI Act, article 5), deciding about a person,
identifying or re-identifying anybody, training face recognition, and passing on what the agreements keep in. Wherever a system recognises
emotions, the people whom it sees must be told (article 50)."""


def card_metadata(published: Published) -> dict[str, Any]:
    """The YAML header of the card, as the Hub reads it."""
    total = sum(published.rows.values())
    sources = [source for source in published.sources.values() if not source.drawn]
    links = {source.url for source in sources}
    metadata: dict[str, Any] = {
        "pretty_name": published.name,
        "license": "other",
        "license_name": "terms-of-the-databases" if sources else "drawn-faces",
        **({"license_link": links.pop()} if len(links) == 1 else {}),
        "annotations_creators": ["found"],
        "source_datasets": ["extended|other"],
        "size_categories": [_size(total)],
        "task_categories": ["image-classification"],
        "tags": ["affectkit", "facial-expression", "action-units", "valence-arousal"],
    }
    if published.configs:
        metadata["configs"] = [
            {
                "config_name": name,
                "data_files": [{"split": split, "path": path} for split, path in config.patterns().items()],
            }
            for name, config in published.configs.items()
        ]
    else:
        # There are no rows that a viewer could show, only counts and a lock.
        metadata["viewer"] = False
    return metadata


def card_section(published: Published, lock: Mapping[str, Any], statistics: Mapping[str, Any]) -> str:
    """Our part of the card, as Markdown.

    Args:
        published: of the repository.
        lock: its ``dataset.lock.json``.
        statistics: its ``statistics.json``.
    """
    parts = [
        _head(published, lock),
        _loading(published),
        _sources(published, lock),
        _labels(statistics),
        _lost(lock),
        _rebuilding(published),
        f"## Use\n\n{USE}",
        _citations(published),
    ]
    return "\n\n".join(part for part in parts if part)


def with_section(before: str, metadata: Mapping[str, Any], section: str) -> str:
    """The card with our part replaced; keys of the header and text that a person wrote stay.

    Args:
        before: the present card; empty if there is none.
        metadata: our keys of the header.
        section: our part of the text.

    Raises:
        DataError: the header of the card is not a YAML mapping, or one of the two markers is missing.
    """
    head, body = _parted(before)
    tags = dict.fromkeys([*head.get("tags", []), *metadata["tags"]])
    ours = {**metadata, "tags": list(tags)}
    kept = {key: value for key, value in head.items() if key not in _OURS and key not in metadata}
    if "pretty_name" in metadata and head.get("pretty_name"):
        ours["pretty_name"] = head["pretty_name"]
    marked = f"{BEGIN}\n\n{section}\n\n{END}"
    if (BEGIN in body) != (END in body):
        raise DataError(
            f"the card has one of the lines '{BEGIN}' and '{END}' without the other; put it back, or remove both"
        )
    if BEGIN in body:
        above, _, rest = body.partition(BEGIN)
        text = f"{above}{marked}{rest.partition(END)[2]}"
    else:
        text = f"{body.rstrip()}\n\n{marked}\n" if body.strip() else f"{marked}\n"
    return f"---\n{write_yaml({**kept, **ours})}---\n{text}"


def section_of(card: str) -> str | None:
    """Our part of a card; None if it has none."""
    _, begun, rest = card.partition(f"{BEGIN}\n\n")
    section, ended, _ = rest.partition(f"\n\n{END}")
    return section if begun and ended else None


def head_of(card: str) -> dict[str, Any]:
    """The YAML header of a card.

    Raises:
        DataError: it is not a YAML mapping.
    """
    return _parted(card)[0]


_OURS: Final = (
    "license", "license_name", "license_link", "annotations_creators", "source_datasets", "size_categories", "task_categories", "tags",
    "configs", "viewer", "dataset_info",
)  # fmt: skip
"""Keys of the header that follow from facts; values that a person wrote there are replaced."""


def _parted(card: str) -> tuple[dict[str, Any], str]:
    if not card.startswith("---\n"):
        return {}, card
    head, found, body = card.removeprefix("---\n").partition("\n---\n")
    if not found:
        raise DataError("the head of the card (README.md) does not end: a line '---' is missing")
    try:
        values = read_yaml(head).values
    except NotYamlError as error:
        raise DataError(f"the head of the card (README.md) is no YAML: {error}") from None
    if not isinstance(values, dict):
        raise DataError("the head of the card (README.md) is no YAML mapping")
    return values, body


def _size(rows: int) -> str:
    """The Hub's word for a number of rows."""
    sizes = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
    return next((name for limit, name in sizes if rows < limit), "10M<n<100M")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of Markdown: numbers with their thousands apart or three decimals, a dash for None."""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value if value is not None else "–").replace("|", "\\|")


def _head(published: Published, lock: Mapping[str, Any]) -> str:
    rows = ", ".join(f"{split} {count:,}" for split, count in published.rows.items())
    drawn = [name for name, source in published.sources.items() if source.drawn]
    lines = [
        f"# {published.name}",
        "",
        f"{len(published.sources)} facial-affect database(s) merged by affectkit {lock['affectkit_version']}: one row a face, a mask "
        "for every label.",
        "",
        f"- Tier **{published.tier}**: {HOLDS[published.tier]}.",
        f"- Rows: {rows}.",
        f"- Fingerprint: `{lock['fingerprint']}` (pictures `{lock['fingerprints']['pictures']}`, labels `{lock['fingerprints']['labels']}`, "
        f"people `{lock['fingerprints']['people']}`).",
    ]
    if drawn:
        lines.append(f"- Faces of {', '.join(drawn)} were drawn by a program: they show nobody.")
    lines += [f"- Not published: {group} ({because})." for group, because in published.left_out.items()]
    return "\n".join(lines)


def _loading(published: Published) -> str:
    if not published.configs:
        return ""
    rows = [
        (name, ", ".join(config.splits), f"`{', '.join(config.columns)}`") for name, config in published.configs.items()
    ]
    name = next(iter(published.configs))
    call = f'load_dataset("{published.name}"' + (")" if name == "default" else f', "{name}")')
    return (
        f"## Loading\n\n    from datasets import load_dataset\n    faces = {call}\n\n{table(('configuration', 'splits', 'columns'), rows)}\n\n"
        f"Missing is -1 for classes and action units and NaN for numbers, beside a mask.{_slots(published)}"
    )


def _slots(published: Published) -> str:
    """Names the slots of the lists of action units and votes; empty if no configuration has them."""
    if not any("au" in config.columns for config in published.configs.values()):
        return ""
    units, names = ", ".join(map(str, ACTION_UNITS)), ", ".join(EXPRESSIONS)
    return f" The slots of `au` are the action units {units}; those of `expression_votes` are {names}."


def _sources(published: Published, lock: Mapping[str, Any]) -> str:
    rows = []
    for name, source in published.sources.items():
        report = lock["databases"].get(name, {})
        terms = "drawn faces, no licence" if source.drawn else source.clause
        rows.append(
            (
                f"[{source.title}]({source.homepage})",
                report.get("release") or "–",
                report.get("rows", 0),
                terms,
                "–" if source.drawn else f"[terms]({source.url}), {source.reading}",
            )
        )
    listed = (
        f"## Sources\n\n{table(('database', 'release', 'rows', 'terms', 'where they stand, and what was read'), rows)}"
    )
    if all(source.drawn for source in published.sources.values()):
        return listed
    return f"{listed}\n\n{DECIDES}"


def _labels(statistics: Mapping[str, Any]) -> str:
    names = (
        "database",
        "split",
        "rows",
        "subjects",
        "au",
        "expression",
        "compound_expression",
        "va",
        "any_label",
        "all_three",
    )
    coverage = [[line[name] for name in names] for line in statistics["coverage"]]
    header = (
        "database",
        "split",
        "rows",
        "people",
        "AU",
        "expression",
        "compound",
        "VA",
        "any label",
        "AU + expression + VA",
    )
    classes = [(line["expression"], line["rows"]) for line in statistics["expressions"]]
    units = [
        (f"AU{line['action_unit']}", line["labelled"], line["present"], line["rate"], line["with_intensity"])
        for line in statistics["action_units"]
    ]
    parts = [f"## Labels\n\nRows with each kind of label:\n\n{table(header, coverage)}"]
    if any(rows for _, rows in classes):
        parts.append(table(("expression", "rows"), classes))
    if units:
        parts.append(table(("action unit", "labelled", "present", "rate", "with intensity"), units))
    return "\n\n".join(parts)


def _lost(lock: Mapping[str, Any]) -> str:
    rows, known = [], []
    for name, report in lock["databases"].items():
        rows += [(name, "no row", reason, count) for reason, count in sorted(report["failures"].items())]
        rows += [(name, f"{entry['task']} masked", entry["reason"], entry["rows"]) for entry in report["masked"]]
        known += [f"- {name}: {loss}" for loss in report.get("losses", [])]
    corrected = sum(lock["decisions"].values())
    if corrected:
        known.append(f"- {corrected:,} label(s) were corrected by people before this was published.")
    parts = ["## What is not there"]
    parts.append(table(("database", "what", "because", "rows"), rows) if rows else "Nothing was dropped or masked.")
    return "\n\n".join([*parts, "\n".join(known)] if known else parts)


def _rebuilding(published: Published) -> str:
    roots = " ".join(f"--root {name}=PATH" for name in published.sources)
    made = [
        *(["soft labels, folds and weights"] if published.provenance else []),
        *(["findings of audits"] if AUDIT in published.configs else []),
    ]
    derived = f" and attaches {' and '.join(made)} again" if made else ""
    return (
        "## Rebuilding\n\nWith the same databases, affectkit makes the same bytes"
        + derived
        + ", proven against `dataset.lock.json`:\n\n"
        f"    affect-data rebuild hf://{published.name} merged {roots}"
    )


def _citations(published: Published) -> str:
    entries = dict.fromkeys(source.citation.strip() for source in published.sources.values())
    return "## Citing\n\nCite every database:\n\n```bibtex\n" + "\n\n".join(entries) + "\n```"
