"""The time that adapting may take is kept, whatever was planned."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from noiseda.checkpoint import open_model
from noiseda.tailoring.budget import Budget
from noiseda.tailoring.look import look
from noiseda.tailoring.plan import FEWEST_STEPS, Given, recipe_for, within
from noiseda.training import Recipe, read_recipe, train


@pytest.fixture
def recipe(recipe_file: Path) -> Recipe:
    """24 steps in two rounds."""
    content = yaml.safe_load(recipe_file.read_text())
    content["objective"] = {"name": "two-scale", "windows": 3}
    recipe_file.write_text(yaml.safe_dump(content))
    return read_recipe(recipe_file)


def test_training_ends_when_the_time_is_over(recipe: Recipe, tmp_path: Path) -> None:
    run = tmp_path / "run"
    budget = Budget(time.perf_counter(), 5, run)
    result = train(recipe, run, callbacks=[budget])
    assert budget.over
    assert (result.step, result.finished) == (5, False)
    _, info = open_model(run)
    assert info.provenance["step"] == 5


@pytest.mark.parametrize(("slow", "last"), [("0", 11), ("-1", 24)])
def test_no_round_is_begun_that_leaves_no_time(
    slow: str, last: int, recipe: Recipe, tmp_path: Path
) -> None:
    """Enough for the steps, but not for targets that took an hour in the round before; those for a
    warm-up are not made again."""
    run = tmp_path / "run"

    class Slow(Budget):
        def on_train_start(self, trainer, pl_module) -> None:
            (run / "targets" / f"{slow}.json").write_text('{"seconds": 3600}')

    budget = Slow(time.perf_counter() + 1800, 5, run)
    result = train(recipe, run, callbacks=[budget])
    assert (result.step, result.finished) == (last, not budget.over)
    assert budget.over == (last < 24)
    assert (run / "targets" / "1.bin").exists() == (not budget.over)


def test_enough_time(recipe: Recipe, tmp_path: Path) -> None:
    budget = Budget(time.perf_counter() + 3600, 5, tmp_path / "run")
    assert train(recipe, tmp_path / "run", callbacks=[budget]).finished
    assert not budget.over


def test_the_plan_fits_into_the_time(photos: Path, start: Path, tmp_path: Path) -> None:
    network, info = open_model(start)
    given = Given(photos, start, network, info, 0)
    recipe = recipe_for(given, look(photos, info), tmp_path / "cache")
    assert recipe.steps == 600
    short, long = within(recipe, 0.5), within(recipe, 3600)
    assert short.recipe.steps == FEWEST_STEPS
    assert short.recipe.objective["windows"] == 8
    assert long.recipe.steps == 600
    assert long.recipe.objective["windows"] == 64
    middle = within(recipe, 5)
    assert FEWEST_STEPS <= middle.recipe.steps <= 600
    assert middle.seconds <= 5 or middle.recipe.steps == FEWEST_STEPS
