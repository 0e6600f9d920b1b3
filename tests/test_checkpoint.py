"""Model files: whole and right, or one clear line; nothing in them is executed."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from noiseda import checkpoint, networks
from noiseda.errors import ModelFileError, OptionError
from noiseda.networks import RestorationNetwork
from tests.conftest import ENVIRONMENT

PUBLISHED = Path(__file__).parent / "parity" / "checkpoint_network.pth"


def build(seed: int = 0) -> RestorationNetwork:
    torch.manual_seed(seed)
    return networks.build("unet", width=2, depth=2, upsampling="half-pixel")


@pytest.fixture
def native(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, build())
    return path


def refused(path: Path, *words: str, task: str | None = None) -> str:
    """Opening must fail with one line that names the file and has these words."""
    with pytest.raises(ModelFileError) as caught:
        checkpoint.open_model(path, task)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert str(path) in message
    for word in words:
        assert word in message
    return message


def rewrite(path: Path, tensors: dict[str, Tensor] | None = None, **header: object) -> None:
    """Change the weights, or fields of the header; None removes one."""
    with safetensors.safe_open(path, framework="pt") as file:
        fields = json.loads(file.metadata()["noiseda"])
    fields = {key: value for key, value in {**fields, **header}.items() if value is not None}
    tensors = tensors or safetensors.torch.load_file(path)
    safetensors.torch.save_file(tensors, path, {"noiseda": json.dumps(fields)})


def test_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = networks.build("unet", width=3, depth=3, value_range="signed")
    scores = {"validation": {"protocol": "rgb", "psnr": 30.5}}
    about = {"recipe": {"name": "x"}, "scores": scores, "provenance": {"step": 3}}
    path = tmp_path / "model.safetensors"
    checkpoint.save(path, build())
    checkpoint.save(path, network, task="derain", **about)
    for given in (path, str(path), tmp_path):
        opened, info = checkpoint.open_model(given, "derain")
        assert opened.spec == network.spec
        assert opened.options == network.options
        assert not opened.training
        for name, value in opened.state_dict().items():
            assert torch.equal(value, network.state_dict()[name])
        assert (info.network, info.task, info.format) == ("unet", "derain", checkpoint.FORMAT)
        assert {key: getattr(info, key) for key in about} == about
        assert info.spec["parameters"] == network.spec.parameters
    assert os.listdir(tmp_path) == ["model.safetensors"]
    refused(path, "derain", "deblur", task="deblur")


def test_every_length_of_header_is_told_from_a_pickle(tmp_path: Path) -> None:
    # a safetensors file starts with its header's length, for some lengths with a pickle's bytes
    path = tmp_path / "model.safetensors"
    starts: set[int] = set()
    for length in range(0, 264, 8):
        checkpoint.save(path, build(), provenance={"note": "x" * length})
        starts.add(path.read_bytes()[0])
        assert checkpoint.open_model(path)[1].provenance == {"note": "x" * length}
    assert 0x80 in starts


def test_damaged_or_missing(native: Path) -> None:
    whole = native.read_bytes()
    for length in (1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        native.write_bytes(whole[:length])
        refused(native, "not a whole model file")
    native.write_bytes(b"")
    refused(native, "is empty")
    native.write_text("These are not weights.\nNo.")
    refused(native, "not a whole model file")
    native.unlink()
    refused(native, "no such file")
    refused(native.parent, "no model.safetensors")


def test_other_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file(build().state_dict(), path, {"format": "pt"})
    refused(path, "not a noiseda model")
    for header in ("", "{", "[]", "7"):
        safetensors.torch.save_file({"x": torch.zeros(2)}, path, {"noiseda": header})
        refused(path, "header is damaged")


def test_wrong_header(native: Path) -> None:
    original = native.read_bytes()
    options = build().options
    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        ({"format": checkpoint.FORMAT + 1, "news": 1}, ("newer", "update noiseda")),
        ({"network": "unett"}, ("unett", "did you mean 'unet'")),
        ({"options": {**options, "widht": 2}}, ("'widht'", "did you mean 'width'")),
        ({"options": {**options, "width": "wide"}}, ("width",)),
        ({"options": {**options, "depth": 3}}, ("weights do not fit",)),
        ({"network": None}, ("header is damaged",)),
        ({"news": 1}, ("header is damaged",)),
    ]
    for changes, words in cases:
        native.write_bytes(original)
        rewrite(native, **changes)
        refused(native, *words)


def test_wrong_weights(native: Path) -> None:
    state = build().state_dict()
    first, *_ = state
    shorter = {name: value for name, value in state.items() if name != first}
    for changed, word in (
        (shorter, first),
        ({**state, "extra": torch.zeros(1)}, "extra"),
        ({**state, first: state[first][:1]}, first),
        ({**state, first: torch.full_like(state[first], torch.nan)}, "not finite"),
        ({**state, first: torch.full_like(state[first], torch.inf)}, "not finite"),
    ):
        rewrite(native, changed)
        refused(native, word)


class Hostile:
    """Unpickled by Python, it makes a folder."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors", "model"])
