"""What the numbers say, in a line of words each."""

from __future__ import annotations

from typing import Any

from noiseda.diagnosis.summary import Statistics

# a change of the error below the first part is none, below the second hardly one
_IGNORED, _HARDLY = 0.01, 0.05
# standard errors that a mean of n values must lie from zero to count as different from it: the
# 97.5 % point of Student's t with n − 1 degrees of freedom, from 1 on
_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)

_PLACES = {"other": "another image", "zeros": "zeros", "noise": "white noise"}


def verdict(content: dict[str, Any]) -> list[str]:
    """Lines of text, from the tables of `summary`.

    Args:
        content: the diagnosis as it is written to JSON, but for these lines.
    """
    lines = []
    if not content["ground_truth"]:
        lines.append(
            "No ground truth: data.validation names no pairs, so the real photos are crops of "
            "data.real, which training saw, and nothing can be said about clean real images or "
            "about the direction to them."
        )
    lines += [_qualities(content, slots) for slots in content["conditions"]["change"]]
    lines += [_use(content, domain) for domain in content["conditions"]["use"]]
    return [*lines, _size(content), *_directions(content)]


def _qualities(content: dict[str, Any], slots: str) -> str:
    change = content["conditions"]["change"][slots]
    where = {"every": "every slot", "real": "the real slot alone"}[slots]
    told = ", ".join(f"{_percent(found['training'])} with {kind}" for kind, found in change.items())
    base = content["conditions"]["errors"]["every"]["restored"]["training"]
    start = f"{base['mean']:.4f} with restored images; " if slots == "every" else ""
    better, worse = (_sign(change.get(kind)) for kind in ("clean", "degraded"))
    if better is None:
        said = ""
    elif (better, worse) == (-1, 1):
        said = " The better the condition, the lower the error, as the method needs it."
    elif better == worse == 0:
        said = " The condition's quality makes no measurable difference."
    else:
        said = " The error does not simply fall with the condition's quality."
    return f"Error with other images in {where}: {start}{told}.{said}"


def _use(content: dict[str, Any], domain: str) -> str:
    found = content["conditions"]["use"][domain]
    most = max(abs(kind["training"]["mean"]) for kind in found.values())
    word = "ignores" if most < _IGNORED else "hardly uses" if most < _HARDLY else "uses"
    told = ", ".join(f"{_PLACES[kind]} {_percent(c['training'])}" for kind, c in found.items())
    return f"The predictor {word} the {domain} condition: in its place {told} of error."


def _size(content: dict[str, Any]) -> str:
    images, weights = (content["gradients"][part] for part in ("images", "weights"))
    size = {domain: c["training"]["mean"] for domain, c in images["relative_norm"].items()}
    whole = weights["relative_norm"]["diffusion"]["training"]["mean"]
    real = weights["relative_norm"]["through real"]["training"]["mean"]
    weight = content["weight"]
    if not size["real"]:
        return "Gradient: none reaches the restored real images."
    levels = content["levels"]
    parts = zip(levels["share"], images["relative_norm"]["real"]["mean"], strict=True)
    products = [share * mean for share, mean in parts]
    most = levels["gamma"][products.index(max(products))]
    return (
        f"Gradient's size, relative to the restoration loss's: {size['real']:.3g} on a restored "
        f"real image (most of it from around γ = {most:.2g}), {size['synthetic']:.3g} on a "
        f"restored synthetic one; {whole:.3g} on the weights, {real:.3g} of it through real "
        f"images. In the loss it counts {weight:g} times that at the end of the ramp."
    )


def _directions(content: dict[str, Any]) -> list[str]:
    images, weights = (content["gradients"][part] for part in ("images", "weights"))
    if "real" not in images["cosine_toward_clean"]:
        return []
    found = {band: c["training"] for band, c in images["cosine_toward_clean"]["real"].items()}
    if found["all"]["mean"] is None:
        return []
    shares = images["low_band"]["real"]["training"], images["error_low_band"]["real"]
    gradient, error = (f"{100 * share['mean']:.0f} %" for share in shares)
    line = (
        f"A step on real images moves {_toward(found['all'])} the clean image: cosine "
        f"{_cosine(found['all'])}, low frequencies {_cosine(found['low'])}, high "
        f"{_cosine(found['high'])}. Low frequencies hold {error} of the real error's energy and "
        f"{gradient} of the gradient's."
    )
    through = weights["cosine"]["through real, truth"]["training"]
    own = weights["cosine"]["restoration, truth"]
    effect = {1: "lowers", -1: "raises"}.get(_sign(through) or 0, "has no certain effect on")
    line_on_weights = (
        f"On the weights, a step on what comes through real images {effect} the real images' "
        f"error: cosine {_cosine(through)} over {through['count']} batches; one on the "
        f"restoration loss of synthetic images has {_cosine(own)}."
    )
    return [line, line_on_weights]


def _sign(found: dict[str, Any] | None) -> int | None:
    """-1, 0 or 1, where 0 is what cannot be told from it; None if it was not measured."""
    if found is None:
        return None
    values: dict[str, Any] = found.get("training", found)
    mean, error = values["mean"], values["standard_error"]
    if mean is None or error is None:
        return None
    needed = _STUDENT[min(values["count"] - 1, len(_STUDENT)) - 1]
    return 0 if abs(mean) <= needed * error else 1 if mean > 0 else -1


def _toward(found: Statistics) -> str:
    words = {1: "toward", -1: "away from"}
    return words.get(_sign(found) or 0, "neither certainly toward nor away from")


def _percent(found: Statistics) -> str:
    mean, error = found["mean"] or 0.0, found["standard_error"]
    shown = f"{100 * mean:+.2f}"
    return f"{shown} %" if error is None else f"{shown} ± {100 * error:.2f} %"


def _cosine(found: Statistics) -> str:
    mean, error = found["mean"], found["standard_error"]
    if mean is None:
        return "undefined"
    return f"{mean:+.3f}" if error is None else f"{mean:+.3f} ± {error:.3f}"
