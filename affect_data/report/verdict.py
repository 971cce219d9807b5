"""A verdict, and the section that lists verdicts: what is wrong, what that means, what to do."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from affect_data.audit.base import Severity
from affect_data.report.html import Markup, Section, paragraph, with_code

RANKS: Final = tuple(Severity)
"""The kinds of verdicts, most serious first."""

BADGES: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.REVIEW: "look"}


@dataclass(frozen=True)
class Verdict:
    """One thing to know before a dataset, or a run, is used.

    Attributes:
        severity: error: a rule that always holds is broken; warning: wrong in most cases; review: a person should look.
        what: is wrong.
        means: why it matters.
        do: what to do about it, with a command between backticks, in which words in capitals may stand for names.
    """

    severity: Severity
    what: str
    means: str
    do: str

    def to_html(self, names: Mapping[str, str]) -> str:
        """The verdict as an item of a list; its command has names as a shell takes them in place of words."""
        badge = f'<span class="badge {self.severity}">{BADGES[self.severity]}</span>'
        what, means, do = (with_code(text).text for text in (self.what, self.means, self.command(names)))
        return f'<li><p class="what">{badge} {what}</p><p>{means}</p><p class="do"><b>To do:</b> {do}</p></li>'

    def command(self, names: Mapping[str, str]) -> str:
        """What to do, with the names in place of their words."""
        do = self.do
        for word, name in names.items():
            do = do.replace(word, shlex.quote(name))
        return do


def verdict_section(verdicts: Sequence[Verdict], names: Mapping[str, str], clean: str) -> Section:
    """The section, most serious verdicts first.

    Args:
        verdicts: in any order.
        names: what stands in commands in place of words.
        clean: said if there is no verdict.
    """
    if not verdicts:
        return Section("verdicts", "Verdicts", (paragraph(clean),))
    ranked = sorted(verdicts, key=lambda one: RANKS.index(one.severity))
    counts = {severity: sum(one.severity is severity for one in ranked) for severity in RANKS}
    told = ", ".join(f"{count} of kind '{BADGES[severity]}'" for severity, count in counts.items() if count)
    summary = (
        f"{told}. Errors break a rule that always holds, warnings are wrong in most cases, the rest is worth a look."
    )
    items = "\n".join(one.to_html(names) for one in ranked)
    parts = (paragraph(summary, quiet=True), Markup(f'<ol class="verdicts">{items}</ol>'))
    return Section("verdicts", "Verdicts", parts)
