"""Few photos, full disks, verdicts of all kinds: what becomes of them."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from noiseda import networks
from noiseda.checkpoint import open_model, save
from noiseda.errors import RunError
from noiseda.tailoring import Look, look, tailor
from noiseda.tailoring.folder import State
from noiseda.tailoring.look import read_look, split
from noiseda.tailoring.plan import Given
from noiseda.tailoring.results import adapted_model, keep_model
from tests.end_to_end.conftest import Command
from tests.tailoring.conftest import SHORT, write


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_photos(count: int, tmp_path: Path, command: Command) -> None:
    start = changed(tmp_path / "start.safetensors", 0.0)
    write(tmp_path / "photos", *(f"{number}.png" for number in range(count)))
    if count == 2:
        # these two runs would be alike
        code, out, _ = command("adapt", "photos", "-o", "out", "--from", start, "--dry-run")
        assert code == 0
    else:
        code, out, err = command("adapt", "photos", "-o", "out", "--from", start, *SHORT)
        assert code == 0, err
        page = (tmp_path / "out" / "report.html").read_text("utf-8")
        sentence = "that adaptation saw, too, as there were no others to judge: "
        assert sentence in out
        assert sentence in page
    assert f"Only {count} usable: too few to adapt well to" in out
    assert "With fewer than 4 usable photos none can be kept back" in out


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """A limit on file size is met as a full disk is: in the middle of writing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# what a thread prints of it would be a warning here
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_full_disk(start: Path, tmp_path: Path, command: Command) -> None:
    """At ever later stages; nothing of the earlier ones is lost."""
    write(tmp_path / "photos", *(f"{number}.png" for number in range(6)), size=(64, 64))
    arguments = ("adapt", "photos", "-o", "out", "--from", start, *SHORT)
    reached = []
    # what is larger: the state; the look; decoded photos; checkpoints
    for size in (10, 3000, 40_000, 55_000):
        with disk_of(size):
            code, out, err = command(*arguments)
        assert code == 2, (size, out, err)
        line = err.splitlines()[-1]
        assert line.startswith("noiseda: "), err
        assert "Traceback" not in err
        assert "File too large" in line or "disk" in line, line
        assert "space" in line, line
        work = tmp_path / "out" / "work"
        reached.append(len([*work.rglob("*")]))
    assert reached[0] == reached[1] == 0 < reached[2] < reached[3]
    code, out, err = command(*arguments)
    assert code == 0, err
    assert "6 photos restored" in out
    assert not list((tmp_path / "out").rglob("*.tmp"))


def judged_folder(photos: Path, start: Path, adapted: Path, folder: Path) -> Look:
    """As it is when training is over."""
    digest = hashlib.sha256(start.read_bytes()).hexdigest()[:16]
    _, info = open_model(start)
    seen = look(photos, info)
    (folder / "work" / "run").mkdir(parents=True)
    seen.write(folder / "work" / "look.json")
    adapted.rename(folder / "work" / "run" / "model.safetensors")
    State(str(photos.resolve()), str(start), digest, 0.1, 0, steps=20, adapted=True).write(folder)
    return seen


def changed(path: Path, shift: float, trained: str = "gaussian") -> Path:
    """A model that leaves photos as they are, but for their brightness; its file tells of a
    training with this degradation."""
    network = networks.build("unet", width=4, depth=2, upsampling="half-pixel")
    for weight in network.parameters():
        torch.nn.init.zeros_(weight)
    *_, last = network.parameters()
    torch.nn.init.constant_(last, shift)
    save(path, network, recipe={"degradation": {"name": trained}})
    return path


