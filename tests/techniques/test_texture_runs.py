"""Textures that are made: alike, copied, laid out, without a seam, in the sample's colours, as a figure."""

import pytest
import torch
import torch.nn.functional as F
from styles import terms
from textures import COPYING, PICTURES, RAMP, SIDE, colours
from torch.testing import assert_close

from oneira.errors import PlanError
from oneira.features.encoder import Encoder
from oneira.images import rgb_to_yiq, sheet
from oneira.objectives import BoundObjective, TotalVariation
from oneira.synthesis.loop import Synthesis
from oneira.techniques import begin
from oneira.techniques.texturing.samples import STATISTICAL

QUICK = {"efros-leung": {"window": 5}, "wei-levoy": {"window": 5}, "quilting": {"block": 9}}
STRUCTURE = {"structure_layer": ("relu1",)}  # nobody has chosen any in a network of the tests
FOLLOWING = {"like": "ramp", "steps": 12}
# Of the embedded network, since a network of the tests' own is run as it is: without padding around a torus.
AROUND = {"model": "pocket", "layer": ("relu1_1", "relu2_1"), "size": SIDE, "smallest": SIDE}


def made(texture, seed=0):
    return texture.run(seed=seed, precision="float32")


def losses(texture):
    return [step.loss for step in begin(texture.plan(), precision="float32")]


def same(one, other):
    return torch.equal(one, other)


def correlation(image, layout):
    """Of the lumas of 4x8 cells."""
    cells = [F.adaptive_avg_pool2d(rgb_to_yiq(each)[:, :1], (4, 8)).flatten() for each in (image, layout)]
    return torch.corrcoef(torch.stack(cells))[0, 1].item()


def quantiles(image):
    """Of each channel."""
    return image.flatten(2).quantile(torch.linspace(0.02, 0.98, 25), dim=2)


def balance(image):
    """How much more red than blue the left and the right half are."""
    return [(half[:, 0] - half[:, 2]).mean().item() for half in image.chunk(2, -1)]


class TestAlike:
    def test_twice_as_large_as_the_sample_it_comes_within_a_hundredth_of_the_first_loss(self, texture):
        """Twenty steps of L-BFGS at one size; float32."""
        first, *_, last = losses(texture(size=2 * SIDE, smallest=2 * SIDE, steps=20))
        assert last <= 0.01 * first

    @pytest.mark.parametrize("method", STATISTICAL)
    def test_every_method_comes_nearer(self, method, texture):
        options = STRUCTURE if method == "autocorrelation" else {}
        first, *_, last = losses(texture(method=method, steps=24, **options))
        assert last < 0.5 * first

    def test_a_seed_decides(self, texture):
        pictures = [made(texture(), seed) for seed in (3, 3, 4)]
        assert same(*pictures[:2])
        assert not same(*pictures[1:])

    def test_a_sample_without_a_share_is_as_if_it_were_not_there(self, texture):
        assert same(made(texture(sample=("grain", "red"), blend=(1, 0))), made(texture()))
        assert not same(made(texture(sample=("grain", "red"))), made(texture()))

    def test_what_a_mask_leaves_out_changes_nothing(self, texture):
        red = [made(texture(sample=name, sample_mask="left", layer="relu1", steps=10)) for name in ("split", "red")]
        blue = made(texture(sample="split", layer="relu1", steps=10))
        # One column of what is red sees what is not.
        assert_close(red[0], red[1], rtol=0, atol=0.2)
        assert (red[0] - red[1]).abs().mean() < 0.3 * (red[0] - blue).abs().mean()


