"""The names of rows and columns, and which vectors a name has."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from exact2vec.counts.kinds import TEXT, Kind
from exact2vec.errors import UsageError
from exact2vec.vectors.queries import Which, check_which

OF_BOTH = ("embedding", "sum")  # made of the input and the output vector of a name


@dataclass(frozen=True)
class Axes:
    """The names of the columns, and those of the rows; `rows` is None where they are the same.

    The `kind` says what they are called.

    >>> axes = Axes(["tea", "milk"], ["ann", "bob", "cy"])
    >>> axes.default_which(["ann", "cy"]), axes.default_which(["tea"])
    ('inputs', 'outputs')
    """

    columns: list[str]
    rows: list[str] | None = None
    kind: Kind = TEXT

    @property
    def square(self) -> bool:
        return self.rows is None

    @cached_property
    def column_places(self) -> dict[str, int]:
        """The number of each column."""
        return {name: number for number, name in enumerate(self.columns)}

    @cached_property
    def row_places(self) -> dict[str, int]:
        """The number of each row."""
        if self.rows is None:
            return self.column_places
        return {name: number for number, name in enumerate(self.rows)}

    @property
    def row_names(self) -> list[str]:
        return self.columns if self.rows is None else self.rows

    def names(self, which: str) -> list[str]:
        """The names that such vectors belong to."""
        return self.columns if which == "outputs" else self.row_names

    def places(self, which: str) -> dict[str, int]:
        """The number of each of these names."""
        return self.column_places if which == "outputs" else self.row_places

    @property
    def row_noun(self) -> str:
        """What the names of rows are called."""
        return self.kind.many if self.square else "rows"

    @property
    def size(self) -> str:
        """How many names there are, in words."""
        if self.rows is None:
            return self.kind.number(len(self.columns))
        return f"{len(self.rows):,} rows, {len(self.columns):,} columns"

    def check_which(self, which: str) -> None:
        """UsageError for vectors that there are none of."""
        check_which(which)
        if which in OF_BOTH and not self.square:
            raise UsageError(
                f"which={which!r} needs both vectors of a name, and these rows and columns are not "
                f"the same ({self.size}): give which='inputs' for rows (--which inputs), "
                "'outputs' for columns"
            )

    def default_which(self, names: Sequence[str], more_rows: Collection[str] = ()) -> Which:
        """The vectors that these names have: the embedding where every row is a column.

        Otherwise the inputs of rows and the outputs of columns. A name that is neither may be a
        row that can be composed. `more_rows` are those that were folded in.
        """
        if self.square:
            return "embedding"
        columns = [name for name in names if name in self.column_places]
        rows = [name for name in names if name in self.row_places or name in more_rows]
        for name in columns:
            if name in rows:
                raise UsageError(
                    f"{name!r} is the name of a row and of a column: "
                    "give which='inputs' for the row (--which inputs), 'outputs' for the column"
                )
        if columns and len(columns) < len(names):
            other = next(name for name in names if name not in columns)
            raise UsageError(
                f"{columns[0]!r} is a column and {other!r} is none; vectors of rows and of columns "
                "do not compare: ask for p(column | row) instead (predict_output_word, --given)"
            )
        return "outputs" if columns else "inputs"
