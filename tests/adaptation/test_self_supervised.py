"""Objectives on real photos alone: what they take from them, and that they denoise."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from noiseda.adaptation.neighbor2neighbor import neighbors
from noiseda.errors import DataError
from noiseda.networks.resampling import interleave, phases
from tests.adaptation.toys import (
    build,
    draws,
    error,
    noisy,
    photos,
    random_batch,
    small_network,
    train,
)


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, image: Tensor) -> Tensor:
        return self.gain * image


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_pixel_shuffle_downsampling(stride: int) -> None:
    images = torch.rand(2, 3, 4 * stride, 2 * stride)
    parts = phases(images, stride)
    assert parts.shape == (2 * stride**2, 3, 4, 2)
    for image in range(2):
        for row in range(stride):
            for column in range(stride):
                part = parts[image * stride**2 + row * stride + column]
                assert torch.equal(part, images[image, :, row::stride, column::stride])
    assert torch.equal(interleave(parts, stride), images)


def test_neighbors_share_a_side_and_a_cell() -> None:
    height, width = 8, 12
    # each pixel holds its place
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([rows, columns, rows]).float().expand(2, -1, -1, -1)
    seen = set()
    for pair in range(8):
        pairs = torch.full((2, height // 2, width // 2), pair)
        first, second = neighbors(image, pairs)
        assert first.shape == second.shape == (2, 3, height // 2, width // 2)
        distance = (first - second)[:, :2].abs().sum(dim=1)
        assert (distance == 1).all()
        for part in (first, second):
            assert torch.equal(part[:, 0] // 2, rows[::2, ::2].expand(2, -1, -1) / 2)
            assert torch.equal(part[:, 1] // 2, columns[::2, ::2].expand(2, -1, -1) / 2)
        seen.add((*first[0, :2, 0, 0].tolist(), *second[0, :2, 0, 0].tolist()))
    assert len(seen) == 8, "all ordered pairs"


@pytest.mark.parametrize("downsample", [1, 2])
def test_neighbor2neighbor_by_hand(downsample: int) -> None:
    objective = build("neighbor2neighbor", weight=3.0, downsample=downsample)
    # a size with a remainder, which is left out
    real = torch.rand(2, 3, 8 * downsample + 1, 4 * downsample, generator=torch.Generator())
    restorer = Half()
    terms = objective(restorer, {"real": real}, 0.4, draws())
    parts = phases(real[..., : 8 * downsample, :], downsample)
    chosen = (8 * draws().rand(downsample**2, 4, 2)).long().flatten(0, 1)
    first, second = neighbors(parts, chosen)
    difference = 0.5 * first - second
    expected = {
        "neighbor": difference.square().mean(),
        "regulariser": (difference - 0.5 * (first - second)).square().mean(),
        "weight": torch.tensor(1.2),
    }
    expected["loss"] = expected["neighbor"] + 1.2 * expected["regulariser"]
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, msg=name)
    # f(x) is held fixed: only f(g₁(x)) has a gradient, g₁ for the first and second term
    terms["regulariser"].backward()
    held = 2 * ((difference - 0.5 * (first - second)) * first).mean()
    torch.testing.assert_close(restorer.gain.grad, held)


def test_supervision() -> None:
    batch, restorer = random_batch(), Half()
    alone = build("neighbor2neighbor")
    assert alone.required == ("real",)
    helped = build("neighbor2neighbor", supervision=0.25)
    assert set(helped.required) == {"real", "clean", "synthetic"}
    terms = helped(restorer, batch, 0.4, draws())
    vanilla = build("vanilla")(restorer, batch)
    torch.testing.assert_close(terms["restoration"], vanilla["loss"])
    rest = alone(restorer, {"real": batch["real"]}, 0.4, draws())["loss"]
    torch.testing.assert_close(terms["loss"], rest + 0.25 * vanilla["loss"])


def test_ap_bsn_by_hand() -> None:
    # 17 pixels hold one multiple of both strides
    restorer, real = small_network("ap-bsn", stride=3), random_batch(2, 17)["real"]
    terms = build("ap-bsn", stride=4)(restorer, {"real": real})
    photo = real[..., :12, :12]
    body: Any = restorer.body
    restored = interleave(body.blind(phases(photo, 4)), 4)
    torch.testing.assert_close(terms["loss"], (restored - photo).abs().mean())
    assert terms["blind"] == terms["loss"]
    assert body.stride == 3, "restored at its own stride afterwards"


@pytest.mark.parametrize(
    ("name", "options"), [("neighbor2neighbor", {"downsample": 9}), ("ap-bsn", {"stride": 7})]
)
def test_images_that_are_too_small(name: str, options: dict[str, int]) -> None:
    network = small_network(name, **({"stride": 3} if name == "ap-bsn" else {}))
    with pytest.raises(DataError, match=r"16×16 pixels .* larger data\.patch") as caught:
        build(name, **options)(network, random_batch(2, 16))
    assert len(str(caught.value).splitlines()) == 1


# --- the toys ---------------------------------------------------------------------------------

SIGMA = 0.2


def denoised(name: str, block: int, network: dict[str, Any], **options: Any) -> float:
    """Error on unseen noisy photos, as a part of their own, after training. Their noise is the same
    in every block×block pixels; that of the synthetic images is much weaker."""

    def batches(step: int) -> dict[str, Tensor]:
        clean = photos(4, 24, 10**5 + step)
        return {
            "clean": clean,
            "synthetic": noisy(clean, SIGMA / 20, 10**5 + step),
            "real": noisy(photos(4, 24, step), SIGMA, step, block),
        }

    restorer = small_network(name, width=16 if name == "ap-bsn" else 8, **network)
    train(build(name, **options), restorer, batches, 250, 8e-3 if name == "ap-bsn" else 5e-3)
    clean = photos(16, 24, 10**6)
    return error(restorer, noisy(clean, SIGMA, 10**6, block), clean) / SIGMA**2


@functools.cache
def vanilla() -> float:
    return denoised("vanilla", 1, {})


@pytest.mark.parametrize(
    ("name", "options"), [("neighbor2neighbor", {}), ("ap-bsn", {"stride": 1})]
)
def test_white_noise_without_clean_images(name: str, options: dict[str, int]) -> None:
    found = denoised(name, 1, {}, **options)
    assert found < 0.5
    assert found < 0.6 * vanilla()


@pytest.mark.parametrize(
    ("name", "near", "far", "network"),
    [
        ("neighbor2neighbor", {"downsample": 1}, {"downsample": 2}, {}),
        ("ap-bsn", {"stride": 1}, {"stride": 2}, {"stride": 2}),
    ],
)
def test_noise_of_neighbouring_pixels_that_is_the_same(
    name: str, near: dict[str, int], far: dict[str, int], network: dict[str, int]
) -> None:
    """Noise in 2×2 blocks passes for signal, unless training looks at every second pixel."""
    assert denoised(name, 2, network, **near) > 0.8
    assert denoised(name, 2, network, **far) < 0.6
