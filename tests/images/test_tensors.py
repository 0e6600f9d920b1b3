"""Integer pixels to tensors and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noiseda import images
from noiseda.errors import ImageError


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tensor_round_trip_of_every_value(dtype: type) -> None:
    levels = np.iinfo(dtype).max + 1
    pixels = np.resize(np.arange(levels, dtype=dtype), (levels // 64, 64 * 3)).reshape(-1, 64, 3)
    tensor = images.to_tensor(pixels)
    assert tensor.shape == (1, 3, *pixels.shape[:2])
    assert tensor.dtype == torch.float32
    assert (tensor.min(), tensor.max()) == (0, 1)
    assert tensor[0, 2, 1, 5].item() == np.float32(pixels[1, 5, 2] / (levels - 1))
    for form in (tensor, tensor[0], tensor.double()):
        again = images.to_pixels(form, dtype)
        assert again.dtype == dtype
        assert again.flags.c_contiguous
        assert np.array_equal(again, pixels)


def test_to_pixels_clamps_and_rounds() -> None:
    values = [-0.01, 1.01, 0.999, 0.4 / 255, 0.6 / 255, float("inf")]
    tensor = torch.tensor(values).expand(3, 1, -1).requires_grad_()
    assert images.to_pixels(tensor, np.uint8)[0, :, 0].tolist() == [0, 255, 255, 0, 1, 255]
    with pytest.raises(ImageError, match="1 NaN"):
        images.to_pixels(torch.tensor([0, float("nan"), 0]).reshape(1, 3, 1, 1))
    for shape in ((2, 3, 4, 4), (1, 4, 4, 4), (4, 4)):
        with pytest.raises(ValueError, match="shape"):
            images.to_pixels(torch.zeros(shape))
