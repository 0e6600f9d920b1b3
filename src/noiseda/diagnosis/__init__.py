"""Why and when the noise predictor's error moves the restoration of real images.

`diagnose` looks into a run of the objective "noise-space": how the error of the predicted noise
depends on the conditions, whether the predictor uses them, and how large the gradient is that
reaches the restored images and which way it points. It changes nothing in the run's networks.
"""

from __future__ import annotations

from noiseda.diagnosis.conditions import measure_conditions
from noiseda.diagnosis.drawing import Drawing, draw
from noiseda.diagnosis.gradients import measure_gradients
from noiseda.diagnosis.levels import Levels, noise_levels
from noiseda.diagnosis.opening import OpenedRun, open_run
from noiseda.diagnosis.run import Diagnosis, diagnose
from noiseda.diagnosis.samples import Samples, read_samples

__all__ = [
    "Diagnosis",
    "Drawing",
    "Levels",
    "OpenedRun",
    "Samples",
    "diagnose",
    "draw",
    "measure_conditions",
    "measure_gradients",
    "noise_levels",
    "open_run",
    "read_samples",
]
