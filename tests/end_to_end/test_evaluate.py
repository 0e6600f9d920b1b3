"""`noiseda evaluate` as people run it: the scores are scikit-image's, mistakes are one line."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import torchvision

from noiseda import checkpoint, images, load, networks
from noiseda.errors import ImageError
from tests.conftest import photo, write_photos
from tests.end_to_end.conftest import Command
from tests.evaluation.conftest import noisy, reference

NAMES = ["a.png", "sub/a.png", "sub/b [red].png"]
Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`clean/` and `noisy/`, three images of different quality; `model.safetensors`."""
    write_photos(tmp_path / "clean", NAMES, (40, 52))
    for seed, name in enumerate(NAMES):
        path = tmp_path / "noisy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images.write(path, noisy(photo(40, 52, seed), 5 + 10 * seed, seed))
    torch.manual_seed(0)
    network = networks.build("unet", width=4, depth=2)
    checkpoint.save(tmp_path / "model.safetensors", network)
    return tmp_path


def check(
    restored: dict[str, np.ndarray], clean: Path, out: str, json_file: Path, csv_file: Path
) -> None:
    """Table, JSON and CSV all say what scikit-image says."""
    expected = {n: reference(restored[n], images.read_rgb8(clean / n)) for n in restored}
    mean = tuple(float(np.mean([scores[i] for scores in expected.values()])) for i in (0, 1))

    content = json.loads(json_file.read_text())
    assert content.keys() == {"protocol", "images", "mean"}
    assert content["protocol"] == "rgb"
    assert [image["name"] for image in content["images"]] == sorted(expected)
    for image in content["images"]:
        assert image.keys() == {"name", "psnr", "ssim"}
        assert (image["psnr"], image["ssim"]) == pytest.approx(expected[image["name"]], abs=1e-6)
    assert (content["mean"]["psnr"], content["mean"]["ssim"]) == pytest.approx(mean, abs=1e-6)

    written = list(csv.DictReader(csv_file.read_text().splitlines()))
    assert [row["name"] for row in written] == [*sorted(expected), "mean"]
    for row in written:
        found = float(row["psnr"]), float(row["ssim"])
        assert found == pytest.approx(expected.get(row["name"], mean), abs=1e-6)
        assert row["protocol"] == "rgb"

    rows = [[cell.strip() for cell in re.split("[│┃|]", line)] for line in out.splitlines()]
    table = {row[1]: row[2:4] for row in rows if len(row) == 5}
    assert table["image"] == ["PSNR [rgb] dB", "SSIM [rgb]"]
    assert len(table) == len(expected) + 2
    for name, scores in {**expected, f"mean of {len(expected)} images": mean}.items():
        assert table[name] == [f"{scores[0]:.2f}", f"{scores[1]:.4f}"]


def test_restored_folder(noiseda: Process, command: Command, folder: Path) -> None:
    json_file, csv_file = folder / "scores.json", folder / "scores.csv"
    arguments = ["evaluate", "--restored", folder / "noisy", "--clean", folder / "clean"]
    files = ["--json", json_file, "--csv", csv_file]
    result = noiseda(*arguments, *files)
    # a slow machine shows how far it is
    told = [line for line in result.stderr.splitlines() if not line.startswith("scoring: ")]
    assert (result.returncode, told) == (0, [])
    restored = {name: images.read_rgb8(folder / "noisy" / name) for name in NAMES}
    check(restored, folder / "clean", result.stdout, json_file, csv_file)

    # neither file is replaced unasked, not even if only one of them is there
    written = json_file.read_bytes(), csv_file.read_bytes()
    images.write(folder / "noisy" / NAMES[0], photo(40, 52, 7))
    for options in (files, files[:2], files[2:], ["--json", folder / "new", *files[2:]]):
        code, out, err = command(*arguments, *options)
        assert (code, out) == (2, "")
        assert err.startswith("noiseda: ")
        assert err.count("\n") == 1
        assert "--overwrite" in err
    assert (json_file.read_bytes(), csv_file.read_bytes()) == written
    assert not (folder / "new").exists()
    code, out, err = command(*arguments, *files, "--overwrite")
    assert (code, err) == (0, "")
    restored[NAMES[0]] = photo(40, 52, 7)
    check(restored, folder / "clean", out, json_file, csv_file)


