"""What an adaptation leaves for people: a page that opens from disk, offline, in any browser.

`report.html` holds words, curves and the means to compare; the pictures are beside it in
`report-files`. It sends nothing anywhere and carries none of the photos' EXIF data.
"""

from __future__ import annotations

from noiseda.report.content import Noise, Photos, Report, ShownPhoto, Verdict
from noiseda.report.write import FILES, PAGE, write_report

__all__ = [
    "FILES",
    "PAGE",
    "Noise",
    "Photos",
    "Report",
    "ShownPhoto",
    "Verdict",
    "write_report",
]
