"""The audits, by name. A new audit takes its module and a line here."""

from affect_data.audit.base import Audit
from affect_data.audit.checks.annotation_tool import AnnotationTool
from affect_data.audit.checks.annotators import AnnotatorDisagreement
from affect_data.audit.checks.au_expression import ActionUnitExpression
from affect_data.audit.checks.au_va import ActionUnitValence
from affect_data.audit.checks.codes import Codes, Scale
from affect_data.audit.checks.duplicates import Duplicates
from affect_data.audit.checks.embedding_duplicates import EmbeddingDuplicates
from affect_data.audit.checks.expression_va import ExpressionValenceArousal
from affect_data.audit.checks.face_agreement import FaceAgreement
from affect_data.audit.checks.face_boxes import FaceBoxes, MixedCrops
from affect_data.audit.checks.face_count import FaceCount
from affect_data.audit.checks.face_quality import FaceQuality, GreyAsColour
from affect_data.audit.checks.half_decoded import HalfDecoded
from affect_data.audit.checks.label_errors import LabelErrors
from affect_data.audit.checks.leakage import Leakage
from affect_data.audit.checks.occurrence_intensity import OccurrenceIntensity
from affect_data.audit.checks.pain import PainIdentity
from affect_data.audit.checks.teacher import TeacherDisagreement
from affect_data.audit.checks.temporal import ConstantRuns, Flicker, Jumps
from affect_data.errors import UnknownNameError

AUDITS: dict[str, type[Audit]] = {
    audit.name: audit
    for audit in (
        Codes,
        Scale,
        Leakage,
        PainIdentity,
        OccurrenceIntensity,
        AnnotationTool,
        ExpressionValenceArousal,
        ActionUnitExpression,
        ActionUnitValence,
        Jumps,
        ConstantRuns,
        Flicker,
        AnnotatorDisagreement,
        LabelErrors,
        TeacherDisagreement,
        Duplicates,
        EmbeddingDuplicates,
        FaceBoxes,
        MixedCrops,
        FaceQuality,
        GreyAsColour,
        HalfDecoded,
        FaceCount,
        FaceAgreement,
    )
}


def audit_named(name: str) -> type[Audit]:
    """The audit that is registered under `name`.

    Raises:
        UnknownNameError: there is no such audit.
    """
    if name not in AUDITS:
        raise UnknownNameError("check", name, AUDITS)
    return AUDITS[name]