def test_restores_with_a_model(noiseda: Process, command: Command, folder: Path) -> None:
    model, json_file, csv_file = (folder / n for n in ("model.safetensors", "s.json", "s.csv"))
    arguments = ["evaluate", "--model", model, "--degraded", folder / "noisy"]
    arguments += ["--clean", folder / "clean", "--protocol", "rgb"]
    result = noiseda(*arguments, "--json", json_file, "--csv", csv_file)
    # a slow machine shows how far it is
    told = [line for line in result.stderr.splitlines() if not line.startswith("scoring: ")]
    assert (result.returncode, told) == (0, [])
    network = load(model)
    restored = {name: network.pixels(images.read_rgb8(folder / "noisy" / name)) for name in NAMES}
    assert any((restored[n] != images.read_rgb8(folder / "noisy" / n)).any() for n in NAMES)
    check(restored, folder / "clean", result.stdout, json_file, csv_file)
    # the same as restoring to files first
    code, _, err = command("restore", folder / "noisy", "-o", folder / "out", "--model", model)
    assert (code, err) == (0, "")
    options = ["--clean", folder / "clean", "--json", folder / "t.json"]
    assert command("evaluate", "--restored", folder / "out", *options)[0] == 0
    assert (folder / "t.json").read_bytes() == json_file.read_bytes()


def test_identical_and_tiny(command: Command, tmp_path: Path) -> None:
    """JSON has no infinity and no NaN."""
    for name in ("restored", "clean"):
        write_photos(tmp_path / name, ["a.png"], (7, 9))
    arguments = ["evaluate", "--restored", tmp_path / "restored", "--clean", tmp_path / "clean"]
    code, out, err = command(*arguments, "--json", tmp_path / "s.json")
    assert (code, err) == (0, "")
    assert " inf " in out
    assert " nan " in out
    content = json.loads((tmp_path / "s.json").read_text(), parse_constant=lambda name: 1 / 0)
    assert content["images"] == [{"name": "a.png", "psnr": None, "ssim": None}]


def damage(path: Path) -> None:
    """Cut the last pixels off, which shows only when all are read."""
    size = images.size(path)
    path.write_bytes(path.read_bytes()[:-30])
    assert images.size(path) == size
    with pytest.raises(ImageError):
        images.read(path)


def test_all_mismatches_at_once(command: Command, folder: Path) -> None:
    write_photos(folder / "noisy", ["only-noisy.png"])
    write_photos(folder / "clean", ["only-clean.png", "x/only-clean.png"])
    ways = (["--restored"], ["--model", folder / "model.safetensors", "--degraded"])
    for way in ways:
        arguments = ["evaluate", *way, folder / "noisy", "--clean", folder / "clean"]
        code, out, err = command(*arguments, "--json", folder / "s.json")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        for name in ("only-noisy.png", "only-clean.png", "x/only-clean.png"):
            assert name in err
    for name in ("noisy/only-noisy.png", "clean/only-clean.png", "clean/x/only-clean.png"):
        (folder / name).unlink()
    for name in NAMES[1:]:
        images.write(folder / "noisy" / name, photo(20, 26))
    # comes first, and would stop who restores or scores before all sizes are known
    damage(folder / "noisy" / NAMES[0])
    for way in ways:
        arguments = ["evaluate", *way, folder / "noisy", "--clean", folder / "clean"]
        code, out, err = command(*arguments, "--json", folder / "s.json")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert all(f"{name} 26×20 but clean 52×40" in err for name in NAMES[1:])
    assert not (folder / "s.json").exists()


def test_too_large_for_the_memory(command: Command, folder: Path) -> None:
    """Said before anything is restored: a mean without the large images would mean nothing."""
    for part in ("noisy", "clean"):
        write_photos(folder / part, ["0.png"], (8, 9))
    damage(folder / "noisy" / "0.png")
    arguments = ["evaluate", "--model", folder / "model.safetensors", "--clean", folder / "clean"]
    code, out, err = command(*arguments, "--degraded", folder / "noisy", "--memory", "100KB")
    assert (code, out) == (2, "")
    assert err.startswith(f"noiseda: {folder / 'noisy' / NAMES[0]}: the smallest tile")
    assert err.count("\n") == 1


