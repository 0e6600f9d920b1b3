"""Public sets as they lie on a disk, read into pairs with stable names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from noiseda.data.catalogue import catalogue, public_set
from noiseda.data.layouts import LAYOUTS, Entry, read_layout
from noiseda.data.linking import link
from noiseda.errors import DataError, OptionError
from noiseda.evaluation import pair


def touch(root: Path, *names: str) -> None:
    """Files that are told apart; layouts do not decode them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def relative(entries: list[Entry], root: Path) -> dict[str, tuple[str, str]]:
    def text(path: Path | None) -> str:
        return "" if path is None else path.relative_to(root).as_posix()

    return {entry.name: (text(entry.degraded), text(entry.clean)) for entry in entries}


def refused(words: str, *arguments, **options) -> None:
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        read_layout(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1


def test_sidd_medium(tmp_path: Path) -> None:
    data = "SIDD_Medium_Srgb/Data"
    scenes = ["0001_001_S6_00100_00060_3200_L", "0002_001_S6_00100_00020_3200_N"]
    for scene in scenes:
        for kind in ("NOISY", "GT"):
            for number in ("010", "011"):
                touch(tmp_path, f"{data}/{scene}/{scene[:4]}_{kind}_SRGB_{number}.PNG")
    found = relative(read_layout("sidd-medium", tmp_path), tmp_path)
    assert list(found) == [f"{scene}/{number}" for scene in scenes for number in ("010", "011")]
    folder = f"{data}/{scenes[0]}"
    assert found[f"{scenes[0]}/011"] == (
        f"{folder}/0001_NOISY_SRGB_011.PNG",
        f"{folder}/0001_GT_SRGB_011.PNG",
    )
    (tmp_path / folder / "0001_GT_SRGB_010.PNG").unlink()
    refused("1 without ground truth", "sidd-medium", tmp_path)


def test_realblur_keeps_whole_paths(tmp_path: Path) -> None:
    """File names repeat in each scene: they must not meet in one folder."""
    root = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
    for split, scenes in (("train", range(1, 4)), ("test", range(4, 8))):
        lines = []
        for scene in scenes:
            for number in (1, 2, 10):
                files = [
                    f"{root}/scene{scene:03d}/{kind}/{kind}_{number}.png" for kind in ("gt", "blur")
                ]
                touch(tmp_path / "RealBlur", *files)
                lines.append(" ".join(files))
        (tmp_path / "RealBlur" / f"RealBlur_J_{split}_list.txt").write_text("\n".join(lines) + "\n")
    train, test = (read_layout("realblur-j", tmp_path, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (9, 12)
    assert not {entry.name for entry in train} & {entry.name for entry in test}
    name = f"{root}/scene004/blur/blur_10"
    found = relative(test, tmp_path / "RealBlur")
    assert found[name] == (f"{name}.png", f"{root}/scene004/gt/gt_10.png")
    degraded, clean = link(test, tmp_path / "out")
    pairs = pair(degraded, clean)
    assert len(pairs) == 12
    for _, ours, theirs in pairs:
        assert ours.read_text().replace("blur", "gt") == theirs.read_text().replace("blur", "gt")
    # incomplete, or another list
    (tmp_path / "RealBlur" / f"{name}.png").unlink()
    refused("1 of its 24 files are not in", "realblur-j", tmp_path, "test")
    (tmp_path / "RealBlur" / "RealBlur_J_test_list.txt").write_text("one path\na b c\n")
    refused("line 2 does not hold two paths", "realblur-j", tmp_path, "test")
    (tmp_path / "RealBlur" / "RealBlur_J_test_list.txt").unlink()
    refused("no RealBlur_J_test_list.txt", "realblur-j", tmp_path, "test")


@pytest.mark.parametrize("start", ["/", "./", ""])
def test_spa(tmp_path: Path, start: str) -> None:
    """Its paths begin with a slash, and many rainy images share a clean one."""
    rainy = [f"real_world/000/000-{frame}/000-{frame}_0_256.png" for frame in (1, 2)]
    clean = "real_world_gt/000/000_0_256.png"
    touch(tmp_path / "train", *rainy, clean)
    lines = [f"{start}{name} {start}{clean}\r\n" for name in rainy]
    (tmp_path / "train" / "real_world.txt").write_text("".join(lines))
    found = relative(read_layout("spa", tmp_path), tmp_path / "train")
    assert found == {name.removesuffix(".png"): (name, clean) for name in rainy}
    touch(tmp_path / "test", "real_test_1000/rain/000.png", "real_test_1000/gt/000gt.png")
    text = f"{start}real_test_1000/rain/000.png {start}real_test_1000/gt/000gt.png"
    (tmp_path / "test" / "real_test_1000.txt").write_text(text)
    (entry,) = read_layout("spa", tmp_path, "test")
    assert entry.name == "real_test_1000/rain/000"
    message = "neither real_world.txt, which lists the set's train pairs, nor a folder 'train'"
    refused(message, "spa", tmp_path / "test", "train")
    # repacked without lists
    touch(tmp_path / "b", "test/input/1.png", "test/target/1.png")
    (entry,) = read_layout("spa", tmp_path / "b", "test")
    assert entry.name == "1"


def test_gopro(tmp_path: Path) -> None:
    for split, sequence in (("train", "GOPR0372_07_00"), ("test", "GOPR0384_11_00")):
        for kind in ("blur", "blur_gamma", "sharp"):
            touch(tmp_path, f"GOPRO_Large/{split}/{sequence}/{kind}/000047.png")
    (entry,) = read_layout("gopro", tmp_path, "test")
    assert entry.name == "GOPR0384_11_00/000047"
    found = relative([entry], tmp_path / "GOPRO_Large/test/GOPR0384_11_00")
    assert found[entry.name] == ("blur/000047.png", "sharp/000047.png")
    assert [entry.name for entry in read_layout("gopro", tmp_path)] == ["GOPR0372_07_00/000047"]
    refused("no folder 'test'", "gopro", tmp_path / "GOPRO_Large/train", "test")


def test_rain13k(tmp_path: Path) -> None:
    touch(tmp_path, "train/Rain13K/input/1.jpg", "train/Rain13K/target/1.jpg")
    for part in ("Rain100L", "Test100"):
        touch(tmp_path, f"test/{part}/input/1.png", f"test/{part}/target/1.png")
    assert [entry.name for entry in read_layout("rain13k", tmp_path)] == ["Rain13K/1"]
    names = [entry.name for entry in read_layout("rain13k", tmp_path, "test")]
    assert names == ["Rain100L/1", "Test100/1"]


def test_pairs_and_folders(tmp_path: Path) -> None:
    touch(tmp_path, "noisy/a.jpg", "noisy/s/b.png", "clean/a.png", "clean/s/b.png")
    found = relative(read_layout("pairs", tmp_path), tmp_path)
    assert found["a"] == ("noisy/a.jpg", "clean/a.png")
    assert found["s/b"] == ("noisy/s/b.png", "clean/s/b.png")
    named = read_layout("folder", tmp_path / "noisy", clean=tmp_path / "clean")
    assert relative(named, tmp_path) == found
    alone = relative(read_layout("folder", tmp_path / "noisy"), tmp_path)
    assert alone == {"a": ("", "noisy/a.jpg"), "s/b": ("", "noisy/s/b.png")}
    touch(tmp_path, "noisy/c.png")
    refused("1 images have no counterpart (c only in", "pairs", tmp_path)
    touch(tmp_path, "noisy/c.jpg")
    refused("differ in suffix alone", "folder", tmp_path / "noisy")
    refused("no such folder or file", "folder", tmp_path / "none")
    refused("no two sub-folders", "pairs", tmp_path / "clean")
    with pytest.raises(OptionError, match="did you mean 'gopro'"):
        read_layout("gopr", tmp_path)
    with pytest.raises(OptionError, match="knows its clean images"):
        read_layout("gopro", tmp_path, clean=tmp_path)


def test_flist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to the list, above it or the current folder; never paired by order alone."""

    def write(name: str, *lines: str) -> Path:
        path = tmp_path / "lists" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines))
        return path

    touch(tmp_path, *(f"set/{kind}/s{n}/{n}.png" for kind in ("input", "target") for n in (1, 2)))
    ours = write("in.flist", "set/input/s2/2.png", "set/input/s1/1.png", "")
    theirs = write("gt.flist", "./set/target/s1/1.png", "./set/target/s2/2.png")
    found = relative(read_layout("flist", ours, clean=theirs), tmp_path)
    assert found == {
        f"s{n}/{n}": (f"set/input/s{n}/{n}.png", f"set/target/s{n}/{n}.png") for n in (1, 2)
    }
    assert relative(read_layout("flist", ours), tmp_path)["s1/1"] == ("", "set/input/s1/1.png")
    # absolute paths, and names that differ but for their numbers
    files = [f"scene{s}/{kind}/{kind}_{s}.png" for kind in ("blur", "gt") for s in (1, 2)]
    touch(tmp_path, *files)
    blurry = write("blur.flist", *(str(tmp_path / file) for file in files[:2]))
    sharp = write("sharp.flist", *(str(tmp_path / file) for file in files[2:]))
    entries = relative(read_layout("flist", blurry, clean=sharp), tmp_path)
    assert entries["scene2/blur/blur_2"] == (files[1], files[3])
    reverse = write("reverse.flist", *(str(tmp_path / file) for file in files[:1:-1]))
    refused("stand on the same line and are not named alike", "flist", blurry, clean=reverse)
    refused("has 2 files and", "flist", blurry, clean=write("one.flist", files[2]))
    refused("an empty list", "flist", write("empty.flist", "", " "))
    refused("neither beside the list nor above", "flist", write("none.flist", "none.png"))
    elsewhere = tmp_path / "elsewhere"
    touch(elsewhere, "my/a.png")
    monkeypatch.chdir(elsewhere)
    assert [e.name for e in read_layout("flist", write("mine.flist", "my/a.png"))] == ["a"]


def test_links_take_no_room(tmp_path: Path) -> None:
    touch(tmp_path, "noisy/a.v2.jpg", "clean/a.v2.png")
    entries = read_layout("pairs", tmp_path)
    for _ in range(2):
        folders = link(entries, tmp_path / "out")
    assert folders == [tmp_path / "out" / "degraded", tmp_path / "out" / "clean"]
    assert (tmp_path / "out/degraded/a.v2.jpg").samefile(tmp_path / "noisy/a.v2.jpg")
    assert link(entries, tmp_path / "one", part="clean") == [tmp_path / "one"]
    assert (tmp_path / "one/a.v2.png").samefile(tmp_path / "clean/a.v2.png")
    (tmp_path / "one/a.v2.png").unlink()
    touch(tmp_path, "one/a.v2.png")
    with pytest.raises(DataError, match="is another image"):
        link(entries, tmp_path / "one", part="clean")


def test_catalogue() -> None:
    """Every set says where it is, how it lies, and what to do where it cannot be fetched."""
    for name, known in catalogue().items():
        assert known.unpacked.split("/")[0] == name
        assert bool(known.files) != bool(known.by_hand), name
        assert known.home.startswith("http"), name
        assert known.layout in {*LAYOUTS, "sidd-blocks"}, name
        assert known.prepare.startswith("noiseda data prepare DIR"), name
        for file in known.files:
            # a checksum is never without who records it
            assert (file.checksum is None) == (file.recorded_by is None), name
    assert public_set("sidd-MEDIUM").name == "SIDD-Medium"
    with pytest.raises(OptionError, match="did you mean 'DIV2K'"):
        public_set("DIV2")
