"""`noiseda restore` as people run it: files and folders in, the same tree out, or one line."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from noiseda import checkpoint, images, load, networks
from tests.conftest import ENVIRONMENT, photo, write_photos
from tests.end_to_end.conftest import Command

PUBLISHED = Path(__file__).parents[1] / "parity" / "checkpoint_network.pth"
Process = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    checkpoint.save(path, networks.build("unet", width=4, depth=2))
    return path


def files(folder: Path) -> list[str]:
    """Relative paths of all files, hidden ones too."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def one_line(text: str) -> str:
    """The single line of stderr, without the program's name."""
    assert text.startswith("noiseda: ")
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return text.removeprefix("noiseda: ").rstrip("\n")


def test_a_folder_inside_its_input(noiseda: Process, model: Path, tmp_path: Path) -> None:
    """All kinds of files; a second and a third run with more files, one of them broken."""
    photos = tmp_path / "my [red] photos"
    restored = photos / "restored"
    random = np.random.default_rng(0)
    deep = random.integers(0, 65536, (21, 34, 3), dtype=np.uint16)
    alpha = random.integers(0, 65536, (21, 34), dtype=np.uint16)
    names = ["[b]1.png", "sub/a.tif", "sub/sub/a.png", "x.JPG", "y.ppm"]
    write_photos(photos, names, (33, 30))
    images.write(photos / "deep.png", deep, images.Kind(21, 34, depth=16, alpha=alpha))
    images.write(photos / "gray.png", photo(9, 1), images.Kind(9, 1, gray=True))
    (photos / "notes.txt").write_text("not an image")
    arguments = ["restore", photos, "-o", restored, "--model", model]

    first = noiseda(*arguments)
    assert first.returncode == 0, first.stderr
    # a slow machine shows how far it is
    assert all(line.startswith("restoring: ") for line in first.stderr.splitlines())
    assert first.stdout.startswith(f"7 restored into {restored}")
    assert files(restored) == sorted([*names, "deep.png", "gray.png"])
    network = load(model)
    for name in files(restored):
        before, after = images.read(photos / name), images.read(restored / name)
        assert after.kind.depth == before.kind.depth
        assert after.kind.gray == before.kind.gray
        assert after.pixels.shape == before.pixels.shape
        expected = network.pixels(before.pixels)
        assert (expected != before.pixels).any()
        if name.endswith((".png", ".tif", ".ppm")) and not before.kind.gray:
            assert np.array_equal(after.pixels, expected), name
    kept_alpha = images.read(restored / "deep.png").kind.alpha
    assert kept_alpha is not None
    assert np.array_equal(kept_alpha, alpha)

    # results are neither made anew nor taken for photos; the new file is done
    (restored / "x.JPG").write_bytes(b"mine")
    write_photos(photos, ["sub/new.png"])
    times = {name: (restored / name).stat().st_mtime_ns for name in files(restored)}
    second = noiseda(*arguments)
    assert (second.returncode, second.stderr) == (0, "")
    assert "1 restored" in second.stdout
    assert "7 existed and were kept" in second.stdout
    assert files(restored) == sorted([*times, "sub/new.png"])
    assert times == {name: (restored / name).stat().st_mtime_ns for name in times}

    # with the broken files listed, each on its line, the others are done
    whole = (photos / "sub/new.png").read_bytes()
    (photos / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "sub" / "text.png").write_text("hello")
    third = noiseda(*arguments, "--overwrite")
    assert third.returncode == 1
    assert third.stdout.startswith("8 restored")
    assert files(restored) == sorted([*times, "sub/new.png"])
    assert images.read(restored / "x.JPG").pixels.shape == (33, 30, 3)
    lines = third.stderr.splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ["cut.png", "empty.jpg", "sub/text.png"], strict=True):
        assert line.startswith(f"failed: {photos / name}: ")


