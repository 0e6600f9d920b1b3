"""`noiseda data` as people run it."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from noiseda import images
from noiseda.errors import DataError
from noiseda.training import prepare, read_recipe
from tests.conftest import ENVIRONMENT, photo, write_photos
from tests.data.conftest import Server, leaves, server, write
from tests.end_to_end.conftest import Command

__all__ = ["server"]


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return content.getvalue()


def png(tmp_path: Path, seed: int) -> bytes:
    images.write(tmp_path / "a.png", photo(40, 50, seed))
    return (tmp_path / "a.png").read_bytes()


def test_look(command: Command, refused: Callable[..., str]) -> None:
    code, out, err = command("data", "list")
    assert (code, err) == (0, "")
    assert all(name in out for name in ("DIV2K", "SIDD-Medium", "RealBlur-J", "Rain100L"))
    code, out, _ = command("data", "show", "div2k")
    assert code == 0
    assert "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335" in out
    assert "did you mean 'Rain13K'" in refused("data", "show", "Rain12K")


def test_listing_needs_neither_torch_nor_numpy() -> None:
    code = "import sys; sys.argv = ['noiseda', 'data', 'list']\nfrom noiseda.cli import main\n"
    code += "try:\n    main()\nfinally:\n    assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT, capture_output=True)


def test_fetch(
    command: Command, refused: Callable[..., str], server: Server, tmp_path: Path
) -> None:
    content = archive({"Data/a.png": png(tmp_path, 0), "Data/b.png": png(tmp_path, 1)})
    digest = hashlib.sha256(content).hexdigest()
    server.files["/set.zip"] = content
    get = ["data", "fetch", "WED", "--into", "sets", "--url", f"{server.url}/set.zip"]
    assert "expected sha256:000" in refused(*get, "--sha256", "0" * 64)
    assert not list((tmp_path / "sets").rglob("*.png"))
    code, out, err = command(*get, "--sha256", digest)
    assert code == 0
    assert "sets/WED/Data: verified" in out
    # what the next command would take is not in this archive
    assert "there is no sets/WED/pristine_images; if this is WED, find its images" in err
    assert "next: " not in out
    names = sorted(path.name for path in (tmp_path / "sets/WED").iterdir())
    assert names == [".fetched.json", "Data"]
    asked = len(server.asked)
    code, out, _ = command(*get, "--sha256", digest)
    assert (code, len(server.asked)) == (0, asked)
    assert "is there already" in out
    assert "answered 404" in refused(*get[:-1], f"{server.url}/none.zip")
    # one that is here already
    (tmp_path / "my.zip").write_bytes(content)
    local = ["data", "fetch", "SIDD-Medium", "--into", "sets", "--from-local"]
    code, out, _ = command(*local, "my.zip")
    assert code == 0
    assert f"not verified; its SHA-256 is {digest}" in out
    assert "next: noiseda data prepare sets/SIDD-Medium --layout sidd-medium" in out
    assert images.size(tmp_path / "sets/SIDD-Medium/Data/a.png") == (40, 50)
    assert "exists already" in refused(*local, "my.zip")
    assert "has another checksum" in refused(*local, "my.zip", "--sha256", "1" * 64)
    (tmp_path / "DIV2K_train_HR.zip").write_bytes(content)
    named = ["data", "fetch", "DIV2K", "--into", "sets", "--from-local", "DIV2K_train_HR.zip"]
    assert f"pass --sha256 {digest}" in refused(*named)
    assert "no such file" in refused(*local, "none.zip")
    assert "not 64 hexadecimal digits" in refused(*local, "my.zip", "--sha256", "12")
    assert "a browser" in refused("data", "fetch", "RealBlur-J", "--into", "sets")
    assert "give --url or --from-local, not both" in refused(*get, "--from-local", "my.zip")


def test_check(command: Command, refused: Callable[..., str], tmp_path: Path) -> None:
    write(tmp_path / "train/a.png", leaves(120, 150, 0))
    write(tmp_path / "train/b.png", leaves(120, 150, 1))
    write(tmp_path / "test/c.png", leaves(120, 150, 2))
    arguments = ["data", "check", "train", "--test", "test", "--json", "report.json"]
    code, out, _ = command(*arguments)
    assert (code, out) == (0, "3 images: nothing found\n")
    write(tmp_path / "test/d.png", leaves(120, 150, 1)[10:110, 10:130])
    (tmp_path / "train/c.png").write_text("no image")
    code, out, _ = command(*arguments)
    assert code == 1
    assert "train/b.png and test/d.png" in out
    assert "5 images: 1 unreadable, 1 leak" in out
    content = json.loads((tmp_path / "report.json").read_text())
    assert [item["kind"] for item in content["findings"]] == ["unreadable", "leak"]
    assert "no such folder" in refused("data", "check", "none")
    assert "none/r.json" in refused("data", "check", "train", "--json", "none/r.json")


def test_prepare_and_train(
    command: Command, recipe_file: Path, refused: Callable[..., str]
) -> None:
    """From folders to crops to a run."""
    folder = recipe_file.parent
    write_photos(folder / "set/noisy", ["a.png", "b.png"], (40, 50))
    write_photos(folder / "set/clean", ["a.png", "b.png"], (40, 50))
    arguments = ["data", "prepare", "set", "--layout", "pairs", "-o", "crops"]
    code, out, err = command(*arguments, "--size", "24", "--overlap", "8")
    assert (code, err) == (0, "")
    assert out == "crops/degraded: 12 crops of 2 images\ncrops/clean: 12 crops of 2 images\n"
    options = ["--set", "data.clean=crops/clean", "--set", "data.real=crops/degraded"]
    options += ["--set", "training.images=4"]
    code, _, err = command("train", recipe_file, "-o", "run", *options)
    assert code == 0, err
    oracle = {
        "data.clean": "crops/clean",
        "data.real": "crops/degraded",
        "data.truth": "crops/clean",
        "objective": "supervised",
    }
    sample = prepare(read_recipe(recipe_file, oracle)).samples[3]
    assert {"real", "truth"} <= sample.keys()
    pairs = {"degraded": "crops/degraded", "clean": "crops/clean"}
    stores = prepare(
        read_recipe(recipe_file, {"data.clean": [], "data.pairs": pairs})
    ).samples.stores
    assert [store and len(store) for store in (stores["clean"], stores["synthetic"])] == [12, 12]
    with pytest.raises(DataError, match="no prepared crops"):
        prepare(read_recipe(recipe_file, {**oracle, "data.truth": "set/clean"}))
    # images that cannot be read are left out, and named
    (folder / "set/noisy/b.png").write_text("no image")
    code, out, err = command(*arguments, "--size", "24", "--overlap", "8", "--overwrite")
    assert code == 1
    assert "left out: " in err
    assert "set/noisy/b.png" in err
    assert "crops of 1 images" in out
    assert "no layout 'pair'; did you mean 'pairs'?" in refused(*arguments, "--layout", "pair")
    assert "--part noisy" in refused(*arguments, "--part", "noisy")
    assert "--overlap 600" in refused(*arguments, "--overlap", "600")


def test_plain_folders_and_blocks(
    command: Command, tmp_path: Path, refused: Callable[..., str]
) -> None:
    write_photos(tmp_path / "set/noisy", ["a.png"])
    write_photos(tmp_path / "set/clean", ["a.png"])
    code, _, _ = command("data", "prepare", "set", "--layout", "pairs", "--files", "-o", "plain")
    assert code == 0
    scores = ["evaluate", "--restored", "plain/degraded", "--clean", "plain/clean"]
    assert command(*scores)[0] == 0
    blocks = np.random.default_rng(0).integers(0, 256, (2, 2, 16, 16, 3)).astype(np.uint8)
    savemat(tmp_path / "Noisy.mat", {"ValidationNoisyBlocksSrgb": blocks})
    code, out, _ = command("data", "prepare", "Noisy.mat", "--layout", "sidd-blocks", "-o", "png")
    assert (code, out) == (0, "png: 4 blocks\n")
    code, out, _ = command("data", "pack", "png", "-o", "Idenoised.mat")
    assert (code, out) == (0, "Idenoised.mat: Idenoised, 2×2×16×16×3\n")
    assert np.array_equal(loadmat(tmp_path / "Idenoised.mat")["Idenoised"], blocks)
    assert "pass --overwrite" in refused("data", "pack", "png", "-o", "Idenoised.mat")
