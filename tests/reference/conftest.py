"""Most tests here read archives of codes."""

import pytest


@pytest.fixture(autouse=True)
def archives_of_codes(code_by_default):
    """Let `compress` store codes by default."""
