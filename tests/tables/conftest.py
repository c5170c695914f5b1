"""A table of orders, its archive of several groups, and a caller of the command line."""

import pytest
from click.testing import CliRunner

from narrows.archive.table_writer import compress_table
from narrows.cli import main
from narrows.data.tables.opening import open_csv

COUNTRIES = ["Peru", "Chile", "Kenya"]
HEAD = "id,when,country,amount,price,note,paid\n"


def order(i):
    price = f"{(i * 37 % 1000) / 100:.2f}" if i % 11 else "NA"
    note = '"late, but ""fine"""' if i % 50 == 7 else f"note {i * 7919 % 100003:x}"
    cells = [f"{i:05}", f"2024-03-{i % 28 + 1:02}", COUNTRIES[i * i % 3], f"{i * 13 % 17}", price, note, f"{i % 3 > 0}"]
    return ",".join(cells) + "\n"


@pytest.fixture(scope="session")
def orders(tmp_path_factory):
    """The path of a CSV file with 160 rows."""
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    path.write_text(HEAD + "".join(order(i) for i in range(160)))
    return path


@pytest.fixture(scope="session")
def archive(orders):
    """The path of its archive, in groups of 32 rows."""
    path = orders.with_name("orders.narrows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.archive.table_writer._GROUP_BYTES", 32 * 50)
        compress_table(open_csv(orders), path)
    return path


@pytest.fixture(scope="session")
def small(orders):
    """The path of a CSV file with 30 rows of three columns."""
    path = orders.with_name("small.csv")
    rows = [line.split(",") for line in orders.read_text().splitlines()[:31]]
    path.write_text("".join(f"{row[0]},{row[2]},{row[4]}\n" for row in rows))
    return path


@pytest.fixture
def narrows_call():
    """Return a caller of the command line, which returns what is printed."""

    def call(*arguments, code=0):
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    return call
