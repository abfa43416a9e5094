"""Picture files to float tensors and back, colour, the recipe inside a file, and sample pictures.

An image is a float32 tensor (batch, 3, height, width), sRGB in [0, 1]; alpha travels beside it. Nothing outside of
this package knows about files' formats, bytes of pixels, colour profiles or EXIF.
"""

from oneira.images.colour import (
    lab_to_rgb,
    linear_to_srgb,
    match_mean_covariance,
    rgb_to_lab,
    rgb_to_yiq,
    srgb_to_linear,
    transfer_luma,
    yiq_to_rgb,
)
from oneira.images.drawings import night_wind, rose_window
from oneira.images.embedding import read_recipe, sidecar_of
from oneira.images.histogram import match_histogram
from oneira.images.levels import from_levels, levels_of
from oneira.images.marking import marked
from oneira.images.notices import ImageWarning
from oneira.images.picture import MAX_PIXELS, Picture, load
from oneira.images.ppm import ppm_frame, read_frame
from oneira.images.recipe import InputFile, Recipe, check_inputs, current_versions
from oneira.images.resizing import fit, fit_area, resize
from oneira.images.samples import PHOTOGRAPHS, SAMPLES, sample
from oneira.images.saving import check_output, encode, save
from oneira.images.sheets import Cell, in_rows, sheet, side_by_side, stacked

__all__ = [
    "MAX_PIXELS",
    "PHOTOGRAPHS",
    "SAMPLES",
    "Cell",
    "ImageWarning",
    "InputFile",
    "Picture",
    "Recipe",
    "check_inputs",
    "check_output",
    "current_versions",
    "encode",
    "fit",
    "fit_area",
    "from_levels",
    "in_rows",
    "lab_to_rgb",
    "levels_of",
    "linear_to_srgb",
    "load",
    "marked",
    "match_histogram",
    "match_mean_covariance",
    "night_wind",
    "ppm_frame",
    "read_frame",
    "read_recipe",
    "resize",
    "rgb_to_lab",
    "rgb_to_yiq",
    "rose_window",
    "sample",
    "save",
    "sheet",
    "side_by_side",
    "sidecar_of",
    "srgb_to_linear",
    "stacked",
    "transfer_luma",
    "yiq_to_rgb",
]
