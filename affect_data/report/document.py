"""A report as one HTML file, which loads and runs nothing."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Final

from affect_data.report.drawing import dark_rules
from affect_data.report.html import Section, escape

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page loads and runs nothing; this makes the browser enforce it."""


def document(title: str, facts: str, sections: Sequence[Section]) -> str:
    """The report, a whole HTML document.

    Args:
        title: heading, and title of the window.
        facts: what stands below the heading.
        sections: in order.
    """
    name = escape(title)
    style = (files("affect_data.report") / "report.css").read_text(encoding="utf-8")
    links = "".join(f'<li><a href="#{escape(section.anchor)}">{escape(section.title)}</a></li>' for section in sections)
    body = "\n".join(section.to_html(number) for number, section in enumerate(sections, start=1))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{name}</title>\n'
        f"<style>\n{style}{dark_rules()}</style>\n</head>\n<body>\n<header>\n<h1>{name}</h1>\n<p>{escape(facts)}</p>\n</header>\n"
        f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n<main>\n{body}</main>\n</body>\n</html>\n'
    )
