"""Scores as JSON, CSV and a table."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from noiseda import evaluation
from noiseda.errors import NoiseDAError
from noiseda.evaluation import Scores

SCORES = Scores(
    "rgb",
    [
        {"name": "a/[b] x.png", "psnr": 30.123456789, "ssim": 0.912345678},
        {"name": "a,2.png", "psnr": math.inf, "ssim": 1.0},
        {"name": "tiny.png", "psnr": 20.0, "ssim": math.nan},
    ],
)


def test_json_is_strict_and_complete(tmp_path: Path) -> None:
    evaluation.write_json(SCORES, tmp_path / "s.json")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads((tmp_path / "s.json").read_text("utf-8"), parse_constant=refuse)
    assert read == evaluation.to_json(SCORES)
    assert read["protocol"] == "rgb"
    assert read["images"][0] == SCORES.images[0]
    assert read["images"][1] == {"name": "a,2.png", "psnr": None, "ssim": 1.0}
    assert read["images"][2] == {"name": "tiny.png", "psnr": 20.0, "ssim": None}
    assert read["mean"] == {"psnr": None, "ssim": None}


def test_csv_has_a_row_an_image_and_the_mean_last(tmp_path: Path) -> None:
    scores = Scores("rgb", SCORES.images[:2])
    evaluation.write_csv(scores, tmp_path / "s.csv")
    with open(tmp_path / "s.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["name", "psnr", "ssim", "protocol"]
    assert [row["name"] for row in rows] == ["a/[b] x.png", "a,2.png", "mean"]
    assert {row["protocol"] for row in rows} == {"rgb"}
    assert [float(row["psnr"]) for row in rows] == [30.123456789, math.inf, math.inf]
    assert float(rows[-1]["ssim"]) == pytest.approx((0.912345678 + 1) / 2)


@pytest.mark.parametrize("write", [evaluation.write_json, evaluation.write_csv])
def test_reports_are_not_overwritten_by_accident_nor_half_written(write, tmp_path: Path) -> None:
    path = tmp_path / "s.out"
    path.write_text("precious")
    with pytest.raises(NoiseDAError, match=r"s\.out exists.*--overwrite"):
        write(SCORES, path)
    assert path.read_text() == "precious"
    write(SCORES, path, overwrite=True)
    assert "tiny.png" in path.read_text("utf-8")
    for bad in (tmp_path / "none" / "s.out", path / "s.out", tmp_path):
        with pytest.raises(NoiseDAError) as caught:
            write(SCORES, bad, overwrite=True)
        assert "\n" not in str(caught.value)
        assert str(bad) in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["s.out"]


def test_table_names_the_protocol_and_counts_the_images() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(evaluation.table(SCORES))
    text = capture.get()
    for part in ("PSNR [rgb] dB", "SSIM [rgb]", "a/[b] x.png", "30.12", "0.9123", "inf", "nan"):
        assert part in text
    assert "tiny.png" in text
    assert "mean of 3 images" in text
