"""Films made frame by frame: what each frame is, what holds them together, and what is there after a stop."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
import torch
from clips import BT601, LIMITED, LOSSLESS, coded, write_clip
from scenes import constant_flow, texture
from torch.testing import assert_close

from oneira.errors import CheckpointError, FilmError, OneiraError, PlanError
from oneira.features import encoder
from oneira.feedforward.stylization import Stylization
from oneira.files import write_whole
from oneira.images import Picture, from_levels, levels_of, read_recipe, rgb_to_yiq, save
from oneira.motion.coherence import STEADY, Coherence, going_on
from oneira.motion.filming import Filmed, Filming
from oneira.motion.flow import Flow, find_flow, register_flow
from oneira.motion.reading import Clip
from oneira.motion.shots import CutFinder
from oneira.motion.warping import flicker
from oneira.motion.work import WorkFolder
from oneira.synthesis.run import Means
from oneira.techniques import Dream, Inversion, Style, Texture

MEANS = Means(device="cpu", precision="float32")
HALF_A_LEVEL = 0.5 / 255 + 1e-6
SIZE = (48, 64)


def clip_of(path, pictures):
    """A film without loss, of pictures (1, 3, h, w)."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=LOSSLESS)
        stream.height, stream.width = pictures[0].shape[2:]
        stream.pix_fmt = "yuv444p"
        for place, picture in enumerate(pictures):
            frame = coded(levels_of(picture), "yuv444p", BT601, LIMITED)
            frame.pts, frame.time_base = place, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def pan(folder):
    """A picture that goes 3 pixels to the left and 1 up, from frame to frame."""
    scene = texture(60, 90)
    return clip_of(folder / "pan.mp4", [scene[..., at : at + 48, 3 * at : 3 * at + 64] for at in range(4)])


@pytest.fixture(scope="module")
def still(folder):
    return clip_of(folder / "still.mp4", [texture(*SIZE)] * 12)


@pytest.fixture(scope="module")
def cut(folder):
    """Two frames of a picture, and two of another."""
    return clip_of(folder / "cut.mp4", [texture(*SIZE)] * 2 + [texture(*SIZE, seed=7)] * 2)


@pytest.fixture(scope="module")
def painting(folder):
    save(folder / "painting.png", texture(40, 40, seed=3))
    return str(folder / "painting.png")


@pytest.fixture
def style(painting):
    """A style transfer of a few milliseconds, to work on the clip that is told."""

    def of(clip, **options):
        told = {"size": 64, "smallest": 64, "steps": (6,), **options}
        layers = {"content_layer": ("tiny:relu2",), "style_layer": ("tiny:relu1", "tiny:relu3")}
        return Style(content=clip, style=(painting,), style_layer_weight=(1.0, 1.0), **layers, **told)

    return of


def dream(clip, **options):
    return Dream(image=clip, **{"layer": ("tiny:relu3",), "octaves": 1, "steps": (10,), **options})


def stylized(clip, **options):
    return Stylization(image=clip, **options)


@pytest.fixture
def work(tmp_path):
    return WorkFolder(tmp_path / "film.mp4")


def film(technique, work, means=MEANS, **coherence):
    return Filming(technique, Clip.open(technique.worked_on), work, Coherence(**coherence), means)


def made(technique, work, **coherence):
    """All frames of the last pass."""
    filming = film(technique, work, **coherence)
    list(filming)
    return [frame.image for frame in filming.frames()]


def pictures_of(clip):
    with Clip.open(clip).frames() as frames:
        return [frame.image for frame in frames]


def files_in(work):
    """The bytes of all that it keeps, by place in the folder."""
    files = [path for path in work.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(work.folder)): path.read_bytes() for path in files}


def alone(technique, picture, folder):
    """What the technique makes of one picture that is no film's, rounded to 8 bits."""
    save(folder / "alone.png", picture)
    return rounded(technique.of(str(folder / "alone.png")).run(device="cpu", precision="float32"))


def rounded(image):
    return from_levels(levels_of(image))


