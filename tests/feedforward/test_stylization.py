"""Pictures in one pass: what strength, blends and masks mean, and the same bytes however many there are."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import conditional, shuffled, unconditional
from torch.testing import assert_close

from oneira.errors import CheckpointError, PlanError, WeightsError
from oneira.feedforward import TextureNetwork, TrainedNetwork
from oneira.feedforward.mixing import Mix, parsed_shares
from oneira.feedforward.shipped import SHIPPED, network_file
from oneira.feedforward.stylization import Stylization
from oneira.images import Recipe, load, resize, rgb_to_yiq
from oneira.techniques import begin


@pytest.fixture
def painted(photo, network):
    """The picture that these options make."""

    def paint(**options):
        return Stylization.configured(**{"image": photo, "model": str(network), **options}).run(precision="float32")

    return paint


class TestShares:
    @given(
        shares=st.dictionaries(
            st.text("abc_", min_size=1, max_size=5), st.floats(0.01, 100, allow_nan=False), min_size=1, max_size=4
        )
    )
    def test_they_add_up_to_1_in_the_proportions_that_were_told(self, shares):
        parsed = parsed_shares(", ".join(f"{name}={share!r}" for name, share in shares.items()), "--blend")
        assert list(parsed) == list(shares)
        assert sum(parsed.values()) == pytest.approx(1)
        for name, share in shares.items():
            assert parsed[name] == pytest.approx(share / sum(shares.values()))

    def test_a_name_alone_counts_1(self):
        assert parsed_shares("starry,wave=3", "--blend") == {"starry": 0.25, "wave": 0.75}

    @pytest.mark.parametrize("text", ["", "a=", "a=b", "a=-1", "a=nan", "a=inf", "=1", "a,,b", "a=1,a=2", "a=1;b=2"])
    def test_what_is_no_blend_is_refused(self, text):
        with pytest.raises(PlanError, match=r"--blend .* is no blend; write styles"):
            parsed_shares(text, "--blend")

    def test_nothing_of_everything_is_refused(self):
        with pytest.raises(PlanError, match="leaves no style anything"):
            parsed_shares("a=0,b=0", "--blend")


class TestMixes:
    """Which parameters of the network a picture gets."""

    @given(strength=st.floats(0, 1), share=st.floats(0, 1))
    def test_strength_lies_between_the_identity_and_the_blend(self, styles, strength, share):
        style = Mix({"starry": share, "wave": 1 - share}, strength).style(styles)
        assert_close(style, torch.tensor([[strength * share, strength * (1 - share), 1 - strength]]))

    @pytest.mark.parametrize("elsewhere", [None, {"wave": 1.0}])
    def test_a_mask_tells_the_parameters_at_every_position(self, styles, elsewhere):
        drawn = torch.tensor([0.0, 0.25, 1.0]).expand(1, 1, 2, 3)
        maps = Mix({"starry": 1.0}, 1.0, drawn, elsewhere).style(styles)
        here, there = styles.weights({"starry": 1.0})[0], styles.weights(elsewhere or {"itself": 1.0})[0]
        assert torch.equal(maps[0, :, :, 2], here[:, None].expand(-1, 2))
        assert torch.equal(maps[0, :, :, 0], there[:, None].expand(-1, 2))
        assert_close(maps[0, :, 0, 1], 0.25 * here + 0.75 * there)

    def test_strength_is_that_of_both_parts(self, styles):
        drawn = torch.tensor([0.0, 1.0]).expand(1, 1, 1, 2)
        maps = Mix({"starry": 1.0}, 0.5, drawn, {"wave": 1.0}).style(styles)
        assert_close(maps[0, :, 0], torch.tensor([[0.0, 0.5], [0.5, 0.0], [0.5, 0.5]]))

    def test_without_an_identity_there_is_nothing_to_go_back_to(self):
        styles = TrainedNetwork(conditional(styles=2).float(), ("starry", "wave"))
        white = torch.ones(1, 1, 2, 2)
        with pytest.raises(PlanError, match=r"^--strength needs a style that leaves the photograph as it is"):
            Mix({"wave": 1.0}, 0.5).style(styles)
        with pytest.raises(PlanError, match=r"^--mask without --elsewhere needs a style .*: starry, wave$"):
            Mix({"wave": 1.0}, 1.0, white).style(styles)
        assert Mix({"wave": 1.0}, 1.0, white, {"starry": 1.0}).style(styles).shape == (1, 2, 2, 2)


class TestPictures:
    def test_it_is_what_the_network_draws(self, painted, styles, photo):
        expected = styles.network(load(photo), styles.weights({"wave": 1.0}))
        assert_close(painted(style="wave"), expected.detach())

    def test_strength_0_is_the_identity_and_1_is_the_style(self, painted):
        assert torch.equal(painted(style="wave", strength=0), painted(style="itself"))
        assert torch.equal(painted(style="wave", strength=1), painted(style="wave"))
        assert not torch.equal(painted(style="wave", strength=0.5), painted(style="wave"))

    def test_a_blend_of_one_is_it(self, painted):
        assert torch.equal(painted(blend="wave=0.3"), painted(style="wave"))
        assert not torch.equal(painted(blend="wave,starry"), painted(style="wave"))

    def test_a_white_mask_is_none_and_a_black_one_is_elsewhere(self, painted, mask):
        white = mask(torch.ones(1, 1, 10, 14))
        assert_close(painted(style="wave", mask=white), painted(style="wave"), atol=1e-5, rtol=0)
        black = mask(torch.zeros(1, 1, 10, 14))
        elsewhere = painted(style="wave", mask=black, elsewhere="starry")
        assert_close(elsewhere, painted(style="starry"), atol=1e-5, rtol=0)
        assert_close(painted(style="wave", mask=black), painted(style="itself"), atol=1e-5, rtol=0)

    def test_half_a_mask_draws_each_half_by_its_own_parameters(self, painted, styles, photo, mask):
        halves = torch.zeros(1, 1, 20, 28)
        halves[..., :14] = 1
        drawn = painted(style="wave", mask=mask(halves), elsewhere="starry")
        wave, starry = (styles.weights({name: 1.0})[..., None, None] for name in ("wave", "starry"))
        # Statistics are those of the whole picture, so that no half is the same as in a picture of one style.
        assert_close(drawn, styles.network(load(photo), halves * wave + (1 - halves) * starry).detach())
        assert not torch.allclose(drawn[..., :14], painted(style="wave")[..., :14], atol=1e-3)

    def test_the_photographs_chroma_is_kept(self, painted, image):
        drawn = painted(style="wave", colors="content", size=64)
        inside = (drawn > 0).all(1) & (drawn < 1).all(1)
        expected = resize(image, (46, 64))
        chroma = (rgb_to_yiq(drawn) - rgb_to_yiq(expected))[0, 1:, inside[0]]
        assert inside.any()
        assert chroma.abs().max() < 0.01  # of the 8 bits of a file
        luma = rgb_to_yiq(painted(style="wave", size=64))[:, :1]
        assert_close(rgb_to_yiq(drawn)[0, 0, inside[0]], luma[0, 0, inside[0]], atol=1e-5, rtol=0)

    @pytest.mark.parametrize(("size", "shape"), [(None, (20, 28)), (56, (40, 56)), (17, (12, 17))])
    def test_its_size(self, painted, size, shape):
        assert painted(style="wave", size=size).shape == (1, 3, *shape)

    def test_bfloat16_is_near(self, photo, network):
        technique = Stylization(image=photo, model=str(network), style="wave")
        exact, near = (technique.run(precision=name) for name in ("float32", "bfloat16"))
        assert near.dtype == torch.float32
        assert_close(near, exact, atol=0.1, rtol=0)
        assert not torch.equal(near, exact)

    def test_where_none_is_named_it_is_the_first(self, painted):
        assert torch.equal(painted(), painted(style="starry"))

    def test_a_network_of_one_style(self, painted, network, photo):
        one = TrainedNetwork(unconditional().float(), ("wave",))
        one.write(network, torch.float32)
        assert_close(painted(), one.network(load(photo)).detach())


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"style": "wafe"}, "unknown style 'wafe'; did you mean 'wave'"),
            ({"blend": "wave=1,stary=1"}, "unknown style 'stary'; did you mean 'starry'"),
            ({"style": "wave", "blend": "wave"}, "--blend stands in place of --style"),
            ({"style": "wave", "elsewhere": "starry"}, "there is none: give a mask"),
            ({"style": "wave", "strength": 1.5}, "--strength cannot be 1.5; allowed: at least 0 and at most 1"),
            ({"style": "wave", "mask": "sample:cat"}, "--mask 'sample:cat' is .*, the picture 28x20"),
        ],
    )
    def test_options_that_do_not_go_together(self, painted, options, message):
        with pytest.raises(PlanError, match=message):
            painted(**options)

    def test_a_network_that_paints_no_pictures(self, painted, network):
        TrainedNetwork(shuffled(TextureNetwork(scales=3, channels=4)).float(), ("pebbles",)).write(network)
        with pytest.raises(PlanError, match="makes a texture out of nothing"):
            painted(style="pebbles")

    def test_networks_that_are_not_there(self, painted):
        with pytest.raises(WeightsError, match=r"unknown network 'pocket-style'; did you mean 'pocket-styles'\?"):
            painted(model="pocket-style")
        with pytest.raises(WeightsError, match=r"nofile\.safetensors"):
            painted(model="nofile.safetensors", style="wave")

    @pytest.mark.parametrize("told", [{"weights": {"pocket-styles": Path("x")}}, {"max_memory": 10**9}])
    def test_what_is_of_no_use(self, photo, network, told):
        with pytest.raises(PlanError, match=r"--network|not for this"):
            begin(Stylization(image=photo, model=str(network), style="wave").plan(), **told)


def test_what_ships_is_there():
    for name in SHIPPED:
        assert network_file(name).is_file()


class TestRuns:
    @pytest.fixture
    def technique(self, photo, network):
        return Stylization(image=photo, model=str(network), blend="wave=1,starry=3", strength=0.5)

    def test_one_step_and_the_recipe_makes_it_again(self, technique):
        run = begin(technique.plan(), seed=3)
        (step,) = run
        assert (step.done, step.total, step.size, dict(step.losses)) == (1, 1, (20, 28), {})
        recipe = Recipe.from_json(technique.recipe(run).to_json())
        again = Stylization.from_recipe(recipe)
        assert torch.equal(step.image, again.run(precision=recipe.precision))
        assert list(recipe.weights) == ["network"]

    def test_a_checkpoint_of_the_same_picture_and_no_other(self, technique):
        state = begin(technique.plan()).state()
        begin(technique.plan()).restore(state)
        other = Stylization(image=technique.image, model=technique.model, style="wave")
        with pytest.raises(CheckpointError, match="other settings"):
            begin(other.plan()).restore(state)
