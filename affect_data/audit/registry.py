"""The audits, by name. Adding one takes its module and one line here."""

from affect_data.audit.annotation_tool import AnnotationTool
from affect_data.audit.annotators import AnnotatorDisagreement
from affect_data.audit.au_expression import ActionUnitExpression
from affect_data.audit.au_va import ActionUnitValence
from affect_data.audit.base import Audit
from affect_data.audit.codes import Codes, Scale
from affect_data.audit.duplicates import Duplicates
from affect_data.audit.embedding_duplicates import EmbeddingDuplicates
from affect_data.audit.expression_va import ExpressionValenceArousal
from affect_data.audit.face_boxes import FaceBoxes, MixedCrops
from affect_data.audit.face_count import FaceCount
from affect_data.audit.face_quality import FaceQuality, GreyAsColour
from affect_data.audit.label_errors import LabelErrors
from affect_data.audit.leakage import Leakage
from affect_data.audit.occurrence_intensity import OccurrenceIntensity
from affect_data.audit.pain import PainIdentity
from affect_data.audit.teacher import TeacherDisagreement
from affect_data.audit.temporal import ConstantRuns, Flicker, Jumps
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
        FaceCount,
    )
}


def audit_named(name: str) -> type[Audit]:
    """The audit that is registered under `name`.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in AUDITS:
        raise UnknownNameError("check", name, AUDITS)
    return AUDITS[name]
