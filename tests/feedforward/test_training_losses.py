import pytest
import torch
import torch.nn.functional as F
from networks import tiny_network
from stylizer_toys import SETTINGS, changed, painting, style_sources
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features import Encoder
from oneira.features.preprocessing import CAFFE, IMAGENET
from oneira.features.registry import register_backbone, resolve
from oneira.feedforward.training import settings_with
from oneira.feedforward.training.losses import TERMS, Lessons, PerceptualLosses
from oneira.feedforward.training.presets import PRESETS
from oneira.objectives import Artwork, BoundObjective, Content, PixelError, SavedStyle, View
from oneira.objectives.batches import Only
from oneira.objectives.saved_style import read_style

LAYERS = ("relu1", "relu2", "relu3")


def batch(count=4, side=16, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, count, 3, side, side, generator=generator).unbind()


def losses_for(settings, count=2, side=16, encoder=None):
    return PerceptualLosses(encoder or Encoder(), settings, dict(enumerate(style_sources(count))), side)


class Counting(Encoder):
    """Keeps how many pictures it was shown, each time."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def __call__(self, image, layers):
        self.shown.append(len(image))
        return super().__call__(image, layers)


class TestABatch:
    @pytest.mark.parametrize("normalization", ["relative", "average"])
    def test_it_is_the_sum_of_what_each_picture_is_alone(self, normalization):
        settings = changed(identity=True, style_weights=(1.0, 0.4), normalization=normalization)
        outputs, contents = batch()
        lessons = Lessons([1, 2, 0, 1], contents)  # 2 is the picture itself
        settings_styles = [settings.style(source) for source in style_sources()]
        parts = []
        for index, number in enumerate(lessons.styles):
            own = contents[index : index + 1]
            if number == 2:
                parts.append(settings.identity_weight * Only(index, PixelError(own)))
                continue
            factor = settings.style_weight * (1.0, 0.4)[number]
            parts.append(factor * Only(index, settings_styles[number]))
            parts.append(settings.content_weight * Only(index, settings.content(own)))
            parts.append(settings.smoothness * Only(index, settings.smooth()))
        whole = parts[0]
        for part in parts[1:]:
            whole = whole + part
        expected_input, ours_input = (outputs.clone().requires_grad_() for _ in range(2))
        expected = BoundObjective(whole, Encoder(), (16, 16))(expected_input)
        expected.total.backward()
        ours = losses_for(settings)(ours_input, lessons)
        ours.total.backward()
        assert_close(ours.total, expected.total)
        assert_close(ours_input.grad, expected_input.grad)
        by_term = dict(zip(TERMS, (ours.sums / ours.counts).tolist(), strict=True))
        style = [loss for name, loss in expected.by_term.items() if name.startswith("style")]
        assert by_term["style"] == pytest.approx(float(sum(style)) / 3)
        assert ours.counts.tolist() == [3, 3, 3, 1]

    def test_styles_are_looked_at_once_and_a_step_is_two_looks_at_the_batch(self):
        encoder = Counting()
        losses = losses_for(SETTINGS, encoder=encoder)
        assert encoder.shown == [1, 1]
        outputs, contents = batch(side=24)
        for _ in range(2):
            losses(outputs, Lessons([0, 1, 1, 0], contents))
        assert encoder.shown == [1, 1, 4, 4, 4, 4]

    def test_strokes_are_as_large_at_every_side_of_the_squares(self):
        """The manner is that of the picture at one size, so a side may change while training goes on."""
        losses = losses_for(changed(content_weight=0, smoothness=0), side=32)
        picture = torch.nn.functional.interpolate(painting(0), (29, 36), mode="bicubic", antialias=True).clamp(0, 1)
        assert losses(picture, Lessons([0])).total < 0.01

    def test_without_contents_the_manner_counts_alone(self):
        outputs, _ = batch()
        ours = losses_for(SETTINGS, count=1)(outputs, Lessons([0] * 4))
        assert ours.counts.tolist() == [4, 0, 4, 0]

    def test_a_weight_of_nothing_asks_for_nothing(self):
        outputs, contents = batch()
        encoder = Counting()
        ours = losses_for(changed(content_weight=0, smoothness=0), encoder=encoder)
        ours(outputs, Lessons([0, 1, 0, 1], contents))
        assert encoder.shown == [1, 1, 4]

    @pytest.mark.parametrize("normalization", ["gatys", "sums"])
    def test_losses_that_grow_with_the_picture_are_refused(self, normalization):
        with pytest.raises(PlanError, match="of one size only"):
            changed(normalization=normalization, statistics=("gram",))

    def test_contents_known_already_give_the_same_bound_term(self):
        outputs, contents = batch(1)
        term, encoder = Content(contents, ("tiny:relu1", "tiny:relu2"), "relative"), Encoder()
        seen = encoder(contents, term.addresses)
        both = [BoundObjective(term, encoder, (16, 16)).parts[0][1], term.toward(seen)]
        view = View(outputs, encoder(outputs, term.addresses))
        assert float(both[0].evaluate(view)) == float(both[1].evaluate(view))


def register_published(preprocessing):
    register_backbone("tiny-published", tiny_network(), preprocessing)


def published(name, **others):
    layers = {"content_layer": ("relu2",), "style_layer": LAYERS}
    weight = PRESETS[name].options["style_layer_weight"][0]
    return settings_with(name, model="tiny-published", style_layer_weight=(weight,) * 3, **layers, **others)


def features(picture, preprocessing):
    network = tiny_network()
    values, found = preprocessing(picture), {}
    for layer, module in network.named_children():
        values = module(values)
        found[layer] = values
    return found


def gram_over_all(values):
    """fast-neural-style, pytorch/examples, texture_nets: (C x HW) (HW x C) / (C H W)."""
    b, c, h, w = values.shape
    flat = values.reshape(b, c, h * w)
    return flat.bmm(flat.transpose(1, 2)) / (c * h * w)


def gram_over_positions(values):
    """magenta: over H W."""
    return gram_over_all(values) * values.shape[1]


def gram_mse(gram, values, target):
    return F.mse_loss(gram(values), gram(target).expand(len(values), -1, -1))


SIDE = 256


@pytest.fixture
def a_batch():
    outputs, contents = batch(4, SIDE)
    style = torch.nn.functional.interpolate(painting(0)[..., :32], (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return outputs, contents, style


def assert_published(name, a_batch, expected):
    """Each term apart: in the sum, on random weights, the manner drowns the others."""
    outputs, contents, style = a_batch
    settings = published(name)
    encoder = Encoder(variant=settings.variant)
    options = {"content": "content_weight", "style": "style_weight", "tv": "smoothness"}
    for term, loss in expected.items():
        alone = settings.model_copy(update={option: 0.0 for other, option in options.items() if other != term})
        losses = PerceptualLosses(encoder, alone, {0: Artwork(style)}, SIDE)
        total = losses(outputs, Lessons([0] * len(outputs), contents)).total / len(outputs)
        assert_close(total, torch.as_tensor(loss), rtol=1e-4, atol=0)


class TestPublishedLosses:
    """Each preset against its program's own arithmetic, on a small network in place of VGG-16."""

    def test_johnson(self, a_batch):
        register_published(CAFFE)
        out, own, manner = (features(picture, CAFFE) for picture in a_batch)
        pixels = 255 * a_batch[0]
        across, down = pixels.diff(dim=3), pixels.diff(dim=2)
        expected = {
            "content": 1.0 * F.mse_loss(out["relu2"], own["relu2"]),
            "style": sum(5.0 * gram_mse(gram_over_all, out[layer], manner[layer]) for layer in LAYERS),
            # Their layer adds strength * difference to the gradient: that of half the squares, of the batch's sum.
            "tv": 1e-6 / 2 * (across.square().sum() + down.square().sum()),
        }
        assert_published("johnson", a_batch, expected)

    def test_pytorch_examples(self, a_batch):
        register_published(IMAGENET)
        out, own, manner = (features(picture, IMAGENET) for picture in a_batch)
        expected = {
            "content": 1e5 * F.mse_loss(out["relu2"], own["relu2"]),
            "style": sum(1e10 * gram_mse(gram_over_all, out[layer], manner[layer]) for layer in LAYERS),
            "tv": 0.0,
        }
        assert_published("pytorch-examples", a_batch, expected)

    def test_magenta(self, a_batch):
        """Their pooling averages; a registered network keeps its own, so that it is looked at apart."""
        register_published(CAFFE)
        out, own, manner = (features(picture, CAFFE) for picture in a_batch)
        expected = {
            "content": (out["relu2"] - own["relu2"]).square().mean((1, 2, 3)).mean(),
            "style": sum(1e-4 * gram_mse(gram_over_positions, out[layer], manner[layer]) for layer in LAYERS),
            "tv": 0.0,
        }
        assert_published("magenta", a_batch, expected)
        variant = published("magenta").variant
        assert (variant.pooling, variant.gain) == ("avg", 1.0)

    def test_ulyanov(self, a_batch):
        register_published(CAFFE)
        out, own, manner = (features(picture, CAFFE) for picture in a_batch)
        expected = {
            "content": F.mse_loss(out["relu2"], own["relu2"]),
            "style": sum(gram_mse(gram_over_all, out[layer], manner[layer]) for layer in LAYERS),
            "tv": 0.0,
        }
        assert_published("ulyanov", a_batch, expected)

    @pytest.mark.parametrize("name", PRESETS)
    def test_every_preset_is_one(self, name):
        settings = settings_with(name, batch=7)
        assert settings.batch == 7
        for option, value in PRESETS[name].options.items():
            assert option == "batch" or getattr(settings, option) == value

    def test_an_unknown_one(self):
        with pytest.raises(PlanError, match="did you mean 'magenta'"):
            settings_with("magentas")


class TestDigests:
    """A training is gone on with for the same styles alone."""

    def test_a_picture_its_mask_and_its_size_decide(self):
        picture, mask = painting(0), torch.ones(1, 1, 8, 8)
        different = [
            Artwork(picture),
            Artwork(painting(1)),
            Artwork(picture.flip(3)),
            Artwork(picture, mask),
            Artwork(picture, mask.triu()),
            Artwork(picture, long_side=64),
            Artwork(picture, covers=2.0),
        ]
        assert len({artwork.digest for artwork in different}) == len(different)
        assert Artwork(picture.clone()).digest == different[0].digest

    def test_a_saved_style_has_the_digest_that_it_has_in_its_file(self, tmp_path):
        def kept(seed):
            addresses = [resolve("tiny:relu1"), resolve("tiny:relu2")]
            return SavedStyle.of([Artwork(painting(seed))], [1.0], Encoder(), addresses, [256.0, 512.0], ["gram"])

        kept(0).write(tmp_path / "a.style")
        assert read_style(tmp_path / "a.style")[0].digest == kept(0).digest
        assert kept(0).digest != kept(1).digest
