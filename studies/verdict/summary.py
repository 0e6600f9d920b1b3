"""What the study of the verdict says, from its results alone."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
# a smaller change of PSNR, in dB, is none
NONE = 0.1
SIDES = ("better", "about equal", "worse")
KINDS = ("better", "unsure", "worse")

Row = tuple[str, str, dict[str, Any]]


def rows(file: Path = RESULTS) -> list[Row]:
    """(target, network, what was found) of every network judged."""
    results = json.loads(file.read_text())
    return [(t, name, found) for t, known in results.items() for name, found in known.items()]


def side(change: float) -> str:
    return "better" if change > NONE else "worse" if change < -NONE else "about equal"


def sentence(known: list[Row], what: str = "networks") -> str:
    telling = [found for *_, found in known if side(found["true"]) != "about equal"]
    right = sum(found["kind"] == side(found["true"]) for found in telling)
    wrong = sum(found["kind"] not in (side(found["true"]), "unsure") for found in telling)
    sign = sum(found["kept"] == (found["true"] > 0) for found in telling)
    return (
        f"Of {len(telling)} {what} whose true change exceeds {NONE} dB the verdict is right for "
        f"{right}, wrong for {wrong}, and leaves {len(telling) - right - wrong} undecided; which "
        f"of the two models is kept is right for {sign}."
    )


def off(known: list[Row]) -> str:
    amounts = [abs(found["change"] - found["true"]) for *_, found in known]
    return (
        f"The estimated change is {median(amounts):.2f} dB off in the median, "
        f"{max(amounts):.1f} dB at most."
    )


def apart(known: list[Row]) -> dict[str, list[Row]]:
    """Trainings as they came, and networks spoiled on purpose (`interpolate`, `run.shaken`)."""
    spoiled = [row for row in known if row[1].startswith("start + ")]
    return {"trainings": [row for row in known if row not in spoiled], "spoiled networks": spoiled}


def confusion(known: list[Row]) -> list[str]:
    lines = [f"| true \\ verdict | {' | '.join(KINDS)} |", "|---|" + "---:|" * len(KINDS)]
    for one in SIDES:
        mine = [found["kind"] for *_, found in known if side(found["true"]) == one]
        counts = " | ".join(str(mine.count(kind)) for kind in KINDS)
        lines.append(f"| {one} | {counts} |")
    return lines


def readme() -> str:
    known = rows()
    lines = [
        "# The verdict without ground truth, against the truth",
        "",
        (HERE / "about.md").read_text().strip(),
        "",
        f"{len(known)} networks. True change of PSNR: better or worse by more than {NONE} dB, or "
        "about equal.",
        "",
        *confusion(known),
        "",
        sentence(known),
        "",
        *(f"- {sentence(part, what)} {off(part)}" for what, part in apart(known).items()),
        "",
        "| target | network | true, dB | estimated, dB | P(better) | verdict |",
        "|---|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {target} | {name} | {found['true']:+.2f} | {found['change']:+.2f} | "
        f"{found['probability']:.2f} | {found['kind']} |"
        for target, name, found in known
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "README.md").write_text(readme())
