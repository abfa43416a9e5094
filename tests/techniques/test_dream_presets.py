"""Each preset of the dream does, step by step, what its source publishes; and its numbers are the source's.

The transcriptions are in the sources' own units and structure, in float64 but for those of spectra. Sizes and resizing
are ours, as the presets' departures say, and so are the numbers drawn: from a generator of the same seed, in the same
order.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage, signal
from smooth_network import SMOOTH, STD, activations, register_smooth
from torch.testing import assert_close

from oneira.images import fit, resize, save
from oneira.synthesis.augmentation import Jitter, Pad, Rotate, Scale
from oneira.synthesis.fourier import COLOUR_COVARIANCE_ROOT
from oneira.synthesis.loop import Synthesis
from oneira.synthesis.maco import Maco
from oneira.techniques.dream import Dream

SEED = 5
CLOSE = 1e-5  # of 1, after dozens of steps in float32
CLOSE_BY_ADAM = 2e-5  # on average
LAYER = "soft2"
ROOT = torch.tensor(COLOUR_COVARIANCE_ROOT, dtype=torch.float64)
COLOURS = ROOT / ROOT.norm(dim=0).max()


@pytest.fixture(scope="module", autouse=True)
def _smooth_backbone():
    register_smooth()


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(SEED)


@pytest.fixture
def base():
    """(1, 3, 34, 45), levels of 255."""
    levels = torch.randint(0, 256, (1, 3, 34, 45), generator=torch.Generator().manual_seed(1))
    return levels.double() / 255


def dreamt(preset, base, tmp_path, **options):
    """The picture after each step; `base` is the input, at its own size unless told."""
    save(tmp_path / "in.png", base)
    settings = {"image": tmp_path / "in.png", "layer": f"{SMOOTH}:{LAYER}", "size": max(base.shape[2:]), **options}
    plan = Dream.configured(preset, **settings).plan()
    return [step.image.double() for step in Synthesis(plan, precision="float32", seed=SEED)]


def agree(ours, published, *, by_adam=False):
    """All of them, and as many."""
    published = list(published)
    assert len(ours) == len(published)
    for ours_now, published_now in zip(ours, published, strict=True):
        if by_adam:
            # Adam takes a whole step by the sign of a gradient, be it nothing but rounding: a few values may differ.
            assert (ours_now - published_now).abs().mean() < CLOSE_BY_ADAM
        else:
            assert_close(ours_now, published_now, atol=CLOSE, rtol=0)
    # Dreams that stand still would agree, too.
    assert (ours[-1] - resize(ours[0], ours[-1].shape[2:])).abs().mean() > 0.01


def octave_sizes(base, count, scale):
    """From coarse to fine, the last the picture's own."""
    height, width = base.shape[2:]
    return [fit(height, width, round(max(height, width) / scale**back)) for back in reversed(range(count))]


def gradient_of(score, data):
    """Of the scalar `score(data)`."""
    data = data.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(data), data)
    return gradient


def shift(generator, reach):
    """Down and right."""
    return torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()


# google/deepdream, dream.ipynb: make_step, deepdream


def google(base, generator):
    bias = torch.tensor([104.0, 116.0, 122.0], dtype=torch.float64)[:, None, None]

    def make_step(data):
        oy, ox = shift(generator, 32)
        data = data.roll(ox, -1).roll(oy, -2)
        # objective_L2: dst.diff = dst.data, the gradient of half the sum of squares
        g = gradient_of(lambda d: activations((d + bias) / 255, LAYER).square().sum() / 2, data)
        data = data + 1.5 / g.abs().mean() * g
        data = data.roll(-ox, -1).roll(-oy, -2)
        return torch.maximum(torch.minimum(data, 255 - bias), -bias)

    octaves = [resize(base, size) * 255 - bias for size in octave_sizes(base, 4, 1.4)]
    detail = torch.zeros_like(octaves[0])
    for octave, octave_base in enumerate(octaves):
        if octave > 0:
            detail = resize(detail, octave_base.shape[-2:], bounded=False)
        data = (octave_base + detail + bias).clamp(0, 255) - bias
        for _ in range(10):
            data = make_step(data)
            yield (data + bias) / 255
        detail = data - octave_base


def test_google(base, generator, tmp_path):
    agree(dreamt("google", base, tmp_path), google(base, generator))


# TensorFlow's first tutorial, deepdream.ipynb: lap_normalize, render_lapnorm

K = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def lap_normalize(gradient):
    """(h, w, 3), as in the tutorial."""

    def each(function, image, *others):
        channels = [function(*(part[..., c] for part in (image, *others))) for c in range(3)]
        return np.stack(channels, axis=-1)

    def down(image):
        return each(lambda channel: signal.correlate2d(channel, K, mode="same")[::2, ::2], image)

    def up(image, like):
        def spread(channel, model):
            wide = np.zeros_like(model)
            wide[::2, ::2] = channel
            return signal.convolve2d(wide, K * 4, mode="same")

        return each(spread, image, like)

    levels = []
    for _ in range(4):
        low = down(gradient)
        levels.append(gradient - up(low, gradient))
        gradient = low
    levels = [*levels, gradient][::-1]
    levels = [level / max(np.sqrt(np.mean(np.square(level))), 1e-10) for level in levels]
    image = levels[0]
    for high in levels[1:]:
        image = up(image, high) + high
    return image


def lapnorm(base, generator, channel):
    sizes = octave_sizes(base, 3, 1.4)
    img = resize(base, sizes[0]) * 255
    for octave, size in enumerate(sizes):
        if octave > 0:
            img = resize(img / 255, size) * 255
        for _ in range(10):
            sy, sx = shift(generator, 256)
            img_shift = img.roll((sy, sx), (2, 3))
            g = gradient_of(lambda d: activations(d / 255, LAYER)[:, channel].mean(), img_shift)
            g = g.roll((-sy, -sx), (2, 3))
            g = torch.tensor(lap_normalize(g[0].permute(1, 2, 0).numpy())).permute(2, 0, 1)[None]
            img = (img + g * 1.0).clamp(0, 255)
            yield img / 255


def test_lapnorm(base, generator, tmp_path):
    agree(dreamt("lapnorm", base, tmp_path, channels="3"), lapnorm(base, generator, 3))


# TensorFlow 2's tutorial: TiledGradients, run_deep_dream_with_octaves


def tensorflow(base, generator, steps, layers):
    img = None
    for size in octave_sizes(base, 5, 1.3):
        img = resize(base, size) * 2 - 1 if img is None else resize((img + 1) / 2, size) * 2 - 1
        for _ in range(steps):
            down, right = shift(generator, 512)
            rolled = img.roll((down, right), (2, 3))
            g = gradient_of(lambda d: sum(activations((d + 1) / 2, layer).mean() for layer in layers), rolled)
            g = g.roll((-down, -right), (2, 3))
            g = g / (g.std(unbiased=False) + 1e-8)
            img = (img + g * 0.01).clamp(-1, 1)
            yield (img + 1) / 2


def test_tensorflow(base, generator, tmp_path):
    layers = ("soft2", "soft3")
    ours = dreamt("tensorflow", base, tmp_path, steps=12, layer=tuple(f"{SMOOTH}:{layer}" for layer in layers))
    agree(ours, tensorflow(base, generator, 12, layers))


# Hvass-Labs, tutorial 14: tiled_gradient, optimize_image, recursive_optimize


