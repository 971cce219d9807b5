"""The facts that databases state about themselves, for the command line and for pages."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from affect_data.databases.base import DatabaseOptions
from affect_data.databases.facts import NativeValue
from affect_data.databases.families import BAD_FRAMES, CROSS_TASK_TRACKS, FAMILIES, family_lines
from affect_data.databases.licence import Reading
from affect_data.databases.registry import DATABASES, canonical, database_named


def facts(name: str) -> dict[str, Any]:
    """All facts that a database states about itself, as plain lists and dictionaries.

    Raises:
        UnknownNameError: no database has this name.
    """
    database = database_named(canonical(name) or name)
    own = {n: f for n, f in database.Options.model_fields.items() if n not in DatabaseOptions.model_fields}
    return {
        "name": database.name,
        "title": database.title,
        "description": database.description(),
        "tasks": list(database.tasks()),
        "action_units": list(database.action_units),
        "action_unit_intensities": list(database.action_unit_intensities),
        "expressions": list(database.expressions),
        "compound_expressions": list(database.compound_expressions),
        "expression_votes": database.has_expression_votes,
        "valence_arousal": database.valence_arousal,
        "people": {name: list(words) for name, words in database.people.items()},
        "action_unit_sides": list(database.action_unit_sides),
        "native_expressions": list(database.native_expressions),
        "rater_labels": list(database.rater_labels),
        "timestamps": database.has_timestamps,
        "scores": dict(database.scores),
        "aliases": list(database.aliases),
        "releases": list(database.releases),
        "release_aliases": dict(database.release_aliases),
        "totals": {
            release: {"counts": dict(totals.counts), "source": totals.source}
            for release, totals in database.totals.items()
        },
        "options": {
            n: {"default": f.get_default(call_default_factory=True), "description": f.description or ""}
            for n, f in own.items()
        },
        "mapping": [asdict(row) for row in database.mapping],
        "evidence": [asdict(known) | {"grade": str(known.grade)} for known in database.evidence],
        "licence": database.licence.terms,
        "licence_url": database.licence.url,
        "licence_read_on": database.licence.reading.on,
        "licence_read_in": database.licence.reading.source,
        "publishes": str(database.licence.publishes),
        "homepage": database.homepage,
        "citation": database.citation.strip(),
        "source_family": database.source_family,
        "family": list(FAMILIES[database.source_family].members) if database.source_family in FAMILIES else [],
        "known_bad_frames": [asdict(frames) for frames in BAD_FRAMES.get(database.name, ())],
        "cross_task_tracks": list(CROSS_TASK_TRACKS.get(database.name, ())),
        "reader_version": database.reader_version,
        "layout": database.layout(),
    }


def catalogue(names: Iterable[str] = DATABASES) -> list[dict[str, Any]]:
    """`facts` of databases in alphabetical order; by default of all, those of installed packages included."""
    return [facts(name) for name in sorted(names)]


def describe_database(name: str) -> str:
    """All facts about one database, as text.

    Raises:
        UnknownNameError: no database has this name.
    """
    entry = facts(name)
    labels = []
    if entry["action_units"]:
        labels.append("AU occurrence: " + " ".join(map(str, entry["action_units"])))
    if entry["action_unit_intensities"]:
        labels.append("AU intensity: " + " ".join(map(str, entry["action_unit_intensities"])))
    if entry["expressions"]:
        labels.append(
            "expressions, native order: "
            + ", ".join(entry["expressions"])
            + (" (with votes)" if entry["expression_votes"] else "")
        )
    if entry["compound_expressions"]:
        labels.append("compound expressions: " + ", ".join(entry["compound_expressions"]))
    if entry["valence_arousal"]:
        labels.append(f"valence and arousal, native range: {entry['valence_arousal']}")
    labels += _beside_labels(entry)
    read = Reading(entry["licence_read_on"], entry["licence_read_in"])
    lines = [f"{entry['title']} ({entry['name']})", entry["description"], "", *labels, ""]
    if entry["aliases"]:
        lines.append(f"also understood: {', '.join(entry['aliases'])}")
    lines += [f"releases: {', '.join(entry['releases']) or 'one'}"]
    lines += [
        f"a whole copy{f' of {release}' if release else ''} holds at least "
        f"{', '.join(f'{count:,} {what}' for what, count in totals['counts'].items())} (from {totals['source']})"
        for release, totals in entry["totals"].items()
    ]
    lines += [f"option {n}: {o['description']} (default {o['default']})" for n, o in entry["options"].items()]
    lines += [
        "",
        f"licence: {entry['licence']}",
        f"these terms: {read}; the agreement that you signed decides",
        f"may publish: {entry['publishes']}",
        f"licence text: {entry['licence_url']}",
    ]
    lines += [f"homepage: {entry['homepage']}", "", "expected layout:", entry["layout"], ""]
    lines += [
        *_mapping(entry),
        *_evidence(entry),
        *family_lines(entry["name"], entry["source_family"]),
        entry["citation"],
    ]
    return "\n".join(lines)


def _mapping(entry: Mapping[str, Any]) -> list[str]:
    """What becomes of the native values, by field."""
    rows: dict[str, list[str]] = {}
    for row in entry["mapping"]:
        rows.setdefault(row["field"], []).append(f"    {NativeValue(**row)}")
    lines = [line for field, own in rows.items() for line in (f"{field}:", *own)]
    return ["native values, and what becomes of them:", *lines, ""] if lines else []


def _evidence(entry: Mapping[str, Any]) -> list[str]:
    """What the reader relies on, with grades."""
    known = [f"    {known['fact']} ({known['grade']}: {known['where']})" for known in entry["evidence"]]
    return ["what the reader relies on:", *known, ""] if known else []


def _beside_labels(entry: Mapping[str, Any]) -> list[str]:
    """What a database says beside its labels, each in a column group of its own."""
    said = [
        f"{name.replace('_', ' ')}: {', '.join(words) if words else 'a number'}"
        for name, words in entry["people"].items()
    ]
    lines = [f"people, a column group of its own: {'; '.join(said)}"] if said else []
    if entry["action_unit_sides"]:
        lines.append(f"au_side, a column group of its own: of AU {' '.join(map(str, entry['action_unit_sides']))}")
    if entry["rater_labels"]:
        lines.append(f"raters, a column group of its own: {', '.join(entry['rater_labels'])} by annotator")
    if entry["native_expressions"]:
        lines.append(f"native, a column group of its own: its classes {', '.join(entry['native_expressions'])}")
    if entry["timestamps"]:
        lines.append("time, a column group of its own: seconds")
    return lines + [f"{name}, a column group of its own: {meaning}" for name, meaning in entry["scores"].items()]
