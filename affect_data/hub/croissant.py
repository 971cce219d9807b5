"""``croissant.json``: the description of a repository in Croissant 1.1 with its responsible-AI fields, for catalogues and their tools."""

import re
from collections.abc import Mapping
from typing import Any, Final

from affect_data.hub.card import USE
from affect_data.hub.policy import HOLDS
from affect_data.hub.published import Config, Published

CONFORMS_TO: Final = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")

CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The ``@context`` of the standard."""

_MEDIA: Final = {".json": "application/json", ".yaml": "application/yaml"}
_LIST: Final = re.compile(r"^(?:fixed_size_|large_)?list<\w+: (?P<value>.+?)(?: not null)?>(?:\[(?P<length>\d+)\])?$")


def croissant(published: Published, lock: Mapping[str, Any]) -> dict[str, Any]:
    """The document as plain dictionaries and lists.

    Args:
        published: of the repository.
        lock: its ``dataset.lock.json``.
    """
    home = f"https://huggingface.co/datasets/{published.name}"
    rows = ", ".join(f"{count:,} {split}" for split, count in published.rows.items())
    titles = ", ".join(source.title for source in published.sources.values())
    licences = [source.url for source in published.sources.values() if not source.drawn]
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS_TO),
        "name": re.sub(r"[^\w-]", "-", published.name),
        "description": f"{titles} merged by affectkit: one row a face, a mask for every label ({rows} rows). "
        f"Tier {published.tier}: {HOLDS[published.tier]}.",
        "url": home,
        "version": f"{published.format_version}.0.0+{lock['fingerprint']}",
        "license": licences or ["https://creativecommons.org/publicdomain/zero/1.0/"],
        "citeAs": "\n\n".join(dict.fromkeys(source.citation.strip() for source in published.sources.values())),
        "keywords": ["facial expression", "action units", "valence", "arousal"],
        "isLiveDataset": False,
        **_responsible(published, lock),
        "distribution": _distribution(published, home),
        "recordSet": [_record_set(name, config) for name, config in published.configs.items()],
    }


def _responsible(published: Published, lock: Mapping[str, Any]) -> dict[str, Any]:
    """The responsible-AI fields that can be filled from facts."""
    lost = sum(sum(report["failures"].values()) for report in lock["databases"].values())
    masked = sum(entry["rows"] for report in lock["databases"].values() for entry in report["masked"])
    teachers = [str(own["teacher_id"]) for own in published.provenance.values() if own.get("teacher_id")]
    named = ", ".join(f"{source.title} ({source.homepage})" for source in published.sources.values())
    return {
        "rai:dataCollection": f"Merged from existing databases, whose owners collected them: {named}.",
        "rai:dataCollectionMissingData": f"{lost:,} annotation lines gave no row and {masked:,} labels are masked; the card lists every reason.",
        "rai:dataAnnotationProtocol": "The labels are those of the databases, mapped by name; a missing label is masked, never guessed.",
        **({"rai:machineAnnotationTools": teachers} if teachers else {}),
        "rai:personalSensitiveInformation": ["Faces of people"]
        if _shows_people(published)
        else ["Drawn faces, which show nobody"],
        "rai:dataUseCases": [USE],
        "rai:dataLimitations": [
            "The labels say which expression a face displays, as annotators judged it, not what a person feels."
        ],
    }


def _shows_people(published: Published) -> bool:
    return any(not source.drawn for source in published.sources.values())


def _distribution(published: Published, home: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": "repository",
            "name": "repository",
            "description": "The repository on the Hub.",
            "contentUrl": f"{home}.git",
            "encodingFormat": "git+https",
            "sha256": "https://github.com/mlcommons/croissant/issues/80",
        }
    ]
    for path, facts in published.files.items():
        media = _MEDIA.get("." + path.rpartition(".")[2])
        if media:
            found.append(
                {
                    "@type": "cr:FileObject",
                    "@id": path,
                    "name": path,
                    "contentUrl": f"{home}/resolve/main/{path}",
                    "contentSize": f"{facts.bytes} B",
                    "encodingFormat": media,
                    "sha256": facts.sha256,
                }
            )
    for name, config in published.configs.items():
        found.append(
            {
                "@type": "cr:FileSet",
                "@id": f"tables-{name}",
                "name": f"tables-{name}",
                "containedIn": {"@id": "repository"},
                "encodingFormat": "application/x-parquet",
                "includes": list(config.patterns().values()),
            }
        )
    return found


def _record_set(name: str, config: Config) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [_field(name, column, kind) for column, kind in config.columns.items()],
    }


def _field(config: str, column: str, kind: str) -> dict[str, Any]:
    inner, shape = kind, ""
    while found := _LIST.match(inner):
        inner = found["value"]
        shape = f"{shape},{found['length'] or -1}" if shape else found["length"] or "-1"
    return {
        "@type": "cr:Field",
        "@id": f"{config}/{column}",
        "name": column,
        "dataType": _data_type(inner),
        **({"isArray": True, "arrayShape": shape} if shape else {}),
        "source": {"fileSet": {"@id": f"tables-{config}"}, "extract": {"column": column}},
    }


def _data_type(kind: str) -> str:
    """The Croissant type of an Arrow type."""
    if kind.startswith("struct<bytes"):
        return "sc:ImageObject"
    if kind == "bool":
        return "sc:Boolean"
    if kind.startswith(("int", "uint")):
        return "cr:Int64" if kind.endswith("64") else "sc:Integer"
    return "sc:Float" if kind.startswith(("float", "double", "halffloat")) else "sc:Text"
