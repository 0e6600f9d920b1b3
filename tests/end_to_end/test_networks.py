"""Networks on the command line, and a run that starts from another program's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from noiseda import checkpoint
from noiseda.networks import BODIES, library
from tests.conftest import write_photos
from tests.end_to_end.conftest import Command


def test_list(command: Command) -> None:
    code, out, err = command("networks", "list")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines.keys() == set(BODIES.names)
    assert " core " in lines["unet"]
    assert "8.559 M" in lines["unet"]
    assert " zoo " in lines["restormer"]
    assert "non-commercial" in lines["restormer"]
    assert "SwinIR" not in lines["swinir"].split()[0]
    assert "ICCVW 2021" in lines["swinir"]


def test_show(command: Command) -> None:
    code, out, _ = command("networks", "show", "swinir", "--set", "size=light")
    assert code == 0
    for line in (
        "  depths: [6, 6, 6, 6]  (blocks of each stage)",
        "  embed_dim: 60  (channels; a multiple of each of `num_heads`)",
        "  size: light, base  (sets several; none by default)",
        "licence of its code: Apache-2.0",
        "parameters: 0.905 M",
        "MACs at 128×128: 17.05 G",
        "value range inside: [0, 1]",
    ):
        assert line in out.splitlines()
    assert "multiples of 8, at least 8" in out
    assert "207×207" in out
    _, out, _ = command("networks", "show", "uformer", "--set", "value_range=signed")
    assert "square" in out
    assert "[-1, 1]" in out
    assert "blended" in out
    _, out, _ = command("networks", "show", "spandrel")
    assert "SCUNet" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["swinirr"], "did you mean 'swinir'"),
        (["swinir", "--set", "depth=3"], "did you mean 'depths'"),
        (["swinir", "--set", "depths"], "expected option=value"),
        (["swinir", "--set", "depths=["], "--set depths=["),
        (["uformer", "--set", "size=huge"], "unknown size 'huge'"),
    ],
)
def test_show_refuses(refused: Callable[..., str], arguments: list[str], words: str) -> None:
    assert words in refused("networks", "show", *arguments)


def test_adapting_another_programs_network(
    command: Command, recipe_file: Path, tmp_path: Path
) -> None:
    settings = {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1], "dec_blk_nums": [1]}
    torch.manual_seed(0)
    torch.save({"params": library.construct("NAFNet", settings).state_dict()}, tmp_path / "a.pth")
    write_photos(tmp_path / "in", ["x.png"])
    assert command("restore", "in", "-o", "before", "--model", "a.pth")[0] == 0
    shorter = ["--set", "training.images=8", "--set", "data.batch=2"]
    start = ["--set", "training.start=a.pth", "--set", "network=start"]
    code, _, err = command("train", recipe_file, *start, *shorter, "-o", "run")
    assert code == 0, err
    # the run needs the file no more
    (tmp_path / "a.pth").unlink()
    network, info = checkpoint.open_model(tmp_path / "run")
    assert network.name == "nafnet"
    assert network.options["width"] == 4
    assert info.recipe is not None
    assert info.recipe["network"]["enc_blk_nums"] == [1]
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert recipe["network"] == {"name": "nafnet", **settings, "value_range": "unit"}
    assert command("restore", "in", "-o", "after", "--model", "run")[0] == 0
    before, after = (tmp_path / name / "x.png" for name in ("before", "after"))
    assert before.read_bytes() != after.read_bytes()
    # and it can be continued
    (tmp_path / "run" / "model.safetensors").unlink()
    assert command("train", "--resume", "run")[0] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["network=start"], "training.start; name one"),
        (["network={name: start, width: 8}"], "give none"),
        (["network=start", "training.start=none.pth"], "none.pth: cannot open the model"),
        (["training.start=a.pth"], "or set network=start"),
    ],
)
def test_start_is_refused(
    refused: Callable[..., str], recipe_file: Path, tmp_path: Path, changes: list[str], words: str
) -> None:
    state = library.construct(
        "DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 4, "nb": 8, "act_mode": "R"}
    ).state_dict()
    torch.save(state, tmp_path / "a.pth")
    overrides = [part for change in changes for part in ("--set", change)]
    assert words in refused("train", recipe_file, *overrides, "-o", "run")


def test_photos_too_large_for_a_network_that_sees_all(command: Command, tmp_path: Path) -> None:
    settings = {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1], "dec_blk_nums": [1]}
    torch.save(library.construct("NAFNet", settings).state_dict(), tmp_path / "a.pth")
    write_photos(tmp_path / "in", ["x.png"], (300, 280))
    write_photos(tmp_path / "in", ["y.png"], (60, 70))
    code, out, err = command("restore", "in", "-o", "out", "--model", "a.pth", "--memory", "6MB")
    assert code == 0, err
    assert "2 restored" in out
    assert "1 too large for the memory were restored in blended tiles" in err
    code, _, err = command("restore", "in", "-o", "all", "--model", "a.pth", "--memory", "1GB")
    assert (code, err) == (0, "")
