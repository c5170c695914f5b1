"""``narrows search``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli.console import aligned, print_json, print_lines, print_written
from narrows.cli.file_names import PICTURE_ENDINGS
from narrows.cli.inputs import check_file_output, check_record, load_model, open_data
from narrows.cli.options import data_options, write_options
from narrows.cli.outputs import READS, WRITES, Verb, split_record
from narrows.io.text import shown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.uses import SearchIndex
    from narrows.uses.search.results import Found

__all__ = ["search"]

_TABLES = (".csv", ".json")
_NEIGHBOURS = 10
_SHOWN, _DRAWN = 5, 20  # queries whose neighbours are printed, and drawn

EPILOG = """
A QUERY is a file, a name of data, one of their records, DATA#INDEX, or a record of the index itself, #INDEX, which
needs no model. All records of a file are queries. Several can be given.

The name of an output decides what it is: .csv and .json are all neighbours with their distances, names and labels, a
.png, .svg or .pdf picture shows each query and its neighbours. Neighbours in an archive are restored for it; of an
index, which holds no records, they are restored from the codes.

\b
  narrows search mnist:test#0 -i digits.index -m digits.safetensors
  narrows search mnist:test#0 mnist:test#1 -i digits.narrows -m digits.safetensors -o sheet.png
  narrows search '#17' -i digits.narrows -k 5 --label 7
"""


@click.command(cls=Verb, epilog=EPILOG)
@click.argument("queries", type=READS, metavar="QUERY...", nargs=-1, required=True)
@click.option(
    "-i", "--index", type=READS, required=True, metavar="INDEX", help="An index of `narrows index`, or an archive."
)
@click.option(
    "-m",
    "--model",
    type=READS,
    metavar="MODEL",
    help="The model that INDEX was made with; not needed if it is in the folder of INDEX.",
)
@click.option(
    "-k",
    type=click.IntRange(1),
    metavar="N",
    help="Neighbours of a query.  [default: 10, or all records if there are fewer]",
)
@click.option(
    "-o", "--output", type=WRITES, metavar="OUT", help="Output: a path that ends in .png, .svg, .pdf, .csv or .json."
)
@click.option("--label", metavar="LABEL", help="Search only records with this label.")
@click.option(
    "--noise", type=float, metavar="X", help="Add this noise to the queries first, as `narrows denoise` does."
)
@click.option("--mask", type=float, metavar="SHARE", help="Hide this share of the values of the queries first.")
@click.option("--denoise", is_flag=True, help="Let the model remove noise from the queries before they are encoded.")
@click.option("--seed", type=int, metavar="N", help="Seed of noise and of hidden values.  [default: 0]")
@data_options
@write_options
def search(
    *,
    queries: tuple[str, ...],
    index: str,
    model: str | None,
    k: int | None,
    output: str | None,
    label: str | None,
    noise: float | None,
    mask: float | None,
    denoise: bool,
    seed: int | None,
    limit: int | None,
    reading: dict[str, Any],
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Find the records of INDEX that are most like each QUERY, by the distances of their codes."""
    if output is not None:
        _check_output(output, force=force)
    items = _items(queries, is_changed=noise is not None or mask is not None or denoise)
    if seed is not None and noise is None and mask is None:
        raise click.UsageError("--seed has an effect only with --noise or --mask. Leave it out.")

    from narrows.uses import SearchIndex

    found_in = SearchIndex.load(index, None if model is None else load_model(model))
    if k is None:
        k = min(_NEIGHBOURS, max(found_in.count(label), 1))
    if items is not None:
        found, values = _of_items(found_in, queries, items, k, label), None
    else:
        model_of_queries = found_in.needed_model()
        source, names = _opened(queries, model_of_queries, limit, reading, quiet=quiet)
        source = _changed(model_of_queries, source, noise, mask, seed or 0)
        found, values = _of_records(found_in, source, names, k, label, denoise=denoise), source.values
    if output is not None:
        _write(output, found_in, found, values, force=force)
    _print(found_in, found, output, index, k, as_json=as_json)


def _items(queries: Sequence[str], *, is_changed: bool) -> list[int] | None:
    """Return the numbers of queries ``#INDEX``, records of the index itself; None if they are other records.

    Raises
    ------
    click.UsageError
        If some are and some are not, or if records of the index are to be changed first.
    """
    of_index = [query.startswith("#") and query[1:].isdecimal() and not Path(query).exists() for query in queries]
    if not any(of_index):
        return None
    if not all(of_index):
        raise click.UsageError("Records of the index itself, #INDEX, and other queries cannot be given together.")
    if is_changed:
        raise click.UsageError(
            "--noise, --mask and --denoise change records before they are encoded, and #INDEX is a code of the index. "
            "Give the record itself, DATA#INDEX."
        )
    return [int(query[1:]) for query in queries]


