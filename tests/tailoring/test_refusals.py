"""What cannot be adapted: one line that says why, and nothing is made or changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.checkpoint import save
from noiseda.tailoring.folder import State
from tests.conftest import photo
from tests.end_to_end.conftest import Command
from tests.tailoring.conftest import SHORT, network, noisy, write

Refused = Callable[..., str]


def everything(folder: Path) -> dict[Path, bytes | None]:
    return {p: p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture
def place(tmp_path: Path, start: Path, photos: Path) -> Path:
    """Things that are not what they should be."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"\x89PNG")
    (tmp_path / "small").mkdir()
    images.write(tmp_path / "small" / "a.png", photo(40, 80))
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "diary.txt").write_text("mine")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "adapt.json").write_text('{"photos": ')
    (tmp_path / "models").mkdir()
    models = tmp_path / "models"
    (models / "text.safetensors").write_text("no model")
    (models / "cut.safetensors").write_bytes(start.read_bytes()[:3000])
    save(models / "rain.safetensors", network(), task="derain")
    odd = {"degradation": {"name": "fog", "density": 3}}
    save(models / "odd.safetensors", network(), recipe=odd)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent", "-o", "out"), "absent: no such folder; check the path"),
        (("empty", "-o", "out"), "empty: no image in this folder (it is empty)"),
        (("models", "-o", "out"), "models: no image in this folder (4 other files)"),
        (("broken", "-o", "out"), "broken: none of its 1 photos can be used; they must be"),
        (("small", "-o", "out"), "small: none of its 1 photos can be used; they must be readable"),
        (("photos/0.png", "-o", "out"), "photos/0.png: is a file, not a folder; give the folder"),
        (("photos", "-o", "photos"), "photos lies in the folder of photos; choose another with"),
        (("photos", "-o", "photos/out"), "photos/out lies in the folder of photos"),
        (("photos", "-o", "used"), "used exists already; choose another folder with -o"),
        (("photos", "-o", "used/diary.txt"), "used/diary.txt exists already; choose another"),
        (("photos", "-o", "used/diary.txt/out"), "used/diary.txt/out: cannot write"),
        (("photos", "-o", "/proc/out"), "/proc/out: cannot write"),
        (("photos", "-o", "damaged"), "damaged/adapt.json: damaged; choose another folder with -o"),
        (("photos", "-o", "out", "--from", "none.safetensors"), "none.safetensors: cannot open"),
        (("photos", "-o", "out", "--from", "empty"), "empty: cannot open the model: this folder"),
        (("photos", "-o", "out", "--from", "models/text.safetensors"), "not a whole model file"),
        (("photos", "-o", "out", "--from", "models/cut.safetensors"), "not a whole model file"),
        (
            ("photos", "-o", "out", "--from", "models/rain.safetensors", "--task", "deblur"),
            "models/rain.safetensors: this model is for 'derain', not for 'deblur'",
        ),
        (("photos", "-o", "out", "--minutes", "inf"), "minutes inf: must be a number"),
        (("photos", "-o", "out", "--minutes", "0"), "Invalid value for '--minutes'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_refused(place: Path, refused: Refused, arguments: tuple[str, ...], words: str) -> None:
    before = everything(place)
    given = arguments if "--from" in arguments else (*arguments, "--from", "start.safetensors")
    assert words in refused("adapt", *given)
    assert everything(place) == before


def test_a_model_of_an_unknown_training(place: Path, command: Command) -> None:
    """It is only found after the look, which is kept. Photos of little noise need that training."""
    for path in (place / "photos").iterdir():
        values = np.random.default_rng(int(path.stem)).normal(128, 0.7, (80, 96, 3))
        images.write(path, values.round().astype(np.uint8))
    arguments = ("adapt", "photos", "-o", "out", "--from", "models/odd.safetensors", *SHORT)
    code, out, err = command(*arguments)
    assert code == 2
    assert "What noise the model was trained on cannot be told" in out
    assert "fog" in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("noiseda: ")


def test_another_adaptations_folder(place: Path, refused: Refused, start: Path) -> None:
    folder = place / "out"
    folder.mkdir()
    digest = hashlib.sha256(start.read_bytes()).hexdigest()[:16]
    State(str(place / "photos"), str(start), digest, 30, 0).write(folder)
    before = everything(place)
    other = write(place / "others", "a.png")
    line = refused("adapt", other, "-o", "out", "--from", start)
    assert f"holds an adaptation to other photos ({place / 'photos'})" in line
    shutil.rmtree(other)
    save(place / "models" / "second.safetensors", network(1))
    line = refused("adapt", "photos", "-o", "out", "--from", "models/second.safetensors")
    assert f"holds an adaptation from another model ({start})" in line
    (place / "models" / "second.safetensors").unlink()
    assert everything(place) == before


def test_photos_in_a_folder_whose_name_is_not_utf8(place: Path, refused: Refused) -> None:
    folder = place / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    images.write(folder / "a.png", noisy(80, 80))
    line = refused("adapt", folder, "-o", "out", "--from", "start.safetensors")
    assert "its name is not UTF-8; rename it, or link to it" in line


def test_dry_run_leaves_nothing(
    place: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = place / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = everything(place)
    arguments = ("adapt", "photos", "-o", "out", "--from", "start.safetensors", "--dry-run")
    code, out, _ = command(*arguments, "--minutes", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "6 of 6 photos can be used; the photos have 0.0077 megapixels."
    assert lines[-1].startswith("Adapting takes about ")
    assert "600 steps" in lines[-1] or "memory" in lines[-1]
    assert everything(place) == before


def test_a_state_is_readable_by_people(tmp_path: Path) -> None:
    State("/photos/日本", "start.safetensors", "0123", 30.0, 0, times={"looking": 1.23456}).write(
        tmp_path
    )
    text = (tmp_path / "adapt.json").read_text("utf-8")
    assert '"photos": "/photos/日本",\n' in text
    assert '"looking": 1.2\n' in text
