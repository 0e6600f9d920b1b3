"""Downloads from a real server, which breaks off, stalls, fails and sends something else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from noiseda.data.fetching import download
from noiseda.errors import DataError
from tests.data.conftest import Server

CONTENT = np.random.default_rng(0).integers(0, 256, 1_500_000).astype(np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FAST = {"timeout": (2.0, 0.3), "pause": 0.01}


def get(server: Server, path: Path, checksum: str | None = f"sha256:{SHA256}", **options) -> str:
    return download(f"{server.url}/a.zip", path, checksum, **{**FAST, **options})


def left(path: Path) -> list[str]:
    return sorted(item.name for item in path.parent.iterdir())


def test_download(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = CONTENT
    path = tmp_path / "new" / "a.zip"
    told = []
    assert get(server, path, progress=lambda *counts: told.append(counts)) == SHA256
    assert path.read_bytes() == CONTENT
    assert left(path) == ["a.zip"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    # what is there and right is not asked for again
    assert get(server, path) == SHA256
    assert server.asked == [None]
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert get(server, path, f"md5:{md5}") == SHA256
    with pytest.raises(DataError, match="exists and is another file"):
        get(server, path, "sha256:" + "0" * 64)
    assert path.read_bytes() == CONTENT


def test_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = CONTENT
    server.truncate = [400_000, 300_000]
    server.stall = [1.0]
    assert get(server, tmp_path / "a.zip") == SHA256
    assert server.asked[0] is None
    starts = [int(asked.removeprefix("bytes=")[:-1]) for asked in server.asked[1:] if asked]
    # but for the chunk that was under way
    expected = 0
    for start, came in zip(starts, (400_000, 300_000, None), strict=True):
        expected += (len(CONTENT) - expected) // 2 if came is None else came
        assert expected - 20_000 < start <= expected
        expected = start


def test_goes_on_in_another_call(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = CONTENT
    server.truncate = [500_000]
    server.fail = [200, 503, 503, 503, 503, 503]
    with pytest.raises(DataError, match=r"503, 5 times; what is there was kept"):
        get(server, tmp_path / "a.zip")
    assert left(tmp_path / "a.zip") == ["a.zip.part", "a.zip.part.json"]
    asked = len(server.asked)
    assert get(server, tmp_path / "a.zip") == SHA256
    (wanted,) = server.asked[asked:]
    assert wanted is not None
    assert 480_000 < int(wanted.removeprefix("bytes=")[:-1]) <= 500_000
    assert left(tmp_path / "a.zip") == ["a.zip"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_changed_file_is_fetched_from_its_beginning(
    server: Server, tmp_path: Path, ranges: bool
) -> None:
    server.files["/a.zip"] = CONTENT[::-1]
    server.truncate = [500_000]
    server.fail = [200, *[503] * 5]
    with pytest.raises(DataError, match="503"):
        get(server, tmp_path / "a.zip")
    # meanwhile there is another file under the address
    server.files["/a.zip"], server.tag, server.ranges = CONTENT, '"two"', ranges
    assert get(server, tmp_path / "a.zip") == SHA256


def test_whole_but_for_its_name(server: Server, tmp_path: Path) -> None:
    """Killed after the last byte."""
    server.files["/a.zip"] = CONTENT
    server.truncate = [500_000]
    server.fail = [200, *[503] * 5]
    with pytest.raises(DataError):
        get(server, tmp_path / "a.zip")
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert get(server, tmp_path / "a.zip") == SHA256


def test_wrong_bytes(server: Server, tmp_path: Path) -> None:
    server.files["/a.zip"] = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match="another checksum than the expected sha256:"):
        get(server, tmp_path / "a.zip")
    assert left(tmp_path / "a.zip") == []
    # without a known checksum it is taken, and its own is told
    assert get(server, tmp_path / "a.zip", None) != SHA256


def test_what_cannot_be_had(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"answered 404 .*--url or --from-local"):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) == 1
    with pytest.raises(DataError, match="only http and https"):
        download("ftp://127.0.0.1/a.zip", tmp_path / "a.zip")
    with pytest.raises(DataError, match="connection was refused"):
        download("http://127.0.0.1:1/a.zip", tmp_path / "a.zip", pause=0.01)
    (tmp_path / "file").touch()
    server.files["/a.zip"] = CONTENT
    with pytest.raises(DataError, match="cannot be written"):
        get(server, tmp_path / "file" / "a.zip")