def _of_items(found_in: SearchIndex, queries: Sequence[str], items: Sequence[int], k: int, label: str | None) -> Found:
    """Return the neighbours of records of the index itself."""
    from narrows.errors import InvalidParameterError
    from narrows.uses.search.results import Found

    try:
        distances, indices = found_in.query_items(items, k, label=label)
    except IndexError as error:
        raise InvalidParameterError(str(error)) from None
    labels = None if found_in.items.labels is None else [found_in.items.label(item) for item in items]
    return Found(queries, distances, indices, found_in.items, labels)


def _of_records(
    found_in: SearchIndex, source: Source, names: Sequence[str], k: int, label: str | None, *, denoise: bool
) -> Found:
    """Return the neighbours of records, which have these names in the output."""
    from narrows.uses.search.results import Found

    distances, indices = found_in.query(source, k, label=label, denoise=denoise)
    given = source.named_labels
    return Found(names, distances, indices, found_in.items, None if given is None else given.tolist())


def _check_output(output: str, *, force: bool) -> None:
    if not output.lower().endswith((*PICTURE_ENDINGS, *_TABLES)):
        raise click.UsageError(
            f"The output must be a picture ({', '.join(PICTURE_ENDINGS)}) or a table ({', '.join(_TABLES)}). "
            f"Got '{output}'."
        )
    check_file_output(output, force=force)


def _opened(
    queries: Sequence[str], model: Autoencoder, limit: int | None, reading: dict[str, Any], *, quiet: bool
) -> tuple[Source, list[str]]:
    """Return the records of all queries, and what each is called."""
    import numpy as np

    from narrows.data import Source
    from narrows.errors import DataError

    sources, names = [], []
    for query in queries:
        where, at = split_record(query)
        n = limit if at is None else at + 1
        source = open_data(where, shape=model.shape_, limit=n, quiet=quiet, **reading)
        if at is not None:
            check_record(source, at, query)
        source = model.records_of(source)
        source = source.take(np.arange(len(source)) if at is None else [at])
        sources.append(source)
        numbered = len(source) > 1 and source.files is None
        names += (
            [query] if len(source) == 1 else
            [f"{where}#{i}" if numbered else str(name) for i, name in enumerate(source.files or range(len(source)))]
        )  # fmt: skip
    if len(sources) == 1:
        return sources[0], names
    shapes = {source.shape for source in sources}
    if len(shapes) > 1:
        raise DataError(f"The queries must be of one shape. Got {' and '.join(map(str, sorted(shapes)))}.")
    labels = None
    if all(source.named_labels is not None for source in sources):
        labels = np.concatenate([np.asarray(source.named_labels) for source in sources])
    values = np.concatenate([source.values for source in sources])
    return Source(values, labels, name="the queries", record=sources[0].record), names


def _changed(model: Autoencoder, source: Source, noise: float | None, mask: float | None, seed: int) -> Source:
    """Return queries with noise, and with hidden values."""
    from narrows.cli.text import refuse_text
    from narrows.evaluation.denoising import add_noise
    from narrows.uses.search.queries import hide_values

    if noise is not None:
        refuse_text(model, "search --noise", "Partial texts: narrows search --mask.")
        source = replace(source, values=add_noise(model, source.values, noise, seed))
    if mask is not None:
        source = replace(source, values=hide_values(model, source.values, mask, seed))
    return source


def _write(output: str, found_in: SearchIndex, found: Found, values: NDArray[Any] | None, *, force: bool) -> None:
    if output.lower().endswith(_TABLES):
        found.write(output, force=force)
        return
    from narrows import pictures
    from narrows.evaluation.neighbours import draw_neighbours

    pictures.save(draw_neighbours(found_in, found, values, n=_DRAWN), output, force=force)


def _print(found_in: SearchIndex, found: Found, output: str | None, index: str, k: int, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "index": index,
                "records": len(found_in),
                "k": k,
                "weights": found_in.metric.weights,
                "precision": found.precision,
                "path": output,
                "queries": found.to_json(),
            }
        )
        return
    has_labels, has_names = found.items.labels is not None, found.items.names is not None
    rows = [("query", "", "record", "distance", *(["label"] if has_labels else []), *(["name"] if has_names else []))]
    for i, query in enumerate(found.queries[:_SHOWN]):
        for rank, one in enumerate(found.neighbours(i), start=1):
            label = [] if not has_labels else ["" if one["label"] is None else str(one["label"])]
            name = [] if not has_names else [shown_name(one["name"] or "")]
            shown = (query if rank == 1 else "", str(rank), f"{one['index']}", f"{one['distance']:.4g}")
            rows.append((*shown, *label, *name))
    n_left = len(found.queries) - _SHOWN
    lines = aligned(rows, right=[1, 2, 3])
    if n_left > 0:
        lines += ["", f"and those of {n_left:,} more; -o OUT.csv writes all"]
    if found.precision is not None:
        lines += ["", f"{100 * found.precision:.1f} % of the neighbours have the label of their query"]
    if output is None:
        print_lines(*lines)
    else:
        print_written(output, "", *lines)
