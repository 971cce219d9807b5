"""Studies: one chain of commands run for several seeds, the figures that the commands print, and claims about these figures."""

from affect_train.study.claims import Finding, Verdict, findings
from affect_train.study.description import Study, read_study
from affect_train.study.execution import run_study
from affect_train.study.tables import papers_page, read_result, study_page

__all__ = [
    "Finding",
    "Study",
    "Verdict",
    "findings",
    "papers_page",
    "read_result",
    "read_study",
    "run_study",
    "study_page",
]
