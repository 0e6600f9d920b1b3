"""Stopped anywhere, the same command goes on and nothing is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from noiseda import images
from noiseda.checkpoint import open_model
from tests.tailoring.conftest import noisy, write
from tests.tailoring.warm import Warm

# more than all steps take after several stops, also beside other tests
TIME = ("--minutes", "2")
HINT = "interrupted; run the same command again to go on"


@pytest.fixture
def warm(tmp_path: Path) -> Iterator[Warm]:
    found = Warm(tmp_path)
    yield found
    found.close()


class Camera:
    """An adaptation that is stopped and continued."""

    def __init__(self, warm: Warm, photos: Path, folder: Path, start: Path) -> None:
        self.warm = warm
        self.folder = folder
        self.run = folder / "work" / "run"
        self.targets = self.run / "targets"
        self.command = ("adapt", photos, "-o", folder, "--from", start, *TIME)

    def stop(self, when: Callable[[], bool], number: signal.Signals = signal.SIGINT) -> str:
        """Begin or go on, and send a signal as soon as it is time; what was said."""
        self.warm.begin(*self.command)
        deadline = time.monotonic() + 100
        while not when():
            assert self.warm.running(), self.warm.end()
            assert time.monotonic() < deadline
            time.sleep(0.002)
        self.warm.signal(number)
        code, out, err = self.warm.end()
        if number == signal.SIGINT:
            assert code == 130, (out, err)
            assert err.splitlines()[-1] == HINT
            assert "Traceback" not in err
        else:
            assert code == -number
        return out

    def state(self) -> dict:
        return json.loads((self.folder / "adapt.json").read_text())

    def step(self) -> int:
        return max((int(p.stem) for p in (self.run / "checkpoints").glob("*.ckpt")), default=0)


def test_stopped_in_every_stage(warm: Warm, start: Path, tmp_path: Path) -> None:
    photos = write(tmp_path / "photos", *(f"{number}.png" for number in range(12)))
    # in the middle of the others, so that restoring can be met at work
    images.write(photos / "5 large.png", noisy(1400, 1400))
    camera = Camera(warm, photos, tmp_path / "camera", start)

    # looking: the folder is reserved, with nothing in it yet; nothing is left of it
    camera.stop(camera.folder.is_dir)
    assert not camera.folder.exists()

    # making targets
    part = camera.targets / "0.part"
    out = camera.stop(lambda: part.is_file() and part.stat().st_size > 0)
    assert "13 of 13 photos can be used" in out
    made = part.read_bytes()
    assert made

    # training; a photo is deleted meanwhile
    learned = json.loads((camera.folder / "work" / "look.json").read_text())["training"]
    (photos / learned[0]).unlink()
    preview = camera.folder / "preview.jpg"
    then = preview.stat().st_mtime_ns
    out = camera.stop(lambda: preview.stat().st_mtime_ns != then)
    assert "Going on" in out
    assert (camera.targets / "0.bin").read_bytes()[: len(made)] == made
    stopped = camera.step()
    assert stopped > 0

    # killed in the second round
    camera.stop((camera.targets / "1.bin").is_file, signal.SIGKILL)
    assert camera.step() > stopped

    # judging
    camera.stop(lambda: camera.state()["adapted"])
    lines = (camera.run / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line)["step"] for line in lines]
    # as many as this machine is fast, each of them once
    assert logged == sorted(set(logged))
    assert logged[:2] == [10, 20]
    trained = (camera.run / "model.safetensors").stat().st_mtime_ns
    assert camera.state()["verdict"] is None

    # restoring
    first = camera.folder / "restored" / "0.png"
    camera.stop(first.is_file)
    assert (camera.run / "model.safetensors").stat().st_mtime_ns == trained, "trained again"
    verdict = camera.state()["verdict"]
    assert verdict is not None
    restored = first.stat().st_mtime_ns

    warm.begin(*camera.command)
    code, out, err = warm.end()
    assert code == 0, err
    assert "12 photos restored" in out
    assert first.stat().st_mtime_ns == restored, "restored again"
    state = camera.state()
    assert state["finished"]
    assert state["verdict"] == verdict
    assert set(state["times"]) == {"looking", "adapting", "judging", "restoring"}
    assert (camera.folder / "report.html").is_file()
    open_model(camera.folder / "model.safetensors", "denoise")
    assert not list(camera.folder.rglob("*.tmp"))
    assert not (camera.folder / "work").exists()
