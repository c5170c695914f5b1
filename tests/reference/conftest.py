"""Most tests here read archives of codes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the decoders import one another


@pytest.fixture(autouse=True)
def archives_of_codes(code_by_default):
    """Let `compress` store codes by default."""
