"""What is wrong with folders of images, all of it at once, and what a training would see of its
test."""

from __future__ import annotations

from noiseda.data.checking.findings import Finding, Report
from noiseda.data.checking.run import check

__all__ = ["Finding", "Report", "check"]
