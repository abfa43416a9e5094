"""Which layers stand for a network: they are there, in order, and those that must have positions have them."""

import pytest
from networks import TINY

from oneira.errors import PlanError
from oneira.features.description import describe
from oneira.features.registry import backbones, find_backbone, resolve
from oneira.techniques.layers import (
    CONTENT_LAYERS,
    DREAM_LAYERS,
    EVERY_LAYER,
    STRUCTURE_LAYERS,
    STYLE_LAYER_WEIGHTS,
    STYLE_LAYERS,
    TEXTURE_LAYERS,
    every_layer,
    layers_for,
)

OWN = tuple(name for name in backbones() if find_backbone(name).own)
MODELS = pytest.mark.parametrize("model", OWN)
TABLES = {
    "dream": DREAM_LAYERS,
    "style": STYLE_LAYERS,
    "content": CONTENT_LAYERS,
    "texture": TEXTURE_LAYERS,
    "structure": STRUCTURE_LAYERS,
}


def described(model):
    """In the order in which they run."""
    return {layer.layer: layer for layer in describe(find_backbone(model))}


def modules(model, names):
    return [resolve(f"{model}:{name}").layer for name in names]


@MODELS
@pytest.mark.parametrize("table", TABLES)
def test_the_chosen_layers_of_every_network_are_there_in_order_and_have_positions(table, model):
    chosen = modules(model, layers_for(model, TABLES[table]))
    assert [layer for layer in described(model) if layer in chosen] == chosen
    assert all(described(model)[layer].stride is not None for layer in chosen)


@pytest.mark.parametrize("model", STYLE_LAYER_WEIGHTS)
def test_there_is_a_weight_for_every_layer(model):
    weights = STYLE_LAYER_WEIGHTS[model]
    assert len(weights) == len(STYLE_LAYERS[model])
    assert sum(weights) == pytest.approx(1)


class TestEveryLayer:
    def test_it_is_chosen_for_every_network(self):
        assert set(EVERY_LAYER) == set(OWN)

    @MODELS
    def test_each_is_named_once_from_shallow_to_deep(self, model):
        chosen = modules(model, every_layer(model))
        assert len(set(chosen)) == len(chosen) >= 8
        assert [layer for layer in described(model) if layer in chosen] == chosen
        # Receptive fields never shrink on the way.
        fields = [described(model)[layer].receptive_field or 10**6 for layer in chosen]
        assert fields == sorted(fields)

    @MODELS
    def test_with_positions_the_others_are_left_out(self, model):
        every, placed = every_layer(model), every_layer(model, positions=True)
        assert placed == tuple(n for n in every if described(model)[resolve(f"{model}:{n}").layer].stride is not None)
        assert every[: len(placed)] == placed

    @MODELS
    def test_the_layers_that_draw_well_are_among_them(self, model):
        assert set(modules(model, DREAM_LAYERS[model])) <= {*modules(model, every_layer(model))} | stages(model)

    @MODELS
    def test_it_reaches_from_the_first_convolution_to_the_classes(self, model):
        every = modules(model, every_layer(model))
        names = list(described(model))
        assert names.index(every[0]) <= 3
        backbone = find_backbone(model)
        # SqueezeNet's classes are averages of its last convolution's channels, which is the last layer with a place.
        assert every[-1] == backbone.logits or model.startswith("squeezenet")

    @pytest.mark.parametrize(
        ("model", "names"),
        [
            (
                "pocket",
                "relu1_1 relu1_2 relu2_1 relu2_2 relu3_1 relu3_2 relu3_3 relu3_4 relu4_1 relu4_2 relu4_3 relu4_4 "
                "relu5_1 relu5_2 fc",
            ),
            ("alexnet", "relu1 relu2 relu3 relu4 relu5 relu6 relu7 fc8"),
            (
                "vgg11",
                "relu1_1 relu2_1 relu3_1 relu3_2 relu4_1 relu4_2 relu5_1 relu5_2 relu6 relu7 fc8",
            ),
            (
                "googlenet",
                "conv1/7x7_s2 conv2/3x3 inception_3a/output inception_3b/output inception_4a/output "
                "inception_4b/output inception_4c/output inception_4d/output inception_4e/output inception_5a/output "
                "inception_5b/output loss3/classifier",
            ),
            (
                "resnet18",
                "relu1 layer1.0 layer1.1 layer2.0 layer2.1 layer3.0 layer3.1 layer4.0 layer4.1 fc1000",
            ),
            ("squeezenet1_1", "relu1 fire2 fire3 fire4 fire5 fire6 fire7 fire8 fire9 relu10"),
        ],
    )
    def test_names_are_those_of_the_papers(self, model, names):
        assert every_layer(model) == tuple(names.split())

    def test_of_a_network_that_nobody_has_looked_at_they_are_to_be_named(self):
        with pytest.raises(PlanError, match=rf"^no layers are chosen for '{TINY}' here; name them \(oneira models"):
            every_layer(TINY)


def stages(model):
    """Whole stages of residual networks, which are what their last block gives."""
    return {"layer1", "layer2", "layer3", "layer4"} if model.startswith("resnet") else set()
