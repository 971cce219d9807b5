"""What the page asks: views with counts, parts of the grid, faces, pictures, decisions."""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final
from urllib.parse import parse_qsl

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.routing import Route

from affect_data.audit.export import kept_in
from affect_data.audit.registry import AUDITS
from affect_data.corrections.decisions import Labels
from affect_data.dataset.folder import DatasetFolder
from affect_data.dataset.thumbnail_cache import SIZE, ThumbnailCache
from affect_data.errors import DataError, UnknownNameError
from affect_data.serving import Asked, RefusedError, assets, route
from affect_data.viewing.desk import MOST_AT_ONCE, Decided, DecidedMeanwhileError, Desk, Wish
from affect_data.viewing.engine import Engine
from affect_data.viewing.evidence import SEVERITIES
from affect_data.viewing.faces import Faces
from affect_data.viewing.filters import STATES, View, labelled_tasks, orders, view_of
from affect_data.viewing.glance import at_a_glance
from affect_data.viewing.table import CELLS
from affect_data.vocabulary import ACTION_UNIT_NAMES, COMPOUND_EXPRESSIONS, EXPRESSIONS

ROWS_AT_ONCE: Final = 600
FACES_OF_A_STRIP: Final = 48

POINTS_OF_A_MAP: Final = 20_000

_NOT_FILTERS: Final = ("start", "count", "row", "uid", "after", "name", "colour")
_COLOURED_BY: Final = {"expression": "expression", "database": "database", "finding": "severity"}


class _Choice(BaseModel):
    """The page's request to decide about rows: named ones, or all of a view that has as many rows as the page has seen."""

    model_config = ConfigDict(extra="forbid")

    rows: list[int] = []
    view: str = ""
    expected: int = 0
    version: int = 0
    action: str = Field(pattern="^(keep|change|skip)$")
    new: Labels = Labels()
    why: str = Field("", max_length=2000)
    seen: dict[int, str] = {}


class _Undo(BaseModel):
    """The page's request to take a decision back, or many that were made at once."""

    id: str


