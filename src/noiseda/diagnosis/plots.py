"""The page of plots of a diagnosis."""

from __future__ import annotations

import importlib.util
import io
import textwrap
from typing import TYPE_CHECKING, Any

from noiseda.errors import NoiseDAError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# distinct also to the colour-blind (Okabe & Ito 2008)
_GREEN, _BLUE, _ORANGE, _GREY, _RED, _PURPLE = (
    *("#009E73", "#0072B2", "#E69F00", "#7F7F7F", "#D55E00", "#CC79A7"),
)
_KINDS = {"clean": _GREEN, "restored": _BLUE, "degraded": _ORANGE, "wrong": _RED}
_REPLACED = {"other": ("another image", _RED), "zeros": ("zeros", _GREY), "noise": ("noise", _BLUE)}
_DASHES = {"synthetic": "--", "real": "-"}
_GAMMAS = (0.99999, 0.999, 0.9, 0.5, 0.1, 0.01)


def require() -> None:
    """See that plots can be drawn.

    Raises:
        NoiseDAError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise NoiseDAError(
            "the plots need matplotlib, which is missing; install it with: "
            "pip install 'noiseda[plots]'"
        )


def subtitle(content: dict[str, Any]) -> str:
    """What was looked at, in a line."""
    photos = len(set(content["photos"]))
    truth = "with" if content["ground_truth"] else "without"
    return (
        f"{content['network']} weights at step {content['step']}, {content['images']} crops of "
        f"{content['patch']}×{content['patch']} from {photos} real photo{'s' * (photos != 1)} "
        f"{truth} ground truth, seed {content['seed']}"
    )


def page(content: dict[str, Any]) -> bytes:
    """The six plots and the verdict as a PNG file.

    Args:
        content: a diagnosis as in its JSON file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = [textwrap.wrap(line, 235, subsequent_indent="    ") for line in content["verdict"]]
    text = "\n".join(line for wrapped in lines for line in wrapped)
    height = 0.19 * (text.count("\n") + 2)
    figure = Figure(figsize=(17, 10 + height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, height_ratios=[10, height])
    above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    above.suptitle(f"Diagnosis of {content['run']}\n{subtitle(content)}", fontsize=13)
    axes = above.subplots(2, 3)
    draw = (_errors, _changes, _use, _sizes, _direction, _weights)
    for axis, plot in zip(axes.flat, draw, strict=True):
        _levels_axis(axis, content)
        plot(axis, content)
        if axis.get_legend_handles_labels()[1]:
            axis.legend(fontsize=8, framealpha=0.85)
    below.text(0.01, 0.97, text, va="top", fontsize=9.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def _levels_axis(axis: Axes, content: dict[str, Any]) -> None:
    ratios = content["levels"]["noise_ratio"]
    axis.set_xscale("log")
    axis.set_xlim(ratios[0] / 1.4, ratios[-1] * 1.4)
    axis.set_xlabel("noise relative to image in the noisy target, √((1−γ)/γ)", fontsize=9)
    axis.grid(alpha=0.25)
    ticks = [gamma for gamma in _GAMMAS if ratios[0] <= _ratio(gamma) <= ratios[-1]]
    above = axis.secondary_xaxis("top")
    above.set_xticks([_ratio(gamma) for gamma in ticks], [f"γ={gamma:g}" for gamma in ticks])
    above.minorticks_off()
    above.tick_params(labelsize=7, length=2)
    for item in (axis.yaxis, axis.xaxis):
        item.set_tick_params(labelsize=8)


def _ratio(gamma: float) -> float:
    return ((1 - gamma) / gamma) ** 0.5


def _curve(axis: Axes, content: dict[str, Any], curve: dict[str, Any], scale: float = 1, **style):
    """Mean with a band of one standard error."""

    def numbers(values: list[float | None]) -> list[float]:
        return [float("nan") if value is None else scale * value for value in values]

    ratios = content["levels"]["noise_ratio"]
    mean, error = numbers(curve["mean"]), numbers(curve["standard_error"])
    (line,) = axis.plot(ratios, mean, marker=".", markersize=5, linewidth=1.4, **style)
    low, high = ([m + s * e for m, e in zip(mean, error, strict=True)] for s in (-1, 1))
    axis.fill_between(ratios, low, high, color=line.get_color(), alpha=0.18, linewidth=0)


def _errors(axis: Axes, content: dict[str, Any]) -> None:
    axis.set_title("Error of the predicted noise, same kind in every slot", fontsize=10)
    for kind, curve in content["conditions"]["errors"]["every"].items():
        _curve(axis, content, curve, color=_KINDS[kind], label=kind)
    axis.set_yscale("log", subs=(2, 3, 5, 7))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.set_ylabel("mean squared error", fontsize=9)
    # how the training's draws are spread over the levels
    shares = axis.twinx()
    ratios = content["levels"]["noise_ratio"]
    edge = (ratios[1] / ratios[0]) ** 0.5
    widths = [0.9 * ratio * (edge - 1 / edge) for ratio in ratios]
    percents = [100 * share for share in content["levels"]["share"]]
    shares.bar(ratios, percents, widths, color=_GREY, alpha=0.2)
    shares.set_ylim(0, 4 * max(percents))
    shares.set_yticks([0, round(max(percents))])
    shares.set_ylabel("share of training, % (bars)", fontsize=8, loc="bottom")
    shares.tick_params(labelsize=8)


def _changes(axis: Axes, content: dict[str, Any]) -> None:
    axis.set_title("Change of that error, relative to restored images", fontsize=10)
    for slots, found in content["conditions"]["change"].items():
        for kind, curve in found.items():
            style = "-" if slots == "real" else ":"
            label = f"{kind}, {'real slot alone' if slots == 'real' else 'every slot'}"
            _curve(axis, content, curve, 100, color=_KINDS[kind], linestyle=style, label=label)
    _percent_axis(axis)


def _use(axis: Axes, content: dict[str, Any]) -> None:
    axis.set_title("Change of the error when one condition is replaced by …", fontsize=10)
    for domain, found in content["conditions"]["use"].items():
        for kind, curve in found.items():
            name, color = _REPLACED[kind]
            label = f"{domain}: {name}"
            style = _DASHES[domain]
            _curve(axis, content, curve, 100, color=color, linestyle=style, label=label)
    _percent_axis(axis)


def _percent_axis(axis: Axes) -> None:
    # linear where a predictor counts as ignoring, logarithmic beyond
    axis.set_yscale("symlog", linthresh=1)
    axis.axhline(0, color="black", linewidth=0.8)
    axis.axhspan(-1, 1, color=_GREY, alpha=0.1, linewidth=0)
    axis.set_ylabel("%", fontsize=9)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:+g}" if value else "0")


def _sizes(axis: Axes, content: dict[str, Any]) -> None:
    axis.set_title("Size of the diffusion loss's gradient", fontsize=10)
    images, weights = (content["gradients"][part] for part in ("images", "weights"))
    curves = [
        (images["relative_norm"]["real"], "-", _RED, "on restored real images"),
        (images["relative_norm"]["synthetic"], "--", _BLUE, "on restored synthetic images"),
        (weights["relative_norm"]["diffusion"], "-", _GREY, "on the weights"),
        (weights["relative_norm"]["through real"], ":", _GREY, "on the weights, through real"),
    ]
    for curve, style, color, label in curves:
        if any(curve["mean"]):
            _curve(axis, content, curve, color=color, linestyle=style, label=label)
    if axis.lines:
        axis.set_yscale("log")
    axis.set_ylabel("relative to the restoration loss's (λ not counted)", fontsize=9)


def _direction(axis: Axes, content: dict[str, Any]) -> None:
    axis.set_title("Does a step move real images toward the clean ones?", fontsize=10)
    found = content["gradients"]["images"]["cosine_toward_clean"]
    styles = {"all": ("-", "black", "whole"), "low": ("--", _ORANGE, "low frequencies")}
    styles["high"] = ("--", _BLUE, "high frequencies")
    for band, (style, color, name) in styles.items():
        if "real" in found:
            label = f"real: {name}"
            curve = found["real"][band]
            _curve(axis, content, curve, color=color, linestyle=style, label=label)
    curve = found["synthetic"]["all"]
    _curve(axis, content, curve, color=_GREEN, linestyle=":", label="synthetic: whole")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel("cosine of step and (clean − restored)", fontsize=9)


def _weights(axis: Axes, content: dict[str, Any]) -> None:
    axis.set_title("Does a step of the network lower the real images' error?", fontsize=10)
    found = content["gradients"]["weights"]["cosine"]
    styles = {
        "through real, truth": ("-", _RED, "diffusion through real images"),
        "diffusion, truth": ("-", "black", "diffusion"),
        "diffusion, restoration": (":", _PURPLE, "diffusion, with restoration loss instead"),
    }
    for name, (style, color, label) in styles.items():
        if name in found:
            _curve(axis, content, found[name], color=color, linestyle=style, label=label)
    if "restoration, truth" in found:
        own = found["restoration, truth"]["mean"]
        if own is not None:
            axis.axhline(own, color=_GREEN, linewidth=1.2, label="restoration loss (no diffusion)")
    axis.axhline(0, color="black", linewidth=0.8)
    axis.set_ylabel("cosine of gradients on the weights", fontsize=9)
