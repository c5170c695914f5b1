"""Search: the records of an index or an archive whose codes are nearest to those of a query."""
