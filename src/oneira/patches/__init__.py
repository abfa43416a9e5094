"""Pictures made of a sample's own pixels, by copying: image quilting, Efros and Leung, Wei and Levoy.

No network is asked and nothing is minimised. A `Weave` declares such a picture; `Patchwork` is the run that makes it.
"""

from oneira.patches.efros_leung import EfrosLeung
from oneira.patches.filling import Likeness, fill
from oneira.patches.patchwork import Patchwork
from oneira.patches.quilting import Quilting
from oneira.patches.weave import Look, Weave
from oneira.patches.wei_levoy import WeiLevoy

__all__ = ["EfrosLeung", "Likeness", "Look", "Patchwork", "Quilting", "Weave", "WeiLevoy", "fill"]