# what follows "evaluate --clean {}/clean", and what the line must say
WRONG = {
    "nothing to score": ("", ["--restored", "--model"]),
    "both": ("--restored {}/noisy --model {}/model.safetensors", ["either"]),
    "model alone": ("--model {}/model.safetensors", ["--degraded"]),
    "degraded alone": ("--degraded {}/noisy", ["--model"]),
    "degraded and restored": ("--restored {}/noisy --degraded {}/noisy", ["--model"]),
    "missing folder": ("--restored {}/none", ["none", "no such folder"]),
    "a file": ("--restored {}/model.safetensors", ["model.safetensors", "not a folder"]),
    "protocol": ("--restored {}/noisy --protocol rbg", ["rbg", "did you mean 'rgb'"]),
    "protocol, model": (
        "--model {}/model.safetensors --degraded {}/noisy --protocol yuv",
        ["'yuv'", "realblur-j, rgb, sidd, spa, y"],
    ),
    "task": ("--model {}/model.safetensors --degraded {}/noisy --task deblur", ["deblur"]),
    "memory": (
        "--model {}/model.safetensors --degraded {}/noisy --memory 1KB",
        ["allow --memory"],
    ),
    "no model": ("--model {}/noisy --degraded {}/noisy", ["no model.safetensors"]),
    "no folder for scores": ("--restored {}/noisy --json {}/none/s.json", ["none/s.json"]),
    "no folder for table": ("--restored {}/noisy --csv {}/none/s.csv", ["none/s.csv"]),
    "a folder for scores": ("--restored {}/noisy --json {}/clean --overwrite", ["clean", "folder"]),
    "blocks and a folder": ("--restored {}/blocks.mat", ["two folders or two .mat"]),
    "mat of folders": (
        "--model {}/model.safetensors --degraded {}/noisy --mat {}/out.mat",
        ["--mat"],
    ),
    "mat without model": ("--restored {}/noisy --mat {}/out.mat", ["--mat", "--model"]),
    "weights without lpips": ("--restored {}/noisy --lpips-weights {}/w.pth", ["with --lpips"]),
    "no weights": ("--restored {}/noisy --lpips --lpips-weights {}/w.pth", ["w.pth", "no such"]),
    "one file for both": ("--restored {}/noisy --json {}/s --csv {}/s", ["--json", "--csv"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_line_says_what_is_wrong(case: str, command: Command, folder: Path) -> None:
    words, expected = WRONG[case]
    given = [word.replace("{}", str(folder)) for word in words.split()]
    code, out, err = command("evaluate", "--clean", folder / "clean", *given)
    assert (code, out) == (2, "")
    assert err.startswith("noiseda: ")
    assert err.count("\n") == 1
    for word in expected:
        assert word in err


def test_broken_image(command: Command, folder: Path) -> None:
    path = folder / "noisy" / NAMES[1]
    damage(path)
    for way in (["--restored"], ["--model", folder / "model.safetensors", "--degraded"]):
        code, out, err = command("evaluate", *way, folder / "noisy", "--clean", folder / "clean")
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert str(path) in err


def test_blocks_of_sidd(command: Command, folder: Path) -> None:
    clean = np.stack([[photo(16, 20, 3 * i + k) for k in range(3)] for i in range(2)])
    degraded = noisy(clean, 20)
    scipy.io.savemat(folder / "gt.mat", {"ValidationGtBlocksSrgb": clean})
    scipy.io.savemat(folder / "noisy.mat", {"ValidationNoisyBlocksSrgb": degraded})
    arguments = ["evaluate", "--clean", "gt.mat", "--protocol", "sidd", "--json", "scores.json"]
    restoring = ["--model", "model.safetensors", "--degraded", "noisy.mat", "--mat", "out.mat"]
    code, out, err = command(*arguments, *restoring)
    assert (code, err) == (0, "")
    assert "restored blocks: out.mat" in out
    assert "SSIM [sidd]" in out
    written = scipy.io.loadmat(folder / "out.mat")["Idenoised"]
    network = load(folder / "model.safetensors")
    for place in np.ndindex(2, 3):
        np.testing.assert_array_equal(written[place], network.pixels(degraded[place]))
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["protocol"] == "sidd"
    assert [image["name"] for image in scores["images"]][::3] == ["01/01", "02/01"]
    # the written file scores the same; nothing is replaced unasked
    assert command(*arguments, "--restored", "out.mat")[0] == 2
    assert command(*arguments, "--restored", "out.mat", "--overwrite")[0] == 0
    assert json.loads((folder / "scores.json").read_text()) == scores
    code, _, err = command(*arguments[:3], *restoring)
    assert code == 2
    assert "out.mat exists" in err
    # for a benchmark whose ground truth nobody has
    code, out, err = command("evaluate", *restoring, "--overwrite")
    assert (code, out) == (0, "restored blocks: out.mat\n"), err
    code, _, err = command("evaluate", *restoring, "--overwrite", "--json", "scores.json")
    assert code == 2
    assert "--clean" in err


def test_lpips(command: Command, folder: Path) -> None:
    torch.manual_seed(0)
    layers = torchvision.models.vgg
    features = layers.make_layers(layers.cfgs["D"]).state_dict()
    torch.save({f"features.{name}": value for name, value in features.items()}, folder / "vgg.pth")
    arguments = ["evaluate", "--restored", "noisy", "--clean", "clean", "--protocol", "spa"]
    options = ["--lpips", "--lpips-weights", "vgg.pth", "--json", "s.json", "--csv", "s.csv"]
    code, out, err = command(*arguments, *options)
    assert (code, err) == (0, "")
    assert "LPIPS (vgg)" in out
    content = json.loads((folder / "s.json").read_text())
    values = [image["lpips"] for image in content["images"]]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1]
    assert content["mean"]["lpips"] == pytest.approx(sum(values) / 3)
    rows = list(csv.DictReader((folder / "s.csv").read_text().splitlines()))
    assert [float(row["lpips"]) for row in rows[:-1]] == values
