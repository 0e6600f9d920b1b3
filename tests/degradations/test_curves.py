"""Point operations and their inverses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from noiseda.degradations import curves
from tests.degradations.conftest import examples, seeded, seeds


@examples
@given(st.floats(1e-4, 1), st.floats(1, 8), seeds)
def test_curves_are_undone_by_their_inverses(amount: float, gain: float, seed: int) -> None:
    x = torch.cat([torch.rand(500, generator=seeded(seed)), torch.tensor([0, 0.9, 1.0])])
    a, g = torch.tensor(amount), torch.tensor(gain)
    close: dict[str, Any] = {"rtol": 0, "atol": 2e-6}
    torch.testing.assert_close(curves.tone(curves.inverse_tone(x, a), a), x, **close)
    torch.testing.assert_close(curves.linear_to_srgb(curves.srgb_to_linear(x)), x, **close)
    torch.testing.assert_close(curves.balance(curves.unbalance(x, g), g), x, **close)


def test_white_saturates_the_sensor() -> None:
    gain = torch.tensor(2.0)
    assert float(curves.unbalance(torch.tensor(1.0), gain)) == pytest.approx(1)
    assert float(curves.unbalance(torch.tensor(0.5), gain)) == pytest.approx(0.25)
