"""noiseda data"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(
    help="Get, check and prepare sets of images.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_BLOCKS = "sidd-blocks"


@data.command("list")
def list_() -> None:
    """Public sets of images: what each is for, how many images, and how it can be had."""
    from noiseda.console import stdout
    from noiseda.data.catalogue import catalogue

    for name, chosen in catalogue().items():
        how = "fetch" if chosen.files else "by hand"
        stdout.print(
            f"{name:16} {how:8} {chosen.use}: {chosen.images}", highlight=False, markup=False
        )


@data.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a set, see `noiseda data list`.")],
) -> None:
    """All that is known of a set: size, licence, citation, where it is, how it is used.

    **Example**

        noiseda data show SIDD-Medium
    """
    from noiseda.console import stdout
    from noiseda.data.catalogue import public_set

    chosen = public_set(name)
    rows = {
        key: getattr(chosen, key)
        for key in ("title", "use", "images", "size", "licence", "citation", "home")
    }
    for file in chosen.files:
        known = f" of {file.bytes} bytes" if file.bytes else ""
        check = f"{file.checksum}, recorded by {file.recorded_by}" if file.checksum else "unknown"
        rows[f"archive {file.name}"] = f"{file.url}{known}; checksum: {check}"
    rows |= {"by hand": chosen.by_hand, "on the disk": chosen.tree, "layout": chosen.layout}
    rows |= {"prepare": chosen.prepare, "recipe": chosen.recipe, "warning": chosen.warning}
    width = max(len(key) for key in rows)
    for key, value in rows.items():
        if value:
            stdout.print(f"{key:{width}}  {value}", highlight=False, markup=False)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a set, see `noiseda data list`.")],
    into: Annotated[Path, typer.Option(help="Folder that the set's own folder is made in.")],
    from_local: Annotated[
        Path | None, typer.Option(help="Unpack this zip or tar archive instead of downloading.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Download from here instead.")] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Checksum of what --url or --from-local names.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep downloaded archives.")] = False,
) -> None:
    """Download a set, verify and unpack it. An interrupted download goes on with the same command.

    **Examples**

        noiseda data fetch DIV2K --into sets

        noiseda data fetch SIDD-Medium --into sets --from-local SIDD_Medium_Srgb.zip
    """
    from noiseda.console import stderr, stdout
    from noiseda.data.catalogue import public_set
    from noiseda.data.fetching import fetch

    chosen = public_set(name)
    with _progress("bytes", counted=False) as tell:
        fetched = fetch(chosen, into, from_local, url, sha256, keep, tell)
    for item in fetched:
        sure = "verified" if item.verified else f"not verified; its SHA-256 is {item.sha256}"
        text = f"{item.folder}: {sure}" if item.fresh else f"{item.folder}: is there already"
        stdout.print(text, highlight=False, markup=False)
    if chosen.warning:
        stdout.print(f"note: {chosen.warning}", highlight=False, markup=False)
    command = chosen.prepare.replace("DIR", str(into))
    source = into / chosen.unpacked
    if source.exists():
        stdout.print(f"next: {command}", highlight=False, markup=False)
    else:
        # an archive of another name or layout, or of another set
        stderr.print(
            f"note: there is no {source}; if this is {chosen.name}, find its images in "
            f"{into / chosen.name} and give them to: {command}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


@data.command()
def check(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of training images; with --clean, degraded ones.")
    ],
    clean: Annotated[
        Path | None, typer.Option(help="Folder of their clean counterparts, of the same names.")
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option(help="Folder of images that no training may see.")
    ] = None,
    smallest: Annotated[int, typer.Option(help="Least height and width, in pixels.", min=1)] = 1,
    json: Annotated[Path | None, typer.Option(help="Write what was found as JSON.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes. [default: one a core]", min=1, show_default=False)
    ] = None,
) -> None:
    """Find all that is wrong with a set: unreadable, unpaired, wrongly sized and duplicated
    images, and those of --test that are in it, also encoded again, scaled or as crops.

    Exit code 0 if nothing is found, 1 else.

    **Examples**

        noiseda data check photos/

        noiseda data check clean/ --test truth/ --json leaks.json
    """
    from noiseda.console import stdout
    from noiseda.data.extras import require
    from noiseda.errors import OptionError

    require("scipy")
    from noiseda.data.checking import check

    if json is not None and (json.is_dir() or not json.parent.is_dir()):
        raise OptionError(f"{json}: not a file in a folder that exists; choose another name")
    with _progress("images") as tell:
        report = check(folders, clean, test or [], smallest, workers, tell)
    for finding in report.findings:
        stdout.print(f"{finding.kind:10} {finding.line()}", highlight=False, markup=False)
    found = ", ".join(f"{count} {kind}" for kind, count in report.counts.items() if count)
    stdout.print(f"{report.images} images: {found or 'nothing found'}", highlight=False)
    if json is not None:
        report.write(json)
    raise typer.Exit(1 if report.findings else 0)


@data.command()
def prepare(
    source: Annotated[
        Path, typer.Argument(help="Folder of the set as it was unpacked, or a list.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    layout: Annotated[
        str,
        typer.Option(
            help="How the set lies on the disk: folder, pairs, sidd-medium, sidd-blocks, spa, "
            "realblur-j, gopro, rain13k or flist."
        ),
    ] = "folder",
    split: Annotated[str, typer.Option(help="train or test, where a set has both.")] = "train",
    clean: Annotated[
        Path | None, typer.Option(help="Of layout folder or flist: the clean side of pairs.")
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="degraded or clean: of pairs, take this side alone.")
    ] = None,
    files: Annotated[
        bool, typer.Option("--files", help="Plain folders, by links to the files, not crops.")
    ] = False,
    size: Annotated[int, typer.Option(help="Height and width of crops.")] = 512,
    overlap: Annotated[int, typer.Option(help="Of neighbouring crops, in pixels.")] = 96,
    whole: Annotated[
        int, typer.Option(help="Keep images whole whose height or width is not above this.")
    ] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace other crops in the folder.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes. [default: one a core]", min=1, show_default=False)
    ] = None,
) -> None:
    """Make a set usable: cut it into crops for training, or give its files plain folders.

    A folder of crops is named in a recipe like a folder of images. Of pairs there are two,
    `degraded` and `clean`. The same command goes on where it was interrupted; images that cannot
    be read are listed, and the rest is done (exit code 1).

    **Examples**

        noiseda data prepare clean/ -o crops --size 512 --overlap 96

        noiseda data prepare sets/RealBlur-J --layout realblur-j --split test --files -o realblur
    """
    from noiseda.console import stderr, stdout
    from noiseda.data.crops import Grid
    from noiseda.data.layouts import LAYOUTS, read_layout
    from noiseda.data.linking import link
    from noiseda.data.preparing import SIDES, prepare
    from noiseda.errors import OptionError, did_you_mean

    if layout not in (*LAYOUTS, _BLOCKS):
        raise OptionError(f"no layout {layout!r}{did_you_mean(layout, [*LAYOUTS, _BLOCKS])}")
    if part not in (None, *SIDES):
        raise OptionError(f"--part {part}: give degraded or clean")
    if layout == _BLOCKS:
        _unpack_blocks(source, output)
        return
    grid = Grid(size, overlap, whole)
    entries = read_layout(layout, source, split, clean)
    with _progress("images") as tell:
        if files:
            folders = link(entries, output, part, lambda d, t: tell("linking", d, t))
            for folder in folders:
                stdout.print(f"{folder}: {len(entries)} images", highlight=False, markup=False)
            return
        done = prepare(
            entries,
            output,
            grid,
            part,
            overwrite,
            workers,
            lambda d, t: tell("cutting", d, t),
        )
    for folder in done.folders:
        stdout.print(
            f"{folder}: {done.crops} crops of {done.images} images", highlight=False, markup=False
        )
    for failure in done.failures:
        stderr.print(f"left out: {failure}", highlight=False, markup=False)
    raise typer.Exit(1 if done.failures else 0)


def _unpack_blocks(file: Path, output: Path) -> None:
    from noiseda.console import stdout
    from noiseda.data.sidd_blocks import to_folder

    with _progress("blocks") as tell:
        count = to_folder(file, output, lambda d, t: tell("writing", d, t))
    stdout.print(f"{output}: {count} blocks", highlight=False, markup=False)


@data.command()
def pack(
    folder: Annotated[Path, typer.Argument(help="Restored blocks, as `prepare` named them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help=".mat file to write.")],
    variable: Annotated[str, typer.Option(help="Name of the array in it.")] = "Idenoised",
    overwrite: Annotated[bool, typer.Option(help="Replace the file.")] = False,
) -> None:
    """Put a folder of restored SIDD blocks into a .mat file, RGB, for submission.

    **Example**

        noiseda data pack restored-blocks/ -o Idenoised.mat
    """
    from noiseda.console import stdout
    from noiseda.data.sidd_blocks import from_folder
    from noiseda.errors import OptionError

    if output.is_dir() or not output.parent.is_dir():
        raise OptionError(f"{output}: not a file in a folder that exists; choose another name")
    if output.exists() and not overwrite:
        raise OptionError(f"{output} exists; choose another name or pass --overwrite")
    with _progress("blocks") as tell:
        shape = from_folder(folder, output, variable, lambda d, t: tell("reading", d, t))
    sizes = "×".join(map(str, shape))
    stdout.print(f"{output}: {variable}, {sizes}", highlight=False, markup=False)


@contextmanager
def _progress(unit: str, counted: bool = True) -> Iterator[Callable[[str, int, int | None], None]]:
    """A display with a bar for each thing that is being done."""
    from noiseda.console import progress_bar

    with progress_bar(unit, counted) as bar:
        tasks = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total, note="")
            bar.update(tasks[what], completed=done, total=total)

        yield tell
