"""Writes what native files lack into docs/native-files.md: ``python -m affect_data.exporting.pages``, run in the repository's root."""

from pathlib import Path
from typing import Final

from affect_data.exporting.native import NATIVE_FORMS
from affect_data.pages import with_part

PAGE: Final = Path("docs/native-files.md")


def native_page(page: str) -> str:
    """The page with a row for each database between the lines ``<!-- losses -->`` and ``<!-- /losses -->``."""
    lines = ["| database | releases | not in the files |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {', '.join(form.releases) or 'all'} | {'; '.join(form.losses)} |"
        for name, form in NATIVE_FORMS.items()
    ]
    return with_part(page, "losses", "\n".join(lines))


if __name__ == "__main__":
    PAGE.write_text(native_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
