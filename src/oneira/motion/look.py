"""How a film is to look and to play, whatever the container."""

from pydantic import BaseModel, ConfigDict, Field

from oneira.images.animated_gif import MOST_COLOURS
from oneira.images.palette import Dither


class FilmLook(BaseModel):
    """What is said of a film beside its frames; each container takes what it knows.

    Raises pydantic's ValidationError for what is out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: int = Field(90, ge=1, le=100, description="of .mp4, .mov, .mkv, .webm, .webp: 90 looks like the frames")
    plays: int = Field(0, ge=0, le=65_535, description="of .gif, .webp, .png: how often; 0 is without end")
    colours: int = Field(MOST_COLOURS, ge=2, le=MOST_COLOURS, description="of .gif: how many in its palette")
    dither: Dither = Field("ordered", description="of .gif: how shades between the colours are made")
    most_bytes: int | None = Field(
        None, ge=1024, description="of .gif, .webp, .png: pictures are made smaller until the file has no more bytes"
    )
