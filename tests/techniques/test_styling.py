"""What style transfer begins with, in which colours, where it paints, and what it dreams of meanwhile."""

import pytest
import torch
from networks import TINY, tiny_network
from styles import DRAWN, HEIGHT, WIDTH, artworks, begun, finished, loss_of, terms
from torch.testing import assert_close

from oneira import register_backbone
from oneira.errors import AddressError, ImageError, PlanError
from oneira.features.encoder import Encoder
from oneira.images import fit, match_mean_covariance, resize, rgb_to_lab, rgb_to_yiq, save
from oneira.objectives import Masked
from oneira.objectives.term import as_sum
from oneira.synthesis.loop import Synthesis
from oneira.techniques.style import Style


def style_picture(plan):
    """The picture whose manner is taken on."""
    (artwork,) = artworks(plan)
    return artwork.image


def root_mean_square(image, layer, encoder):
    (activations,) = encoder(image, [f"{TINY}:{layer}"]).values()
    return activations.square().mean().sqrt()


def statistics(image):
    colours = image.double().flatten(2)[0]
    return colours.mean(1), torch.cov(colours, correction=0)


def levels(image):
    """Every channel's values in order."""
    return image.flatten(2).sort().values


class TestStart:
    def test_it_begins_with_the_content_unless_told(self, plan):
        assert torch.equal(begun(plan()), DRAWN["cat"])
        assert torch.equal(begun(plan(start="content")), DRAWN["cat"])

    def test_the_style_takes_the_proportions_of_the_content(self, plan):
        assert torch.equal(begun(plan(start="style")), resize(DRAWN["starry"], (HEIGHT, WIDTH)))

    @pytest.mark.parametrize(("start", "level"), [("white", 1.0), ("black", 0.0), ("grey", 0.5)])
    def test_plain_colours(self, start, level, plan):
        assert torch.equal(begun(plan(start=start)), torch.full((1, 3, HEIGHT, WIDTH), level))

    def test_noise_lies_on_grey_and_pink_noise_is_smoother_than_white(self, plan):
        white, pink = (begun(plan(start=f"{kind}-noise")) for kind in ("white", "pink"))
        for noise in (white, pink):
            assert noise.mean().item() == pytest.approx(0.5, abs=0.02)
            assert noise.std().item() == pytest.approx(0.2, abs=0.02)
        roughness = [noise.diff(dim=-1).square().mean() for noise in (white, pink)]
        assert roughness[1] < roughness[0] / 2

    @pytest.mark.parametrize("start", ["style", "grey", "white-noise"])
    def test_of_the_content_only_the_terms_know(self, start, plan):
        pictures = [finished(plan(content=name, start=start, content_weight=0)) for name in ("cat", "dull")]
        assert torch.equal(*pictures)

    def test_gatys_begins_with_white_noise(self, files):
        assert Style.configured("gatys", content=files["cat"], style=files["starry"]).start == "white-noise"

    def test_another_picture_in_the_contents_proportions(self, plan):
        assert torch.equal(begun(plan(start_picture="dull")), DRAWN["dull"])
        assert torch.equal(begun(plan(start_picture="square")), resize(DRAWN["square"], (HEIGHT, WIDTH)))

    def test_a_picture_takes_the_place_of_a_presets_start(self, style):
        options = style("gatys", start_picture="dull", normalised=False)
        assert torch.equal(begun(options.plan()), DRAWN["dull"])
        with pytest.raises(PlanError, match=r"^--start-picture stands in place of --start; give one of the two$"):
            style(start_picture="dull", start="grey")

    @pytest.mark.parametrize("start", ["content", "style", "grey", "white"])
    def test_a_share_of_noise_is_mixed_into_the_start(self, start, plan):
        base = begun(plan(start=start))
        noise = (begun(plan(start="grey", start_noise=0.5)) - 0.5) / 0.5  # of the same seed, and far from being clamped
        assert noise.std().item() == pytest.approx(0.2, abs=0.01)
        expected = (0.75 * base + 0.25 * (0.5 + noise)).clamp(0, 1)
        assert_close(begun(plan(start=start, start_noise=0.25)), expected, atol=1e-5, rtol=0)

    def test_no_share_of_noise_is_none(self, plan):
        assert torch.equal(begun(plan(start_noise=0)), DRAWN["cat"])


