"""noiseda recipes"""

from __future__ import annotations

import typer

recipes = typer.Typer(help="Show the recipes that ship with noiseda.", no_args_is_help=True)


@recipes.command("list")
def list_() -> None:
    """The names of the shipped recipes, each with what it is for."""
    from noiseda.console import stdout
    from noiseda.training import shipped

    for name, path in shipped().items():
        first = path.read_text().splitlines()[0].lstrip("# ")
        stdout.print(f"{name:16} {first}", highlight=False)


@recipes.command()
def show(name: str = typer.Argument(help="Name of a shipped recipe.")) -> None:
    """Print a recipe; save it to a file to make your own.

    **Example**

        noiseda recipes show denoise-small > my-recipe.yaml
    """
    from noiseda.errors import OptionError, did_you_mean
    from noiseda.training import shipped

    known = shipped()
    if name not in known:
        raise OptionError(f"no recipe {name!r}{did_you_mean(name, known)}")
    typer.echo(known[name].read_text(), nl=False)
