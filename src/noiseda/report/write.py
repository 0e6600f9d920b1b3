"""Write a report into a folder."""

from __future__ import annotations

from pathlib import Path

from noiseda.errors import RunError
from noiseda.files import write_whole
from noiseda.report.content import Report
from noiseda.report.page import page
from noiseda.report.pictures import Pictures

#: The page, and the folder of its pictures beside it.
PAGE = "report.html"
FILES = "report-files"


def write_report(folder: Path, content: Report) -> None:
    """Write `report.html` and its pictures into `folder`, whole or not at all.

    A report that is there is replaced in one step at the end; until then, and if anything goes
    wrong, it stays complete.

    Args:
        folder: where; it must exist.
        content: what to tell. `content.shown` is taken one photo at a time.

    Raises:
        ImageError: a picture cannot be written.
        RunError: the page or its folder cannot be written.
        Exception: whatever `content.shown` raises.
    """
    folder = Path(folder)
    pictures = Pictures(folder / FILES)
    try:
        shown = []
        for photo in content.shown:
            shown.append(pictures.add(len(shown) + 1, photo))
            # let it go before the next is asked for
            del photo
        text = page(content, shown)
        try:
            # a file name that is not UTF-8 is shown with question marks
            write_whole(folder / PAGE, text.encode("utf-8", "replace"))
        except OSError as error:
            raise RunError(f"{folder / PAGE}: cannot write the report: {error.strerror}") from None
    except BaseException:
        pictures.undo()
        raise
    pictures.remove_others()
