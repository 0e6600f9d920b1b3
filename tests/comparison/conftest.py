"""Recipes of comparisons."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.comparison.recipes import write_recipe


@pytest.fixture
def compare_file(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)