def test_files_in(noiseda: Process, command: Command, model: Path, tmp_path: Path) -> None:
    write_photos(tmp_path, ["a.png", "b.png", "sub/c.png"], (24, 17))
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(model, run)
    # a single file to a file of another format, a published model, half strength
    result = noiseda(
        *("restore", tmp_path / "a.png", "-o", tmp_path / "new" / "b.tif"),
        *("--model", PUBLISHED, "--task", "deblur", "--strength", "0.5"),
    )
    assert result.returncode == 0, result.stderr
    expected = load(PUBLISHED, task="deblur").pixels(images.read(tmp_path / "a.png").pixels, 0.5)
    assert np.array_equal(images.read(tmp_path / "new" / "b.tif").pixels, expected)

    inputs = [tmp_path / "a.png", tmp_path / "a.png", tmp_path / "sub"]
    code, out, err = command("restore", *inputs, "-o", tmp_path / "out", "--model", run)
    assert (code, err) == (0, "")
    assert out.startswith("2 restored")
    assert files(tmp_path / "out") == ["a.png", "c.png"]

    # nothing left to do is an error, which names the option
    code, _, err = command("restore", *inputs, "-o", tmp_path / "out", "--model", run)
    assert code == 2
    assert "--overwrite" in one_line(err)
    code, _, err = command("restore", inputs[0], "-o", tmp_path / "b.png", "--model", run)
    assert code == 2
    assert np.array_equal(images.read(tmp_path / "b.png").pixels, photo(24, 17, seed=1))


def test_tiles_give_the_same_files(command: Command, model: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "in", ["a.png", "b.png"], (150, 133))
    for name, options in (("whole", []), ("tiled", ["--memory", "1MB"])):
        code, _, err = command(
            "restore", tmp_path / "in", "-o", tmp_path / name, "--model", model, *options
        )
        assert (code, err) == (0, "")
    assert len(load(model, memory=2**20).tiling(150, 133)) > 1
    for name in ("a.png", "b.png"):
        whole = images.read(tmp_path / "whole" / name).pixels.astype(int)
        tiled = images.read(tmp_path / "tiled" / name).pixels.astype(int)
        # rounding to 8 bits can fall either way
        assert np.abs(whole - tiled).max() <= 1
        assert (whole != tiled).mean() < 0.001


def test_one_photo_too_large_for_the_memory(command: Command, model: Path, tmp_path: Path) -> None:
    """It is listed as failed and the rest is done; with nothing left to do, one line says so."""
    write_photos(tmp_path / "in", ["a.png", "sub/c.png"], (8, 9))
    write_photos(tmp_path / "in", ["b.png"], (64, 64))
    arguments = ["restore", tmp_path / "in", "-o", tmp_path / "out", "--model", model]
    code, out, err = command(*arguments, "--memory", "100KB")
    assert code == 1
    assert out == f"2 restored into {tmp_path / 'out'}\n"
    assert err.startswith(f"failed: {tmp_path / 'in' / 'b.png'}: the smallest tile ")
    assert err.count("\n") == 1
    assert files(tmp_path / "out") == ["a.png", "sub/c.png"]
    # what the line advises is enough
    advised = err.rpartition("allow --memory ")[2].strip()
    code, out, err = command(*arguments, "--memory", advised)
    assert (code, err) == (0, "")
    assert out.startswith("1 restored")

    code, out, err = command(*arguments, "--memory", "1KB", "--overwrite")
    assert (code, out) == (2, "")
    assert str(tmp_path / "in" / "a.png") in one_line(err)


