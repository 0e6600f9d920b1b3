"""Lengths, run folders, and what is refused in a folder that is there already."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from noiseda.comparison.alike import digest
from noiseda.comparison.clock import Speed
from noiseda.comparison.methods import trained
from noiseda.comparison.plan import Asked, Layout, Plan, read_plan
from noiseda.errors import OptionError, RunError
from noiseda.training import Recipe, read_recipe

NAMES = ("gentle", "oracle")
SPEEDS = {"vanilla": 0.1, "gentle": 0.4, "oracle": 0.15}


def measured(speeds: dict[str, float], **teaching: float) -> dict[str, Speed]:
    return {name: Speed(step, teaching.get(name, 0.0)) for name, step in speeds.items()}


def planned(recipe: Recipe, **asked: Any) -> Plan:
    plan = Plan(Asked(**{"images": 10, **asked}), recipe.data.batch)
    plan.note(trained(recipe, NAMES), measured(SPEEDS))
    return plan


def layout(recipe: Recipe, folder: Path, seeds: Sequence[int] = (0, 1)) -> Layout:
    return Layout(folder, recipe, trained(recipe, NAMES), seeds)


def test_lengths(compare_file: Path) -> None:
    recipe = read_recipe(compare_file)
    plan = planned(recipe)
    assert plan.seconds == pytest.approx(2.0)
    lengths = {name: [plan.steps(name, f"equal-{view}") for view in ("steps", "time")]
               for name in SPEEDS}  # fmt: skip
    assert lengths == {"vanilla": [5, 20], "gentle": [5, 5], "oracle": [5, 13]}
    assert [planned(recipe, images=n).steps("gentle", "equal-steps") for n in (1, 2, 3)] == [
        1,
        1,
        2,
    ]
    short = planned(recipe, minutes=0.5 / 60)
    assert [short.steps(name, "equal-time") for name in SPEEDS] == [5, 1, 3]
    # never nothing
    assert planned(recipe, minutes=1e-6).steps("gentle", "equal-time") == 1


def test_making_targets_takes_time_from_the_steps(compare_file: Path) -> None:
    recipe = read_recipe(compare_file)
    plan = Plan(Asked(images=10), recipe.data.batch)
    plan.note(trained(recipe, NAMES), measured(SPEEDS, gentle=3.0))
    # 5 steps of 0.4 seconds, and 3 seconds before them
    assert plan.seconds == pytest.approx(5.0)
    steps = [plan.steps(name, "equal-time") for name in ("vanilla", "gentle")]
    assert steps == [50, 5]


def test_a_method_that_joins_later_changes_no_length(compare_file: Path) -> None:
    recipe = read_recipe(compare_file)
    plan = planned(recipe)
    methods = trained(recipe, ["gentle", "oracle", "noise-space"])
    (new,) = plan.unmeasured(methods)
    assert new.name == "noise-space"
    # the machine is half as fast now; the vanilla network beside it tells so
    plan.note([methods[0], new], measured({"vanilla": 0.2, "noise-space": 2.0}))
    assert plan.speeds == {**SPEEDS, "noise-space": 1.0}
    assert plan.steps("vanilla", "equal-time") == 20
    assert plan.steps("noise-space", "equal-time") == 2
    assert plan.unmeasured(methods) == []
    # with other options, its speed is not known
    other = trained(read_recipe(compare_file, {"objective.predictor.base": 8}), ["noise-space"])
    assert [method.name for method in plan.unmeasured(other)] == ["noise-space"]
    # but these cost nothing
    free = {"seed": 7, "training.images": 40, "data.workers": 1, "training.log_every": 9}
    assert plan.unmeasured(trained(read_recipe(compare_file, free), ["noise-space"])) == []


def test_options_that_a_later_version_adds_change_no_plan(compare_file: Path) -> None:
    """They are at their defaults where an earlier one has none."""
    recipe = read_recipe(compare_file)
    assert recipe.degradation
    degradation = {**recipe.degradation}
    assert degradation.pop("clamp") is False
    objective = {**recipe.objective}
    assert objective.pop("value_range") == "unit"
    earlier = recipe.model_copy(update={"degradation": degradation, "objective": objective})
    assert digest(earlier) == digest(recipe)
    other = recipe.model_copy(update={"degradation": {**recipe.degradation, "clamp": True}})
    assert digest(other) != digest(recipe)


def test_cells(compare_file: Path, tmp_path: Path) -> None:
    recipe = read_recipe(compare_file)
    cells = layout(recipe, tmp_path / "out").cells(planned(recipe))
    both = ("equal-steps", "equal-time")
    expected = [
        ("start", 8, both),
        ("vanilla", 5, both[:1]),
        ("vanilla", 20, both[1:]),
        # its two lengths are one: trained once
        ("gentle", 5, both),
        ("oracle", 5, both[:1]),
        ("oracle", 13, both[1:]),
    ]
    assert [(c.method, c.recipe.steps, c.views) for c in cells[:6]] == expected
    assert [c.seed for c in cells] == [0] * 6 + [1] * 6
    assert len({c.folder for c in cells}) == 12
    # the same samples for all methods of a seed, and none that the pretraining saw
    for seed in (0, 1):
        seeds = {c.method: c.recipe.seed for c in cells if c.seed == seed}
        assert seeds.pop("start") == seed
        assert set(seeds.values()) == {seed + 1000}
        starts = {c.recipe.training.start for c in cells if c.seed == seed and c.method != "start"}
        assert starts == {tmp_path / "out" / f"seed-{seed}" / "start"}
    given = read_recipe(compare_file, {"training.start": tmp_path / "model"})
    cells = layout(given, tmp_path / "out").cells(planned(given))
    assert len(cells) == 10
    assert {c.recipe.training.start for c in cells} == {tmp_path / "model"}
    with pytest.raises(OptionError, match=r"'vanilla': .* more than a training can have"):
        layout(recipe, tmp_path).cells(planned(recipe, minutes=1e6))


def test_a_plan_is_kept(compare_file: Path, tmp_path: Path) -> None:
    recipe = read_recipe(compare_file)
    plan = planned(recipe)
    plan.write(tmp_path)
    assert read_plan(tmp_path, plan.asked, 2) == plan
    for asked, batch, words in (
        (Asked(20), 2, "has --images 10, not 20"),
        (Asked(10, minutes=3.0), 2, "has --minutes unset, not 3.0"),
        (Asked(10, start="/model"), 2, "has training.start unset, not /model"),
        (Asked(10), 4, "has data.batch 2, not 4"),
    ):
        with pytest.raises(RunError) as caught:
            read_plan(tmp_path, asked, batch)
        assert words in str(caught.value)
        assert "choose another folder with -o" in str(caught.value)
    content = json.loads((tmp_path / "plan.json").read_text())
    for damage in ("{", "[]", json.dumps({**content, "asked": 3}), json.dumps({"batch": 1})):
        (tmp_path / "plan.json").write_text(damage)
        with pytest.raises(RunError, match=r"plan.json: damaged"):
            read_plan(tmp_path, plan.asked, 2)
    (tmp_path / "other").mkdir()
    assert read_plan(tmp_path / "other", Asked(1), 2).speeds == {}
    (tmp_path / "other" / "notes.txt").touch()
    for path in ("other", "other/notes.txt"):
        with pytest.raises(RunError, match="exists already and is no comparison"):
            read_plan(tmp_path / path, Asked(1), 2)


def test_trainings_of_another_recipe_are_refused(compare_file: Path, tmp_path: Path) -> None:
    recipe = read_recipe(compare_file)
    out = tmp_path / "out"
    for cell in layout(recipe, out).cells(planned(recipe)):
        cell.folder.mkdir(parents=True)
        (cell.folder / "recipe.yaml").write_text(cell.recipe.to_yaml())
    assert len(layout(recipe, out).begun()) == 12
    assert len(layout(recipe, out, seeds=(1, 2)).begun()) == 6
    fits = {
        "data.workers": 2,
        "training.log_every": 50,
        "compare.source_images": 1,
        "compare.methods.new": {"name": "vanilla"},
        "data.validation": None,
    }
    assert len(layout(read_recipe(compare_file, fits), out).begun()) == 12
    # as does a comparison that was moved
    out = out.rename(tmp_path / "moved")
    assert len(layout(recipe, out).begun()) == 12

    def refused(**changes: Any) -> str:
        with pytest.raises(RunError) as caught:
            layout(read_recipe(compare_file, changes), out).begun()
        message = str(caught.value)
        assert message.startswith(f"{out}/seed-")
        assert message.endswith("; undo that, or choose another folder with -o")
        return message

    change = {"training.learning_rate": 0.5}
    assert "seed-0/start: its training has training.learning_rate 0.01, not 0.5" in refused(
        **change
    )
    assert "seed-0/start: its training has training.images 16, not 8" in refused(
        **{"training.images": 8}
    )
    assert "seed-0/gentle/5-steps: its training has objective.weight 0.01, not 0.02" in refused(
        **{"compare.methods.gentle.weight": 0.02}
    )
    assert "has data.real" in refused(**{"data.real": [tmp_path / "clean"]})
    # that there was nothing before is a difference too
    assert "has objective.predictor.attention unset, not [1]" in refused(
        **{"compare.methods.gentle.predictor.attention": [1]}
    )
