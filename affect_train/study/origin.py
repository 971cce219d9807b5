"""Where figures come from: the commit of the code, and the study as it was when its first seed started."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, Final

from affect_data.bounds import read_json
from affect_data.environment import own_version
from affect_data.files import write_json
from affect_train.study.description import Study

STARTED: Final = "started.json"
"""The study as it was when its first seed started, in its folder."""


def commit() -> str:
    """The commit of the code that runs, ``+`` behind it if files were changed since; the version where the code is in no repository."""
    folder = Path(__file__).parent
    try:
        asked = [
            subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (
                ("rev-parse", "--short=10", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no", "--", ".."),
            )
        ]
    except (OSError, subprocess.CalledProcessError):
        return f"version {own_version()}"
    return asked[0] + ("+" if asked[1] else "")


def digest_of(study: Study) -> str:
    """The sha256 of a study with what was set on the command line, hexadecimal."""
    return hashlib.sha256(json.dumps(study.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def note_start(study: Study, out: Path) -> dict[str, Any]:
    """The study as it was when the first seed started, noted now if none has; and what of it has changed since.

    Keys: ``digest`` (that of the start), ``changed``: in words, such as ``claims: 2 added``.
    """
    path = out / STARTED
    if not path.exists():
        write_json(path, {"digest": digest_of(study), "study": study.model_dump(mode="json")})
    started = read_json(path)
    return {"digest": started["digest"], "changed": changes(started["study"], study.model_dump(mode="json"))}


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """How a study differs from what it was, section by section."""
    found = []
    for section in now:
        old, new = _parts(before.get(section)), _parts(now[section])
        counts = {
            "added": len(new.keys() - old.keys()),
            "removed": len(old.keys() - new.keys()),
            "changed": sum(old[name] != new[name] for name in old.keys() & new.keys()),
        }
        told = [f"{count} {what}" for what, count in counts.items() if count]
        if told:
            found.append(f"{section}: {', '.join(told)}")
    return found


def _parts(section: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The parts of a section by name; those of a list by their own content, or a claim's words."""
    if isinstance(section, dict):
        return section
    if isinstance(section, list):
        return {part["claim"] if isinstance(part, dict) else str(part): part for part in section}
    return {"": section}
