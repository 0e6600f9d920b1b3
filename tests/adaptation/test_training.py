"""Every rival in a training: it runs from a recipe, and continues exactly from saved states."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from noiseda import adaptation, images
from noiseda.checkpoint import open_model
from noiseda.networks.resampling import interleave, phases
from noiseda.training import read_recipe, train
from tests.adaptation.test_interface import RIVALS
from tests.adaptation.toys import draws, random_batch, small_network


@pytest.mark.parametrize("name", RIVALS)
def test_trains_from_a_recipe(name: str, recipe_file: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(recipe_file.read_text())
    content["objective"] = {"name": name, **RIVALS[name]}
    if name == "ap-bsn":
        content["network"] = {"name": "blind-spot", "width": 4, "depth": 1, "stride": 1}
    content["network"]["value_range"] = "signed"
    content["training"] = {"images": 4, "log_every": 2, "clip_norm": 1.0}
    recipe_file.write_text(yaml.safe_dump(content))
    recipe = read_recipe(recipe_file)
    assert recipe.objective["value_range"] == "signed"
    run = tmp_path / "run"
    assert train(recipe, run).finished
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert all(value is not None for line in lines for value in line.values())
    # the product is the restoration network alone
    assert all(key.startswith("body.") for key in load_file(run / "model.safetensors"))


def test_ap_bsn_restores_at_its_own_stride(
    recipe_file: Path, tmp_path: Path, noiseda: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """The model file holds the stride of restoring; that of training is the objective's."""
    content = {
        **yaml.safe_load(recipe_file.read_text()),
        "network": {"name": "blind-spot", "width": 8, "depth": 1, "stride": 2},
        "objective": {"name": "ap-bsn", "stride": 4},
        "training": {"images": 4},
    }
    recipe_file.write_text(yaml.safe_dump(content))
    run = tmp_path / "run"
    assert train(read_recipe(recipe_file), run).finished
    done = noiseda("restore", tmp_path / "real" / "x.png", "-o", tmp_path / "out", "--model", run)
    assert done.returncode == 0, done.stderr
    network, info = open_model(run)
    assert info.options["stride"] == 2
    body: Any = network.body
    photo = images.to_tensor(images.read_rgb8(tmp_path / "real" / "x.png"))
    with torch.no_grad():
        expected = interleave(body.blind(phases(photo, 2)), 2)
    restored = images.read_rgb8(tmp_path / "out" / "x.png").astype(int)
    assert abs(restored - images.to_pixels(expected)).max() <= 1


class Run:
    """Networks, objective and optimiser, with fresh weights that depend on `seed`."""

    def __init__(self, name: str, seed: int) -> None:
        self.restorer = small_network(name)
        torch.manual_seed(seed)
        self.objective = adaptation.build(name, **RIVALS[name])
        self.objective.attach(self.restorer)
        parameters = [*self.restorer.parameters(), *self.objective.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-2)

    def step(self, number: int) -> None:
        batch = random_batch(seed=number)
        terms = self.objective(self.restorer, batch, number / 4, draws(number))
        self.optimizer.zero_grad()
        terms["loss"].backward()
        self.optimizer.step()

    def state(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in (self.restorer, self.objective, self.optimizer)]

    def load(self, state: list[dict[str, Any]]) -> None:
        parts = (self.restorer, self.objective, self.optimizer)
        for part, saved in zip(parts, copy.deepcopy(state), strict=True):
            part.load_state_dict(saved)


@pytest.mark.parametrize("name", RIVALS)
def test_continues_exactly_from_saved_states(name: str) -> None:
    whole = Run(name, 0)
    for number in range(2):
        whole.step(number)
    resumed = Run(name, 1)
    resumed.load(whole.state())
    for number in (2, 3):
        whole.step(number)
        resumed.step(number)
    for first, second in zip(whole.state()[:2], resumed.state()[:2], strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)
