"""Random fields, the ground of everything drawn here."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def smooth_noise(generator: np.random.Generator, size: int, scale: float) -> Array:
    """(size, size) Gaussian noise without detail below about `scale` pixels; mean 0, deviation 1, tiles seamlessly."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    spectrum = np.fft.rfft2(generator.standard_normal((size, size))) * np.exp(-2 * (frequency * scale) ** 2)
    noise = np.fft.irfft2(spectrum, s=(size, size))
    return np.asarray((noise - noise.mean()) / noise.std())
