"""Fetch a public set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from noiseda.data.catalogue import File, PublicSet
from noiseda.data.fetching.archives import unpack
from noiseda.data.fetching.download import agrees, download, sha256
from noiseda.errors import DataError, OptionError
from noiseda.files import write_whole

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, and the bytes done and to do."""

# in the set's folder: which archive is unpacked where, so that it is not fetched twice
_RECORD = ".fetched.json"


@dataclass(frozen=True)
class Fetched:
    """An archive that is there now.

    Attributes:
        archive: its address or file.
        folder: where it is unpacked.
        sha256: of the archive.
        verified: whether a checksum was known and agreed.
        fresh: whether this call fetched it; else it was there.
    """

    archive: str
    folder: Path
    sha256: str
    verified: bool
    fresh: bool


def fetch(
    chosen: PublicSet,
    into: Path,
    from_local: Path | None = None,
    url: str | None = None,
    checksum: str | None = None,
    keep: bool = False,
    progress: Progress | None = None,
) -> list[Fetched]:
    """Bring a set's archives into `into/NAME`, each unpacked whole or not at all.

    Args:
        chosen: the set.
        into: folder that the set's own folder is made in.
        from_local: an archive that is here already, instead of downloading.
        url: another address, instead of the catalogue's.
        checksum: SHA-256 of what `from_local` or `url` names; without it, that of the catalogue's
            archive of the same name, if any.
        keep: leave downloaded archives in `into/NAME/.archives`.
        progress: told how far it is.

    Raises:
        OptionError: a SHA-256 that is none, or without `url` or `from_local`.
        DataError: the set must be fetched by hand, cannot be fetched, or is not what it should
            be.
    """
    if checksum is not None:
        checksum = checksum.lower().removeprefix("sha256:")
        if len(checksum) != 64 or set(checksum) - set("0123456789abcdef"):
            raise OptionError(f"--sha256 {checksum}: not 64 hexadecimal digits")
        if url is None and from_local is None:
            raise OptionError("--sha256 belongs to --url or --from-local")
    if url is not None and from_local is not None:
        raise OptionError("give --url or --from-local, not both")
    folder = into / chosen.name
    tell = progress or (lambda *_: None)
    if from_local is not None:
        return [_local(from_local, chosen, folder, checksum, tell)]
    files = chosen.files
    if url is not None:
        known = next((file for file in files if file.name == File(url=url).name), None)
        files = [File(url=url, sha256=checksum)]
        if checksum is None and known is not None:
            files = [known.model_copy(update={"url": url})]
    if not files:
        raise DataError(
            f"{chosen.name} cannot be fetched by a plain download. "
            f"{(chosen.by_hand or '').replace('DIR', str(into))} Its page: {chosen.home}"
        )
    return [_remote(file, folder, keep, tell) for file in files]


def _remote(file: File, folder: Path, keep: bool, tell: Progress) -> Fetched:
    done = _record(folder).get(file.url)
    if done is not None and (folder / done["folder"]).is_dir():
        verified = file.checksum is not None
        return Fetched(file.url, folder / done["folder"], done["sha256"], verified, False)
    archive = folder / ".archives" / (file.name or "archive")
    digest = download(
        file.url, archive, file.checksum, lambda d, t: tell(file.name, d, t or file.bytes)
    )
    target = unpack(archive, folder, lambda d, t: tell(f"unpacking {file.name}", d, t))
    _remember(folder, file.url, target, digest)
    if not keep:
        archive.unlink(missing_ok=True)
        if not any(archive.parent.iterdir()):
            archive.parent.rmdir()
    return Fetched(file.url, target, digest, file.checksum is not None, True)


def _local(
    archive: Path, chosen: PublicSet, folder: Path, checksum: str | None, tell: Progress
) -> Fetched:
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; give a zip or tar archive")
    known = next((file for file in chosen.files if file.name == archive.name), None)
    wanted = f"sha256:{checksum}" if checksum else known.checksum if known else None
    digest = sha256(archive)
    if wanted is not None and not agrees(archive, wanted):
        raise DataError(
            f"{archive}: has another checksum than the expected {wanted}; if it is right all the "
            f"same, pass --sha256 {digest}"
        )
    target = unpack(archive, folder, lambda d, t: tell(f"unpacking {archive.name}", d, t))
    _remember(folder, str(archive.absolute()), target, digest)
    return Fetched(str(archive), target, digest, wanted is not None, True)


def _record(folder: Path) -> dict:
    try:
        content = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(folder: Path, archive: str, target: Path, digest: str) -> None:
    content = _record(folder) | {archive: {"folder": target.name, "sha256": digest}}
    write_whole(folder / _RECORD, json.dumps(content, indent=1).encode())
