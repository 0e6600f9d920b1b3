"""Weights files of other programs: opened, or refused without being executed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import spandrel
import torch
from torch import nn

from noiseda import checkpoint, networks
from noiseda.errors import ModelFileError
from noiseda.networks import library
from tests.networks.foreign import FILES, foreign
from tests.networks.small import image


@pytest.mark.parametrize("kind", FILES)
def test_weights_of_another_program(kind: str, tmp_path: Path) -> None:
    network = foreign(kind)
    state = network.state_dict()
    descriptor = library.registry().load(dict(state))
    assert isinstance(descriptor, spandrel.ImageModelDescriptor)
    degraded = image(1, 3, 32, 32)
    with torch.inference_mode():
        expected = library.call_of(descriptor.eval())(descriptor.model, degraded)
    shared = {key: value.clone() for key, value in state.items()}
    torch.save(state, tmp_path / "plain.pth")
    if "spandrel" not in kind:
        torch.save({"epoch": 3, "params_ema": state}, tmp_path / "nested.ckpt")
        safetensors.torch.save_file(shared, tmp_path / "other.safetensors")
    for file in sorted(tmp_path.iterdir()):
        opened, info = checkpoint.open_model(file)
        assert opened.name == info.network == kind.split("-")[0]
        with torch.inference_mode():
            torch.testing.assert_close(opened(degraded), expected)
        assert info.provenance == {"weights": file.name}
        # the model file made of it needs the original no more
        checkpoint.save(tmp_path / "model.safetensors", opened, task=info.task)
        again, _ = checkpoint.open_model(tmp_path / "model.safetensors")
        assert (again.name, again.options) == (opened.name, opened.options)
        assert torch.equal(again(degraded), opened(degraded))
        # and so does a network built by name
        other = networks.build(opened.name, **opened.options)
        other.load_state_dict(opened.state_dict(), strict=True)
        (tmp_path / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("name", "hyperparameters", "words"),
    [
        ("Compact", {"num_feat": 8, "num_conv": 2, "upscale": 4}, "makes images 4 times as large"),
        (
            "SwinIR",
            {"embed_dim": 6, "depths": [2], "num_heads": [2], "window_size": 4, "upscale": 2}
            | {"upsampler": "pixelshuffle"},
            "makes images 2 times as large",
        ),
        (
            "DnCNN",
            {"in_nc": 1, "out_nc": 1, "nc": 8, "nb": 8, "act_mode": "R"},
            "takes 1 and gives 1 channels",
        ),
    ],
)
def test_other_tasks_are_refused(
    name: str, hyperparameters: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.pth"
    torch.save(library.construct(name, hyperparameters).state_dict(), path)
    with pytest.raises(ModelFileError) as caught:
        checkpoint.open_model(path)
    assert str(caught.value).startswith(f"{path}: this ")
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    state = foreign("swinir").state_dict()
    first = "conv_first.weight"
    for changed, word in (
        ({**state, first: state[first][:, :2]}, ""),
        ({key: value for key, value in state.items() if key != "norm.bias"}, "norm.bias"),
        ({**state, "norm.bias": torch.full_like(state["norm.bias"], torch.nan)}, "not finite"),
        ({**state, "layers.99999999.x": torch.zeros(1)}, "recognise"),
        ({**state, "layers.1.x": torch.zeros(1)}, ""),
        ({**state, first: state[first].to(torch.complex64)}, "not a state dict"),
        ({"a": {"b": torch.zeros(1)}}, "not a state dict"),
    ):
        torch.save(changed, path)
        with pytest.raises(ModelFileError) as caught:
            checkpoint.open_model(path)
        assert word in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


class Hostile:
    """Unpickled by Python, it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


def test_nothing_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    state: dict[str, Any] = dict(foreign("dncnn").state_dict())
    torch.save({"params": state, "extra": Hostile(trace)}, tmp_path / "x.pth")
    with pytest.raises(ModelFileError, match="nothing was executed"):
        checkpoint.open_model(tmp_path / "x.pth")
    torch.jit.script(nn.Conv2d(3, 3, 1)).save(str(tmp_path / "x.pt"))
    with pytest.raises(ModelFileError, match=r"TorchScript program, .* nothing was executed"):
        checkpoint.open_model(tmp_path / "x.pt")
    assert not trace.exists()


def test_task_of_another_programs_weights(tmp_path: Path) -> None:
    torch.save(foreign("dncnn").state_dict(), tmp_path / "derain.pth")
    assert checkpoint.open_model(tmp_path / "derain.pth")[1].task == "derain"
    assert checkpoint.open_model(tmp_path / "derain.pth", "denoise")[1].task == "denoise"