# what follows "restore", and what the line must name; {} is a folder with the files made below
WRONG: dict[str, tuple[str, Sequence[str]]] = {
    "missing input": ("{}/none.png -o {}/out", ["none.png", "no such file"]),
    "missing input, file out": ("{}/none.png -o {}/out.png", ["none.png", "no such file"]),
    "empty folder": ("{}/empty -o {}/out", ["empty", "no image"]),
    "other files": ("{}/others -o {}/out", ["others", "no image", "2 other files"]),
    "a file as folder": ("{}/in -o {}/others/1.txt", ["1.txt", "is a file"]),
    "a file in the path": ("{}/in -o {}/others/1.txt/out", ["1.txt", "is a file"]),
    "same, file out": ("{}/in/a.png -o {}/others/1.txt/b.png", ["1.txt", "is a file"]),
    "folder to a file": ("{}/in -o {}/out.png", ["out.png", "folder as output"]),
    "same name": ("{}/in/a.png {}/in/sub/a.png -o {}/out", ["in/a.png", "sub/a.png", "out/a.png"]),
    "broken file": ("{}/broken/x.png -o {}/out", ["broken/x.png", "empty"]),
    "other format": ("{}/in/a.png -o {}/out.gif", ["out.gif", ".gif"]),
    "other task": ("{}/in -o {}/out --task derain", ["model.safetensors", "denoise", "derain"]),
    "unknown task": ("{}/in -o {}/out --task dehaze", ["dehaze", "derain"]),
    "little memory": ("{}/in -o {}/out --memory 1KB", ["smallest tile", "1KB", "allow --memory"]),
    "bad memory": ("{}/in -o {}/out --memory much", ["much", "512MB"]),
    "no memory": ("{}/in -o {}/out --memory 0", ["0", "512MB"]),
    "strength": ("{}/in -o {}/out --strength 1.5", ["--strength", "1"]),
    "strength nan": ("{}/in -o {}/out --strength nan", ["--strength"]),
    "device": ("{}/in -o {}/out --device abacus", ["abacus"]),
    "no model there": ("{}/in -o {}/out --model {}/none.pth", ["none.pth", "no such file"]),
    "folder, no model": ("{}/in -o {}/out --model {}/in", ["in", "no model.safetensors"]),
    "an image as model": ("{}/in -o {}/out --model {}/in/a.png", ["a.png", "not a whole model"]),
    "no output": ("{}/in", ["--output"]),
    "unknown option": ("{}/in -o {}/out --overwirte", ["--overwirte", "--overwrite"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_photos(tmp_path / "in", ["a.png", "sub/a.png"])
    (tmp_path / "empty").mkdir()
    for name in ("others/1.txt", "others/2.md", "broken/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name.endswith("png") else "x")
    return tmp_path


@pytest.mark.parametrize("case", WRONG)
def test_one_line_says_what_is_wrong(
    case: str, command: Command, model: Path, folder: Path
) -> None:
    words, expected = WRONG[case]
    before = files(folder)
    given = [word.replace("{}", str(folder)) for word in words.split()]
    extra = [] if "--model" in given else ["--model", model]
    code, out, err = command("restore", *given, *extra)
    line = one_line(err)
    assert (code, out) == (2, "")
    for word in expected:
        assert word in line
    assert files(folder) == before


def test_one_line_from_a_process(noiseda: Process, model: Path, folder: Path) -> None:
    """The same of a process of its own, whose imports and libraries might write too."""
    for options in (["-o", folder / "others/1.txt"], ["-o", folder / "out", "--memory", "1KB"]):
        result = noiseda("restore", folder / "in", "--model", model, *options)
        assert result.returncode == 2
        assert result.stdout == ""
        one_line(result.stderr)


def test_nothing_could_be_restored(command: Command, model: Path, folder: Path) -> None:
    (folder / "broken" / "y.png").write_text("y")
    code, _, err = command("restore", folder / "broken", "-o", folder / "out", "--model", model)
    assert code == 2
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        str(folder / "broken" / name) for name in ("x.png", "y.png")
    ]
    assert not (folder / "out").exists()


def test_interrupted_and_run_again(noiseda: Process, model: Path, tmp_path: Path) -> None:
    write_photos(tmp_path / "in", ["000.png"], (160, 160))
    for number in range(1, 150):
        shutil.copy(tmp_path / "in" / "000.png", tmp_path / "in" / f"{number:03}.png")
    out = tmp_path / "out"
    arguments = ["restore", str(tmp_path / "in"), "-o", str(out), "--model", str(model)]
    process = subprocess.Popen(
        [sys.executable, "-m", "noiseda", *arguments],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a test started in the background of a shell would hand on that Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 100
    while not (out / "002.png").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 130, stderr
    assert stderr.splitlines() == ["interrupted; run the same command again to do the rest"]
    done = files(out)
    assert 3 <= len(done) < 150
    # a stop between a file's last byte and its being counted leaves one more than is told
    assert stdout in {f"{len(done) - uncounted} restored into {out}\n" for uncounted in (0, 1)}
    whole = [(out / name).read_bytes() for name in done]
    # all inputs are alike, so a file that is not whole would differ
    assert set(whole) == {whole[0]}

    again = noiseda(*arguments)
    assert again.returncode == 0
    assert f"{len(done)} existed and were kept" in again.stdout
    assert files(out) == files(tmp_path / "in")
    assert {path.read_bytes() for path in out.iterdir()} == {whole[0]}