class Watched(Flow):
    """No motion; which pictures were asked for is kept."""

    identity = "watched"

    def __init__(self):
        self.asked = []

    def __call__(self, first, second, numbers):
        self.asked.append(numbers)
        return torch.zeros(1, 2, *first.shape[2:])


@pytest.fixture(autouse=True)
def _flows_of_this_file(monkeypatch):
    monkeypatch.setattr("oneira.motion.flow._REGISTERED", {})


@pytest.fixture
def watched():
    flow = Watched()
    register_flow("watched", lambda: flow)
    return flow.asked


class TestFrames:
    @pytest.mark.parametrize("of", [dream, stylized, None], ids=["dream", "stylize", "style"])
    def test_each_on_its_own_is_what_is_made_of_its_picture(self, of, pan, style, work, tmp_path):
        technique = (of or style)(pan)
        frames = made(technique, work, keep=0)
        assert len(frames) == 4
        for frame, picture in zip(frames, pictures_of(pan), strict=True):
            assert torch.equal(frame, alone(technique, picture, tmp_path))

    def test_the_first_is_made_as_if_it_were_the_only_one(self, pan, style, work, tmp_path):
        assert torch.equal(made(style(pan), work)[0], alone(style(pan), pictures_of(pan)[0], tmp_path))

    # What is mixed evens out over some ten frames; these are four, whose first step is only 2.5 times smaller.
    @pytest.mark.parametrize(("of", "less"), [(stylized, 2.2), (None, 3)], ids=["stylize", "style"])
    def test_a_picture_that_moves_flickers_less(self, of, less, pan, style, work, tmp_path):
        technique = (of or style)(pan)
        held, apart = made(technique, work), made(technique, WorkFolder(tmp_path / "apart.mp4"), keep=0)
        back, mask = constant_flow(3, 1, *SIZE), torch.ones(1, 1, *SIZE)
        mask[..., -2:, :] = mask[..., -4:] = 0  # what comes in at the edges

        def shimmer(frames):
            return sum(flicker(before, after, back, mask) for before, after in pairwise(frames))

        assert 0 < less * shimmer(held) < shimmer(apart)

    def test_a_picture_that_rests_stays_as_it_was_painted(self, still, style, work):
        frames = made(style(still), work)
        for before, after in pairwise(frames):
            assert (after - before).abs().mean() < 0.002
        assert (frames[0] - pictures_of(still)[0]).abs().mean() > 0.01

    def test_a_dream_of_a_picture_that_rests_does_not_grow(self, still, work):
        # A tenth of what was dreamt fades with every frame, and a tenth of a dream is added: that is in balance.
        source = pictures_of(still)[0]
        strengths = [float((frame - source).abs().mean()) for frame in made(dream(still), work)]
        assert len(strengths) == 12
        assert all(strengths[0] / 1.5 < strength < 1.5 * strengths[0] for strength in strengths)
        assert strengths[0] > 0.01

    def test_with_all_kept_and_all_steps_taken_a_dream_would_grow(self, still, work):
        source = pictures_of(still)[0]
        strengths = [float((frame - source).abs().mean()) for frame in made(dream(still), work, keep=1, effort=1)]
        assert strengths[-1] > 3 * strengths[0]

    def test_painted_in_one_pass_it_lies_over_the_frame_before(self, pan, work):
        register_flow("pan", Pan)
        frames = made(stylized(pan), work, keep=0.75, flow="pan")
        for before, after, picture in zip(frames, frames[1:], pictures_of(pan)[1:], strict=False):
            own = stylized(pan).of("own", picture_called(picture)).run(device="cpu", precision="float32")
            expected = torch.lerp(own, before.roll((-1, -3), (2, 3)), 0.75)
            # The motion is the film's own: steadying it changes nothing but the rounding to levels.
            assert_close(after[..., :-2, :-4], expected[..., :-2, :-4], atol=2 / 255, rtol=0)
            assert_close(after[..., -1:, :], own[..., -1:, :], atol=2 / 255, rtol=0)

    def test_what_is_painted_in_one_pass_is_steadied_before(self, folder, work, watched, generator):
        noisy = [texture(*SIZE) + 0.05 * torch.randn(1, 3, *SIZE, generator=generator) for _ in range(3)]
        clip = clip_of(folder / "noisy.mp4", noisy)
        frames, pictures = made(stylized(clip), work, keep=0.5, flow="watched"), pictures_of(clip)
        steady = pictures[0]
        for number in (1, 2):
            steady = torch.lerp(pictures[number], steady, STEADY)
            own = stylized(clip).of("own", picture_called(steady)).run(device="cpu", precision="float32")
            expected = (own + frames[number - 1]) / 2
            assert_close(rounded(steady), work.within("sources", depth=16).kept(number + 1), atol=1.01 / 255, rtol=0)
            assert (frames[number] - expected).abs().mean() < 0.01
            plain = stylized(clip).of("own", picture_called(pictures[number])).run(device="cpu", precision="float32")
            assert (frames[number] - (plain + frames[number - 1]) / 2).abs().mean() > 0.02

    @pytest.mark.parametrize("of", [dream, stylized, None], ids=["dream", "stylize", "style"])
    def test_behind_a_cut_it_begins_anew(self, of, cut, style, work, tmp_path):
        technique = (of or style)(cut)
        filming = film(technique, work)
        begins = [filmed.begins_shot for filmed in filming if filmed.step is None]
        assert begins == [True, False, True, False]
        for number in (1, 3):
            assert torch.equal(work.kept(number), alone(technique, pictures_of(cut)[number - 1], tmp_path))
        assert not torch.equal(work.kept(1), work.kept(3))

    def test_how_different_pictures_are_at_a_cut_can_be_told(self, cut, work):
        filming = film(stylized(cut), work, cut=1)
        before, after = pictures_of(cut)[1:3]
        expected = CutFinder(1).is_cut(before, after)
        assert [filmed.begins_shot for filmed in filming if filmed.step is None] == [True, False, expected, False]
        assert not expected

    def test_where_a_mask_is_black_every_frame_stays_the_clip_s(self, pan, style, work, tmp_path):
        mask = torch.zeros(1, 3, *SIZE)
        mask[..., 32:] = 1
        save(tmp_path / "mask.png", mask)
        frames = made(style(pan, mask=str(tmp_path / "mask.png")), work)
        for frame, picture in zip(frames, pictures_of(pan), strict=True):
            assert torch.equal(frame[..., :32], rounded(picture)[..., :32])
            assert not torch.equal(frame[..., 32:], rounded(picture)[..., 32:])

    def test_colours_that_are_the_content_s_stay_the_frame_s(self, pan, style, work):
        frames = made(style(pan, colors="content-luma"), work)
        for frame, picture in zip(frames, pictures_of(pan), strict=True):
            apart = (rgb_to_yiq(frame) - rgb_to_yiq(picture))[..., 4:-4, 4:-4].abs()
            inside = ((frame > 0) & (frame < 1)).all(1, keepdim=True)[..., 4:-4, 4:-4]  # elsewhere colours are cut off
            assert inside.float().mean() > 0.5
            assert (apart[:, 1:] * inside).max() < 2 / 255
            assert apart[:, 0].mean() > 0.005

    def test_progress_is_told_step_by_step(self, pan, work):
        told = list(film(dream(pan, steps=(2,)), work, effort=0.5))
        assert [(filmed.done, filmed.total, filmed.step is None) for filmed in told] == [
            (0, 4, False),
            (0, 4, False),
            (1, 4, True),
            *((place, 4, done) for place in (1, 2, 3) for place, done in ((place, False), (place + 1, True))),
        ]
        assert told[2] == Filmed(1, 4, begins_shot=True)

    def test_times_are_the_clip_s_own(self, folder, work):
        clip = write_clip(folder / "uneven.mkv", stamps=(40, 80, 200, 230), time_base=Fraction(1, 1000))
        filming = film(stylized(str(clip)), work)
        list(filming)
        with Clip.open(clip).frames() as frames:
            expected = [(frame.start, frame.duration) for frame in frames]
        assert [(frame.start, frame.duration) for frame in filming.frames()] == expected
        assert expected[0][0] == Fraction(40, 1000)
        assert (filming.count, filming.size) == (4, SIZE)

    def test_frames_that_cannot_be_decoded_are_told_of(self, folder, work):
        clip = write_clip(folder / "whole.mkv", stamps=range(8), options={"qp": "0", "g": "1"})
        data = bytearray(clip.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 60] = bytes(60)
        (folder / "damaged.mkv").write_bytes(data)
        filming = film(stylized(str(folder / "damaged.mkv")), work)
        list(filming)
        with Clip.open(folder / "damaged.mkv").frames() as frames:
            count = len(list(frames))
        assert len(list(filming.frames())) == filming.count == count
        assert frames.notes
        assert filming.notes == frames.notes

    def test_a_clip_that_turns_into_a_film_of_the_results_size(self, folder, work):
        clip = write_clip(folder / "turned.mp4", stamps=range(2), turn={"degrees": 90})
        filming = film(stylized(str(clip), size=45), work)
        list(filming)
        assert filming.size == (45, 34)
        upright = stylized(str(clip), size=45).of("own", picture_called(pictures_of(clip)[0]))
        assert torch.equal(work.kept(1), rounded(upright.run(device="cpu", precision="float32")))


