"""The terms that stand for what the field's programs minimise."""

import math
from functools import partial

import pytest
import torch
from networks import TINY
from published import (
    CROWSONKB_WEIGHTS,
    Layers,
    Picture,
    Scene,
    anishathalye,
    crowsonkb,
    gatys,
    hvass,
    hvass_gradient,
    mean_square,
    neural_style_pt,
)
from torch import Tensor
from torch.testing import assert_close

from oneira.features.encoder import Encoder
from oneira.features.registry import resolve
from oneira.objectives import BoundObjective, Content, Logarithm, Style, Term, TotalVariation, View

CANVAS = (32, 40)
STYLES = ((64, 80), (80, 64))
SCALE = 2.0  # at which styles of these sizes are looked at as they are


NETWORKS = {
    "tiny": Layers.of(TINY, "relu2 relu3", "relu1 conv2 relu2 conv3 relu3"),
    "pocket": Layers.of("pocket", "relu4_2 relu5_1", "relu1_1 relu2_1 relu3_1 relu4_1 relu5_1"),
}


def drawn() -> list[Tensor]:
    """A canvas, a content and two styles."""
    generator = torch.Generator().manual_seed(0)
    # The higher the power, the darker: that statistics differ.
    sizes = (CANVAS, CANVAS, *STYLES)
    return [torch.rand(1, 3, *size, generator=generator) ** power for power, size in enumerate(sizes, 1)]


@pytest.fixture(scope="module", params=NETWORKS)
def scene(request):
    return Scene.of(NETWORKS[request.param], Encoder(), *drawn()[:3])


def gatys_terms(scene: Scene) -> list[Term]:
    return [
        Content(scene.content.image, scene.layers.content[0], "gatys"),
        Style(scene.style.image, scene.layers.style, "gram", "gatys", scale=SCALE),
    ]


def neural_style_pt_terms(scene: Scene) -> list[Term]:
    return [
        5 * Content(scene.content.image, scene.layers.content[0]),
        100 * Style(scene.style.image, scene.layers.style, "gram", "elements", (1.0,) * 5, SCALE),
        1e-3 * 256 * TotalVariation(form="l1-sum"),
    ]


def anishathalye_terms(scene: Scene) -> list[Term]:
    return [
        5 * Content(scene.content.image, scene.layers.content, weights=(0.75, 0.25)),
        500 * Style(scene.style.image, scene.layers.style, "gram", "elements", scale=SCALE),
        100 * 255**2 * TotalVariation(form="squares"),
    ]


def crowsonkb_terms(scene: Scene) -> list[Term]:
    return [
        0.015 * Content(scene.content.image, scene.layers.content[0]),
        Style(scene.style.image, scene.layers.style, "wasserstein", weights=CROWSONKB_WEIGHTS, scale=SCALE),
        2 * TotalVariation(form="nine-point"),
    ]


def hvass_terms(scene: Scene) -> list[Term]:
    return [
        Content(scene.content.image, scene.layers.content[0]),
        Style(scene.style.image, scene.layers.style, "gram", "sums", scale=SCALE),
        255 * TotalVariation(form="l1-sum"),
    ]


def loss_of(term: Term, image: Tensor) -> Tensor:
    return BoundObjective(term, Encoder(), (image.shape[2], image.shape[3]))(image).total


@pytest.mark.parametrize(
    ("transcription", "terms"),
    [
        pytest.param(gatys, gatys_terms, id="gatys"),
        pytest.param(neural_style_pt, neural_style_pt_terms, id="neural-style-pt"),
        pytest.param(partial(anishathalye, blend=0.25), anishathalye_terms, id="anishathalye"),
        pytest.param(crowsonkb, crowsonkb_terms, id="crowsonkb"),
        pytest.param(hvass, hvass_terms, id="hvass"),
    ],
)
def test_every_term_comes_to_what_its_source_makes_of_it(transcription, terms, scene):
    losses = [loss_of(term, scene.canvas.image).double() for term in terms(scene)]
    assert_close(losses, transcription(scene), rtol=1e-5, atol=0)


def test_a_blend_of_styles_is_neural_style_pts(scene):
    other_style = Picture.of(drawn()[3], scene.layers, scene.encoder)
    total = torch.zeros((), dtype=torch.float64)
    for layer in scene.layers.style:
        features = [picture.seen[layer] for picture in (scene.canvas, scene.style, other_style)]
        mine, one, other = (f @ f.T / f.numel() for f in features)
        total += mean_square(mine - 0.3 * one - 0.7 * other)
    pictures = (scene.style.image, other_style.image)
    blend = Style(pictures, scene.layers.style, "gram", "elements", (1.0,) * 5, SCALE, shares=(3, 7))
    assert_close(loss_of(blend, scene.canvas.image).double(), total, rtol=1e-5, atol=0)


def hvass_objective(scene: Scene) -> Term:
    content, style, noise = (Logarithm(term) for term in hvass_terms(scene))
    return 1.5 * content + 10 * style + 0.3 * noise


def test_the_gradient_of_logarithms_is_that_of_hvass_labs_adjusted_losses(scene):
    image = scene.canvas.image.clone().requires_grad_()
    losses = BoundObjective(hvass_objective(scene), Encoder(), CANVAS)(image)
    losses.total.backward()
    expected = hvass_gradient(scene)
    assert (image.grad - expected).norm() <= 1e-5 * expected.norm()
    reported = [loss.double() for loss in losses.by_term.values()]
    assert_close(reported, [(loss + 1e-10).log() for loss in hvass(scene)], rtol=1e-5, atol=1e-5)


def test_a_content_that_is_met_asks_for_nothing(scene):
    layer = scene.layers.content[0]
    bound = Logarithm(Content(scene.content.image, layer)).bind(Encoder(), CANVAS)
    with torch.no_grad():
        activations = Encoder()(scene.content.image, bound.layers)
    met = {address: features.clone().requires_grad_() for address, features in activations.items()}
    loss = bound.evaluate(View(scene.content.image, met))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(1e-10))
    assert met[resolve(layer)].grad.abs().max() == 0
