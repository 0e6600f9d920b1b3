"""`noiseda models`: published checkpoints are shown, converted there and back, and trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from noiseda import diffusion, images, load, networks
from noiseda.checkpoint import open_model, open_training_part
from tests.conftest import photo
from tests.end_to_end.conftest import Command

PUBLISHED = Path(__file__).parents[1] / "parity" / "checkpoint_network.pth"
PREDICTORS = {
    "guided": {"base": 8, "multipliers": [1, 2], "blocks": 1, "head_channels": 8},
    "sr3": {"base": 8, "groups": 4, "multipliers": [1, 2], "blocks": 1, "attention": [2]},
}


def published(path: Path, kind: str = "guided", width: int = 4, **changes: Tensor) -> Path:
    """A checkpoint as the published code saves it, of random weights."""
    torch.manual_seed(0)
    unet = networks.build("unet", width=width, depth=2).body
    predictor = diffusion.build(kind, **PREDICTORS[kind])
    for weight in predictor.parameters():
        # some start at zero, which would hide an exchange
        torch.nn.init.normal_(weight, std=0.05)
    state = {f"RestorationNet.{name}": value for name, value in unet.state_dict().items()}
    state |= {f"denoise_fn.{name}": value for name, value in predictor.state_dict().items()}
    torch.save(state | diffusion.Schedule().buffers() | changes, path)
    return path


def same(one: Path, other: Path) -> None:
    """Both files hold the same tensors under the same names, bit for bit."""
    a, b = (torch.load(path, weights_only=True) for path in (one, other))
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert (value.dtype, value.shape) == (b[name].dtype, b[name].shape)
        assert torch.equal(value, b[name])


@pytest.mark.parametrize("kind", ["guided", "sr3"])
@pytest.mark.parametrize("task", ["denoise", "derain", "deblur"])
def test_there_and_back(command: Command, tmp_path: Path, task: str, kind: str) -> None:
    source = published(tmp_path / f"{task}.pth", kind)
    for target in ("a.safetensors", f"{task}-again.pth"):
        code, out, err = command("models", "convert", source, target)
        assert (code, out, err) == (0, f"model: {target}\n", "")
    command("models", "convert", "a.safetensors", f"{task}-back.pth")
    same(source, tmp_path / f"{task}-again.pth")
    same(source, tmp_path / f"{task}-back.pth")
    # all of them restore alike, in the range of their task
    image = photo(20, 24)
    restored = load(source)(image)
    assert load(source).spec.value_range == ("unit" if task == "denoise" else "signed")
    for file in ("a.safetensors", f"{task}-back.pth"):
        network, info = open_model(tmp_path / file)
        assert info.task == task
        assert network.spec == load(source).spec
        np.testing.assert_array_equal(load(tmp_path / file)(image), restored)
        assert open_training_part(file).predictor_kind == kind


def test_the_other_range_gives_another_image(tmp_path: Path) -> None:
    source = published(tmp_path / "model.pth")
    image = photo(20, 24)
    denoised, derained = (load(source, task=task)(image) for task in ("denoise", "derain"))
    assert (denoised != derained).any()


def test_the_published_fixture_comes_back_whole(command: Command, tmp_path: Path) -> None:
    command("models", "convert", PUBLISHED, "model.safetensors")
    code, out, _ = command("models", "convert", "model.safetensors", "model.pth")
    assert (code, out) == (0, "model: model.pth\n")
    same(PUBLISHED, tmp_path / "model.pth")


def test_slim_leaves_out_what_only_training_needs(command: Command, tmp_path: Path) -> None:
    source = published(tmp_path / "model.pth")
    for name in ("slim.safetensors", "slim.pth"):
        assert command("models", "convert", source, name, "--slim", "--task", "derain")[0] == 0
        assert (tmp_path / name).stat().st_size < source.stat().st_size / 4
        assert open_training_part(name).training == {}
    whole = torch.load(source, weights_only=True)
    slim = torch.load("slim.pth", weights_only=True)
    assert slim.keys() == {name for name in whole if name.startswith("RestorationNet.")}
    assert open_model("slim.safetensors")[1].task == "derain"
    # the format itself does not say
    _, out, _ = command("models", "convert", "slim.safetensors", "x.pth")
    assert out.splitlines() == [
        "model: x.pth",
        "open it with --task derain: the format itself does not say",
    ]


def test_show(command: Command, tmp_path: Path) -> None:
    published(tmp_path / "derain.pth", "sr3")
    code, out, err = command("models", "show", "derain.pth")
    assert (code, err) == (0, "")
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    rows = {name.strip(): text.strip() for name, text in rows.items()}
    assert rows["task"] == "derain"
    assert rows["network"].startswith("unet (width 4, depth 2, upsampling aligned")
    assert rows["works on"] == "[-1, 1]"
    assert rows["noise predictor"].startswith("sr3 (base 8, groups 4, multipliers (1, 2)")
    assert rows["noise schedule"] == "1000 steps"
    command("models", "convert", "derain.pth", "slim.safetensors", "--slim")
    code, out, _ = command("models", "show", "slim.safetensors")
    assert code == 0
    assert "noise predictor" not in out


def test_a_task_that_nothing_tells(command: Command, tmp_path: Path) -> None:
    """The published code names checkpoints by their epoch alone."""
    images.write(tmp_path / "a.png", photo(16, 16))
    for name in ("190_Network.pth", "derain.pth"):
        published(tmp_path / name)
    told = "190_Network.pth: task assumed: denoise, as neither the file nor its name tells it"
    for number, (name, task) in enumerate(
        [("190_Network.pth", ()), ("190_Network.pth", ("--task", "derain")), ("derain.pth", ())]
    ):
        output = tmp_path / str(number)
        code, _, err = command("restore", "a.png", "-o", output, "--model", name, *task)
        assert code == 0
        assert (told in err) == (number == 0)
        _, out, _ = command("models", "show", name, *task)
        assert ("task assumed" in out) == (number == 0)
    # converted, it is for that task, which was said
    _, _, err = command("models", "convert", "190_Network.pth", "sure.safetensors")
    assert told in err
    _, out, _ = command("models", "show", "sure.safetensors")
    assert "task assumed" not in out
    restored = [images.read_rgb8(tmp_path / str(number) / "a.png") for number in range(3)]
    assert (restored[1] == restored[2]).all()
    assert (restored[0] != restored[1]).any()


def test_what_the_format_cannot_hold(refused: Callable[..., str], tmp_path: Path) -> None:
    from noiseda.checkpoint import save

    save(tmp_path / "half.safetensors", networks.build("unet", width=2, upsampling="half-pixel"))
    save(tmp_path / "signed.safetensors", networks.build("unet", width=2, value_range="signed"))
    assert "'half-pixel'" in refused("models", "convert", "half.safetensors", "x.pth")
    message = refused("models", "convert", "signed.safetensors", "x.pth")
    assert "value_range 'unit'" in message
    assert "'signed'" in message
    assert "ends in .safetensors" in refused("models", "convert", "half.safetensors", "x.onnx")
    assert "--overwrite" in refused("models", "convert", "half.safetensors", "half.safetensors")
    assert "no such file" in refused("models", "show", "none.pth")
    assert not (tmp_path / "x.pth").exists()


@pytest.fixture
def continuing(recipe_file: Path) -> Path:
    """The tiny recipe with the networks of `start.pth`, which it starts from."""
    content = yaml.safe_load(recipe_file.read_text())
    content["network"]["upsampling"] = "aligned"
    content["objective"]["predictor"] = {"name": "guided", **PREDICTORS["guided"]}
    content["training"] |= {"start": str(recipe_file.parent / "start.pth"), "images": 16}
    recipe_file.write_text(yaml.safe_dump(content))
    published(recipe_file.parent / "start.pth")
    return recipe_file


def test_training_goes_on_with_the_noise_predictor(
    continuing: Path, command: Command, tmp_path: Path
) -> None:
    tiny = ("--set", "training.learning_rate=1e-12")
    code, _, err = command("train", continuing, "-o", "still", *tiny)
    assert code == 0, err
    # a learning rate of nothing leaves both networks as they were in the file
    start = torch.load(tmp_path / "start.pth", weights_only=True)
    (newest,) = (tmp_path / "still" / "checkpoints").glob("*.ckpt")
    state = torch.load(newest, weights_only=True)["state_dict"]
    for name, value in start.items():
        if "." in name:
            name = name.replace("RestorationNet.", "restorer.body.")
            name = name.replace("denoise_fn.", "objective.predictor.")
            torch.testing.assert_close(state[name], value, rtol=0, atol=1e-9)
    # and the run becomes such a file again, with the averaged weights
    assert command("models", "convert", "still", "denoise.pth")[0] == 0
    again = torch.load("denoise.pth", weights_only=True)
    assert again.keys() == start.keys()
    for name, value in start.items():
        torch.testing.assert_close(again[name], value, rtol=1e-6, atol=1e-9)

    # the safetensors of that file is as good a start
    command("models", "convert", "start.pth", "start.safetensors")
    for source in ("start.pth", "start.safetensors"):
        options = ("--set", f"training.start={tmp_path / source}", "-o", source.replace(".", "-"))
        assert command("train", continuing, *options)[0] == 0
    first, second = (
        [json.loads(line) for line in Path(name, "metrics.jsonl").read_text().splitlines()]
        for name in ("start-pth", "start-safetensors")
    )
    assert first == second

    # stopped before its first checkpoint, it continues from its folder alone
    shutil.copytree("start-pth", "stopped")
    shutil.rmtree("stopped/checkpoints")
    Path("stopped/model.safetensors").unlink()
    Path("start.pth").unlink()
    assert command("train", "--resume", "stopped")[0] == 0
    expected = open_model("start-pth")[0].state_dict()
    for name, value in open_model("stopped")[0].state_dict().items():
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (
            "objective.predictor.base=16",
            ["objective.predictor", "base is 8 there and 16 in the recipe"],
        ),
        ("objective.conditions=real", ["in_channels is 9 there and 6 in the recipe"]),
        ("network.width=8", ["width", "make them equal"]),
        ("network.value_range=signed", ["value_range", "make them equal"]),
    ],
)
def test_sizes_that_do_not_fit_are_named(
    continuing: Path, refused: Callable[..., str], tmp_path: Path, key: str, words: list[str]
) -> None:
    message = refused("train", continuing, "-o", "run", "--set", key)
    assert str(tmp_path / "start.pth") in message
    for word in words:
        assert word in message
    assert not (tmp_path / "run").exists()


def test_the_other_predictor_is_named(continuing: Path, refused: Callable[..., str]) -> None:
    published(continuing.parent / "start.pth", "sr3")
    message = refused("train", continuing, "-o", "run")
    assert "name is sr3 there and guided in the recipe" in message
    assert "--slim" in message


def test_a_predictor_that_is_not_wanted_is_left_out(
    continuing: Path, command: Command, tmp_path: Path
) -> None:
    assert command("train", continuing, "-o", "vanilla", "--set", "objective=vanilla")[0] == 0
    command("models", "convert", "start.pth", "slim.safetensors", "--slim")
    options = ("--set", "training.start=slim.safetensors", "--set", "objective.predictor.base=4")
    options += ("--set", "objective.predictor.head_channels=4")
    assert command("train", continuing, "-o", "fresh", *options)[0] == 0


def test_broken_predictors(continuing: Path, refused: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "start.pth"
    whole = torch.load(path, weights_only=True)
    last = "denoise_fn.out.2.bias"
    for changed, word in (
        ({**whole, last: torch.full((3,), torch.nan)}, "not finite"),
        ({name: value for name, value in whole.items() if name != last}, "out.2.bias"),
        ({**whole, "denoise_fn.extra": torch.zeros(1)}, "extra"),
    ):
        torch.save(changed, path)
        assert word in refused("train", continuing, "-o", "run")