def tile_spans(extent, tile_size, generator):
    """The while loop of tiled_gradient along one side; slivers go to their neighbours, one tile is not shifted."""
    tile = math.ceil(extent / max(1, round(extent / tile_size)))
    if tile == extent:
        return [(0, extent)]
    start = int(torch.randint(-(3 * tile) // 4, -(tile // 4), (), generator=generator))
    spans = []
    while start < extent:
        end = start + tile
        spans.append((max(start, 0), min(end, extent)))
        start = end
    if spans[-1][1] - spans[-1][0] < tile // 4:
        spans[-2:] = [(spans[-2][0], extent)]
    return spans


def tiled_gradient(image, tile_size, generator):
    # There 1e-8 is added to each deviation, which counts where a gradient is as small as that; ours never does.
    grad = torch.zeros_like(image)
    rows = tile_spans(image.shape[2], tile_size, generator)
    columns = tile_spans(image.shape[3], tile_size, generator)
    for top, bottom in rows:
        for left, right in columns:
            g = gradient_of(lambda d: activations(d / 255, LAYER).square().mean(), image[..., top:bottom, left:right])
            grad[..., top:bottom, left:right] = g / g.std(unbiased=False)
    return grad


def gaussian(image, sigma):
    """scipy's, channel by channel."""
    return torch.tensor(ndimage.gaussian_filter(image.numpy(), sigma=(0, 0, sigma, sigma)))


def hvass(base, generator, tile_size):
    sizes = octave_sizes(base, 5, 1 / 0.7)

    def original(size):
        # The blurs of 0.5 before each of n steps down by 0.7, one after the other, as one.
        shrinking = max(base.shape) / max(size)
        sigma = 0.5 * math.sqrt(shrinking**2 - 1)
        return resize(gaussian(base, sigma) if sigma else base, size) * 255

    def recursive_optimize(size, repeats):
        image = original(size)
        if repeats > 0:
            smaller = yield from recursive_optimize(sizes[repeats - 1], repeats - 1)
            image = 0.2 * image + (1.0 - 0.2) * resize(smaller / 255, size) * 255
        for i in range(10):
            grad = tiled_gradient(image, tile_size, generator)
            sigma = (i * 4.0) / 10 + 0.5
            grad = gaussian(grad, sigma) + gaussian(grad, sigma * 2) + gaussian(grad, sigma * 0.5)
            image = (image + grad * 3.0 / grad.std(unbiased=False)).clamp(0, 255)
            yield image / 255
        return image

    yield from recursive_optimize(sizes[-1], 4)


def test_hvass(generator, tmp_path):
    # Tiles of 64 pixels, the least: four in the largest picture, and one in the smallest.
    levels = torch.randint(0, 256, (1, 3, 98, 131), generator=torch.Generator().manual_seed(1))
    base = levels.double() / 255
    agree(dreamt("hvass", base, tmp_path, tile=64), hvass(base, generator, 64))


# ProGamerGov/neural-dream: the loop of main(), DreamLoss, Jitter


class PublishedAdam:
    """Kingma and Ba 2015, algorithm 1."""

    def __init__(self, rate, betas=(0.9, 0.99), eps=1e-8):
        self.rate, self.betas, self.eps = rate, betas, eps
        self.mean = self.square = self.time = 0

    def step(self, parameter, gradient):
        first, second = self.betas
        self.time += 1
        self.mean = first * self.mean + (1 - first) * gradient
        self.square = second * self.square + (1 - second) * gradient**2
        mean, square = self.mean / (1 - first**self.time), self.square / (1 - second**self.time)
        return parameter - self.rate * mean / (square.sqrt() + self.eps)


def neural_dream(base, generator, iterations, octave_iterations):
    current = base * 255
    for _ in range(iterations):
        for size in octave_sizes(base, 2, 1 / 0.6):
            img = resize(current / 255, size) * 255
            adam = PublishedAdam(1.5)
            for _ in range(octave_iterations):
                down, right = shift(generator, 32)
                loss_gradient = gradient_of(
                    lambda d, roll=(down, right): -1000 * activations(d.roll(roll, (2, 3)) / 255, LAYER).norm(), img
                )
                img = adam.step(img, loss_gradient).clamp(0, 255)
                yield img / 255
            current = resize(img / 255, base.shape[-2:]) * 255


def test_neural_dream(base, generator, tmp_path):
    ours = dreamt("neural-dream", base, tmp_path, rounds=3, steps=8)
    agree(ours, neural_dream(base, generator, 3, 8), by_adam=True)


# gordicaleksa/pytorch-deepdream: gradient_ascent, CascadeGaussianSmoothing, deep_dream_static_image


def cascade_smoothing(gradient, sigma):
    across = torch.arange(9, dtype=torch.float64) - 4
    padded = F.pad(gradient, (4, 4, 4, 4), mode="reflect")
    total = torch.zeros_like(gradient)
    for coefficient in (0.5, 1.0, 2.0):
        line = torch.exp(-((across / (coefficient * sigma)) ** 2) / 2)
        kernel = torch.outer(line, line) / torch.outer(line, line).sum()
        total += F.conv2d(padded, kernel.expand(3, 1, 9, 9), groups=3)
    return total / 3


def gordicaleksa(base, generator):
    img = None
    for size in octave_sizes(base, 4, 1.8):
        # In units of the network's input, as there.
        img = (resize(base if img is None else img * STD + 0.5, size) - 0.5) / STD
        for iteration in range(10):
            h_shift, w_shift = shift(generator, 32)
            img = img.roll((h_shift, w_shift), (2, 3))
            grad = gradient_of(lambda d: activations(d * STD + 0.5, LAYER).square().mean(), img)
            # There it is blurred as it is rolled; ours, in its own place, differs at the borders, as we say.
            grad = grad.roll((-h_shift, -w_shift), (2, 3))
            smooth = cascade_smoothing(grad, (iteration + 1) / 10 * 2.0 + 0.5)
            smooth = smooth.roll((h_shift, w_shift), (2, 3))
            # torch.std divides by one value less: nothing in pictures of 600 pixels.
            img = img + 0.09 * smooth / smooth.std(unbiased=False)
            img = img.clamp((0 - 0.5) / STD, (1 - 0.5) / STD)
            img = img.roll((-h_shift, -w_shift), (2, 3))
            yield img * STD + 0.5


def test_gordicaleksa(generator, tmp_path):
    levels = torch.randint(0, 256, (1, 3, 70, 90), generator=torch.Generator().manual_seed(1))
    base = levels.double() / 255
    agree(dreamt("gordicaleksa", base, tmp_path), gordicaleksa(base, generator))


# tensorflow/lucid: optvis/param/spatial.py and color.py, transform.standard_transforms


def robust(generator):
    """lucid's pad, jitter, scale, rotate, jitter, as our departures have them: rolls, and even draws."""
    first = shift(generator, 8)
    factor = 0.9 + 0.2 * float(torch.rand((), generator=generator))
    angle = math.radians(-10 + 20 * float(torch.rand((), generator=generator)))
    second = shift(generator, 4)

    def moved(image):
        image = F.pad(image, (12,) * 4, value=0.5).roll(first, (2, 3))
        image = F.interpolate(image, [round(side * factor) for side in image.shape[2:]], mode="bilinear")
        height, width = image.shape[2:]
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        y, x = y.to(image) - height / 2, x.to(image) - width / 2
        right = (math.cos(angle) * x - math.sin(angle) * y) / (width / 2)
        down = (math.sin(angle) * x + math.cos(angle) * y) / (height / 2)
        grid = torch.stack([right, down], dim=-1)[None]
        image = F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        return image.roll(second, (2, 3))

    return moved


def to_valid_rgb(channels):
    """color.py: decorrelated, then squeezed into [0, 1]."""
    return torch.sigmoid(torch.einsum("oc,bchw->bohw", COLOURS.to(channels), channels))


def fft_image(spectrum, height, width):
    """spatial.py; `spectrum`: (1, 3, h, w // 2 + 1, 2)."""
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.fftfreq(width)[: width // 2 + 1]
    scale = 1.0 / np.maximum(np.sqrt(fx * fx + fy * fy), 1.0 / max(width, height))
    scale = torch.tensor(scale * np.sqrt(width * height), dtype=spectrum.dtype)
    return torch.fft.irfft2(scale * torch.view_as_complex(spectrum), s=(height, width)) / 4.0


def climbed(parameters, picture_of, channel, rate, steps, generator):
    """Adam on minus the mean of a channel behind the transforms."""
    adam = PublishedAdam(rate)
    for _ in range(steps):
        moved = robust(generator)
        loss_gradient = gradient_of(
            lambda p, moved=moved: -activations(moved(picture_of(p)), LAYER)[:, channel].mean(), parameters
        )
        parameters = adam.step(parameters, loss_gradient)
        yield picture_of(parameters).double()


def lucid(height, width, channel, steps, generator):
    spectrum = 0.01 * torch.randn((1, 3, height, width // 2 + 1, 2), generator=generator)
    return climbed(spectrum, lambda s: to_valid_rgb(fft_image(s, height, width)), channel, 0.05, steps, generator)


def test_lucid(base, generator, tmp_path):
    even = base[..., :44]
    agree(dreamt("lucid", even, tmp_path, channels="2", steps=12), lucid(34, 44, 2, 12, generator), by_adam=True)


# Fel et al. 2023: maco_image_parametrization


def maco(height, width, channel, rate, steps, generator):
    magnitude = Maco().spectrum((height, width), torch.device("cpu"))
    phase = torch.fft.rfft2(torch.randn((1, 3, height, width), generator=generator)).angle()

    def picture(phase):
        image = torch.fft.irfft2(torch.complex(phase.cos() * magnitude, phase.sin() * magnitude), s=(height, width))
        image = image - image.mean()
        # There 1e-5 is added to the deviation, in a transform of another norm.
        return to_valid_rgb(image / image.std(unbiased=False))

    return climbed(phase, picture, channel, rate, steps, generator)


def test_maco(base, generator, tmp_path):
    even = base[..., :44]
    # At a tenth of the rate, which turns phases by 57 degrees, and rounding with them.
    ours = dreamt("maco", even, tmp_path, channels="3", steps=12, step=0.1)
    agree(ours, maco(34, 44, 3, 0.1, 12, generator), by_adam=True)


# The numbers of the sources

NUMBERS = {
    "google": {
        "model": "googlenet",
        "layer": ("inception_4c/output",),
        "loss": "l2",
        "steps": (10,),
        "octaves": 4,
        "octave_scale": 1.4,
        "step": 1.5 / 255,
        "jitter": 32,
        "gradient": "mean-abs",
        "carry": "detail",
    },
    "lapnorm": {
        "steps": (10,),
        "step": 1.0 / 255,
        "octaves": 3,
        "octave_scale": 1.4,
        "levels": 4,
        "gradient": "laplacian",
        "loss": "mean",
        "carry": "result",
    },
    "tensorflow": {
        "model": "inception_v3",
        "layer": ("mixed3", "mixed5"),
        "loss": "mean",
        "step": 0.01 / 2,
        "steps": (50,),
        "octaves": 5,
        "octave_scale": 1.3,
        "gradient": "std",
        "carry": "result",
    },
    "hvass": {
        "steps": (10,),
        "step": 3.0 / 255,
        "tile": 400,
        "tile_gradient": "std",
        "tile_offset": "random",
        "octaves": 4 + 1,
        "octave_scale": 1 / 0.7,
        "preblur": 0.5,
        "blend": 0.2,
        "recursive": True,
        "gradient": "std",
    },
    "neural-dream": {
        "model": "googlenet",
        "layer": ("inception_4d/3x3_reduce",),
        "loss": "norm",
        "power": 2,
        "optimiser": "adam",
        "step": 1.5 / 255,
        "rounds": 10,
        "octaves": 2,
        "octave_scale": 1 / 0.6,
        "steps": (50,),
        "jitter": 32,
        "size": 512,
        "gradient": "none",
    },
    "gordicaleksa": {
        "model": "vgg16",
        "layer": ("relu4_3",),
        "size": 600,
        "octaves": 4,
        "octave_scale": 1.8,
        "steps": (10,),
        "step": 0.09 * 0.225,
        "jitter": 32,
        "blur_kernel": 9,
        "gradient": "std",
    },
    "lucid": {
        "canvas": "fourier",
        "start": "white-noise",
        "spread": 0.01,
        "optimiser": "adam",
        "step": 0.05,
        "steps": (512,),
        "transforms": "robust",
        "gradient": "none",
        "loss": "mean",
    },
    "maco": {
        "channels": "random:1",
        "start": "white-noise",
        "canvas": "maco",
        "optimiser": "adam",
        "step": 1.0,
        "steps": (256,),
        "gradient": "none",
        "loss": "mean",
    },
}
# Of no source, and so not transcribed.
OWN_NUMBERS = {
    "class": {
        "class_against": 0.6,
        "start": "white-noise",
        "canvas": "fourier",
        "spread": 0.01,
        "optimiser": "adam",
        "step": 0.05,
        "steps": (160, 30, 20, 20),
        "octaves": 4,
        "octave_scale": 1.45,
        "size": 224,
        "transforms": "robust",
        "gradient": "none",
        "smoothness": 300.0,
    },
}


@pytest.mark.parametrize("name", [*NUMBERS, *OWN_NUMBERS])
def test_the_numbers_are_the_sources(name):
    dream = Dream.configured(name, image="sample:cat")
    for option, value in {**NUMBERS, **OWN_NUMBERS}[name].items():
        assert getattr(dream, option) == (pytest.approx(value) if isinstance(value, float) else value), option
    # What the defaults do besides is not the source's.
    assert dream.strength == (1.0,)


def test_every_preset_of_a_source_is_compared():
    assert {*NUMBERS, *OWN_NUMBERS} == {name for name, preset in Dream.presets.items() if preset.options}
    assert all(f"test_{name.replace('-', '_')}" in globals() for name in NUMBERS)


def test_lucids_transforms_are_its_standard_ones():
    plan = Dream.configured("lucid", image="sample:cat").plan()
    assert plan.augmentation == (Pad(12, 0.5), Jitter(8), Scale(0.9, 1.1), Rotate(10.0), Jitter(4))
