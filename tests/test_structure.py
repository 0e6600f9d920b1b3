"""The package's layers, read from its imports, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import noiseda
from tests.conftest import ENVIRONMENT

ROOT = Path(noiseda.__file__).parent
# each imports only from those before it, and from the base
LAYERS = [
    *("images", "classical", "degradations", "data", "measurement", "networks", "checkpoint"),
    *("restoration", "evaluation", "judgement", "report", "diffusion", "adaptation", "training"),
    *("comparison", "diagnosis", "tailoring", "demo", "cli", "__main__"),
]
# used by all; they use only each other
BASE = {"errors", "files", "random", "registry", "console", "runtime"}
FILES = sorted(ROOT.rglob("*.py"))


def layer(path: Path) -> str:
    """The sub-package or module of the package that a file belongs to; "" for the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imported(path: Path) -> set[str]:
    """Full names of all that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def used(path: Path) -> set[str]:
    """Layers that a file imports from."""
    names = [name.split(".") for name in imported(path)]
    # the package's own attributes, such as its version, belong to nobody
    return {parts[1] for parts in names if parts[0] == "noiseda"} & {*LAYERS, *BASE}


def test_every_module_has_its_place() -> None:
    assert {layer(path) for path in FILES} - {""} == {*LAYERS, *BASE}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    mine = layer(path)
    if mine == "":
        # its attributes are loaded when used
        return
    before = set() if mine in BASE else set(LAYERS[: LAYERS.index(mine)])
    assert used(path) <= {mine} | before | BASE
    if mine == "restoration":
        # using a network needs none of what trained it
        assert not used(path) & {"diffusion", "adaptation", "training"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_images_is_the_only_door_to_libvips(path: Path) -> None:
    vips = {name for name in imported(path) if "vips" in name}
    assert not vips or layer(path) == "images"


def loaded(code: str) -> set[str]:
    """Top-level modules that are loaded after this code."""
    report = "import sys; print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        env=ENVIRONMENT,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


HELP = """
import sys
from noiseda.cli import main
for arguments in (["--help"], ["train", "--help"], ["--version"]):
    sys.argv = ["noiseda", *arguments]
    try:
        main()
    except SystemExit as stop:
        assert not stop.code
"""


@pytest.mark.parametrize("code", ["import noiseda", HELP], ids=["import", "help"])
def test_light_to_start(code: str) -> None:
    assert not loaded(code) & {"torch", "lightning", "numpy", "pyvips", "omegaconf"}


def test_restoring_loads_nothing_of_training() -> None:
    code = "import noiseda, sys; noiseda.load\nloaded = set(sys.modules)\n"
    code += "assert not {f'noiseda.{n}' for n in ('diffusion', 'adaptation', 'training')} & loaded"
    assert not loaded(code) & {"lightning", "omegaconf", "tensorboard"}
    assert "torch" in loaded("import noiseda; noiseda.networks")
