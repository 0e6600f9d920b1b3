"""Getting public sets: download with resume and verification, safe unpacking."""

from __future__ import annotations

from noiseda.data.fetching.archives import unpack
from noiseda.data.fetching.download import download
from noiseda.data.fetching.fetch import Fetched, fetch

__all__ = ["Fetched", "download", "fetch", "unpack"]
