"""The zoo: sizes and options of its networks, and what happens without it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from noiseda import checkpoint, networks
from noiseda.errors import OptionError
from noiseda.networks import BODIES
from noiseda.networks.catalogue import entry
from tests.conftest import ENVIRONMENT
from tests.networks.foreign import foreign


@pytest.mark.parametrize("name", sorted({*BODIES.names} - {"spandrel"}))
def test_parameters_that_are_told(name: str) -> None:
    with networks.without_memory():
        network = networks.build(name)
    assert entry(name).parameters == sum(weight.numel() for weight in network.parameters())


def test_sizes() -> None:
    sizes = {"tiny": 5.29, "small": 20.73, "base": 50.88}
    for size, millions in sizes.items():
        with networks.without_memory():
            network = networks.build("uformer", size=size)
        assert "size" not in network.options
        count = sum(weight.numel() for weight in network.parameters())
        assert abs(count / 1e6 - millions) < 0.1
    assert networks.check("swinir", size="light", embed_dim=30)["embed_dim"] == 30
    assert networks.check("swinir", size="light")["depths"] == (6, 6, 6, 6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("uformer", {"size": "bass"}, "did you mean 'base'"),
        ("unet", {"size": "base"}, "unknown size 'base'"),
        ("swinir", {"depths": [2, 2], "num_heads": [2]}, "equally many"),
        ("swinir", {"embed_dim": 10, "num_heads": [3] * 6}, "multiple of its 3 attention heads"),
        ("restormer", {"dim": 9}, "must be even"),
        ("restormer", {"heads": [1, 2, 4]}, "heads"),
        ("nafnet", {"enc_blk_nums": [1], "dec_blk_nums": [1, 1]}, "equally many"),
        ("uformer", {"depths": [2] * 8}, "depths"),
        ("spandrel", {"architecture": "SCUNett"}, "did you mean 'SCUNet'"),
        ("spandrel", {"architecture": "SCUNet", "hyperparameters": {"x": 1}}, "cannot be built"),
        ("spandrel", {"architecture": "Compact"}, "makes images 4 times as large"),
        ("spandrel", {"architecture": "LaMa"}, "from the image alone"),
    ],
)
def test_wrong_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        networks.build(name, **options)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


WITHOUT = """
import sys
sys.modules["spandrel"] = None
from noiseda.cli import main
for command in sys.argv[1:]:
    sys.argv = ["noiseda", *command.split()]
    try:
        main()
    except SystemExit as stop:
        print("exit code", stop.code, flush=True)
"""


def test_without_the_extra(tmp_path: Path) -> None:
    torch.save(foreign("dncnn").state_dict(), tmp_path / "x.pth")
    checkpoint.save(tmp_path / "m.safetensors", networks.build("dncnn", nc=4, nb=8))
    checkpoint.save(tmp_path / "core.safetensors", networks.build("unet", width=2, depth=2))
    (tmp_path / "a.ppm").write_bytes(b"P6\n8 8\n255\n" + bytes(192))
    files = ("x.pth", "m.safetensors", "core.safetensors")
    restore = [f"restore a.ppm -o out --model {file}" for file in files]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *restore, "networks list", "networks show swinir"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit code")]
    assert codes == [f"exit code {code}" for code in (2, 2, 0, 0, 0)]
    first, second = done.stderr.splitlines()
    for line, file in ((first, "x.pth"), (second, "m.safetensors")):
        assert line.startswith(f"noiseda: {file}: ")
        assert "pip install 'noiseda[zoo]'" in line
    assert re.search(r"swinir +zoo +not installed", done.stdout)
    assert "8.559 M" in done.stdout
    assert "embed_dim: 180" in done.stdout


def test_importing_does_not_load_the_library() -> None:
    code = "import sys, noiseda; noiseda.networks.build('unet', width=2); noiseda.load\n"
    code += "from noiseda.cli.networks import list_; list_()\n"
    code += "assert not {'spandrel', 'spandrel_extra_arches', 'torchvision', 'einops'} & "
    code += "set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True, timeout=120)
