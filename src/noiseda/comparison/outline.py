"""What a comparison would train, and how long that takes."""

from __future__ import annotations

from noiseda.comparison.methods import START, VANILLA
from noiseda.comparison.report import duration
from noiseda.comparison.run import Comparison, remaining_steps


def outline(comparison: Comparison) -> str:
    """Every training of a seed with its steps and time, and the time of what is left to do; speeds
    that are not known are measured.

    Raises:
        NoiseDAError: a method cannot be trained.
    """
    plan = comparison.measured()
    speeds = {**plan.speeds, START: plan.speeds[VANILLA]}
    cells = comparison.cells()
    first = [cell for cell in cells if cell.seed == comparison.layout.seeds[0]]
    rows = [("method", "at", "steps", "ms a step", "time")]
    for cell in first:
        views = "pretraining" if cell.method == START else " and ".join(cell.views)
        speed = speeds[cell.method]
        time = duration(cell.recipe.steps * speed)
        rows.append((cell.method, views, str(cell.recipe.steps), f"{1000 * speed:.1f}", time))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            text.rjust(width) if number > 1 else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    left = [(remaining_steps(cell), speeds[cell.method]) for cell in cells]
    finished = sum(not steps for steps, _ in left)
    seeds = len(comparison.layout.seeds)
    total = duration(sum(steps * speed for steps, speed in left))
    lines += [
        "",
        f"{seeds} seed{'s' * (seeds != 1)}: {len(cells)} trainings, {finished} of them finished; "
        f"about {total} to go, without scoring",
    ]
    return "\n".join(lines)
