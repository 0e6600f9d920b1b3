"""What one photo of a folder can do wrong: too large, or more than the network can bear."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noiseda import checkpoint, images, networks
from noiseda.checkpoint import ModelInfo
from noiseda.errors import ImageError, OptionError
from noiseda.restoration import Job, Restorer, measure, plan_jobs, restore_files
from noiseda.restoration.restorer import default_memory
from tests.conftest import ENVIRONMENT, photo, write_photos


def restorer(memory: int | None = None, **options: int) -> Restorer:
    torch.manual_seed(0)
    network = networks.build("unet", **{"width": 4, "depth": 2, **options})
    return Restorer(network, ModelInfo(network="unet", options=network.options), "cpu", memory)


def header(path: Path, height: int, width: int, depth: int = 8) -> Path:
    """A file that says it is a photo of this size and ends there."""
    path.write_bytes(b"P6\n%d %d\n%d\n" % (width, height, 2**depth - 1))
    return path


def test_measured_by_the_header(tmp_path: Path) -> None:
    model = restorer(100 * 2**10)
    assert measure(header(tmp_path / "small.ppm", 8, 9), model) == 72
    with pytest.raises(OptionError, match=r"large\.ppm: the smallest tile .* allow --memory 148KB"):
        measure(header(tmp_path / "large.ppm", 100, 100), model)
    # whatever is allowed for the network, the photo itself must be held
    with pytest.raises(
        OptionError, match=r"huge\.ppm: a 2000000×2000000 photo takes \d+MB to hold"
    ):
        measure(header(tmp_path / "huge.ppm", 2 * 10**6, 2 * 10**6), restorer(2**50))
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ImageError, match=r"text\.png: not an image"):
        measure(tmp_path / "text.png", model)


@pytest.mark.parametrize(("depth", "share"), [(8, 0.95), (16, 0.85)])
def test_the_photo_takes_from_the_networks_memory(tmp_path: Path, depth: int, share: float) -> None:
    """A photo that would just fit, did not it itself and its result need a place."""
    network = networks.build("unet", width=1, depth=1)
    # it cannot be tiled, so that its need is known to the pixel
    network.spec = replace(network.spec, receptive_radius=None)
    model = Restorer(network, ModelInfo(network="unet", options=network.options), "cpu")
    pixels = share * default_memory() / (network.spec.bytes_per_pixel * 1.5)
    height, width = int(pixels / 1000), 1000
    model.tiling(height, width)
    with pytest.raises(OptionError, match="cannot be tiled"):
        measure(header(tmp_path / "a.ppm", height, width, depth), model)
    assert measure(header(tmp_path / "b.ppm", height // 2, width, depth), model)


def test_a_folder_with_photos_that_cannot_be_done(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", ["b.png", "d.png"], (8, 8))
    write_photos(tmp_path / "in", ["c.png"], (64, 64))
    header(tmp_path / "in" / "a.ppm", 2 * 10**6, 2 * 10**6)
    jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
    started: list[str] = []
    outcome = restore_files(
        restorer(100 * 2**10), jobs, started=lambda job: started.append(job.source.name)
    )
    assert started == ["a.ppm", "b.png", "c.png", "d.png"]
    assert [path.name for path in outcome.done] == ["b.png", "d.png"]
    assert [path.name for path, _ in outcome.failed] == ["a.ppm", "c.png"]
    for path, reason in outcome.failed:
        assert reason.startswith(f"{path}: ")
        assert len(reason.splitlines()) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b.png", "d.png"]


def test_stopped_between_two_photos(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", ["a.png", "b.png", "c.png"], (8, 8))

    def started(job: Job) -> None:
        if job.source.name == "b.png":
            raise KeyboardInterrupt

    jobs = plan_jobs([tmp_path / "in"], tmp_path / "out")
    outcome = restore_files(restorer(100 * 2**20), jobs, started=started)
    assert outcome.interrupted
    assert [path.name for path in outcome.done] == ["a.png"]


def test_weights_that_overflow_name_the_photo(tmp_path: Path) -> None:
    write_photos(tmp_path / "in", ["a.png"])
    model = networks.build("unet", width=4, depth=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e30)
    broken = Restorer(model, ModelInfo(network="unet", options=model.options), "cpu")
    outcome = restore_files(broken, plan_jobs([tmp_path / "in"], tmp_path / "out"))
    assert not outcome.done
    assert outcome.failed[0][1].startswith(f"{tmp_path / 'in' / 'a.png'}: image has ")
    assert not (tmp_path / "out").exists()


# a limit on address space is met as full memory is: an allocation fails
LIMITED = """
import resource, sys
from pathlib import Path
from noiseda import load
from noiseda.restoration import plan_jobs, restore_files
model = load(sys.argv[1], device="cpu", memory=2**40)
# what libraries allocate once is there before the limit
restore_files(model, plan_jobs([Path(sys.argv[3])], Path(sys.argv[4])))
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
outcome = restore_files(model, plan_jobs([Path(sys.argv[2])], Path(sys.argv[4])), overwrite=True)
print(*[path.name for path in outcome.done])
for _, reason in outcome.failed:
    print(reason)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
def test_out_of_memory_stops_one_photo(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    checkpoint.save(model, networks.build("unet", width=16, depth=2))
    folder = write_photos(tmp_path / "in", ["a.png", "c.png"])
    # its pixels are few enough, what the network makes of them at once is not
    images.write(folder / "b.png", photo(1800, 1800))
    arguments = [model, folder, folder / "a.png", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names, failed = done.stdout.splitlines()
    assert names.split() == ["a.png", "c.png"]
    assert failed == (
        f"{folder / 'b.png'}: out of memory at a tile of 1800×1800 pixels; allow less with --memory"
    )
