"""The command line: parse, call one function, print."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from noiseda import runtime
from noiseda.cli.adapt import adapt
from noiseda.cli.compare import compare
from noiseda.cli.data import data
from noiseda.cli.degrade import degrade
from noiseda.cli.demo import demo
from noiseda.cli.diagnose import diagnose
from noiseda.cli.evaluate import evaluate
from noiseda.cli.models import models
from noiseda.cli.networks import networks
from noiseda.cli.recipes import recipes
from noiseda.cli.restore import restore
from noiseda.cli.train import train
from noiseda.errors import NoiseDAError, stoppable

__all__ = ["app", "main"]

_OUT_OF_MEMORY = "out of memory; allow less with --memory, or set a smaller patch or batch"


class Commands(TyperGroup):
    """The commands, of which none ends without a word when the user stops it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with stoppable():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            # typer would end with 130 and say nothing
            raise typer.Abort from None


app = typer.Typer(
    name="noiseda",
    cls=Commands,
    help="Restore real photos with networks that were adapted to such photos without clean "
    "counterparts.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(restore)
app.command()(adapt)
app.command()(train)
app.command()(evaluate)
app.command()(compare)
app.command()(diagnose)
app.command()(degrade)
app.command()(demo)
app.add_typer(models, name="models")
app.add_typer(networks, name="networks")
app.add_typer(data, name="data")
app.add_typer(recipes, name="recipes")


def _version(wanted: bool) -> None:
    if wanted:
        from noiseda import __version__

        typer.echo(f"noiseda {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line.

    Exit codes: 0 all done; 1 some inputs failed, the rest is done; 2 nothing done because of what
    was given; 130 interrupted.
    """
    try:
        code = app(standalone_mode=False)
    except NoiseDAError as error:
        code = _complain(str(error))
    except typer.TyperException as error:
        # a checked type's words are marked as such
        code = _complain(error.format_message().replace(": Value error, ", ": "))
    except (KeyboardInterrupt, typer.Abort):
        _complain("interrupted")
        code = 130
    except (MemoryError, RuntimeError) as error:
        # any other RuntimeError is a bug of ours
        if not runtime.out_of_memory(error):
            raise
        code = _complain(_OUT_OF_MEMORY)
    except OSError as error:
        # what no module expected of the disk; a traceback would not tell the user more
        code = _complain(f"{error.filename or 'disk'}: {error.strerror or error}")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    # empty after the help text that a command without arguments prints
    if message:
        print(f"noiseda: {' '.join(message.split())}", file=sys.stderr)
    return 2
