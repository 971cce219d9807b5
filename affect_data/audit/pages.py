"""Writes a section for each audit into docs/audits.md: ``python -m affect_data.audit.pages``, run in the repository's root."""

from pathlib import Path
from typing import Final

from affect_data.audit.registry import AUDITS
from affect_data.pages import with_part

PAGE: Final = Path("docs/audits.md")


def audits_page(page: str) -> str:
    """The page with a section for each audit, in the order of the registry, between the lines ``<!-- checks -->`` and ``<!-- /checks -->``."""
    sections = [
        f"### `{audit.name}`: {audit.title}\n\n- Severity: {audit.severity.value}\n- Rule: {audit.rule}.\n"
        f"- Source: {audit.source}.\n- Example: {audit.example}."
        for audit in AUDITS.values()
    ]
    return with_part(page, "checks", "\n\n".join(sections))


if __name__ == "__main__":
    PAGE.write_text(audits_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