@pytest.mark.parametrize(
    ("shifts", "trained", "kind", "kept"),
    [
        ((0.0, 0.2), "gaussian", "worse", "start"),
        ((0.2, 0.0), "gaussian", "better", "adapted"),
        ((0.0, 0.0), "gaussian", "unsure", "start"),
        # its noise has a mean, so that the start knows why it changes the brightness
        ((0.2, 0.0), "camera", "worse", "start"),
    ],
)
def test_what_is_kept(
    shifts: tuple[float, float], trained: str, kind: str, kept: str, tmp_path: Path
) -> None:
    ground = "8 photos of which adaptation saw 6, as few could be kept back"
    photos = write(tmp_path / "photos", *(f"{number}.png" for number in range(8)), size=(200, 210))
    start, adapted = (
        changed(tmp_path / f"{n}.safetensors", s, trained) for n, s in enumerate(shifts)
    )
    folder = tmp_path / "out"
    judged_folder(photos, start, adapted, folder)
    told: list[str] = []
    result = tailor(photos, folder, start, 0.1, say=told.append)
    assert result is not None
    assert (result.verdict.kind, result.kept, result.restored) == (kind, kept, 8)
    network, info = open_model(folder / "model.safetensors")
    *_, last = network.parameters()
    assert float(last[0].detach()) == pytest.approx(shifts[kept == "adapted"])
    state = json.loads((folder / "adapt.json").read_text())
    assert (state["kept"], state["verdict"]["kind"]) == (kept, kind)
    page = (folder / "report.html").read_text("utf-8")
    assert {"worse": "Worse", "better": "Better", "unsure": "Not sure"}[kind] in page
    for where in (page, "\n".join(told)):
        assert ("The start model is kept." in where) == (kept == "start")
        assert f"Judged without ground truth on {ground}." in where
    assert ("kept_by" in info.provenance) == (kept == "start")


@pytest.mark.parametrize(("count", "expected"), [(3, 0.1), (4, 0.2)])
def test_very_few_photos_go_half_of_the_way(count: int, expected: float, tmp_path: Path) -> None:
    photos = write(tmp_path / "photos", *(f"{number}.png" for number in range(count)))
    start, adapted = (changed(tmp_path / f"{n}.safetensors", s) for n, s in enumerate((0, 0.2)))
    (tmp_path / "run").mkdir()
    adapted.rename(tmp_path / "run" / "model.safetensors")
    given = Given(photos, start, *open_model(start), 0)
    network, info = adapted_model(given, look(photos, given.info), tmp_path / "run")
    keep_model(given, tmp_path, network, info, better=True)
    kept, told = open_model(tmp_path / "model.safetensors")
    for model in (network, kept):
        *_, last = model.parameters()
        assert float(last[0].detach()) == pytest.approx(expected)
    assert told.provenance.get("share_of_adaptation") == (0.5 if count == 3 else None)
    *_, untouched = given.network.parameters()
    assert float(untouched[0].detach()) == 0


def test_photos_that_are_gone(start: Path, photos: Path, tmp_path: Path) -> None:
    """What was learned from never counts as kept back, unless nothing else is left."""
    _, info = open_model(start)
    seen = look(photos, info)
    path = tmp_path / "look.json"
    assert read_look(path, photos) is None
    seen.write(path)
    assert (len(seen.training), len(seen.held_out)) == (4, 2)
    again = read_look(path, photos)
    assert again is not None
    assert (again.training, again.held_out, again.told) == (
        *(seen.training, seen.held_out, seen.told),
    )
    assert again.survey.noise is not None
    assert seen.survey.noise is not None
    assert again.survey.noise.as_dict() == seen.survey.noise.as_dict()
    write(photos, "new.png")
    (photos / seen.training[0]).unlink()
    again = read_look(path, photos)
    assert again is not None
    assert again.training == seen.training[1:]
    assert again.held_out == seen.held_out
    for name in seen.held_out:
        (photos / name).unlink()
    again = read_look(path, photos)
    assert again is not None
    assert again.held_out == seen.training[1:]
    assert not again.spared
    for name in seen.training[1:]:
        (photos / name).unlink()
    with pytest.raises(RunError, match=r"are gone, first .*; put them back"):
        read_look(path, photos)
    path.write_text(path.read_text()[:500])
    assert read_look(path, photos) is None


def test_nothing_learned_from_is_judged_on() -> None:
    names = [f"{number:02}" for number in range(40)]
    training, held_out = split(names)
    assert (len(training), len(held_out)) == (32, 8)
    assert sorted(training + held_out) == names
    # bursts of five: of one that is judged on, none is learned from
    bursts = [names[first : first + 5] for first in range(0, 40, 5)]
    training, held_out = split(names, bursts)
    assert len(held_out) == 7
    assert {int(name) // 5 for name in training}.isdisjoint(int(name) // 5 for name in held_out)
    # single photos are kept back first
    training, held_out = split(names, [names[:20]])
    assert set(held_out) <= set(names[20:])
    assert set(training) == set(names) - set(held_out)
    for count in range(1, 10):
        for similar in ([], [names[:count]], [names[: count // 2], names[count // 2 : count]]):
            training, held_out = split(names[:count], similar)
            assert training
            assert held_out
            assert (training == held_out) == (count < 4)
            assert count < 4 or set(training).isdisjoint(held_out)
