"""noiseda degrade: clean images in, degraded ones out, as a user sees it."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.degradations import DEGRADATIONS, build
from noiseda.degradations.files import Work, degrade_files
from tests.conftest import photo, write_photos
from tests.end_to_end.conftest import Command

Refused = Callable[..., str]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "clean", ["a.png", "b/a.png", "b/c.png"])


def test_stopped_between_two_images(clean: Path, tmp_path: Path) -> None:
    names = ["a.png", "b/a.png", "b/c.png"]
    work = [Work((clean / name,), (tmp_path / "out" / name,), name) for name in names]

    def started(target: Path) -> None:
        if target == work[1].targets[0]:
            raise KeyboardInterrupt

    outcome = degrade_files(build("gaussian"), work, 0, False, started)
    assert outcome.interrupted
    assert outcome.done == work[:1]


@pytest.mark.parametrize("kind", ["gaussian", "camera", "matched", "rain", "motion-blur"])
def test_every_kind(command: Command, clean: Path, tmp_path: Path, kind: str) -> None:
    assert command("degrade", clean, "--kind", kind, "-o", "out")[0] == 0
    names = sorted(path.relative_to(clean).as_posix() for path in clean.rglob("*.png"))
    pairs = [(images.read_rgb8(clean / name), images.read_rgb8(tmp_path / "out" / name))
             for name in names]  # fmt: skip
    assert all(a.shape == b.shape and not np.array_equal(a, b) for a, b in pairs)
    # each has its own draws, also those of one name
    changes = [b.astype(int) - a for a, b in pairs]
    assert not np.array_equal(changes[0], changes[1])


def test_seed_and_name_decide(command: Command, clean: Path, tmp_path: Path) -> None:
    for output, seed, source in (("x", 3, clean), ("y", 3, clean), ("z", 4, clean)):
        code, out, _ = command(
            "degrade", source, "--kind", "rain", "--seed", str(seed), "-o", output
        )
        assert code == 0
        assert out == f"3 degraded into {output}\n"
    command("degrade", clean / "a.png", "--kind", "rain", "--seed", "3", "-o", "alone.png")
    first, again, other, alone = (
        (tmp_path / name).read_bytes() for name in ("x/a.png", "y/a.png", "z/a.png", "alone.png")
    )
    assert first == again == alone
    assert first != other


def test_options(command: Command, clean: Path, tmp_path: Path) -> None:
    base = ("degrade", clean / "a.png", "--kind")
    mixture = "parts=[{name: rain, density: [0, 0]}]"
    assert command(*base, "mixture", "--set", mixture, "-o", "same.png")[0] == 0
    before, after = (images.read_rgb8(p) for p in (clean / "a.png", tmp_path / "same.png"))
    assert np.array_equal(before, after)
    options = ("--set", "sigma=[50,50]", "--set", "clamp=true")
    assert command(*base, "gaussian", *options, "-o", "noisy.png")[0] == 0
    noise = images.read_rgb8(tmp_path / "noisy.png").astype(int) - before
    assert 35 < float(noise.std()) < 51


def test_files_stay_of_their_kind(command: Command, tmp_path: Path) -> None:
    deep = photo(20, 30).astype(np.uint16) * 257
    images.write(tmp_path / "deep.png", deep, images.Kind(20, 30, gray=True, depth=16))
    assert command("degrade", "deep.png", "--kind", "motion-blur", "-o", "out")[0] == 0
    kind = images.read(tmp_path / "out" / "deep.png").kind
    assert (kind.gray, kind.depth) == (True, 16)


def test_nothing_is_overwritten_unasked(
    command: Command, refused: Refused, clean: Path, tmp_path: Path
) -> None:
    base = ("degrade", clean, "--kind", "gaussian", "-o", "out")
    command(*base)
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    assert "and 2 more exist already" in refused(*base)
    one = ("degrade", clean / "a.png", "--kind", "gaussian", "-o", "one")
    command(*one)
    assert "one/a.png exists already, so nothing was done" in refused(*one)
    (tmp_path / "out" / "b" / "c.png").unlink()
    code, out, _ = command(*base)
    assert (code, out.splitlines()[0]) == (0, "1 degraded into out")
    assert "2 existed and were kept" in out
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert command(*base, "--overwrite")[0] == 0
    assert (tmp_path / "out" / "a.png").read_bytes() != b"mine"


def test_one_bad_file_does_not_stop_the_rest(command: Command, clean: Path) -> None:
    (clean / "broken.png").write_bytes(b"no image")
    code, out, err = command("degrade", clean, "--kind", "rain", "-o", "out")
    assert code == 1
    assert out == "3 degraded into out\n"
    failures = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert len(failures) == 1
    assert "broken.png" in failures[0]
    code, _, err = command("degrade", clean / "broken.png", "--kind", "rain", "-o", "x")
    assert code == 2
    assert err.startswith("noiseda: ")
    assert "broken.png" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "rein"], "--kind rein: no such degradation; did you mean 'rain'?"),
        (["--kind", "rain", "--set", "lenght=3"], "unknown key 'lenght'; did you mean 'length'?"),
        (["--kind", "rain", "--set", "length"], "expected key=value"),
        (["--kind", "rain", "--set", "length=[3"], "not valid YAML"),
        (["--kind", "rain", "--set", "length=[30,3]"], "low 30 is above high 3"),
        (["--kind", "gaussian", "--set", "sigma=[0,999]"], "sigma.1"),
        (["--kind", "mixture"], "'parts' is missing"),
        (["--kind", "frames", "--set", "count=4"], "count 4 is even"),
        (["--kind", "frames"], "no folder has the 7 frames"),
        ([], "--kind"),
    ],
)
def test_what_is_refused(
    refused: Refused, clean: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    assert words in refused("degrade", clean, *arguments, "-o", "out")
    assert not (tmp_path / "out").exists()


def test_inputs_that_are_refused(refused: Refused, clean: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    kind = ("--kind", "rain", "-o")
    assert "no such file or folder" in refused("degrade", "absent", *kind, "out")
    assert "no image" in refused("degrade", "empty", *kind, "out")
    assert "is a file" in refused("degrade", clean, *kind, "file")
    two = (clean / "a.png", clean / "b" / "a.png")
    assert "would both be written to" in refused("degrade", *two, *kind, "out")
    frames = ("--kind", "frames", "-o", "out")
    assert "takes one folder" in refused("degrade", clean, clean, *frames)
    assert "is a file, not a folder" in refused("degrade", clean / "a.png", *frames)


def test_help_names_every_kind(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    code, out, _ = command("degrade", "--help")
    assert code == 0
    assert all(name in out for name in [*DEGRADATIONS.names, "frames", "noiseda degrade photo.png"])


def test_the_page_of_degradations(command: Command, clean: Path, tmp_path: Path) -> None:
    """Its commands work, it names every kind, and its figures are the committed ones."""
    page = (ROOT / "docs" / "degradations.md").read_text()
    write_photos(tmp_path, ["photo.png"])
    write_video(tmp_path / "video-frames", list(range(9)))
    commands = [
        shlex.split(line)
        for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
        for line in block.splitlines()
    ]
    assert len(commands) == 4
    for program, *arguments in commands:
        assert program == "noiseda"
        assert command(*arguments)[0] == 0
    assert len(list((tmp_path / "pairs" / "sharp").iterdir())) == 1
    assert all(f"| `{name}` |" in page for name in [*DEGRADATIONS.names, "frames"])
    study = runpy.run_path(str(ROOT / "studies" / "degradations" / "run.py"))
    results = json.loads(study["RESULTS"].read_text())
    assert study["with_tables"](page, results) == page


# --- frames -----------------------------------------------------------------------------------


def write_video(folder: Path, values: list[int], size: tuple[int, int] = (8, 9)) -> None:
    """Frames of one brightness each, numbered without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, value in enumerate(values, start=1):
        images.write(folder / f"f{number}.png", np.full((*size, 3), value, np.uint8))


