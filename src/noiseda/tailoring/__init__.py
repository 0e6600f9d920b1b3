"""A model for one's own photos: from a folder of them to an adapted network, judged without ground
truth, in one command."""

from __future__ import annotations

from noiseda.tailoring.look import Look, look
from noiseda.tailoring.run import Result, tailor

__all__ = ["Look", "Result", "look", "tailor"]
