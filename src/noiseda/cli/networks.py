"""noiseda networks"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noiseda.networks.spec import Spec

networks = typer.Typer(
    help="Show the restoration networks that can be built.", no_args_is_help=True
)


@networks.command("list")
def list_() -> None:
    """All networks: name, where it is (core, or the extra zoo), parameters, origin, licence."""
    from noiseda.console import stdout
    from noiseda.networks import library
    from noiseda.networks.catalogue import catalogue

    for found in catalogue():
        if found.parameters is None:
            parameters = "any"
        elif found.place == "zoo" and not library.installed():
            parameters = "not installed"
        else:
            parameters = f"{found.parameters / 1e6:.3f} M"
        about = f"{found.origin}; code: {found.licence}"
        line = f"{found.name:11} {found.place:5} {parameters:>13}  {about}"
        stdout.print(line, highlight=False, markup=False)


@networks.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a network.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Show it with this option; repeatable."),
    ] = None,
) -> None:
    """A network's options with defaults, what it takes, and what it costs.

    **Examples**

        noiseda networks show swinir

        noiseda networks show uformer --set size=base
    """
    from noiseda import networks
    from noiseda.console import stdout
    from noiseda.networks.catalogue import entry

    found = entry(name)
    given = _options(set_ or [])
    if name == "spandrel" and not given:
        lines = [found.about, "", *_architectures()]
    else:
        try:
            with networks.without_memory():
                network = networks.build(name, **given)
            spec, macs = network.spec, networks.macs(network)
            cost = [f"MACs at 128×128: {macs / 1e9:.2f} G", *_described(spec)]
            chosen = network.options
        except networks.MissingExtraError as error:
            cost, chosen = [str(error)], networks.check(name, **given)
        lines = [
            found.about,
            "",
            f"from: {found.place}; {found.origin}",
            f"licence of its code: {found.licence}",
            "options:",
            *(f"  {key}: {_shown(chosen[key])}  ({told})" for key, _, told in found.options),
            *(
                [f"  size: {', '.join(found.sizes)}  (sets several; none by default)"]
                if found.sizes
                else []
            ),
            *cost,
        ]
    for line in lines:
        stdout.print(line, highlight=False, markup=False)


def _described(spec: Spec) -> list[str]:
    """What the network takes, line by line."""
    shape = ", square" if spec.square else ""
    inside = "[0, 1]" if spec.value_range == "unit" else "[-1, 1]"
    radius = spec.receptive_radius
    if radius is not None:
        field = f"{2 * radius + 1}×{2 * radius + 1}; large photos in tiles, exactly"
        if spec.tile_margin is not None:
            field += " if the memory allows it, else blended"
    elif spec.tile_margin is not None:
        field = "the whole image; large photos in blended tiles, near to the whole but not equal"
    else:
        field = "the whole image; photos must fit into the memory"
    return [
        f"parameters: {spec.parameters / 1e6:.3f} M",
        f"sizes inside: multiples of {spec.size_multiple}, at least {spec.minimum_size}{shape} "
        "(padded by reflection)",
        f"value range inside: {inside}",
        f"receptive field: {field}",
        f"memory to restore: {spec.bytes_per_pixel} bytes for each pixel",
    ]


def _shown(value: Any) -> str:
    """As it is written in a recipe."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _architectures() -> list[str]:
    from noiseda.networks import MissingExtraError, library

    try:
        limited = library.restricted()
        known = sorted(support.architecture.id for support in library.registry())
    except MissingExtraError as error:
        return [str(error)]
    free = [name for name in known if name not in limited]
    return [
        "Of these, files whose networks keep an image's size and are for RGB:",
        f"  with permissive licences: {', '.join(free)}",
        f"  with other licences, mostly non-commercial: {', '.join(sorted(limited))}",
    ]


def _options(texts: list[str]) -> dict[str, Any]:
    """Options from `option=value`, the value in YAML."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from noiseda.errors import OptionError

    for text in texts:
        if "=" not in text:
            raise OptionError(f"--set {text}: expected option=value, for example width=16")
    try:
        found: Any = OmegaConf.to_container(OmegaConf.from_dotlist(texts))
    except (OmegaConfBaseException, YAMLError, ValueError) as error:
        raise OptionError(f"--set {' '.join(texts)}: {error}") from None
    return {str(key): value for key, value in found.items()}
