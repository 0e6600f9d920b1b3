"""Label-free judgement: is one network better than another on photos without ground truth?"""

from __future__ import annotations

from noiseda.judgement.kept import kept_share
from noiseda.judgement.offset import network_offset
from noiseda.judgement.photos import Judging
from noiseda.judgement.risk import Risk, risk
from noiseda.judgement.verdict import SURE, Verdict, judge

__all__ = ["SURE", "Judging", "Risk", "Verdict", "judge", "kept_share", "network_offset", "risk"]