class TestColours:
    def test_the_contents_chroma_stays(self, plan):
        image = finished(plan(colors="content-luma", optimiser="adam", rate=0.1))
        assert_close(rgb_to_yiq(image)[:, 1:], rgb_to_yiq(DRAWN["cat"])[:, 1:], atol=1e-5, rtol=0)
        assert (rgb_to_yiq(image) - rgb_to_yiq(DRAWN["cat"]))[:, :1].abs().mean() > 0.01

    def test_the_style_keeps_its_colours_unless_told(self, plan):
        for options in ({}, {"colors": "style"}):
            assert torch.equal(style_picture(plan(**options)), DRAWN["starry"])

    @pytest.mark.parametrize("colors", ["content-mean-cov", "content-luma"])
    def test_the_style_takes_mean_and_covariance_of_the_content(self, colors, plan):
        # Neither is near the ends of the range, so that nothing is clamped.
        dyed = style_picture(plan(content="dull", colors=colors))
        assert dyed.min() > 0
        assert dyed.max() < 1
        for mine, theirs in zip(statistics(dyed), statistics(DRAWN["dull"]), strict=True):
            assert_close(mine, theirs, atol=1e-3, rtol=0)
        assert not torch.allclose(statistics(DRAWN["starry"])[0], statistics(dyed)[0], atol=0.01)

    def test_the_same_in_lab(self, plan):
        dyed = style_picture(plan(content="dull", colors="content-lab"))
        for mine, theirs in zip(statistics(rgb_to_lab(dyed)), statistics(rgb_to_lab(DRAWN["dull"])), strict=True):
            assert_close(mine, theirs, atol=0.1, rtol=0.01)
        assert not torch.allclose(dyed, style_picture(plan(content="dull", colors="content-mean-cov")), atol=0.01)

    def test_every_channel_takes_the_contents_histogram(self, plan, tmp_path):
        # Of sixteen bits, so that no two pixels of a channel are equal.
        generator = torch.Generator().manual_seed(1)
        orders = (
            torch.rand(2, *DRAWN["cat"].shape, generator=generator).flatten(3).argsort().view(2, 1, 3, HEIGHT, WIDTH)
        )
        ranks = 0.1 + 0.8 * orders / (HEIGHT * WIDTH)
        drawn = {"day": ranks[0] ** 0.5, "night": ranks[1] ** 2}
        paths = {name: tmp_path / f"{name}.png" for name in drawn}
        for name, image in drawn.items():
            save(paths[name], image, depth=16)
        dyed = style_picture(plan(content=paths["day"], style=paths["night"], colors="content-histogram"))
        assert_close(levels(dyed), levels(drawn["day"]), atol=1e-3, rtol=0)
        order = drawn["night"].flatten(2).argsort()
        assert (dyed.flatten(2).gather(2, order).diff() >= 0).all()
        assert not torch.allclose(levels(dyed), levels(drawn["night"]), atol=0.1)

    def test_of_another_size_the_quantiles_are_the_contents(self, plan):
        dyed = levels(style_picture(plan(content="dull", colors="content-histogram")))
        content = levels(DRAWN["dull"])
        shares = torch.linspace(0.05, 0.95, 19)
        assert_close(dyed.quantile(shares, dim=2), content.quantile(shares, dim=2), atol=1.5 / 255, rtol=0)

    @pytest.mark.parametrize("colors", ["content-luma", "content-mean-cov", "content-lab", "content-histogram"])
    @pytest.mark.parametrize("name", ["cat", "dark", "long"])
    def test_colours_that_no_display_shows_are_clamped(self, name, colors, plan):
        dyed = style_picture(plan(content=name, colors=colors))
        assert dyed.min() >= 0
        assert dyed.max() <= 1

    def test_a_start_by_the_style_has_the_colours_that_are_sought(self, plan):
        begin = plan(content="dull", colors="content-mean-cov", start="style")
        matched = match_mean_covariance(DRAWN["starry"], DRAWN["dull"])
        assert_close(begun(begin), resize(matched, (HEIGHT, WIDTH)))


