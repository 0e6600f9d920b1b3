"""A real web server that also misbehaves, archives, and photos with corners to find again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from noiseda import images
from noiseda.data import Store, open_store


def leaves(height: int, width: int, seed: int) -> np.ndarray:
    """Many overlapping discs and rectangles of different shades, H×W×3 uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    picture = np.full((height, width, 3), 128.0)
    for _ in range(150):
        cy, cx = random.uniform(0, height), random.uniform(0, width)
        size = random.uniform(4, 30)
        disc = (y - cy) ** 2 + (x - cx) ** 2 < size**2
        box = (abs(y - cy) < size) & (abs(x - cx) < size * random.uniform(0.3, 1.5))
        picture[disc if random.random() < 0.5 else box] = random.uniform(10, 245, 3)
    return picture.astype(np.uint8)


def stored(tmp_path: Path, *pictures: np.ndarray) -> Store:
    """A store of these H×W×3 uint8 pictures."""
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        images.write(path, picture)
    return open_store(paths, tmp_path / "cache")


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write(path, np.ascontiguousarray(pixels))
    return path


@dataclass
class Server:
    """What a web server has, and how it behaves.

    Attributes:
        files: content by path.
        truncate: bytes after which the next answers break off, one after the other.
        stall: seconds without a byte, after half of what the next answer has.
        fail: status codes of the next answers.
        ranges: whether it knows range requests.
        asked: the Range header of every request that came.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    truncate: list[int] = field(default_factory=list)
    stall: list[float] = field(default_factory=list)
    fail: list[int] = field(default_factory=list)
    ranges: bool = True
    tag: str = '"one"'
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            content = state.files.get(self.path)
            status = state.fail.pop(0) if state.fail else 200 if content is not None else 404
            if status != 200 or content is None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            valid = self.headers.get("If-Range") in (None, state.tag)
            if wanted and state.ranges and valid:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            body = content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", state.tag)
            self.end_headers()
            if state.truncate:
                self.wfile.write(body[: state.truncate.pop(0)])
                self.close_connection = True
                return
            if state.stall:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                time.sleep(state.stall.pop(0))
                self.close_connection = True
                return
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state = Server(f"http://127.0.0.1:{http.server_port}")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()
