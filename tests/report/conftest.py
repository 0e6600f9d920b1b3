"""A report to write, and a real browser to open it in."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from noiseda import images
from noiseda.report import PAGE, Noise, Photos, Report, ShownPhoto, Verdict, write_report

RED, GREEN, BLUE = (200, 40, 40), (40, 160, 60), (40, 60, 200)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def plain(height: int, width: int, colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def coloured(name: str = "a.jpg", height: int = 120, width: int = 200) -> ShownPhoto:
    """A red photo, green before adapting and blue after it."""
    photo, start, adapted = (plain(height, width, colour) for colour in (RED, GREEN, BLUE))
    return ShownPhoto(name, photo, start, adapted)


def report(*shown: ShownPhoto, text: str = "words", **changes: Any) -> Report:
    """A report of all parts; `text` stands wherever people's words may."""
    knots = np.linspace(0, 1, 6)
    content: dict[str, Any] = {
        "title": f"title {text}",
        "verdict": Verdict("better", f"sentence {text}", 0.93, 0.82, (0.4, 1.21)),
        "photos": Photos(212, 2, 5, (0.3, 12, 24.2)),
        "looked": [f"looked {text}"],
        "noise": Noise(
            brightness=knots,
            sigma=np.stack([2 + knots, 1 + knots, 3 + 2 * knots]),
            horizontal=[0.3, 0.1, 0],
            vertical=[0.2, 0.1, 0],
            colours=np.eye(3),
        ),
        "settings": {f"setting {text}": f"value {text}"},
        "times": {f"stage {text}": 14.2, "adapt": 3620.0},
        "history": [(6.0 * step, {f"loss {text}": 1 / (1 + step)}) for step in range(9)],
        "shown": shown,
    }
    return Report(**{**content, **changes})


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        assert os.environ.get("NOISEDA_BROWSER") != "required", "Chromium is not installed"
        pytest.skip("Chromium is not installed; run .ci/browser as root")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


class Opened:
    """A report that a person has opened, and what the browser said meanwhile."""

    def __init__(self, folder: Path, page: Page) -> None:
        self.folder, self.page = folder, page
        self.said: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto((folder / PAGE).resolve().as_uri())

    def stage(self) -> np.ndarray:
        """What is seen of the photo, in pixels of the screen, H×W×3."""
        self.loaded()
        file = self.folder / "seen.png"
        self.page.locator("#stage").screenshot(path=file)
        return images.read_rgb8(file)

    def colours(self) -> tuple[str, ...]:
        """The views whose colours are seen at the left, left of the middle, and at the right."""
        seen = self.stage()
        row = seen[seen.shape[0] // 10]
        places = (len(row) // 40, len(row) * 4 // 10, len(row) * 39 // 40)
        return tuple(colour(row[place]) for place in places)

    def loaded(self, images: str = ".side img") -> None:
        """Wait for the images of this selector."""
        # not wait_for_function: what it asks again is text that the page's policy forbids to run
        whole = "s => [...document.querySelectorAll(s)].every(i => i.complete && i.naturalWidth)"
        deadline = time.monotonic() + 30
        while not self.page.evaluate(whole, images):
            assert time.monotonic() < deadline, "images do not load"
            time.sleep(0.02)

    def box(self, name: str) -> dict[str, float]:
        return self.page.evaluate(
            "id => document.getElementById(id).getBoundingClientRect().toJSON()", name
        )


def colour(pixel: np.ndarray) -> str:
    """The name of a view by its plain colour."""
    known = {"photo": RED, "start": GREEN, "adapted": BLUE}
    for name, value in known.items():
        # JPEG is a little off
        if np.abs(pixel.astype(int) - value).max() <= 4:
            return name
    return str(pixel)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    """`opened(report, **context)`: written, opened, and in the end without a complaint."""
    pages: list[Opened] = []

    def open_report(content: Report, folder: str = "my-camera", **context: Any) -> Opened:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        write_report(target, content)
        context = {"viewport": {"width": 800, "height": 700}, **context}
        pages.append(Opened(target, browser.new_context(**context).new_page()))
        return pages[-1]

    yield open_report
    for page in pages:
        page.page.context.close()
        assert page.said == []
        assert all(url.startswith("file:") for url in page.requests)
