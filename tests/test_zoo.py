"""Networks of the zoo: tiles, weights files of other programs, and what happens without it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import spandrel
import torch
from torch import Tensor, nn

import noiseda
from noiseda import checkpoint, networks
from noiseda.checkpoint import ModelInfo
from noiseda.errors import ModelFileError, OptionError
from noiseda.networks import BODIES, RestorationNetwork, library
from noiseda.networks.catalogue import entry
from noiseda.restoration import Restorer
from noiseda.restoration.blending import Blending
from noiseda.restoration.tiling import Tiling
from tests.conftest import ENVIRONMENT

# what spandrel builds, and what it is called here
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "dncnn": ("DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 8, "nb": 8, "act_mode": "R"}),
    "dncnn-bn": ("DnCNN", {"in_nc": 3, "out_nc": 3, "nc": 8, "nb": 8, "act_mode": "BR"}),
    "nafnet": (
        "NAFNet",
        {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1, 2], "dec_blk_nums": [1, 1]},
    ),
    "restormer": (
        "Restormer",
        {"dim": 8, "num_blocks": [1] * 4, "num_refinement_blocks": 1, "LayerNorm_type": "BiasFree"},
    ),
    "swinir": (
        "SwinIR",
        {"embed_dim": 6, "depths": [2], "num_heads": [2], "window_size": 4, "img_size": 32},
    ),
    "uformer": (
        "Uformer",
        {"embed_dim": 4, "depths": [1] * 9, "num_heads": [1] * 9, "win_size": 2},
    ),
    "spandrel": (
        "KBNet",
        {"width": 4, "middle_blk_num": 1, "enc_blk_nums": [1], "dec_blk_nums": [1]},
    ),
    "spandrel-shared": ("MPRNet", {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4}),
}


def image(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def foreign(kind: str) -> nn.Module:
    """A network as another program has it, without weights that are zero."""
    torch.manual_seed(0)
    name, hyperparameters = FILES[kind]
    network = library.construct(name, hyperparameters)
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.2)
    return network


def build(name: str, **options: Any) -> RestorationNetwork:
    torch.manual_seed(0)
    return networks.build(name, **options).eval()


def restorer(network: RestorationNetwork, memory: int) -> Restorer:
    return Restorer(network, ModelInfo(network=network.name, options={}), "cpu", memory)


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


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dncnn", {"nc": 4, "nb": 8}),
        ("swinir", {"embed_dim": 4, "depths": (2,), "num_heads": (2,), "window_size": 4}),
        ("swinir", {"embed_dim": 4, "depths": (3, 2), "num_heads": (1, 2), "window_size": 3}),
    ],
)
def test_exact_tiles(name: str, options: dict[str, Any]) -> None:
    network = build(name, **options)
    degraded = 0.25 + 0.5 * image(1, 3, 150, 131)
    with torch.no_grad():
        # results between 0 and 1, where nothing is clamped
        whole = network(degraded)
        per_pixel = network.spec.bytes_per_pixel * 1.5
        tiled = restorer(network, int(90 * 90 * per_pixel))
        assert tiled.tiling(150, 131).exact
        assert len(tiled.tiling(150, 131)) > 2
        torch.testing.assert_close(tiled(degraded), whole.clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("window", [2, 3, 4, 8])
def test_receptive_radius_of_swinir(window: int) -> None:
    """Nothing beyond it changes a pixel; something near it does."""
    network = build("swinir", embed_dim=4, depths=(2, 2), num_heads=(1, 1), window_size=window)
    network = network.double()
    radius = network.spec.receptive_radius
    assert radius is not None
    length = -(-(2 * radius + 4 * window) // window) * window
    degraded = image(1, 3, window, length).double().requires_grad_()
    middle = network(degraded)[0, :, 0].sum(dim=0)
    farthest = 0
    start = length // 2 // window * window
    for position in range(start, start + window):
        (gradient,) = torch.autograd.grad(middle[position], degraded, retain_graph=True)
        # what is masked has a weight of e^-100
        touched = (gradient.abs().sum(dim=(0, 1, 2)) > 1e-30).nonzero().flatten()
        farthest = max(farthest, position - int(touched[0]), int(touched[-1]) - position)
    assert farthest == radius


SEES_ALL: list[tuple[str, dict[str, Any]]] = [
    ("nafnet", {"width": 4, "middle_blk_num": 1, "enc_blk_nums": (1,), "dec_blk_nums": (1,)}),
    ("restormer", {"dim": 4, "num_blocks": (1,) * 4, "heads": (1,) * 4}),
    ("uformer", {"embed_dim": 2, "depths": (1,) * 9, "num_heads": (1,) * 9, "win_size": 2}),
]


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        *((*SEES_ALL[0], size) for size in [(300, 290), (131, 700), (700, 129), (40, 1200)]),
        (*SEES_ALL[1], (171, 172)),
        (*SEES_ALL[2], (131, 190)),
    ],
)
def test_blended_tiles_of_a_network_that_changes_nothing(
    name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    """Every pixel is there once, in its place, with weights that add up to 1."""
    network = build(name, **options)
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    tiled = restorer(network, int(170 * 170 * network.spec.bytes_per_pixel * 1.5))
    tiling = tiled.tiling(*size)
    assert not tiling.exact
    assert len(tiling) > 1
    for tile in tiling.tiles():
        inside = network.spec.padded(*tile.shape)
        assert inside[0] * inside[1] <= 170 * 170
    degraded = image(1, 3, *size)
    torch.testing.assert_close(tiled(degraded), degraded, rtol=0, atol=1e-6)
    pixels = (degraded[0].permute(1, 2, 0) * 255).round().byte().numpy()
    done: list[int] = []
    assert (tiled.pixels(pixels, advance=done.append) == pixels).all()
    assert sum(done) == size[0] * size[1]


def test_blended_tiles_are_near_to_the_whole() -> None:
    network = build("nafnet", **SEES_ALL[0][1])
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():
                weight.normal_(std=0.1)
    degraded = 0.2 + 0.6 * image(1, 3, 400, 300)
    whole = restorer(network, 2**34)(degraded)
    tiled = restorer(network, int(170 * 170 * network.spec.bytes_per_pixel * 1.5))
    assert 1e-6 < float((tiled(degraded) - whole).abs().max()) < 0.1


def test_no_border_shows_between_blended_tiles() -> None:
    spec = build("nafnet", **SEES_ALL[0][1]).spec
    tiling = Tiling.plan(400, 300, spec, int(170 * 170 * spec.bytes_per_pixel * 1.5))
    result = torch.full((1, 3, 400, 300), torch.nan)

    def write(rows: tuple[int, int], columns: tuple[int, int], part: Tensor) -> None:
        result[..., slice(*rows), slice(*columns)] = part

    blending = Blending(tiling, write)
    tiles = list(tiling.tiles())
    # as if the network made each tile of one colour
    colours = torch.rand(len(tiles), generator=torch.Generator().manual_seed(0))
    for colour, tile in zip(colours, tiles, strict=True):
        blending.add(tile, colour.expand(1, 3, *tile.shape))
    for colour, tile in zip(colours, tiles, strict=True):
        row, column = (sum(core) // 2 for core in (tile.core_rows, tile.core_columns))
        assert torch.allclose(result[0, :, row, column], colour)
    assert spec.tile_margin is not None
    most = float(colours.max() - colours.min()) / spec.tile_margin
    for axis in (2, 3):
        assert 0 < float(result.diff(dim=axis).abs().max()) <= 1.01 * most


def test_too_little_memory_for_the_smallest_tile() -> None:
    spec = build("nafnet", **SEES_ALL[0][1]).spec
    with pytest.raises(OptionError, match="smallest tile of this network is 128×128 pixels"):
        Tiling.plan(1000, 1000, spec, int(100 * 100 * spec.bytes_per_pixel * 1.5))
    need = int(128 * 128 * spec.bytes_per_pixel * 1.5) + 1
    assert len(Tiling.plan(1000, 1000, spec, need)) > 100


def test_exact_tiles_first_then_blended_ones() -> None:
    spec = build("swinir", embed_dim=4, depths=(6, 6, 6), num_heads=(1, 1, 1)).spec
    assert spec.receptive_radius is not None
    side = 2 * spec.receptive_radius + 32
    assert side > 170
    for pixels, exact in ((side**2, True), (130**2, False)):
        tiling = Tiling.plan(1000, 1000, spec, int(pixels * spec.bytes_per_pixel * 1.5) + 1)
        assert tiling.exact == exact


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
    checkpoint.save(tmp_path / "m.safetensors", build("dncnn", nc=4, nb=8))
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


def test_header_of_the_model_file_describes_the_network(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network = build("nafnet", **SEES_ALL[0][1])
    checkpoint.save(path, network)
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["noiseda"])
    assert header["network"] == "nafnet"
    assert header["options"]["enc_blk_nums"] == [1]
    assert header["spec"]["tile_margin"] == 32
    assert noiseda.load(path, device="cpu").spec == network.spec
