"""What the page of a review asks: items, pictures, decisions."""

from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.routing import Route

from affect_data.corrections.decisions import Labels
from affect_data.errors import DataError
from affect_data.review.session import DecidedMeanwhileError, ReviewSession
from affect_data.serving import Asked, RefusedError, assets, route
from affect_data.vocabulary import ACTION_UNIT_NAMES, COMPOUND_EXPRESSIONS, EXPRESSIONS


class _Choice(BaseModel):
    """The page's request to record a decision."""

    model_config = ConfigDict(extra="forbid")

    index: int
    action: str = Field(pattern="^(keep|change|skip)$")
    new: Labels = Labels()
    why: str = Field("", max_length=2000)
    seen: str = ""


class _Undo(BaseModel):
    """The page's request to take a decision back."""

    id: str


def review_routes(session: ReviewSession) -> list[Route]:
    """The routes of a page that reviews."""

    def overview(_: Asked) -> dict[str, Any]:
        names = {"expressions": EXPRESSIONS, "compound_expressions": COMPOUND_EXPRESSIONS}
        return {**session.overview(), **names, "action_units": dict(ACTION_UNIT_NAMES)}

    def item(asked: Asked) -> dict[str, Any]:
        return session.item(_known(session, asked.path["index"]))

    def picture(asked: Asked) -> Response:
        split, row, size = (asked.path[name] for name in ("split", "row", "size"))
        data = session.picture(split, row, size, whole="whole" in asked.query)
        if data is None:
            raise RefusedError(404, "the dataset holds no picture of this row")
        return Response(data, media_type="image/jpeg")

    def decide(asked: Asked) -> dict[str, Any]:
        choice = _Choice.model_validate_json(asked.body)
        if not 0 <= choice.index < len(session.queue):
            raise DataError("no such item")
        try:
            made = session.decide(choice.index, choice.action, choice.new, choice.why, choice.seen)
        except DecidedMeanwhileError as error:
            raise RefusedError(409, str(error)) from None
        return {"id": made.id, "next": session.next_open(choice.index)}

    def undo(asked: Asked) -> dict[str, Any]:
        undone = session.undo(_Undo.model_validate_json(asked.body).id)
        return {"index": session.index_of(undone.uid, undone.split)}

    return [
        *assets(files("affect_data.review") / "page"),
        route("/overview", overview),
        route("/next", lambda asked: {"next": session.next_open(int(asked.query["after"]))}),
        route("/item/{index:int}", item),
        route("/picture/{split}/{row:int}/{size:int}", picture),
        route("/decide", decide, post=True),
        route("/undo", undo, post=True),
    ]


def _known(session: ReviewSession, index: int) -> int:
    if not 0 <= index < len(session.queue):
        raise RefusedError(404, "no such item")
    return index