def test_hostile_pickle_is_not_executed(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "executed"
    content = {"RestorationNet.x": Hostile(trace)}
    path = tmp_path / name
    for protocol in (0, 2, 4):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        refused(path)
    for zipped in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        refused(path, "nothing was executed")
    assert not trace.exists()
    # it would have been
    with path.open("rb") as file:
        torch.load(file, weights_only=False)
    assert trace.is_dir()


@pytest.mark.parametrize("name", ["model.pth", "network.safetensors"])
def test_published(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(PUBLISHED, path)
    network, info = checkpoint.open_model(path)
    options = {"width": 8, "depth": 4, "upsampling": "aligned", "value_range": "unit"}
    assert network.options == options
    assert info.task == "denoise"
    assert info.provenance["predictor"] == "sr3"
    content = torch.load(PUBLISHED, weights_only=True)
    for key, value in network.body.state_dict().items():
        assert torch.equal(value, content[f"RestorationNet.{key}"])
    parts = checkpoint.read_published(path)
    assert parts.predictor_kind == "sr3"
    assert parts.schedule.keys() == {key for key in content if "." not in key}
    assert len(parts.restoration) + len(parts.predictor) + len(parts.schedule) == len(content)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("derain.pth", None, "derain"),
        ("NoiseDA_Deblur_v2.pth", None, "deblur"),
        ("denoise.pth", None, "denoise"),
        ("denoise-or-derain.pth", None, "denoise"),
        ("model.pth", "deblur", "deblur"),
        ("derain.pth", "denoise", "denoise"),
    ],
)
def test_published_task(tmp_path: Path, name: str, task: str | None, expected: str) -> None:
    path = tmp_path / name
    shutil.copy(PUBLISHED, path)
    network, info = checkpoint.open_model(path, task)
    assert info.task == expected
    assert network.spec.value_range == ("unit" if expected == "denoise" else "signed")
    with pytest.raises(OptionError, match="did you mean 'derain'"):
        checkpoint.open_model(path, "deraim")


def test_published_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    content = torch.load(PUBLISHED, weights_only=True)
    first = "RestorationNet.down_path.0.block.0.weight"
    last = "RestorationNet.last.bias"
    for changed, word in (
        ({key: value for key, value in content.items() if key != last}, "last.bias"),
        ({key: value for key, value in content.items() if key != first}, "U-Net"),
        ({**content, "RestorationNet.extra": torch.zeros(1)}, "extra"),
        ({**content, "extra": torch.zeros(1)}, "extra"),
        ({**content, last: torch.zeros(4)}, "last.bias"),
        ({**content, last: torch.full((3,), torch.nan)}, "not finite"),
        ({**content, first: torch.zeros(0, 3, 3, 3)}, "width"),
        ({key: value for key, value in content.items() if "Rest" not in key}, "RestorationNet."),
        ({}, "nothing"),
        ([torch.zeros(1)], "not a state dict"),
        ({"epoch": 3, "state_dict": content}, "not a state dict"),
    ):
        torch.save(changed, path)
        refused(path, word)


@pytest.mark.parametrize("zipped", [True, False])
def test_published_damaged(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.pth"
    weights = {f"RestorationNet.{k}": v for k, v in build().body.state_dict().items()}
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in (2, 3, 10, 50, 100, 500, 1000, 1500, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path)
    for position in range(0, 3000, 61):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        # a flipped bit may do no harm, but it must do no other
        with contextlib.suppress(ModelFileError):
            checkpoint.open_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("letter.txt", "not weights")
    refused(path, "not a whole checkpoint")


def test_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(ModelFileError, match="cannot write the model"):
            checkpoint.save(folder / "model.safetensors", build())
    assert os.listdir(tmp_path) == ["file"]


LIMITED = """
import resource, sys
from noiseda import checkpoint, networks
def attempt(function, *arguments):
    try:
        function(*arguments)
    except checkpoint.ModelFileError as error:
        print(error)
# a limit on file size is met as a full disk is: in the middle of writing
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
attempt(checkpoint.save, sys.argv[1] + "/model.safetensors", networks.build("unet", width=8))
attempt(checkpoint.save, sys.argv[1] + "/new.safetensors", networks.build("unet", width=8))
resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
attempt(checkpoint.open_model, sys.argv[2])
"""


def test_disk_and_memory_limits(native: Path, tmp_path: Path) -> None:
    before = native.read_bytes()
    greedy = tmp_path / "greedy" / "model.safetensors"
    greedy.parent.mkdir()
    shutil.copy(native, greedy)
    # would take 600 gigabytes
    rewrite(greedy, options={**build().options, "width": 1024, "depth": 8})
    command = [sys.executable, "-c", LIMITED, str(tmp_path), str(greedy)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    first, second, third = done.stdout.splitlines()
    assert "model.safetensors: cannot write the model: File too large" in first
    assert "new.safetensors: cannot write the model: File too large" in second
    assert "weights do not fit" in third
    assert sorted(os.listdir(tmp_path)) == ["greedy", "model.safetensors"]
    assert native.read_bytes() == before
