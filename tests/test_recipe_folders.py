"""Folders and files that recipes name, whatever they are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from noiseda.errors import OptionError
from noiseda.training import read_recipe
from tests.test_recipe import CONTENT


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(CONTENT))
    return path


# names that are something else in YAML, or to OmegaConf
ODD_NAMES = ["a: b", "a #b", "${b}", "\\${b}", "${", "2024", "007", "1_0", "on", "null", "???"]
ODD_NAMES += ["[x]", "{x", "'x'", '"x', "- x", "x,y", "x=y", " x ", "*", "é", "x\ny", "~no one"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_folders_of_any_name(
    file: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By values, which are taken as they are; and once more from the run folder's recipe."""
    monkeypatch.chdir(tmp_path)
    validation = {"degraded": {"folder": name, "include": [name]}, "clean": name}
    keys = {"data.clean": Path(name), "data.real": [name], "training.start": name}
    recipe = read_recipe(file, {**keys, "data.validation": validation, "seed": 3})
    assert [item.folder for item in recipe.data.clean] == [tmp_path / name]
    assert [item.folder for item in recipe.data.real] == [tmp_path / name]
    assert recipe.training.start == tmp_path / name
    assert recipe.data.validation is not None
    assert recipe.data.validation.clean == tmp_path / name
    assert recipe.data.validation.degraded.include == [name]
    assert recipe.seed == 3
    # the rest of what the file says stays
    assert recipe.training.clip_norm == 1
    assert recipe.data.validation.degraded.exclude == ["x*"]
    (tmp_path / "resolved.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    assert read_recipe(tmp_path / "resolved.yaml") == recipe


@pytest.mark.parametrize("name", ["2024", "007", "1_0", "1e5", "on", "a: b", "a #b", "x=y"])
def test_folders_of_any_name_on_the_command_line(
    file: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = ["data.clean", "data.real", "data.unpaired", "data.cache", "training.start"]
    keys += ["data.validation.clean", "data.validation.degraded.folder"]
    recipe = read_recipe(file, [f"{key}={name}" for key in keys])
    data = recipe.data
    assert data.validation is not None
    folders = [item.folder for item in (*data.clean, *data.real, *data.unpaired)]
    folders += [data.cache, recipe.training.start, data.validation.clean]
    assert {*folders, data.validation.degraded.folder} == {tmp_path / name}
    # YAML where it is meant
    assert read_recipe(file, ["data.cache=null"]).data.cache is None
    quoted = read_recipe(file, ["data.real=['2024', {folder: \"7\"}]", "data.cache='8'"])
    assert [item.folder.name for item in quoted.data.real] == ["2024", "7"]
    assert quoted.data.cache == tmp_path / "8"


def test_relative_paths_count_from_the_current_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = ["data.clean=photos", "data.cache=.cache", "training.start=../model"]
    recipe = read_recipe("mine.yaml", [*keys, "data.validation={degraded: a, clean: b}"])
    assert recipe.data.clean[0].folder == tmp_path / "photos"
    assert recipe.data.cache == tmp_path / ".cache"
    assert recipe.training.start == tmp_path / "../model"
    assert recipe.data.validation is not None
    assert recipe.data.validation.clean == tmp_path / "b"
    # a run folder's recipe means the same from everywhere
    (tmp_path / "resolved.yaml").write_text(recipe.to_yaml())
    monkeypatch.chdir("/")
    assert read_recipe(tmp_path / "resolved.yaml") == recipe


def test_a_name_that_no_recipe_can_hold(file: Path) -> None:
    name = os.fsdecode(b"\xff")
    with pytest.raises(OptionError, match=r"data\.real\.0\.folder: its name is not UTF-8"):
        read_recipe(file, {"data.real": name})
