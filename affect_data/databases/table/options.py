"""What a data recipe says of a database of the user's own: where its rows are, what its columns mean, and what may be done with it."""

from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from affect_data.databases.licence import Tier
from affect_data.databases.table.columns import Columns
from affect_data.databases.table.sections import Section, Text, list_or_mapping
from affect_data.databases.voting import VotingOptions


class DatasetPlace(Section):
    """A Hugging Face dataset. It lies in the root, if one is named for the entry; otherwise it is downloaded."""

    path: Text | None = Field(None, description="the dataset of the Hub, `owner/name`")
    configuration: Text | None = Field(
        None, description="which configuration of the dataset; the default one by default"
    )
    revision: Text | None = Field(None, description="a branch, tag or commit of the Hub")


class OwnLicence(Section):
    """What may be done with the data, as its owner states it."""

    terms: str = Field("not stated", description="the essence in one line")
    publishes: Tier = Field(Tier.RECIPE, description="the loosest tier that is allowed")
    url: str = Field("", description="of the terms")
    read_on: str = Field(
        "", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="the date on which the terms were read, YYYY-MM-DD"
    )
    source: str = Field(
        "", description="what was read, such as an agreement that you signed, or that the data is yours"
    )

    @model_validator(mode="after")
    def _is_read(self) -> Self:
        if self.publishes is not Tier.RECIPE and not (self.read_on and self.source):
            raise ValueError(
                f"publishes {self.publishes} by terms that nobody read; say `read_on` and `source`, what was read and when"
            )
        return self


class TableOptions(VotingOptions):
    """What a data recipe says of a database of the user's own."""

    reader: Literal["table"] = Field("table", description="what makes an entry one of own data")
    file: (
        Annotated[
            Annotated[Text, Tag("list")] | Annotated[dict[Text, Text], Tag("mapping")], Discriminator(list_or_mapping)
        ]
        | None
    ) = Field(None, description="the table, or one for each split: csv, tsv, json lines, parquet or xlsx")
    separator: Text | None = Field(None, description="between the fields of a text; by default as its header shows")
    sheet: Text | None = Field(None, description="of a workbook with several")
    class_folders: Text | None = Field(
        None,
        description="the folder that holds a folder of pictures for each class, or one of these for each split; `.` is the root",
    )
    dataset: DatasetPlace | None = Field(None, description="a Hugging Face dataset")
    columns: Columns = Columns()
    title: Text | None = Field(None, description="what cards and reports call it; by default the name of the entry")
    homepage: str = Field("", description="where people find it")
    citation: str = Field("", description="a BibTeX entry")
    licence: OwnLicence = OwnLicence()
    family: Text | None = Field(
        None,
        description="shared by databases with the same pictures or people, such as `disfa`; by default the entry's name",
    )

    @model_validator(mode="after")
    def _is_one_source(self) -> Self:
        sources = [name for name in ("file", "class_folders", "dataset") if getattr(self, name) is not None]
        if len(sources) != 1:
            found = " and ".join(sources) or "none"
            raise ValueError(f"found {found} of file, class_folders and dataset; name the one that holds the rows")
        for path in (*self.files().values(), self.class_folders or ""):
            if path.startswith(("/", "~")) or ".." in path.split("/") or "\\" in path or path[1:2] == ":":
                raise ValueError(f"'{path}' leaves the root; name a path relative to it, the root is named by --root")
        if not self.columns.tasks() and self.class_folders is None:
            raise ValueError("columns names no label; `affect-data describe FILE` proposes what to write")
        return self

    @property
    def is_downloaded(self) -> bool:
        """Whether the data is downloaded where no root is named."""
        return self.dataset is not None and self.dataset.path is not None

    def files(self) -> dict[str, str]:
        """The tables by the name of their split; a single one has the name ""."""
        return dict(self.file) if isinstance(self.file, dict) else {"": self.file} if self.file else {}
