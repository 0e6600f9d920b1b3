"""The targets of the study: photos to adapt to, their ground truth, and held-out scenes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from noiseda import degradations, images
from noiseda.classical import nl_means
from noiseda.random import generator

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("NOISEDA_DATA", HERE.parents[2] / "shared" / "data"))
RUNS = (HERE.parents[1] / "runs" / "adaptation").resolve()
# The vanilla network of studies/first-run, seed 0. It is kept, as the same training ends elsewhere
# on another machine (36.89 to 37.09 dB on RENOIR), which is more than some methods differ.
START = HERE / "start.safetensors"
# strong noise of a camera at high sensitivity
CAMERA = {"name": "camera", "shot": (0.006, 0.02), "read": (0.02, 0.04)}
# of the photos of BSDS500 val, in the order of their names
_CAMERA_TRAINING, _CAMERA_HELD_OUT = slice(0, 60), slice(60, 84)
_SOURCE = slice(84, 100)

TARGETS = ("renoir", "polyu", "camera")
# strong noise, real and made, over other content than that of the camera
STRONG = ("renoir-strong", "indoor")
# made when all else was chosen: other content, and noise that is processed as none here is. What
# the first two showed led to the warm-up on photos (about.md)
NEW = ("phone", "scan", "reduced", "resized")
# of a telephone's pictures: noise, and JPEG quality
_PHONE, _QUALITY = {**CAMERA, "demosaic": "malvar", "shot": (1e-3, 4e-3), "read": (3e-3, 1e-2)}, 85
# of a camera that removes noise itself
_REDUCED_QUALITY = 92
# of film: the grain's size in pixels, σ in middle tones in units of 1/255, which share of it all
# layers have in common, and JPEG quality
_GRAIN, _FILM_SIGMA, _COMMON, _SCAN_QUALITY = 1.3, 22, 0.8, 90
# σ that RENOIR's noise is amplified to, in units of 1/255, and by how much at most
_STRONG_SIGMA, _MOST = 27, 4


def folder_of(target: str) -> Path:
    """With folders "noisy" and "clean"; made if it is not one of the shared sets."""
    if target in ("renoir", "polyu"):
        return DATA / target
    folder = RUNS / f"{target}-photos"
    for name, make in _MAKERS[target]():
        noisy, clean = (folder / kind / f"{name}.png" for kind in ("noisy", "clean"))
        if not (noisy.is_file() and clean.is_file()):
            degraded, truth = make()
            for path, image in ((clean, truth), (noisy, degraded)):
                path.parent.mkdir(parents=True, exist_ok=True)
                images.write(path, images.to_pixels(image.clamp(0, 1)))
    return folder


def keys(target: str) -> dict[str, Any]:
    """What a target adds to the recipe."""
    folder = folder_of(target)
    training, held_out = split(target)
    return {
        "name": target,
        "data.clean": [str(DATA / "bsds500" / part) for part in ("train", "test")],
        "data.real": [{"folder": str(folder / "noisy"), "include": training}],
        "data.truth": [str(folder / "clean")],
        "data.validation": {
            "degraded": {"folder": str(folder / "noisy"), "include": held_out},
            "clean": str(folder / "clean"),
        },
        "compare.source": [
            {
                "folder": str(DATA / "bsds500" / "val"),
                "include": [path.name for path in _val()[_SOURCE]],
            }
        ],
    }


def split(target: str) -> tuple[list[str], list[str]]:
    """File names to train on and to score on, different scenes."""
    if target in ("camera", "scan"):
        names = [f"{path.stem}.png" for path in _val()]
        return names[_CAMERA_TRAINING], names[_CAMERA_HELD_OUT]
    names = sorted(path.name for path in (folder_of(target) / "noisy").iterdir())
    if target.startswith(("renoir", "reduced")):
        held_out = {name for name in names if int(name[:2]) >= 17}
    elif target == "phone":
        held_out = {name for name in names if name.startswith(("GOPR0384", "GOPR0477"))}
    else:
        scenes = sorted({_scene(name) for name in names})
        chosen = set(scenes[::4])
        held_out = {name for name in names if _scene(name) in chosen}
    return [name for name in names if name not in held_out], sorted(held_out)


def _scene(name: str) -> str:
    """Of a crop of PolyU."""
    return re.sub(r"_\d+\.\w+$", "", name)


def _val() -> list[Path]:
    return sorted((DATA / "bsds500" / "val").glob("*.jpg"))


Made = tuple[Tensor, Tensor]
"""A degraded image and the clean one, 1×3×H×W."""


def _camera() -> Iterator[tuple[str, Callable[[], Made]]]:
    """Strong noise of our camera model over photos of BSDS500 val."""
    for number, path in enumerate(_val()):
        yield path.stem, partial(_developed, path, number, CAMERA)


def _indoor() -> Iterator[tuple[str, Callable[[], Made]]]:
    """The same, but with the other demosaicing filter, over the clean image of one crop of each of
    PolyU's scenes."""
    paths = {_scene(path.name): path for path in sorted((DATA / "polyu" / "clean").iterdir())}
    for number, path in enumerate(paths.values()):
        yield path.stem, partial(_developed, path, number, {**CAMERA, "demosaic": "malvar"})


