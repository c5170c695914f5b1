"""A format: a table of numbers as text, with the names of its columns in the first line."""

from narrows.data.formats import Format
from narrows.errors import CorruptFileError, DataError
from narrows.io.files import write_atomically
from narrows.parts.options import Text, option, optional


class Dat(Format, name="dat"):
    title = ".dat files"
    reads = ".dat files with a line of names"
    target = "a path that ends in .dat"
    label: str | None = option(optional(Text()), "name of the column of labels in a .dat file", default=None)

    @classmethod
    def recognises(cls, path, head):
        return path.suffix.lower() == ".dat"

    def open(self, path, name, *, limit=None, progress=None):
        from pandas import read_csv

        from narrows.data.source import Source

        try:
            table = read_csv(path, nrows=limit)
        except ValueError as error:  # also what pandas raises for malformed tables and wrong encodings
            raise CorruptFileError(f"{name} is not a table with a line of names: {error}.") from error
        if self.label is not None and self.label not in table:
            raise CorruptFileError(f"{name} has no column '{self.label}'. It has: {', '.join(table)}.")
        labels = None if self.label is None else table.pop(self.label).to_numpy()
        if text := list(table.select_dtypes(exclude=["number", "bool"])):
            raise DataError(f"{name} has columns that are not numbers: {', '.join(text)}. Remove them.")
        return Source(table.to_numpy(), labels, name=name, kind="dat")

    @classmethod
    def is_target(cls, path, *, is_folder):
        return not is_folder and path.suffix.lower() == ".dat"

    @classmethod
    def write(cls, path, records, *, force):
        from numpy import concatenate, savetxt

        values = concatenate(list(records.pieces))
        how = {"delimiter": ",", "header": ",".join(f"x{i}" for i in range(values.shape[1])), "comments": ""}
        write_atomically(path, lambda file: savetxt(file, values, **how), force=force)