class Pan(Flow):
    identity = "pan"

    def __call__(self, first, second, numbers):
        step = numbers[1] - numbers[0]
        return constant_flow(-3 * step, -step, *first.shape[2:])


def picture_called(image):
    return Picture(image, path=Path("own"), sha256="0" * 64)


class TestStopping:
    @pytest.mark.parametrize(
        ("of", "coherence"),
        [(dream, {"effort": 0.5}), (stylized, {}), (None, {"effort": 0.5}), (None, {"effort": 0.5, "passes": 2})],
        ids=["dream", "stylize", "style", "twice"],
    )
    def test_anywhere_it_goes_on_to_the_same_bytes(self, of, coherence, cut, style, work, tmp_path):
        technique = (of or (lambda clip: style(clip, steps=(2,))))(cut)
        if of is dream:
            technique = dream(cut, steps=(2,))
        whole = WorkFolder(tmp_path / "whole.mp4")
        states = [filmed.done for filmed in film(technique, whole, **coherence)]
        for stop, done in list(enumerate(states, 1))[:: max(1, len(states) // 8)]:
            course = iter(film(technique, work, **coherence))
            for _ in range(stop):
                next(course)
            course.close()
            assert work.finished == done
            assert work.folder.exists() == (done > 0)
            again = film(technique, work, **coherence)
            assert [each.done for each in again if each.step is None] == list(range(done + 1, states[-1] + 1))
            assert (files_in(work), again.count) == (files_in(whole), 4)
            assert_close(torch.cat([frame.image for frame in again.frames()]), last_pass(whole, 4))
            again.finish()
        assert [path.name for path in tmp_path.iterdir() if "film" in path.name] == []

    def test_frames_that_are_there_are_not_made_again(self, pan, work, monkeypatch):
        list(film(stylized(pan), work))
        before = files_in(work)
        monkeypatch.setattr(WorkFolder, "keep", lambda *_: pytest.fail("made again"))
        filming = film(stylized(pan), work)
        assert list(filming) == []
        assert filming.count == 4
        assert files_in(work) == before

    def test_where_a_frame_is_missing_it_goes_on_there(self, pan, work):
        list(film(stylized(pan), work))
        before = files_in(work)
        work.path(3).unlink()
        assert [filmed.done for filmed in film(stylized(pan), work) if filmed.step is None] == [3, 4]
        assert files_in(work) == before

    @pytest.mark.parametrize("there", [4, 6])
    @pytest.mark.parametrize("missing", [1, 3, 4])
    def test_where_a_source_of_further_passes_is_missing_it_is_kept_again(self, missing, there, pan, style, work):
        list(film(style(pan), work, passes=2))
        sources = work.within("sources", depth=16)
        before = files_in(work)
        for number in range(there + 1, 9):
            work.path(number).unlink()
        sources.path(missing).unlink()
        list(film(style(pan), work, passes=2))
        assert files_in(work) == before

    def test_a_damaged_frame_is_told_in_one_line(self, pan, work):
        list(film(stylized(pan), work))
        work.path(4).unlink()
        work.path(3).write_bytes(work.path(3).read_bytes()[:200])
        with pytest.raises(FilmError, match=r"^[^\n]*000003\.png[^\n]*; remove it, and it is made again$"):
            list(film(stylized(pan), work))
        work.path(3).unlink()
        assert [filmed.done for filmed in film(stylized(pan), work) if filmed.step is None] == [3, 4]

    @pytest.mark.parametrize(
        "other",
        [
            lambda t: (t.model_copy(update={"strength": 0.5}), {}, MEANS),
            lambda t: (t, {"keep": 0.5}, MEANS),
            lambda t: (t, {"flow": "dis-fast"}, MEANS),
            lambda t: (t, {}, Means(seed=1, device="cpu", precision="float32")),
            lambda t: (t, {}, Means(device="cpu", precision="bfloat16")),
        ],
        ids=["option", "coherence", "flow", "seed", "precision"],
    )
    def test_another_job_does_not_go_on_there(self, other, pan, work):
        course = iter(film(stylized(pan), work))
        while next(course).done < 2:
            pass
        course.close()
        before = files_in(work)
        technique, coherence, means = other(stylized(pan))
        with pytest.raises(CheckpointError, match=r"^'.*film\.mp4\.frames' holds finished frames of another job: rem"):
            list(film(technique, work, means, **coherence))
        assert files_in(work) == before

    def test_nor_does_that_of_another_clip_or_picture(self, pan, cut, style, work, tmp_path, painting):
        save(tmp_path / "painting.png", texture(30, 30, seed=5))
        clip = tmp_path / "clip.mp4"
        clip.write_bytes(Path(pan).read_bytes())
        technique = style(str(clip)).model_copy(update={"style": (str(tmp_path / "painting.png"),)})
        next(filmed for filmed in film(technique, work) if filmed.step is None)
        before = files_in(work)
        clip.write_bytes(Path(cut).read_bytes())
        with pytest.raises(CheckpointError):
            list(film(technique, work))
        clip.write_bytes(Path(pan).read_bytes())
        save(tmp_path / "painting.png", texture(30, 30, seed=6))
        with pytest.raises(CheckpointError):
            list(film(technique, work))
        assert files_in(work) == before

    def test_nor_does_that_of_the_same_pictures_in_other_places(self, pan, style, work, tmp_path, painting):
        save(tmp_path / "other.png", texture(*SIZE, seed=5))
        save(tmp_path / "mask.png", torch.ones(1, 3, *SIZE))
        other, mask = str(tmp_path / "other.png"), str(tmp_path / "mask.png")
        two = style(pan).model_copy(update={"style": (painting, other)})
        swapped = two.model_copy(update={"style": (other, painting)})
        one = style(pan).model_copy(update={"style": (other,)})
        masked, confined = one.model_copy(update={"style_mask": (mask,)}), one.model_copy(update={"mask": mask})
        for technique, another in ((two, swapped), (swapped, two), (masked, confined), (confined, masked)):
            assert set(technique.input_paths) == set(another.input_paths)
            assert technique.model_dump(exclude=technique.input_fields()) == another.model_dump(
                exclude=another.input_fields()
            )
            next(filmed for filmed in film(technique, work) if filmed.step is None)
            before = files_in(work)
            with pytest.raises(CheckpointError, match="another job"):
                list(film(another, work))
            assert files_in(work) == before
            work.remove()

    def test_a_second_at_the_same_time_is_refused_and_the_first_goes_on(self, pan, work):
        course = iter(film(stylized(pan), work))
        while next(course).done < 2:
            pass
        before = files_in(work)
        with pytest.raises(CheckpointError, match=r"^another process is at work in '.*film\.mp4\.frames': wait"):
            list(film(stylized(pan), work))
        assert files_in(work) == before
        assert list(course)[-1].done == 4
        assert list(film(stylized(pan), work)) == []

    def test_nor_does_that_of_other_flow_under_the_same_name(self, pan, work):
        class Other(Watched):
            identity = "other"

        register_flow("mine", Watched)
        next(filmed for filmed in film(stylized(pan), work, flow="mine") if filmed.step is None)
        register_flow("mine", Other)
        with pytest.raises(CheckpointError):
            list(film(stylized(pan), work, flow="mine"))

    def test_a_folder_of_somebody_s_own_is_not_touched(self, pan, style, work, tmp_path):
        name = "film.mp4.frames"
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("mine")
        with pytest.raises(CheckpointError, match="holds finished frames of another job"):
            list(film(style(pan), work, passes=2))
        assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")] == [f"{name}/notes.txt"]
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_what_was_killed_before_its_first_frame_is_in_nobody_s_way(self, pan, work):
        assert work.claim({"job": "another"}) == 0
        list(film(stylized(pan), work))
        assert work.finished == 4

    def test_what_was_kept_is_removed_in_the_end(self, pan, style, work, tmp_path):
        filming = film(style(pan), work, passes=2)
        list(filming)
        assert work.within("sources", depth=16).finished == 4
        filming.finish()
        assert list(tmp_path.iterdir()) == []


def last_pass(work, count):
    total = work.finished
    first = total - count + 1
    numbers = range(first, total + 1) if total // count % 2 else range(total, first - 1, -1)
    return torch.cat([work.kept(number) for number in numbers])


class TestPasses:
    @pytest.mark.parametrize("passes", [2, 3])
    def test_every_frame_is_made_so_often_forth_and_back_in_turns(self, passes, pan, style, work, watched):
        told = [filmed for filmed in film(style(pan), work, passes=passes, flow="watched") if filmed.step is None]
        assert [filmed.done for filmed in told] == list(range(1, 4 * passes + 1))
        assert {filmed.total for filmed in told} == {4 * passes}
        # Backward and forward flow between each frame and the one made before it, in the order of their making.
        asked = [pair for pair in watched if pair[0] != pair[1]]
        forth, back = [(2, 1), (3, 2), (4, 3)], [(3, 4), (2, 3), (1, 2)]
        assert asked[::2] == (forth + back + forth)[: 3 * passes]
        assert [(b, a) for a, b in asked[::2]] == asked[1::2]

    def test_the_film_is_that_of_the_last_pass_in_its_own_order(self, pan, style, work):
        frames = made(style(pan), work, passes=2)
        for number, frame in enumerate(frames, 1):
            assert torch.equal(frame, work.kept(9 - number))
        nearest = [
            min(range(4), key=lambda at, frame=frame: float((pictures_of(pan)[at] - frame).abs().mean()))
            for frame in frames
        ]
        assert nearest == [0, 1, 2, 3]

    def test_a_further_one_begins_with_half_of_its_neighbour(self, pan, work, style, watched, monkeypatch):
        seen = []

        def noted(plan, start, mask, held, habit, *, grows):
            seen.append((start, mask, held, grows))
            return plan

        monkeypatch.setattr("oneira.motion.filming.going_on", noted)
        list(film(style(pan), work, passes=2, flow="watched"))
        frames = [work.kept(number) for number in range(1, 9)]
        starts = seen[3:]
        assert len(starts) == 4
        start, mask, held, grows = starts[0]
        assert not mask.any()
        assert not grows
        assert torch.equal(start, frames[3])
        for (start, mask, held, _), earlier, neighbour in zip(starts[1:], frames[2::-1], frames[4:7], strict=True):
            assert mask.all()
            assert_close(start, (earlier + neighbour) / 2, atol=1e-5, rtol=0)
            assert_close(held, neighbour, atol=1e-5, rtol=0)

    def test_what_grows_and_what_is_made_in_one_go_is_refused(self, pan, work, tmp_path):
        with pytest.raises(PlanError, match=r"^--passes make a frame again of itself, and a dream would grow"):
            film(dream(pan), work, passes=2)
        with pytest.raises(PlanError, match=r"^--passes is for what is made step by step, not for stylize$"):
            list(film(stylized(pan), work, passes=2))
        assert list(tmp_path.iterdir()) == []


class TestHolding:
    @pytest.fixture
    def told(self, monkeypatch):
        """What plans begin with, where they are held, and to what."""
        told = []

        def noted(plan, start, mask, held, habit, *, grows):
            told.append((start, mask, held))
            return going_on(plan, start, mask, held, habit, grows=grows)

        monkeypatch.setattr("oneira.motion.filming.going_on", noted)
        return told

    @pytest.mark.parametrize("keep", [0.25, 1])
    def test_a_frame_stays_near_the_result_moved_along_however_much_of_it_it_begins_with(
        self, keep, pan, style, work, told
    ):
        register_flow("pan", Pan)
        frames, pictures = made(style(pan), work, keep=keep, flow="pan"), pictures_of(pan)
        assert len(told) == 3
        for (start, mask, held), before, picture in zip(told, frames, pictures[1:], strict=False):
            moved = before.roll((-1, -3), (2, 3))
            assert mask[..., :-2, :-4].all()
            assert_close(held[..., :-2, :-4], moved[..., :-2, :-4], atol=1e-5, rtol=0)
            expected = torch.lerp(picture, moved, keep)
            assert_close(start[..., :-2, :-4], expected[..., :-2, :-4], atol=1e-5, rtol=0)

    def test_so_it_comes_nearer_to_it_than_what_it_began_with(self, still, style, work, tmp_path):
        """The photograph, of which it began with one half, is no place to stay at."""
        first, second = made(style(still), work, keep=0.5, effort=1, temporal_weight=10_000)[:2]
        apart = WorkFolder(tmp_path / "loose.mp4")
        loose = made(style(still), apart, keep=0.5, effort=1, temporal_weight=0)[1]
        photograph = pictures_of(still)[1]
        start = torch.lerp(photograph, first, 0.5)
        assert (second - first).abs().mean() < 0.5 * (start - first).abs().mean()
        assert (second - first).abs().mean() < 0.5 * (loose - first).abs().mean()

    def test_a_dream_is_held_to_what_it_begins_with(self, pan, work, told):
        list(film(dream(pan), work, keep=0.5))
        assert len(told) == 3
        assert all(torch.equal(start, held) for start, _, held in told)


class TestRefusals:
    @pytest.mark.parametrize("told", [{"effort": 0.5}, {"temporal_weight": 2}], ids=str)
    def test_what_only_frames_that_go_on_from_others_have(self, told, pan, style, work, tmp_path):
        for technique in (dream(pan), style(pan), stylized(pan)):
            with pytest.raises(PlanError, match=r"^--keep 0 makes each frame on its own: leave --effort and --te"):
                film(technique, work, keep=0, **told)
        assert list(tmp_path.iterdir()) == []
        assert len(made(style(pan), work, keep=0, passes=2, **told)) == 4  # which do go on, from the second pass on

    @pytest.mark.parametrize("told", [{"effort": 0.5}, {"effort": 1}, {"temporal_weight": 0}], ids=str)
    def test_what_only_steps_have(self, told, pan, work, tmp_path):
        (name,) = told
        problem = rf"^--{name.replace('_', '-')} is for what is made step by step, not for stylize$"
        with pytest.raises(PlanError, match=problem):
            list(film(stylized(pan), work, **told))
        assert list(tmp_path.iterdir()) == []

    def test_journeys(self, pan, work, tmp_path):
        for options in ({"zoom": 1.1, "frames": 2}, {"through": "tiny:relu1,tiny:relu2"}):
            with pytest.raises(PlanError, match=r"^--zoom, --through and several layers lead from picture"):
                next(iter(film(dream(pan, **options), work)))
        assert list(tmp_path.iterdir()) == []

    def test_sheets_of_several_layers_do_not_go_on(self, pan, work, tmp_path):
        options = {"model": "tiny", "size": 32, "steps": (1,), "canvas": "pixels"}
        sheet = Inversion(image=pan, layer=("tiny:relu1", "tiny:relu2"), sheet=True, **options)
        with pytest.raises(PlanError, match=r"^--zoom, --through and several layers .* by --keep 0$"):
            list(film(sheet, work))
        assert list(tmp_path.iterdir()) == []
        frames = made(sheet, work, keep=0)
        assert len(frames) == 4
        assert torch.equal(frames[2], alone(sheet, pictures_of(pan)[2], tmp_path))

    def test_pictures_of_other_proportions_do_not_go_on(self, pan, work, tmp_path):
        options = {"model": "tiny", "size": "32x32", "smallest": 32, "steps": (1,)}
        texture = Texture(sample=(pan,), layer=("tiny:relu1",), layer_weight=(1.0,), **options)
        with pytest.raises(PlanError, match=r"^texture makes pictures of 32x32 of frames of 64x48: none .* --keep 0$"):
            list(film(texture, work))
        assert list(tmp_path.iterdir()) == []
        assert [frame.shape[2:] for frame in made(texture, work, keep=0)] == [(32, 32)] * 4

    def test_what_fails_at_the_first_frame_leaves_nothing(self, pan, style, work, tmp_path):
        with pytest.raises(OneiraError):
            list(film(dream(pan, layer=("tiny:relu9",)), work))
        with pytest.raises(OneiraError):
            list(film(style(pan, size=16, smallest=16, mask=str(tmp_path / "none.png")), work, passes=2))
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_is_full_keeps_what_is_there(self, pan, work, monkeypatch):
        def refuse_frames(path, write):
            if path.parent.name == "film.mp4.frames" and path.name == "000003.png":
                raise OSError(28, "No space left on device")
            write_whole(path, write)

        with monkeypatch.context() as patched:
            patched.setattr("oneira.images.saving.write_whole", refuse_frames)
            with pytest.raises(FilmError, match=r"No space left on device; what is finished stays in '.*film\.mp4\.fr"):
                list(film(stylized(pan), work))
        assert work.finished == 2
        assert [filmed.done for filmed in film(stylized(pan), work) if filmed.step is None] == [3, 4]


class TestReading:
    def test_networks_and_pictures_are_read_once_for_a_film(self, pan, style, work, monkeypatch):
        loaded, opened = [], []
        monkeypatch.setattr(encoder, "load_weights", counted(encoder.load_weights, loaded))
        monkeypatch.setattr(Picture, "open", counted(Picture.open, opened))
        technique = style(pan).model_copy(update={"content_layer": ("pocket:relu1_1",)})
        list(film(technique, work))
        assert sorted(args[0].name for args in loaded) == ["pocket", "tiny"]
        # Frames that are finished are read again, from what is kept of them.
        assert [Path(args[0]).name for args in opened if "film.mp4" not in str(args[0])] == ["painting.png"]
        digests = {str(read_recipe(work.path(number)).weights) for number in range(1, 5)}
        assert len(digests) == 1
        assert "pocket" in digests.pop()

    def test_a_brush_is_shared(self, pan, work, monkeypatch):
        read = []
        monkeypatch.setattr(Stylization, "trained", counted(Stylization.trained, read))
        list(film(stylized(pan), work))
        assert len(read) == 1

    def test_the_recipe_tells_the_verb_and_the_film(self, pan, style, work, painting):
        filming = film(style(pan), work)
        list(filming)
        recipe = filming.recipe({"keep": 1.0})
        assert recipe.technique == "video"
        assert recipe.options["verb"] == "style"
        assert recipe.options["film"] == {"keep": 1.0}
        assert recipe.options["options"]["steps"] == [6]
        assert recipe.options["flow"] == find_flow("dis").identity
        assert {file.path for files in recipe.input_files.values() for file in files} == {pan, painting}
        assert recipe.input_files["content"][0].sha256 == Clip.open(pan).sha256


def counted(function, calls):
    def called(*args, **kwargs):
        calls.append(args)
        return function(*args, **kwargs)

    return called
