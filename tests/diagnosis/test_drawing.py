"""Images drawn from a noise predictor, given restored ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from noiseda import adaptation
from noiseda.adaptation import NoiseSpace
from noiseda.diagnosis import Drawing, Samples, draw
from noiseda.diagnosis.drawing import content, picture
from noiseda.diffusion import Sampler

PREDICTOR = {"name": "guided", "base": 4, "multipliers": [1, 2], "blocks": 1, "head_channels": 4}


def objective(**options: object) -> NoiseSpace:
    torch.manual_seed(0)
    made = adaptation.build("noise-space", predictor=PREDICTOR, **options)
    assert isinstance(made, NoiseSpace)
    with torch.no_grad():
        for weight in made.parameters():
            # some start at zero, so that nothing in the predictor would show
            weight.add_(torch.randn_like(weight) * 0.1)
    return made.eval()


def restored(count: int = 3) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(1)
    return {
        domain: torch.rand(count, 3, 16, 16, generator=source) for domain in ("synthetic", "real")
    }


@pytest.mark.parametrize("value_range", ["unit", "signed"])
@pytest.mark.parametrize("sampler", ["ddpm", "ddim"])
def test_drawn_images(sampler: Sampler, value_range: str) -> None:
    ours = objective(value_range=value_range)
    steps = []
    drawn = draw(ours, restored(), Drawing(3, sampler, 4), 0, 2, lambda: steps.append(1))
    assert drawn.shape == (3, 3, 16, 16)
    assert 0 <= float(drawn.min()) < float(drawn.max()) <= 1
    # four steps of two batches
    assert len(steps) == 8
    # the same again, whatever the batch and however many are drawn; other seeds draw others
    for count, batch in ((3, 3), (1, 1)):
        again = draw(ours, restored(), Drawing(count, sampler, 4), 0, batch)
        torch.testing.assert_close(again, drawn[:count])
    other = draw(ours, restored(), Drawing(3, sampler, 4), 1, 3)
    assert (other - drawn).abs().mean() > 0.01
    # and they depend on what they are drawn from
    darker = {domain: image / 2 for domain, image in restored().items()}
    assert (draw(ours, darker, Drawing(3, sampler, 4), 0, 3) - drawn).abs().mean() > 1e-4


def test_only_the_conditions_of_the_predictor() -> None:
    ours = objective(conditions="real")
    images = restored()
    drawn = draw(ours, images, Drawing(2, "ddim", 3), 0, 2)
    images["synthetic"] = 1 - images["synthetic"]
    assert torch.equal(draw(ours, images, Drawing(2, "ddim", 3), 0, 2), drawn)


def test_what_is_told() -> None:
    images = restored()
    samples = Samples(images["synthetic"], images, {"synthetic": images["synthetic"]}, ["a"] * 3)
    drawn = images["synthetic"][:2].clone()
    drawn[1] += 0.1
    told = content(samples, drawn.clamp(0, 1), Drawing(2, "ddim", None), 1000)
    assert (told["steps"], told["count"], told["sampler"]) == (1000, 2, "ddim")
    # the first is the target itself, for which JSON has no number
    assert told["psnr_to_target"][0] is None
    assert told["psnr_to_target"][1] == pytest.approx(20, abs=1)
    shown = picture(samples, images, drawn)
    assert shown.shape[0] > 2 * 16