class TestMask:
    @pytest.mark.parametrize("start", ["content", "style", "pink-noise", "black"])
    @pytest.mark.parametrize("colors", ["style", "content-luma"])
    @pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
    def test_outside_the_content_stays_to_the_bit(self, start, colors, optimiser, plan):
        image = finished(plan(mask="mask", start=start, colors=colors, optimiser=optimiser))
        assert torch.equal(image[..., WIDTH // 2 :], DRAWN["cat"][..., WIDTH // 2 :])
        assert (image - DRAWN["cat"])[..., : WIDTH // 2].abs().mean() > 0.01

    def test_outside_the_resized_content_stays(self, plan):
        image = finished(plan(mask="mask", size=36))
        kept = resize(DRAWN["cat"], fit(HEIGHT, WIDTH, 36))
        assert torch.equal(image[..., 20:], kept[..., 20:])

    def test_what_lies_outside_does_not_count_as_manner(self, plan):
        (manner, *_), encoder = terms(plan(mask="mask")), Encoder()
        assert isinstance(manner, Masked)
        changed = DRAWN["cat"].clone()
        # Farther from the mask's edge than the second layer sees, so that nothing of it reaches inside.
        changed[..., WIDTH // 2 + 16 :] = 0
        pictures = (DRAWN["cat"], changed)
        assert_close(*(loss_of(manner, image, encoder) for image in pictures))
        assert not torch.isclose(*(loss_of(manner.term, image, encoder) for image in pictures), rtol=0.01)


class TestDream:
    def test_its_loss_is_the_activity_against_the_contents(self, plan):
        """The root mean square over that of the content: -1 there."""
        term, encoder = terms(plan(dream="relu2"))[-1], Encoder()
        cat, dull = (root_mean_square(DRAWN[name], "relu2", encoder) for name in ("cat", "dull"))
        assert loss_of(term, DRAWN["cat"], encoder).item() == pytest.approx(-1)
        assert_close(loss_of(term, DRAWN["dull"], encoder), -dull / cat)

    def test_layers_share_the_weight(self, plan):
        objective = as_sum(plan(dream=("relu1", "relu2"), dream_weight=0.3).objective)
        assert [(weight, term.name) for weight, term in objective.parts[-2:]] == [(0.15, "dream")] * 2
        assert as_sum(plan(dream="relu1", dream_weight=0.5).objective).parts[-1][0] == 0.5

    def test_without_a_layer_there_is_none(self, plan):
        assert [term.name for term in terms(plan())] == ["style", "content", "tv"]

    def test_the_layer_responds_more_and_the_style_is_still_taken_on(self, plan):
        options = {"optimiser": "adam", "rate": 0.02, "steps": 15, "smallest": 48}
        pictures = [finished(plan(dream=dream, **options)) for dream in ((), "relu3")]
        encoder = Encoder()
        plainly, dreaming = (root_mean_square(image, "relu3", encoder) for image in pictures)
        assert dreaming > 1.02 * plainly
        style = terms(plan())[0]
        assert loss_of(style, pictures[1], encoder) < loss_of(style, DRAWN["cat"], encoder)

    def test_a_silent_layer_has_a_finite_loss(self, plan):
        quiet = tiny_network()
        with torch.no_grad():
            quiet.conv1.bias.fill_(-99)
        register_backbone("quiet", quiet)
        term = terms(plan(dream="quiet:relu1"))[-1]
        assert loss_of(term, DRAWN["cat"], Encoder()).isfinite()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"start": "white noise"}, PlanError, "^--start cannot be 'white noise'; allowed: .*'white-noise'"),
        ({"start": "pink"}, PlanError, "^--start cannot be 'pink'; allowed: .*'pink-noise'"),
        ({"colors": "content"}, PlanError, "^--colors cannot be 'content'; allowed: .*'content-luma'"),
        ({"mask": "nowhere.png"}, ImageError, r"nowhere\.png"),
        ({"mask": "long"}, PlanError, "is 80x20, the picture 48x40: give a mask of the picture's proportions"),
        ({"mask": "dark"}, PlanError, "black everywhere"),
        ({"dream": "rule2"}, AddressError, "unknown layer 'rule2' of tiny; did you mean 'relu2'"),
        ({"dream_weight": 0}, PlanError, "^--dream-weight cannot be 0; allowed: above 0"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(options, error, message, plan):
    with pytest.raises(error, match=message) as told:
        Synthesis(plan(**options))
    assert len(str(told.value).splitlines()) == 1
