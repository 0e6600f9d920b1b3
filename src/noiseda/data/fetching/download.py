"""Downloads that go on where they were interrupted, by HTTP range requests, and are verified.

pooch decides whether a file is there already, checks what came and puts it under its name; it
does not resume, so that it is given a downloader that does.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from noiseda.data.extras import require
from noiseda.errors import DataError

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and that there will be, if known."""

# what has come of a chunk when the connection breaks is lost
_CHUNK = 1 << 14
# seconds to connect, and without a byte, before a connection counts as stalled
_TIMEOUT = (10.0, 30.0)
# attempts that bring nothing before it is given up
_ATTEMPTS = 5


def download(
    url: str,
    path: Path,
    checksum: str | None = None,
    progress: Progress | None = None,
    timeout: tuple[float, float] = _TIMEOUT,
    pause: float = 1.0,
) -> str:
    """Download a file; an interrupted download goes on.

    Args:
        url: http or https.
        path: what to write. While it comes it is `path` with `.part` after its name.
        checksum: `algorithm:digest` of it; None if none is known.
        progress: told how far it is.
        timeout: seconds to connect, and without a byte.
        pause: seconds before the second attempt; each next one waits twice as long.

    Returns:
        The file's SHA-256.

    Raises:
        DataError: not to be had, or of another checksum, in which case nothing is left of it.
    """
    pooch = require("pooch")
    if not url.startswith(("http://", "https://")):
        raise DataError(f"{url}: only http and https are downloaded; use --from-local FILE")
    pooch.get_logger().setLevel("CRITICAL")
    if path.exists() and checksum and not agrees(path, checksum):
        raise DataError(f"{path}: exists and is another file than {url}; remove or rename it")
    resuming = _Resuming(path, progress, timeout, pause)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            url, known_hash=checksum, fname=path.name, path=path.parent, downloader=resuming
        )
    except ValueError:
        raise DataError(
            f"{url}: what came has another checksum than the expected {checksum}; it was removed. "
            "Try again, or another source with --url and --sha256"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
    return sha256(path)


def sha256(path: Path) -> str:
    """Of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def agrees(path: Path, checksum: str) -> bool:
    """Whether a file has this checksum, `algorithm:digest`."""
    algorithm, _, digest = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == digest


class _Resuming:
    """A downloader for pooch."""

    def __init__(
        self, path: Path, progress: Progress | None, timeout: tuple[float, float], pause: float
    ) -> None:
        self.part = path.with_name(path.name + ".part")
        # of what it is a part: a server may have another file under the address by now
        self.origin = path.with_name(path.name + ".part.json")
        self.progress = progress or (lambda *_: None)
        self.timeout, self.pause = timeout, pause

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        requests = require("requests")
        failed, pause = 0, self.pause
        while True:
            before = self._size()
            try:
                whole = self._attempt(url)
                why = f"it ended at {self._size()} bytes"
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
            ) as error:
                whole, why = False, _reason(error)
            except requests.RequestException as error:
                raise DataError(f"{url}: {error}") from None
            if whole:
                break
            # as long as something comes there is hope
            failed = 0 if self._size() > before else failed + 1
            pause = self.pause if self._size() > before else pause
            if failed == _ATTEMPTS:
                raise DataError(
                    f"{url}: {why}, {failed} times; what is there was kept, and the same command "
                    "goes on with it"
                )
            if failed:
                time.sleep(pause)
                pause *= 2
        os.replace(self.part, output_file)
        self.origin.unlink(missing_ok=True)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _attempt(self, url: str) -> bool:
        """Get what is missing; whether it is all there now."""
        requests = require("requests")
        start = self._size()
        known = self._known(url)
        if start and known is None:
            start = 0
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-"}
            if known:
                headers["If-Range"] = known
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            status = response.status_code
            if status == 416:
                # beyond its end: another file, or it was all there
                length = response.headers.get("Content-Range", "").rpartition("/")[2]
                if length.isdigit() and int(length) == start:
                    return True
                self.part.unlink()
                return False
            if status in (429, 500, 502, 503, 504):
                raise requests.ConnectionError(f"the server answered {status}")
            if status not in (200, 206):
                raise DataError(
                    f"{url}: the server answered {status} {response.reason}; look at the set's "
                    "page for where it is now, and give --url or --from-local"
                )
            if status == 200:
                start = 0
            total = _total(response.headers, start)
            validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
            # a weak tag cannot be asked for by If-Range
            strong = validator if validator and not validator.startswith("W/") else ""
            self.origin.write_text(json.dumps({"url": url, "validator": strong}))
            with self.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    self.progress(file.tell(), total)
                return total is None or file.tell() == total

    def _known(self, url: str) -> str | None:
        """What the server called the file that is there in part; None if that is another one."""
        try:
            content = json.loads(self.origin.read_text())
            return str(content["validator"]) if content["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _total(headers: Any, start: int) -> int | None:
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _reason(error: Exception) -> str:
    """In few words; requests tell the whole chain of objects."""
    text = str(error)
    if "timed out" in text.lower():
        return "no byte came in time"
    for words in ("Name or service not known", "name resolution", "Failed to resolve"):
        if words in text:
            return "no such host, or no network"
    if "refused" in text:
        return "the connection was refused"
    if text.startswith("the server answered"):
        return text
    return "the connection broke"