class Page:
    """Answers what the page of one dataset asks; several threads may ask.

    Args:
        desk: of the dataset, with its table.
        start: the filters with which the page begins, as they stand in its address.
        review: whether the page begins with the first face about which nothing is decided, large.
        skipped: uids that were named and are not in the dataset.
    """

    def __init__(self, desk: Desk, start: str = "", *, review: bool = False, skipped: int = 0) -> None:
        self.desk, self.table, self.start, self.review, self.skipped = desk, desk.table, start, review, skipped
        self.engine = Engine(self.table, desk.states)
        self.faces = Faces(desk)
        self.thumbnails = ThumbnailCache(desk.folder, _boxes(desk.folder))
        self._tasks = labelled_tasks(self.table)
        self._kept_in = sorted(kept_in(desk.folder))

    def routes(self) -> list[Route]:
        """The routes of the page."""
        return [
            *assets(files("affect_data.viewing") / "page"),
            route("/about", self.about),
            route("/view", self.view),
            route("/rows", self.rows),
            route("/map", self.map),
            route("/place", self.place),
            route("/next", self.next),
            route("/shown", self.shown),
            route("/strip", self.strip),
            route("/face/{row:int}", lambda asked: self.faces.describe(asked.path["row"])),
            route("/track/{row:int}", lambda asked: self.faces.time_line(asked.path["row"])),
            route("/picture/{row:int}/{size:int}", self.picture),
            route("/decide", self.decide, post=True),
            route("/undo", self.undo, post=True),
        ]

    def about(self, _: Asked) -> dict[str, Any]:
        """What does not change while the page is open: names, choices, who decides, what may not leave."""
        table = self.table
        checks = {name: AUDITS[name].title if name in AUDITS else name for name in table.checks}
        return {
            "dataset": self.desk.folder.path.name,
            "rows": len(table),
            "start": self.start,
            "review": self.review,
            "tasks": self._tasks,
            "skipped": self.skipped,
            "databases": table.databases,
            "splits": table.splits,
            "expressions": EXPRESSIONS,
            "compounds": COMPOUND_EXPRESSIONS,
            "action_units": {number: ACTION_UNIT_NAMES[number] for number in table.units},
            "severities": SEVERITIES,
            "states": STATES,
            "checks": checks,
            "teachers": table.teachers,
            "orders": list(orders(table)),
            "maps": table.maps.names,
            "cells": CELLS,
            "thumbnail": SIZE,
            "strip": FACES_OF_A_STRIP,
            "most_at_once": MOST_AT_ONCE,
            "not_audited": table.not_audited,
            "kept_in": self._kept_in,
            **self.desk.progress(),
        }

    def view(self, asked: Asked) -> dict[str, Any]:
        """The number of rows of a view and of every choice, and by which the page says what it has seen of decisions."""
        version = self.desk.states()[0]
        return {**self.engine.counts(_view(asked)), **self.desk.progress(), "version": version}

    def rows(self, asked: Asked) -> dict[str, Any]:
        """A part of the grid."""
        start, count = int(asked.query.get("start", 0)), int(asked.query.get("count", 60))
        if start < 0 or not 0 < count <= ROWS_AT_ONCE:
            raise DataError(f"ask for between 1 and {ROWS_AT_ONCE} rows, from 0 on")
        rows = self.engine.rows(_view(asked))
        return {"total": len(rows), "start": start, "rows": self._shown(rows[start : start + count].tolist())}

    def map(self, asked: Asked) -> dict[str, Any]:
        """Where the faces of a view lie on a map, and the code of each face by which it is coloured; of very many, an even part."""
        colour = asked.query["colour"]
        if colour not in _COLOURED_BY:
            raise UnknownNameError("colour", colour, _COLOURED_BY)
        rows = self.engine.rows(_view(asked))
        shown = rows[:: max(1, -(-len(rows) // POINTS_OF_A_MAP))]
        points = self.table.maps.positions(asked.query["name"])[shown]
        codes = self.table.frame[_COLOURED_BY[colour]].gather(shown).fill_null(-1)
        x, y = points.astype(np.float64).round(4).T.tolist()
        return {"of": len(rows), "rows": shown.tolist(), "x": x, "y": y, "codes": codes.to_list()}

    def shown(self, asked: Asked) -> dict[str, Any]:
        """Named rows as the grid shows them."""
        return {"rows": self._shown(self._named(asked, ROWS_AT_ONCE))}

    def place(self, asked: Asked) -> dict[str, Any]:
        """Where a face stands in a view: its row, and its place, or None if the view does not have it."""
        uids = self.table.frame["uid"]
        if "uid" in asked.query:
            found = np.flatnonzero((uids == asked.query["uid"]).to_numpy())
            if not len(found):
                raise RefusedError(404, "the dataset has no face of this uid")
            row = int(found[0])
        else:
            row = int(asked.query["row"])
        at = np.flatnonzero(self.engine.rows(_view(asked)) == row)
        return {"row": row, "place": int(at[0]) if len(at) else None}

    def next(self, asked: Asked) -> dict[str, Any]:
        """The place of the first row of a view after a place, or else from its beginning, about which nothing is decided; None if there is none."""
        rows = self.engine.rows(_view(asked))
        undecided = (self.desk.states()[1].to_numpy() == 0)[rows]
        after = int(asked.query.get("after", -1))
        behind = np.flatnonzero(undecided[after + 1 :])
        if len(behind):
            return {"place": after + 1 + int(behind[0])}
        before = np.flatnonzero(undecided[: after + 1])
        return {"place": int(before[0]) if len(before) else None}

    def strip(self, asked: Asked) -> Response:
        """Small faces side by side."""
        places = [self.table.place(row) for row in self._named(asked, FACES_OF_A_STRIP)]
        return Response(self.thumbnails.strip(places), media_type="image/jpeg")

    def picture(self, asked: Asked) -> Response:
        """One face, or its whole picture."""
        data = self.faces.picture(asked.path["row"], asked.path["size"], whole="whole" in asked.query)
        if data is None:
            raise RefusedError(404, "the dataset holds no picture of this row")
        return Response(data, media_type="image/jpeg")

    def decide(self, asked: Asked) -> dict[str, Any]:
        """Records decisions."""
        choice = _Choice.model_validate_json(asked.body)
        rows: Sequence[int] = choice.rows
        if choice.expected:
            rows = self.engine.rows(view_of(parse_qsl(choice.view))).tolist()
            if len(rows) != choice.expected:
                raise RefusedError(
                    409, f"the view has {len(rows):,} faces by now, not {choice.expected:,}; look at it again"
                )
        seen = self.desk.seen_at(choice.version, rows) if choice.expected else choice.seen
        wish = Wish(choice.action, choice.new, choice.why, self.faces.reasons(rows))
        try:
            made = self.desk.decide(rows, wish, seen)
        except DecidedMeanwhileError as error:
            raise RefusedError(409, str(error)) from None
        return _told(made)

    def undo(self, asked: Asked) -> dict[str, Any]:
        """Takes decisions back."""
        return {"rows": self.desk.undo(_Undo.model_validate_json(asked.body).id)}

    def _named(self, asked: Asked, most: int) -> list[int]:
        rows = [int(part) for part in asked.query["rows"].split(",")]
        if len(rows) > most or not all(0 <= row < len(self.table) for row in rows):
            raise DataError(f"name at most {most} rows of the dataset")
        return rows

    def _shown(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        shown = at_a_glance(self.table, np.array(rows, np.uint32))
        for face in shown:
            decision = self.desk.decision(face["row"])
            if decision is not None:
                face["decided"] = {"id": decision.id, "action": decision.action, "who": decision.who}
        return shown


def _view(asked: Asked) -> View:
    return view_of([pair for pair in asked.query.multi_items() if pair[0] not in _NOT_FILTERS])


def _told(made: Decided) -> dict[str, Any]:
    return {"id": made.id, "decided": len(made.rows), "unchanged": made.unchanged, "meanwhile": made.meanwhile}


def _boxes(folder: DatasetFolder) -> dict[str, Any]:
    boxes = {}
    for split in folder.splits:
        stored = folder.stored_labels(split, ("face_box",))
        boxes[split] = folder.view.table(stored, ("face_box",)).column("face_box")
    return boxes
