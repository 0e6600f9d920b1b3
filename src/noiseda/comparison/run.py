"""A comparison: plan, train every cell, score it, put the results together."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from noiseda import runtime
from noiseda.comparison.clock import Clock, measure, seconds_of
from noiseda.comparison.measure import VIEWS, summarise
from noiseda.comparison.methods import START, UNTRAINED, VANILLA, default_names, trained
from noiseda.comparison.picture import picture
from noiseda.comparison.plan import FILE, Asked, Cell, Layout, Plan, read_plan
from noiseda.comparison.report import write_reports
from noiseda.comparison.scoring import HeldOut, without_training
from noiseda.console import passing, progress_bar
from noiseda.errors import NonFiniteLossError
from noiseda.restoration import load
from noiseda.training import Recipe, is_finished, newest_checkpoint, resume, train
from noiseda.training.folder import RECIPE, refuse_unwritable, reserved

SCORES = "scores.json"


class Comparison:
    """Methods that continue from the same network, with the same samples, scored on the same
    held-out images, for several seeds, at equal steps and at equal wall time.

    Making one checks all that can be checked without training.

    Attributes:
        folder: of the comparison.
        methods: names, in the order given; vanilla is always one of them.
        layout: the trainings.
        plan: their lengths; complete after `measured`.

    Args:
        recipe: what methods are tried on; its `compare` section holds their tuned options.
        folder: absent, empty, or with an earlier part of the same comparison, which is continued.
        names: methods, see `methods.known`; None for those that the recipe names.
        seeds: how many, counted from the recipe's; or the seeds themselves.
        images: of each continuation at equal steps; None for what the recipe says.
        minutes: of each continuation at equal wall time; None for as long as the slowest method
            takes for `images`.
        views: what is trained and reported, of `measure.VIEWS`.
        earlier: results, as `run` gives them, of a part of the same comparison whose folder is
            gone. New lengths are brought to the scale of its speeds, and what it scored of methods
            by the same recipes is taken from it.

    Raises:
        NoiseDAError: an unknown method, images that do not fit, a folder of another comparison.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        names: Sequence[str] | None = None,
        seeds: int | Sequence[int] = 1,
        images: int | None = None,
        minutes: float | None = None,
        views: Sequence[str] = tuple(VIEWS),
        earlier: Mapping[str, Any] | None = None,
    ) -> None:
        self.recipe = recipe
        self.views = tuple(view for view in VIEWS if view in views)
        self.folder = folder
        chosen = list(names) if names else default_names(recipe)
        methods = trained(recipe, chosen)
        self.methods = list(dict.fromkeys([*chosen, VANILLA]))
        self._held_out = HeldOut(recipe)
        if images is None:
            images = (recipe.compare and recipe.compare.images) or recipe.training.images
        start = recipe.training.start
        asked = Asked(images, minutes, str(start) if start else None)
        self.plan = read_plan(folder, asked, recipe.data.batch)
        self._earlier: dict[tuple[str, int | None, int], dict[str, Any]] = {}
        if earlier is not None:
            if not self.plan.speeds:
                self.plan.take(earlier["plan"])
            fresh = {method.name for method in self.plan.unmeasured(methods)}
            self._earlier = {
                (cell["method"], cell["seed"], cell["steps"]): cell
                for cell in earlier["cells"]
                if cell["method"] not in fresh
            }
        if isinstance(seeds, int):
            seeds = range(recipe.seed, recipe.seed + seeds)
        self.layout = Layout(folder, recipe, methods, list(seeds))
        self._begun = self.layout.begun()

    def measured(self) -> Plan:
        """The plan, with every method's speed; those that are not known are measured now.

        Raises:
            NoiseDAError: a method cannot be trained.
        """
        methods, plan = self.layout.methods, self.plan
        missing = plan.unmeasured(methods)
        if missing:
            continued = self._earlier or any(cell.method != START for cell in self._begun)
            if not continued or VANILLA in {method.name for method in missing}:
                plan.speeds.clear()
                plan.teaching.clear()
                plan.recipes.clear()
                missing = list(methods)
            todo = [m for m in methods if m in missing or m.name == VANILLA]
            plan.note(todo, measure(todo))
        return plan

    def cells(self) -> list[Cell]:
        """All trainings, after `measured`."""
        return self.layout.cells(self.plan, self.views)

    def run(self) -> dict[str, Any]:
        """Train and score what is not done yet and write the results: `results.json`, `table.md`,
        `table.csv` and `picture.png`.

        Returns:
            The results, as in `results.json`.

        Raises:
            NoiseDAError: see `train`; nothing that was done is lost.
            KeyboardInterrupt: the user stopped it; the same call continues it.
        """
        new = not (self.folder / FILE).is_file()
        # a plan is written before anything that follows from it
        with reserved(self.folder) if new else contextlib.nullcontext():
            if not new:
                refuse_unwritable(self.folder)
            self.measured().write(self.folder)
        cells = self.cells()
        with self._overall(cells) as advance:
            results = self._results([self._done(cell, advance) for cell in cells])
            results["summary"] = summarise(results)
            shown = all(self._restorable(cell) for cell in results["cells"])
            image = picture(results, self._held_out, self._restorer) if shown else None
        write_reports(self.folder, results, image)
        return results

    def _done(self, cell: Cell, advance: Callable[[Cell, str], None]) -> dict[str, Any]:
        """Train and score, if that is not done yet; the cell's part of the results."""
        if (known := self._known(cell)) is not None:
            return {**known, "views": list(cell.views)}
        if not is_finished(cell.folder):
            self._train(cell, lambda: advance(cell, "training"))
        first = cell.method == START
        scores = None
        if not first or START in self.methods:
            scores = self._scores(cell.folder / SCORES, cell.folder, cell.label)
        steps, seconds = cell.recipe.steps, seconds_of(cell.folder)
        found = {
            "method": cell.method,
            "seed": cell.seed,
            "views": list(cell.views),
            # of the continuation: what a method starts from has had none
            "steps": 0 if first else steps,
            "seconds": 0.0 if first else seconds,
            "folder": cell.folder.relative_to(self.folder.absolute()).as_posix(),
            "scores": scores,
        }
        return {**found, "pretraining": {"steps": steps, "seconds": seconds}} if first else found

    def _known(self, cell: Cell) -> dict[str, Any] | None:
        """What an earlier part of the comparison has found of it, unless it is here as well."""
        if is_finished(cell.folder):
            return None
        return self._earlier.get((cell.method, cell.seed, cell.recipe.steps))

    def _train(self, cell: Cell, advance: Callable[[], None]) -> None:
        clock = Clock(cell.folder, advance)
        try:
            if (cell.folder / RECIPE).is_file():
                result = resume(cell.folder, cell.label, [clock])
            else:
                # what a process left that was killed while it made the folder
                shutil.rmtree(cell.folder, ignore_errors=True)
                result = train(cell.recipe, cell.folder, cell.label, [clock])
        except NonFiniteLossError as error:
            raise NonFiniteLossError(f"{cell.label}: {error}") from None
        if not result.finished:
            raise KeyboardInterrupt

    def _scores(self, file: Path, model: Path | str, label: str) -> dict[str, Any]:
        """Scores of a method without training, or of a model, if they are not in `file` yet."""

        def opened() -> Any:
            untrained = UNTRAINED.get(str(model))
            return without_training(untrained) if untrained else load(model)

        with progress_bar("images") as bar:
            task = bar.add_task(f"scoring {label}", total=self._held_out.count, note="")
            return self._held_out.kept_scores(file, opened, lambda: bar.advance(task))

    def _results(self, trained_cells: list[dict[str, Any]]) -> dict[str, Any]:
        untrained: dict[str, Path | str] = {}
        for name in self.methods:
            if name in UNTRAINED:
                untrained[name] = name
            elif name == START and self.recipe.training.start is not None:
                untrained[name] = self.recipe.training.start
        if untrained:
            (self.folder / "untrained").mkdir(exist_ok=True)
        cells = [
            {
                "method": name,
                "seed": None,
                "views": list(self.views),
                "steps": 0,
                "seconds": 0.0,
                "folder": None,
                "scores": self._earlier[name, None, 0]["scores"]
                if (name, None, 0) in self._earlier
                else self._scores(self.folder / "untrained" / f"{name}.json", model, name),
            }
            for name, model in untrained.items()
        ]
        plan, held_out = self.plan, self._held_out
        return {
            "name": self.recipe.name,
            "protocol": held_out.protocol,
            "methods": self.methods,
            "from_fresh_weights": [m.name for m in self.layout.methods if not m.from_start],
            "seeds": list(self.layout.seeds),
            "images": {"target": len(held_out.target), "source": len(held_out.source)},
            "views": {
                view: {"seconds": plan.seconds}
                if view == "equal-time"
                else {"steps": plan.steps(VANILLA, view)}
                for view in self.views
            },
            "plan": plan.measured(),
            "recipe": self.recipe.shareable(),
            "environment": runtime.environment(),
            "cells": [*cells, *trained_cells],
        }

    def _restorable(self, cell: dict[str, Any]) -> bool:
        """Whether its model is here, not only its scores."""
        return cell["folder"] is None or is_finished(self.folder / cell["folder"])

    def _restorer(self, cell: dict[str, Any]) -> Any:
        """The method of a cell of the results."""
        if cell["method"] in UNTRAINED:
            return without_training(UNTRAINED[cell["method"]])
        return load(self.folder / cell["folder"] if cell["folder"] else self.layout.start(0))

    @contextlib.contextmanager
    def _overall(self, cells: Sequence[Cell]) -> Iterator[Callable[[Cell, str], None]]:
        """A display of all that is to be trained, in seconds by the measured speeds."""
        left = {id(cell): 0 if self._known(cell) else remaining_steps(cell) for cell in cells}
        costs = {id(cell): self.plan.duration(cell.method, left[id(cell)]) for cell in cells}
        total = sum(costs.values())
        with progress_bar(counted=False) as bar:
            task = bar.add_task("comparing", total=total, note="", visible=total > 0)
            order = {id(cell): number for number, cell in enumerate(cells, start=1)}

            def advance(cell: Cell, note: str) -> None:
                note = f"{note} {order[id(cell)]}/{len(cells)}: {cell.label}"
                # one of its steps; the targets it makes are spread over them
                part = costs[id(cell)] / max(left[id(cell)], 1)
                bar.update(task, advance=part, note=note)

            with passing():
                yield advance


def remaining_steps(cell: Cell) -> int:
    """Steps that a training still has to do."""
    if is_finished(cell.folder):
        return 0
    checkpoint = newest_checkpoint(cell.folder)
    return cell.recipe.steps - (int(checkpoint.stem) if checkpoint else 0)
