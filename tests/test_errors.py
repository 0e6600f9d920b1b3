"""What counts as a Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from noiseda.errors import stoppable


@contextmanager
def failing() -> Iterator[None]:
    """As torch's contexts are left when they were interrupted while they were entered."""
    try:
        yield
    finally:
        raise RuntimeError("trying to pop from empty mode stack")


def test_an_error_that_ctrl_c_caused_is_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), stoppable(), failing():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), stoppable():
        raise KeyboardInterrupt


def test_other_errors_stay() -> None:
    with pytest.raises(RuntimeError, match="empty mode stack"), stoppable(), failing():
        pass


def test_one_that_tells_of_a_ctrl_c_that_was_dealt_with_stays() -> None:
    def dealt_with() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("130") from None

    with pytest.raises(RuntimeError, match="130"), stoppable():
        dealt_with()