def level(path: Path) -> int:
    (value,) = np.unique(images.read_rgb8(path))
    return int(value)


def test_frames_are_averaged_as_light(command: Command, tmp_path: Path) -> None:
    write_video(tmp_path / "v" / "one", [0, 100, 255, *[10] * 6, 255, 255, 255])
    write_video(tmp_path / "v" / "two", [7, 8])
    base = ("degrade", "v", "--kind", "frames", "--set", "count=3", "-o", "pairs")
    code, out, _ = command(*base)
    assert (code, out) == (0, "4 pairs made in pairs\n")
    written = sorted(p.relative_to(tmp_path / "pairs").as_posix() for p in
                     (tmp_path / "pairs").rglob("*.png"))  # fmt: skip
    middles = ["f11", "f2", "f5", "f8"]
    assert written == [f"{side}/one/{name}.png" for side in ("blurry", "sharp") for name in middles]
    # f10 comes after f9, and frame 2 is the middle of 1 to 3
    sharp, blurry = tmp_path / "pairs" / "sharp" / "one", tmp_path / "pairs" / "blurry" / "one"
    assert [level(sharp / f"{name}.png") for name in middles] == [255, 100, 10, 10]
    light = (0 + ((100 / 255 + 0.055) / 1.055) ** 2.4 + 1) / 3
    assert level(blurry / "f2.png") == round(255 * (1.055 * light ** (1 / 2.4) - 0.055))
    assert level(blurry / "f5.png") == 10
    # nothing of it is made again; what is lost of a pair is
    (blurry / "f2.png").unlink()
    (sharp / "f2.png").write_bytes(b"mine")
    assert command(*base)[0] == 0
    assert (blurry / "f2.png").exists()
    assert (sharp / "f2.png").read_bytes() == b"mine"


def test_overlapping_averages(command: Command, tmp_path: Path) -> None:
    write_video(tmp_path / "v", list(range(7)))
    options = ("--set", "count=3", "--set", "step=2")
    assert command("degrade", "v", "--kind", "frames", *options, "-o", "v/pairs")[0] == 0
    sharp = sorted((tmp_path / "v" / "pairs" / "sharp").iterdir())
    assert [path.name for path in sharp] == ["f2.png", "f4.png", "f6.png"]
    # results inside the input are no frames
    code, _, err = command("degrade", "v", "--kind", "frames", *options, "-o", "v/pairs")
    assert (code, "and 2 more exist already" in err) == (2, True)


def test_frames_of_another_size(command: Command, tmp_path: Path) -> None:
    write_video(tmp_path / "v", [1] * 6)
    images.write(tmp_path / "v" / "f5.png", np.zeros((4, 4, 3), np.uint8))
    base = ("degrade", "v", "--kind", "frames", "--set", "count=3", "-o", "pairs")
    code, out, err = command(*base)
    assert (code, out) == (1, "1 pairs made in pairs\n")
    assert "not of the size and depth" in err
    assert [path.name for path in (tmp_path / "pairs" / "blurry").iterdir()] == ["f2.png"]