def _developed(path: Path, number: int, options: dict[str, Any]) -> Made:
    options = dict(options)
    camera = degradations.build(str(options.pop("name")), **options)
    clean = images.to_tensor(images.read_rgb8(path))
    return camera(clean, generator(0, number, "camera")), clean


def _amplified() -> Iterator[tuple[str, Callable[[], Made]]]:
    """RENOIR with its own noise made stronger."""
    clean = {path.stem: path for path in (DATA / "renoir" / "clean").iterdir()}
    for path in sorted((DATA / "renoir" / "noisy").iterdir()):
        yield path.stem, partial(_louder, path, clean[path.stem])


def _louder(noisy: Path, clean: Path) -> Made:
    degraded, truth = (images.to_tensor(images.read_rgb8(path)) for path in (noisy, clean))
    noise = degraded - truth
    factor = min(max(_STRONG_SIGMA / 255 / float(noise.std()), 1.0), _MOST)
    return truth + factor * noise, truth


def _phone() -> Iterator[tuple[str, Callable[[], Made]]]:
    """Sharp frames of GoPro as a telephone would show them that takes part of the noise away."""
    for number, path in enumerate(sorted((DATA / "gopro" / "sharp").iterdir())):
        yield path.stem, partial(_photographed, path, number)


def _photographed(path: Path, number: int) -> Made:
    noisy, clean = (_processed(image) for image in _developed(path, number, _PHONE))
    return images.to_tensor(images.through_jpeg(images.to_pixels(noisy), _QUALITY)), clean


def _processed(image: Tensor) -> Tensor:
    """Colour is smoothed, weak detail of brightness made weaker still, and all of it sharpened."""
    brightness = image.mean(1, keepdim=True)
    color = _blurred(image - brightness, 2.0)
    smooth = _blurred(brightness, 1.2)
    detail = brightness - smooth
    kept = detail * (1 - 0.5 * torch.exp(-(detail / 0.05).square()))
    return (smooth + 1.5 * kept + color).clamp(0, 1)


def _reduced() -> Iterator[tuple[str, Callable[[], Made]]]:
    """RENOIR's clean images as a camera leaves them that removes noise by non-local means."""
    for number, path in enumerate(sorted((DATA / "renoir" / "clean").iterdir())):
        yield path.stem, partial(_cleaned, path, number)


def _cleaned(path: Path, number: int) -> Made:
    noisy, clean = _developed(path, number, _PHONE)
    pixels = images.to_pixels(noisy)
    smooth = images.to_tensor(nl_means(pixels))
    # some is left for the picture to look natural
    mixed = images.to_pixels(0.6 * smooth + 0.4 * images.to_tensor(pixels))
    return images.to_tensor(images.through_jpeg(mixed, _REDUCED_QUALITY)), clean


def _resized() -> Iterator[tuple[str, Callable[[], Made]]]:
    """PolyU's clean images with strong noise of the camera model, then at half the size."""
    for number, path in enumerate(sorted((DATA / "polyu" / "clean").iterdir())):
        yield path.stem, partial(_halved, path, number)


def _halved(path: Path, number: int) -> Made:
    noisy, clean = (F.avg_pool2d(image, 2) for image in _developed(path, number, CAMERA))
    return noisy, clean


def _scan() -> Iterator[tuple[str, Callable[[], Made]]]:
    """Photos of BSDS500 val as scans of a film with coarse grain."""
    for number, path in enumerate(_val()):
        yield path.stem, partial(_scanned, path, number)


def _scanned(path: Path, number: int) -> Made:
    clean = images.to_tensor(images.read_rgb8(path))
    random = generator(0, number, "film")
    common = torch.randn(clean[:, :1].shape, generator=random)
    own = torch.randn(clean.shape, generator=random)
    grain = _blurred(_COMMON**0.5 * common + (1 - _COMMON) ** 0.5 * own, _GRAIN)
    # most in middle tones, none where all of the film is dark or clear
    strength = _FILM_SIGMA / 255 * (4 * clean * (1 - clean)).clamp(0, 1).sqrt()
    film = (clean + strength * grain / grain.std()).clamp(0, 1)
    return images.to_tensor(images.through_jpeg(images.to_pixels(film), _SCAN_QUALITY)), clean


def _blurred(image: Tensor, sigma: float) -> Tensor:
    return gaussian_blur(image, [2 * math.ceil(3 * sigma) + 1] * 2, [sigma] * 2)


_MAKERS = {
    "camera": _camera,
    "indoor": _indoor,
    "renoir-strong": _amplified,
    "phone": _phone,
    "scan": _scan,
    "reduced": _reduced,
    "resized": _resized,
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for target in (*TARGETS, *STRONG, *NEW):
        print(target, *map(len, split(target)))
