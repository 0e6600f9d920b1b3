"""The page in a real browser: opened from disk, used by mouse and by keyboard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noiseda import images
from noiseda.report import Photos, Report, ShownPhoto, Verdict
from tests.conftest import photo
from tests.report.conftest import coloured, report

# what a file system allows in names, and what could be taken for markup or code
ODD = (
    "夏 50% #1?&amp; 'q' \"d\" <x-bad> </script><script>alert(1)</script> {{data}} \u202eabc \udcff"
)


def test_odd_names_and_no_network(opened: Any) -> None:
    folder = 'it\'s 50% #1? "q" é {{title}} 夏'
    page = opened(report(coloured(ODD), coloured("b"), text=ODD), folder)
    page.loaded()
    assert page.page.locator("x-bad").count() == 0
    shown = ODD.replace("\udcff", "?")
    assert page.page.title() == f"title {shown}"
    text = page.page.evaluate("document.body.textContent")
    words = ("title", "sentence", "looked", "setting", "value", "stage", "loss")
    assert [word for word in words if f"{word} {shown}" not in text] == []
    assert page.page.locator("#photos button").first.get_attribute("title") == shown
    page.loaded("img")
    # the page, two sides, two to choose by, and nothing else
    assert len(page.requests) == 5


def test_verdict_in_words(opened: Any) -> None:
    page = opened(report(coloured()))
    text = page.page.locator(".verdict").inner_text()
    assert text.splitlines()[0] == "Better"
    assert "+0.82 dB PSNR (+0.40 to +1.21), that is 9 % less error" in " ".join(text.split())
    assert "Confidence 93 %" in " ".join(text.split())
    facts = page.page.locator("#sections").inner_text()
    for words in ("0.3 to 24.2, median 12", "14.2 s", "61 min", "noise σ (1/255)", "brightness"):
        assert words in facts


def test_slider_by_keyboard(opened: Any) -> None:
    page = opened(report(coloured()))
    assert page.colours() == ("photo", "photo", "adapted")
    page.page.focus("#split")
    for _ in range(10):
        page.page.keyboard.press("ArrowLeft")
    assert page.page.input_value("#split") == "30"
    assert page.colours() == ("photo", "adapted", "adapted")
    page.page.keyboard.press("Home")
    assert page.colours() == ("adapted", "adapted", "adapted")
    page.page.keyboard.press("End")
    assert page.colours() == ("photo", "photo", "photo")


def test_slider_by_mouse(opened: Any) -> None:
    page = opened(report(coloured()))
    stage = page.box("stage")
    middle = stage["y"] + stage["height"] / 2
    page.page.mouse.move(stage["x"] + stage["width"] / 2, middle)
    page.page.mouse.down()
    page.page.mouse.move(stage["x"] + stage["width"] / 4, middle, steps=3)
    assert page.colours() == ("photo", "adapted", "adapted")
    assert float(page.page.input_value("#split")) == pytest.approx(25)
    # beyond the edge, held there
    page.page.mouse.move(stage["x"] + 2 * stage["width"], middle, steps=3)
    assert page.colours() == ("photo", "photo", "photo")
    page.page.mouse.up()
    page.page.mouse.move(stage["x"], middle)
    assert page.colours() == ("photo", "photo", "photo")


def test_choosing_photo_and_views(opened: Any) -> None:
    page = opened(report(coloured("first"), coloured("second", 220, 150)))
    page.page.locator("#left").select_option("start")
    page.page.locator("#right").select_option("photo")
    assert page.colours() == ("start", "start", "photo")
    page.page.get_by_role("button", name="second").click()
    assert page.colours() == ("start", "start", "photo")
    assert (page.box("stage")["width"], page.box("stage")["height"]) == (150, 220)
    assert page.page.locator("[aria-pressed=true]").inner_text() == "second"
    assert page.page.locator("#right-image").get_attribute("alt") == "right: photo, second"
    page.page.locator("#right").select_option("residual")
    seen = page.stage()
    # 200 − 40, 40 − 60, 40 − 200 at gain 1
    assert np.abs(seen[10, -5].astype(int) - (255, 108, 0)).max() <= 4
    assert "times 1; grey is nothing" in page.page.locator("#removed").inner_text()


@pytest.mark.parametrize("density", [1, 2])
def test_full_size_is_the_photos_own_pixels(opened: Any, density: int) -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (1500, 2000, 3), np.uint8)
    page = opened(report(ShownPhoto("a", picture, picture, picture)), device_scale_factor=density)
    assert page.stage().shape[1] < 1500
    page.page.get_by_text("100 %").click()
    seen = page.stage()
    image = page.box("left-image")
    assert image["width"] * density == pytest.approx(2000)
    (file,) = page.folder.glob("report-files/1-photo-*")
    # the middle stays in the middle; noise would show any resampling
    top, left = (1500 - seen.shape[0]) // 2, (2000 - seen.shape[1]) // 2
    expected = images.read_rgb8(file)[
        top : top + seen.shape[0], left : left + seen.shape[1]
    ].astype(int)
    # not where the divider and the words are
    rows = slice(10, seen.shape[0] // 4)
    for columns in (slice(10, seen.shape[1] // 3), slice(seen.shape[1] * 2 // 3, -10)):
        assert np.abs(seen[rows, columns] - expected[rows, columns]).mean() < 0.01
    page.page.get_by_text("200 %").click()
    assert page.box("right-image")["width"] * density == pytest.approx(4000)


def test_moving_an_enlarged_photo(opened: Any) -> None:
    picture = photo(1500, 2000)
    page = opened(report(ShownPhoto("a", picture, picture, picture)))
    page.page.get_by_text("100 %").click()
    before, stage = page.box("left-image"), page.box("stage")
    page.page.mouse.move(stage["x"] + 100, stage["y"] + 100)
    page.page.mouse.down()
    page.page.mouse.move(stage["x"] + 60, stage["y"] + 130, steps=4)
    page.page.mouse.up()
    after = page.box("left-image")
    assert (after["x"] - before["x"], after["y"] - before["y"]) == pytest.approx((-40, 30))
    assert page.box("right-image") == after
    assert page.page.input_value("#split") == "50"
    page.page.focus("#stage")
    page.page.keyboard.press("ArrowRight")
    assert page.box("right-image")["x"] == pytest.approx(after["x"] - 60)
    for _ in range(40):
        page.page.keyboard.press("ArrowDown")
    # no farther than its edge
    assert page.box("left-image")["bottom"] == pytest.approx(page.box("stage")["bottom"])
    assert page.box("left-image") == page.box("right-image")


def test_every_control_is_reached_by_tab(opened: Any) -> None:
    page = opened(report(coloured("first", 900, 1500)))
    reached = []
    for _ in range(6):
        if reached[-1:] == ["zoom"]:
            # 100 %: now there is something to move
            page.page.keyboard.press("ArrowRight")
        page.page.keyboard.press("Tab")
        reached.append(
            page.page.evaluate("document.activeElement.id || document.activeElement.name")
        )
    assert reached == ["", "left", "right", "zoom", "stage", "split"]
    assert page.page.evaluate("[...document.images].every(i => i.hasAttribute('alt'))")


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_needs_no_scrolling_sideways(opened: Any, width: int) -> None:
    long = "long_name_without_any_blank_" * 8
    page = opened(
        report(*(coloured(long, 900, 1600) for _ in range(5)), text=long),
        viewport={"width": width, "height": 700},
        is_mobile=True,
        has_touch=True,
    )
    page.loaded()
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    assert page.box("stage")["width"] > 0.8 * width


def test_light_and_dark(opened: Any) -> None:
    brightness = []
    for scheme in ("light", "dark"):
        page = opened(report(coloured()), color_scheme=scheme)
        paper, ink = page.page.evaluate(
            "(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))"
        )
        brightness.append([int(colour[4:-1].split(",")[1]) for colour in (paper, ink)])
    assert brightness[0][0] - brightness[0][1] > 150
    assert brightness[1][1] - brightness[1][0] > 150


def test_a_missing_picture_is_named(opened: Any) -> None:
    page = opened(report(coloured()))
    page.loaded()
    (file,) = page.folder.glob("report-files/*-start-*")
    file.unlink()
    page.page.locator("#left").select_option("start")
    message = page.page.locator("#message")
    message.filter(has_text=f"report-files/{file.name} is missing").wait_for()
    assert len(page.said) == 1
    assert "ERR_FILE_NOT_FOUND" in page.said.pop()


def test_little_to_tell(opened: Any) -> None:
    page = opened(Report("t", Verdict("unsure", "Too few photos."), Photos(1)))
    assert not page.page.locator("#viewer").is_visible()
    assert page.page.locator("#sections h2").all_inner_texts() == ["The photos"]
