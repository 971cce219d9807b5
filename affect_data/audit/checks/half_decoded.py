"""Finds pictures of which a part was lost before they came into the dataset: Pillow decodes them, and a part is only grey."""

from typing import Final

import numpy as np
import polars as pl

from affect_data.audit.base import Audit, AuditedDataset, Severity, findings
from affect_data.audit.pictures.facts import PictureJob, distinct_pictures, picture_jobs, stored_pictures
from affect_data.pictures import examine
from affect_data.processes import map_jobs

LEFT_OVER: Final = "extraneous bytes"
"""What the decoder says if bytes are left over: some cameras and programs write such files, and nothing may be lost."""


class HalfDecoded(Audit):
    """Damaged JPEGs that Pillow accepts."""

    name = "half_decoded"
    title = "pictures of which a part is lost"
    severity = Severity.WARNING
    rule = (
        "Pillow decodes the JPEG, but libjpeg-turbo, which refuses what is damaged, does not: data ends too soon, or is no JPEG data. Of clips, the "
        "middle frame is looked at. Score: 1; 0.5 and only for review if it found bytes that are left over"
    )
    source = (
        "Pillow 13 accepts 25 of 25 JPEGs that were cut at a random place and ended properly; what is missing is grey"
    )
    example = '`{"decoder":"Corrupt JPEG data: premature end of data segment"}`: the lower half of a face is grey'

    def find(self, dataset: AuditedDataset) -> pl.DataFrame:
        """One finding for every row."""
        of_row, first = distinct_pictures(dataset.digests)
        jobs = list(picture_jobs(dataset.folder, first, dataset.face_boxes))
        damage = [""] * len(first)
        starts, start = [], 0
        for job in jobs:
            starts.append(start)
            start += len(job.rows)
        for done, (order, found) in enumerate(map_jobs(_damage, jobs, dataset.workers), start=1):
            damage[starts[order] : starts[order] + len(found)] = found
            dataset.progress("looking for damage", done, len(jobs))
        damaged = np.flatnonzero(np.array([bool(told) for told in damage])[of_row])
        told = [damage[picture] for picture in of_row[damaged]]
        rows = dataset.identified(pl.DataFrame({"row": damaged, "decoder": pl.Series(told, dtype=pl.String)}))
        harmless = pl.col("decoder").str.contains(LEFT_OVER, literal=True)
        severity = pl.when(harmless).then(pl.lit(Severity.REVIEW.value)).otherwise(pl.lit(self.severity.value))
        score = pl.when(harmless).then(0.5).otherwise(1.0)
        return findings(rows, score, severity, {"decoder": pl.col("decoder")})


def _damage(job: PictureJob) -> tuple[int, list[str]]:
    """The order of the job, and what the decoder says of each of its pictures."""
    return job.order, [examine(data).damage for data in stored_pictures(job)]
