"""Films: frames in, frames out. Nothing outside of this package knows about containers, codecs or optical flow."""

from oneira.motion.coherence import Coherence
from oneira.motion.filming import Filmed, Filming
from oneira.motion.flow import Flow, register_flow
from oneira.motion.frame import Frame
from oneira.motion.look import FilmLook
from oneira.motion.reading import Clip
from oneira.motion.reel import Reel
from oneira.motion.work import WorkFolder
from oneira.motion.writing import write_film

__all__ = [
    "Clip",
    "Coherence",
    "FilmLook",
    "Filmed",
    "Filming",
    "Flow",
    "Frame",
    "Reel",
    "WorkFolder",
    "register_flow",
    "write_film",
]