class TestCopied:
    @pytest.mark.parametrize("method", COPYING)
    @pytest.mark.parametrize("sample", ["grain", "glass"])
    def test_every_pixel_is_one_of_the_samples_that_count(self, method, sample, texture):
        image = made(texture(method=method, sample=sample, size="40x36", **QUICK[method]))
        assert image.shape == (1, 3, 36, 40)
        counting = PICTURES[sample][..., : SIDE // 2] if sample == "glass" else PICTURES[sample]
        assert colours(image) <= colours(counting)

    @pytest.mark.parametrize("method", COPYING)
    def test_a_seed_decides(self, method, texture):
        pictures = [made(texture(method=method, **QUICK[method]), seed) for seed in (3, 3, 4)]
        assert same(*pictures[:2])
        assert not same(*pictures[1:])

    @pytest.mark.parametrize("method", COPYING)
    def test_resumed_anywhere_it_is_the_same(self, method, texture):
        options = texture(method=method, **QUICK[method])
        whole = begin(options.plan(), seed=2)
        steps = sum(1 for _ in whole)
        assert steps > 2
        for taken in (1, steps // 2, steps):
            stopped = begin(options.plan(), seed=2)
            for _ in zip(range(taken), stopped, strict=False):
                pass
            resumed = begin(options.plan(), seed=2)
            resumed.restore(stopped.state())
            assert same(resumed.image, stopped.image)
            for _ in resumed:
                pass
            assert same(options.finished(resumed), options.finished(whole))

    @pytest.mark.parametrize(
        ("told", "option"),
        [
            ({"device": "cuda"}, "--device"),
            ({"precision": "bfloat16"}, "--precision"),
            ({"weights": {"pocket": "w"}}, "--weights"),
            ({"max_memory": 2**30}, "--max-memory"),
        ],
    )
    def test_what_is_for_networks_is_refused(self, told, option, texture):
        plan = texture(method="quilting").plan()
        with pytest.raises(PlanError, match=f"^{option} is for networks, .*: leave it out$"):
            begin(plan, **told)
        begin(plan, device="cpu", precision="float32", offline=True)  # what a recipe says


class TestLike:
    def test_one_sample_follows_light_and_dark(self, texture):
        followed = made(texture(**FOLLOWING))
        assert followed.shape[2:] == RAMP.shape[2:]
        assert correlation(followed, RAMP) > 0.8
        assert abs(correlation(made(texture(size="48x24", steps=12)), RAMP)) < 0.5

    def test_so_does_a_quilt(self, texture):
        followed, free = (made(texture(method="quilting", block=6, size="96x48", like=like)) for like in ("ramp", None))
        assert correlation(followed, RAMP) > 0.8
        assert abs(correlation(free, RAMP)) < 0.5
        assert colours(followed) <= colours(PICTURES["grain"])

    def test_as_firmly_as_is_told(self, texture):
        shades = terms(texture(**FOLLOWING).plan())[1]
        loosely, firmly = (
            BoundObjective(shades, Encoder(), RAMP.shape[2:])(made(texture(**FOLLOWING, like_weight=weight))).total
            for weight in (1e-6, 0.3)
        )
        assert firmly < 0.3 * loosely

    @pytest.mark.parametrize("method", STATISTICAL)
    def test_several_samples_go_where_the_layout_has_their_colours(self, method, texture):
        options = STRUCTURE if method == "autocorrelation" else {}
        image = made(texture(sample=("red", "blue"), like="swapped", method=method, steps=8, **options))
        left, right = balance(image)
        assert left < -0.2
        assert right > 0.2

    def test_parts_of_a_sample_go_where_the_layout_has_their_labels(self, texture):
        left, right = balance(made(texture(sample="split", labels="numbers", like="swapped", steps=8)))
        assert left < -0.2
        assert right > 0.2


class TestSeamless:
    def test_canvas_network_smoothness_and_sample_know_of_it(self, texture):
        plan = texture(**AROUND, seamless=True, smoothness=0.1).plan()
        alike, smooth = terms(plan)
        assert (plan.canvas.wraps, plan.canvas.multiple, plan.variant.padding) == (True, 2, "circular")
        assert isinstance(smooth, TotalVariation)
        assert smooth.wraps
        (source,) = alike.image
        border = torch.zeros(1, 1, SIDE, SIDE)
        border[..., 4:-4, 4:-4] = 1  # an eighth of a small sample
        assert torch.equal(source.mask, border)
        plain = texture(**AROUND).plan()
        assert (plain.canvas.wraps, plain.canvas.multiple, plain.variant.padding) == (False, 1, "zeros")

    def test_a_rolled_picture_is_as_good_and_without_the_option_it_is_not(self, texture):
        image = PICTURES["grain"]
        around, flat = (
            [
                BoundObjective(plan.objective, Encoder(variant=plan.variant), (SIDE, SIDE))(each).total.item()
                for each in (image, image.roll((6, -10), (2, 3)))
            ]
            for plan in (texture(**AROUND, seamless=seamless).plan() for seamless in (True, False))
        )
        assert around[1] == pytest.approx(around[0], rel=1e-3)
        assert flat[1] != pytest.approx(flat[0], rel=0.02)

    def test_across_the_border_it_goes_on_as_inside(self, texture):
        image = made(texture(**AROUND | {"steps": 20}, seamless=True))
        for axis in (2, 3):
            inside = image.diff(dim=axis).abs().mean()
            over = (image.select(axis, 0) - image.select(axis, -1)).abs().mean()
            assert over < 1.15 * inside

    @pytest.mark.parametrize(
        ("options", "size", "stride", "fitting"),
        [
            ({}, "33x32", 2, "32x32"),
            ({}, "32x47", 2, "32x48"),
            ({"layer": ("relu1_1", "relu4_1")}, "100x90", 8, "96x88"),
            ({"layer": ("relu1_1", "relu4_1")}, "101x16", 8, "104x16"),
            ({"method": "autocorrelation", "layer": "relu1_1", "structure_layer": "relu3_1"}, "34x32", 4, "32x32"),
        ],
    )
    def test_sides_that_strides_do_not_divide(self, options, size, stride, fitting, texture):
        options = {**AROUND, **options, "seamless": True}
        with pytest.raises(
            PlanError, match=f"^a seamless texture's sides are multiples of {stride} .*, not {size}: take {fitting}$"
        ):
            texture(**options | {"size": size}).plan()
        texture(**options | {"size": fitting}).plan()
        texture(**options | {"size": size, "seamless": False}).plan()

    def test_smaller_sizes_on_the_way_are_multiples_too(self, texture):
        options = AROUND | {"size": 64, "smallest": 20, "ratio": 1.5, "steps": 1, "layer": ("relu1_1", "relu3_1")}
        sizes = [step.size for step in begin(texture(**options, seamless=True).plan(), precision="float32")]
        assert len(sizes) > 2
        assert all(side % 4 == 0 for size in sizes for side in size)

    def test_a_scan_is_seamless_by_itself(self, texture):
        pictures = [made(texture(method="wei-levoy", window=5, seamless=seamless)) for seamless in (True, False)]
        assert same(*pictures)


class TestHistogram:
    def test_every_channel_has_the_samples_quantiles(self, texture):
        matched, plain = (made(texture(match_histogram=match, sample="red")) for match in (True, False))
        goal = quantiles(PICTURES["red"])
        assert_close(quantiles(matched), goal, rtol=0, atol=0.02)
        assert not torch.allclose(quantiles(plain), goal, rtol=0, atol=0.1)

    def test_those_of_what_counts(self, texture):
        matched = made(texture(match_histogram=True, sample="split", sample_mask="left"))
        assert_close(quantiles(matched), quantiles(PICTURES["split"][..., : SIDE // 2]), rtol=0, atol=0.02)

    def test_of_several_samples_the_mean_quantiles_by_their_shares(self, texture):
        matched = made(texture(match_histogram=True, sample=("red", "blue"), blend=(3, 1)))
        goal = 0.75 * quantiles(PICTURES["red"]) + 0.25 * quantiles(PICTURES["blue"])
        assert_close(quantiles(matched), goal, rtol=0, atol=0.02)


class TestSheet:
    LAYERS = ("relu1", "relu2", "relu3")
    STAGES = ("relu1", "relu2", "relu3", "up to relu2", "up to relu3")

    @pytest.fixture
    def shown(self, monkeypatch):
        """What was laid out, beside the figure."""
        seen = []

        def laid_out(rows, **labels):
            seen.append((rows, labels))
            return sheet(rows, **labels)

        monkeypatch.setattr("oneira.techniques.texture.sheet", laid_out)
        return seen

    def test_each_layer_alone_and_all_up_to_each(self, texture, shown):
        made = texture(layer=self.LAYERS, sheet=True)
        run = begin(made.plan(), precision="float32")
        for _ in run:
            pass
        assert tuple(run.outcomes) == self.STAGES == tuple(run.stages.values())
        figure = made.finished(run)
        ((alone, together), labels) = shown.pop()
        assert labels == {
            "row_labels": ["each layer alone", "all up to it"],
            "column_labels": ["sample", *self.LAYERS],
        }
        pictures = {name: outcome.image for name, outcome in run.outcomes.items()}
        assert same(alone[0].image, PICTURES["grain"])
        assert [same(cell.image, pictures[name]) for cell, name in zip(alone[1:], self.LAYERS, strict=True)] == [
            True
        ] * 3
        assert together[0].image is None
        names = ("relu1", "up to relu2", "up to relu3")
        assert [same(cell.image, pictures[name]) for cell, name in zip(together[1:], names, strict=True)] == [True] * 3
        assert figure.shape[2] > 2 * 48
        assert figure.shape[3] > 4 * 48

    def test_each_is_what_its_layers_make(self, texture):
        """From noise of its own, so that no seed gives it alone; but as near to the sample in its layers."""
        made = texture(layer=self.LAYERS, sheet=True, steps=15)
        plan = made.plan()
        run = begin(plan, precision="float32")
        for _ in run:
            pass
        for subset, name in ((("relu1",), "relu1"), (("relu2",), "relu2"), (self.LAYERS[:2], "up to relu2")):
            (alike,) = terms(texture(layer=subset).plan())
            bound = BoundObjective(alike, Encoder(), (48, 48))
            found = bound(run.outcomes[name].image).total.item()
            assert sum(run.outcomes[name].losses.values()) == pytest.approx(found, rel=0.01)
            assert found < 0.1 * bound(torch.full((1, 3, 48, 48), 0.5)).total.item()
        assert not same(run.outcomes["relu1"].image, run.outcomes["relu2"].image)

    def test_one_layer_is_one_stage(self, texture):
        made = texture(layer="relu1", sheet=True)
        run = begin(made.plan(), precision="float32")
        for _ in run:
            pass
        assert tuple(run.outcomes) == ("relu1",)
        made.finished(run)

    def test_layers_of_two_networks_have_names_of_their_own(self, texture):
        plan = texture(layer=("relu1", "smooth:relu1"), sheet=True).plan()
        assert [scale.stage for scale in plan.schedule.scales] == ["relu1", "smooth:relu1", "up to smooth:relu1"]

    def test_of_a_run_that_was_stopped_places_are_empty(self, texture, shown):
        made = texture(layer=self.LAYERS, sheet=True)
        run = begin(made.plan(), precision="float32")
        for step in run:
            if step.stage == "relu2":
                break
        made.finished(run)
        ((alone, together), _) = shown.pop()
        assert [cell.image is None for cell in alone] == [False, False, False, True]
        assert [cell.image is None for cell in together] == [True, False, True, True]

    def test_resumed_it_is_the_same_figure(self, texture):
        made = texture(layer=self.LAYERS, sheet=True)
        whole = Synthesis(made.plan(), precision="float32")
        for _ in whole:
            pass
        stopped = Synthesis(made.plan(), precision="float32")
        for step in stopped:
            if step.done == 5:
                break
        resumed = Synthesis(made.plan(), precision="float32")
        resumed.restore(stopped.state())
        for _ in resumed:
            pass
        assert same(made.finished(resumed), made.finished(whole))

    def test_colours_are_matched_in_every_place(self, texture, shown):
        made = texture(layer=self.LAYERS, sheet=True, match_histogram=True, steps=15)
        made.run(precision="float32")
        ((alone, _), _) = shown.pop()
        for cell in alone[1:]:
            # Values that the clamp made equal stay equal: those at the ends are not told apart.
            inside = quantiles(cell.image)[4:-4], quantiles(PICTURES["grain"])[4:-4]
            assert_close(*inside, rtol=0, atol=0.02)
