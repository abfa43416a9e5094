"""`oneira video`: the film that is made, its times and sound, how it ends, and what is refused."""

import json
import os
import signal
import time
from fractions import Fraction
from functools import partial

import av
import pytest
import torch
from interrupting import interrupt
from motion.clips import write_clip
from motion.scenes import texture
from PIL import Image

from oneira.cli import video as verb
from oneira.cli.run_options import RunOptions
from oneira.cli.video import WITHOUT, FilmOptions, VideoOptions
from oneira.feedforward import TrainedNetwork, TransformerNetwork
from oneira.images import Recipe, load, save
from oneira.motion.coherence import Coherence
from oneira.motion.flow import Flow, register_flow
from oneira.motion.reading import Clip
from oneira.motion.recipes import read_film_recipe
from oneira.motion.reel import Reel
from oneira.motion.sound import Sound
from oneira.motion.work import WorkFolder
from oneira.motion.writing import write_film
from oneira.techniques.refusals import option_name

DREAM = ["dream", "--layer", "tiny:relu2", "--octaves", 1, "--steps", 2, "--jitter", 1]


@pytest.fixture
def clip(folder):
    """Three frames of a picture that moves."""
    scene = texture(48, 70)
    stills = [partial(scene[..., 2 * at : 2 * at + 64].clone) for at in range(3)]
    write_film("clip.mp4", Reel.steady(stills, Fraction(25)), size=(48, 64), rate=Fraction(25))
    return "clip.mp4"


@pytest.fixture
def network(folder):
    network = TransformerNetwork(styles=2, channels=(4, 6, 8), residuals=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    TrainedNetwork(network, ("starry", "wave")).write(folder / "net.safetensors")
    return ["stylize", "--network", "net.safetensors"]


@pytest.fixture
def eventful(happening):
    """The dream, in a network in which `do(features)` is called in the steps `at`: one for each step."""

    def command(do, *at):
        words = happening(do, *at)
        layer = words[words.index("--layer") + 1]
        return [layer if word == "tiny:relu2" else word for word in DREAM]

    return command


def times_of(path):
    with Clip.open(path).frames() as frames:
        return [(frame.start, frame.duration) for frame in frames]


def sound_of(path):
    with Sound(Clip.open(path)) as sound:
        return [(bytes(packet), packet.pts * packet.time_base) for packet in sound.until(None)]


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name not in ("cache", "cat.png"))


class TestFilm:
    @pytest.mark.parametrize("extension", [".mp4", ".mkv", ".mov"])
    def test_sound_goes_along_byte_for_byte(self, extension, oneira, network, folder):
        write_clip(folder / f"clip{extension}", sound=0.3)
        ended = oneira("video", f"clip{extension}", "-o", f"film{extension}", *network)
        assert ended.status == 0, ended.err
        assert ended.lines[-1].startswith(f"wrote film{extension} (64x48, 6 frames, ")
        assert sound_of(f"film{extension}") == sound_of(f"clip{extension}") != []
        assert times_of(f"film{extension}") == times_of(f"clip{extension}")
        assert not (folder / f"film{extension}.frames").exists()

    def test_muted_it_is_left_out(self, oneira, network, folder):
        write_clip(folder / "clip.mp4", sound=0.3)
        assert oneira("video", "clip.mp4", "--mute", "-o", "film.mp4", *network).status == 0
        assert Clip.open("clip.mp4").sounds
        assert not Clip.open("film.mp4").sounds

    def test_pictures_that_move_have_none_which_is_told(self, oneira, network, folder):
        write_clip(folder / "clip.mp4", sound=0.3)
        ended = oneira("video", "clip.mp4", "-o", "film.webp", *network)
        assert ended.status == 0, ended.err
        assert ended.lines[0] == "note: 'film.webp' can hold no sound: it is left out"
        assert "note: " not in oneira("video", "clip.mp4", "-o", "film.webp", "--mute", *network).err

    @pytest.mark.parametrize("stamps", [(0, 25, 75, 80), (40, 65, 120, 240)], ids=["uneven", "begins late"])
    def test_times_are_kept_to_the_last_bit(self, stamps, oneira, network, folder):
        write_clip(folder / "clip.mp4", stamps=stamps, time_base=Fraction(1, 12800), sound=0.3)
        assert oneira("video", "clip.mp4", "-o", "film.mp4", *network).status == 0
        assert times_of("film.mp4") == times_of("clip.mp4")
        assert sound_of("film.mp4") == sound_of("clip.mp4")

    def test_what_lies_on_its_side_comes_out_upright(self, oneira, network, folder):
        write_clip(folder / "clip.mp4", stamps=range(2), turn={"degrees": 90})
        ended = oneira("video", "clip.mp4", "-o", "film.mp4", *network)
        assert ended.lines[-1].startswith("wrote film.mp4 (48x64, 2 frames, ")
        with av.open("film.mp4") as film:
            frame = next(film.decode(video=0))
        assert (frame.width, frame.height, frame.rotation) == (48, 64, 0)

    def test_sides_may_be_odd(self, oneira, network, folder):
        write_clip(folder / "clip.mkv", stamps=range(2), size=(45, 63))
        ended = oneira("video", "clip.mkv", "-o", "film.png", *network)
        assert ended.lines[-1].startswith("wrote film.png (63x45, 2 frames, ")
        with Image.open("film.png") as film:
            assert (film.size, film.n_frames) == ((63, 45), 2)

    def test_it_is_called_after_clip_and_verb_and_never_over_another(self, oneira, network, clip, folder):
        assert oneira("video", clip, *network).lines[-1].startswith("wrote clip-stylize.mp4 (")
        assert oneira("video", clip, *network).lines[-1].startswith("wrote clip-stylize-2.mp4 (")

    def test_frames_are_those_of_the_verb_alone(self, oneira, clip, folder):
        ended = oneira("video", clip, "--keep", 0, "-o", "film.png", *DREAM)
        assert ended.status == 0, ended.err
        with Clip.open(clip).frames() as frames:
            save("first.png", next(frames).image)
        assert oneira("dream", "first.png", *DREAM[1:], "-o", "alone.png").status == 0
        with Image.open("film.png") as film, Image.open("alone.png") as alone:
            assert film.convert("RGB").tobytes() == alone.convert("RGB").tobytes()

    def test_every_frame_is_told_as_json(self, oneira, clip, network):
        ended = oneira("video", clip, "--json", *network)
        assert [json.loads(line) for line in ended.out.splitlines()] == [
            {"done": number, "total": 3, "shot": number == 1} for number in (1, 2, 3)
        ]

    def test_quiet_is_quiet(self, oneira, clip, network):
        ended = oneira("video", clip, "-q", *network)
        assert (ended.status, ended.out, ended.err) == (0, "", "")

    def test_what_is_lost_of_the_clip_is_told(self, oneira, network, folder):
        data = bytearray(write_clip(folder / "whole.mkv", stamps=range(8), options={"qp": "0", "g": "1"}).read_bytes())
        middle = len(data) // 2
        data[middle : middle + 60] = bytes(60)
        (folder / "clip.mkv").write_bytes(data)
        with Clip.open("clip.mkv").frames() as frames:
            count = len(list(frames))
        ended = oneira("video", "clip.mkv", "-o", "film.mkv", *network)
        assert [f"note: {note}" for note in frames.notes] == ended.lines[:-1] != []
        assert f" {count} frames, " in ended.lines[-1]


class TestStopping:
    @pytest.mark.parametrize(("at", "kept"), [(3, 1), (4, 2)])
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_interrupted_it_goes_on_to_the_same_bytes(self, at, kept, number, oneira, clip, eventful, folder):
        words = ["video", clip, "--effort", 0.5, "-o"]
        assert oneira(*words, "whole.mp4", *eventful(None)).status == 0

        def stop(features):
            os.kill(os.getpid(), number)
            return features

        ended = oneira(*words, "broken.mp4", *eventful(stop, at))
        assert ended.status == 128 + number
        told = f"{'1 finished frame is' if kept == 1 else '2 finished frames are'} kept in broken.mp4.frames"
        assert ended.lines[-1] == f"note: interrupted: {told}; the same command goes on; broken.mp4 was not written"
        assert WorkFolder(folder / "broken.mp4").finished == kept
        assert oneira(*words, "broken.mp4", *eventful(None)).status == 0
        assert (folder / "broken.mp4").read_bytes() == (folder / "whole.mp4").read_bytes()
        assert left_in(folder) == ["broken.mp4", "clip.mp4", "whole.mp4"]

    def test_before_the_first_frame_nothing_is_left(self, oneira, clip, eventful, folder):
        ended = oneira("video", clip, "-o", "film.mp4", *eventful(interrupt, 1))
        assert ended.status == 130
        assert ended.lines == ["note: interrupted: no frame is done; film.mp4 was not written"]
        assert left_in(folder) == ["clip.mp4"]

    def test_the_second_time_it_stops_at_once(self, oneira, clip, eventful, folder):
        def twice(features):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("went on")

        ended = oneira("video", clip, "--effort", 0.5, "-o", "film.mp4", *eventful(twice, 3))
        assert ended.status == 130
        assert "1 finished frame is kept in film.mp4.frames" in ended.lines[-1]

    def test_while_it_is_written_nothing_is_lost(self, oneira, clip, network, folder, monkeypatch):
        words = ["video", clip, "-o", "film.mp4", *network]
        with monkeypatch.context() as patched:
            patched.setattr(verb, "write_film", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
            ended = oneira(*words)
        assert ended.status == 143
        assert "3 finished frames are kept" in ended.lines[-1]
        assert oneira(*words).status == 0

    def test_behind_the_writing_the_rest_is_done_whatever_comes(self, oneira, clip, network, folder, monkeypatch):
        finish = verb.Filming.finish

        def late(filming):
            os.kill(os.getpid(), signal.SIGTERM)
            finish(filming)

        monkeypatch.setattr(verb.Filming, "finish", late)
        ended = oneira("video", clip, "-o", "film.mp4", *network)
        assert ended.status == 143
        assert ended.lines[-1].startswith("wrote film.mp4 (64x48, 3 frames, ")
        assert left_in(folder) == ["clip.mp4", "film.mp4", "net.safetensors"]

    def test_a_second_command_at_the_same_time_is_refused(self, oneira, clip, network, folder):
        words = ["video", clip, "-o", "film.mp4", *network]
        with WorkFolder(folder / "film.mp4").held():
            ended = oneira(*words)
        told = "oneira: another process is at work in 'film.mp4.frames': wait for it"
        assert (ended.status, ended.lines) == (1, [told])
        assert oneira(*words).status == 0

    def test_killed_it_ends_in_the_same_bytes(self, oneira, started, folder):
        write_clip(folder / "clip.mkv", stamps=range(24), sound=1)
        words = ["video", "clip.mkv", "-q", "--cut", 1, "-o"]
        dream = ["dream", "--layer", "relu1_2", "--octaves", 1, "--steps", 3, "--size", 32, "--offline"]
        assert oneira(*words, "whole.mkv", *dream).status == 0
        killed = started(*words, "broken.mkv", *dream)
        work = WorkFolder(folder / "broken.mkv")
        waited = time.monotonic()
        while work.finished < 5 and killed.poll() is None and time.monotonic() - waited < 60:
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait(timeout=60) == -signal.SIGKILL
        assert 5 <= work.finished < 24
        assert not (folder / "broken.mkv").exists()
        ended = oneira(*words, "broken.mkv", *dream)
        assert ended.status == 0, ended.err
        assert (folder / "broken.mkv").read_bytes() == (folder / "whole.mkv").read_bytes()
        assert left_in(folder) == ["broken.mkv", "clip.mkv", "whole.mkv"]

    @pytest.mark.parametrize("other", [["--seed", 1], ["--keep", 0.5], ["--step", 0.5]], ids=str)
    def test_another_command_does_not_go_on_there(self, other, oneira, clip, eventful, folder):
        words = ["video", clip, "--effort", 0.5, "-o", "film.mp4"]
        assert oneira(*words, *eventful(interrupt, 4)).status == 130
        before = {path: path.read_bytes() for path in (folder / "film.mp4.frames").iterdir()}
        if other[0] == "--keep":
            ended = oneira(*words, *other, *eventful(None))
        else:
            ended = oneira(*words, *eventful(None), *other)
        assert ended.status == 1
        assert ended.lines == [
            "oneira: 'film.mp4.frames' holds finished frames of another job: remove it, or name another output"
        ]
        assert {path: path.read_bytes() for path in (folder / "film.mp4.frames").iterdir()} == before

    def test_a_damaged_frame_is_told_in_one_line(self, oneira, clip, eventful, folder):
        words = ["video", clip, "--effort", 0.5, "-o", "film.mp4"]
        assert oneira(*words, *eventful(interrupt, 4)).status == 130
        (folder / "film.mp4.frames" / "000002.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        ended = oneira(*words, *eventful(None))
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert "000002.png" in ended.lines[0]


class TestRecipe:
    @pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.webm", "film.webp", "film.gif"])
    def test_it_is_made_again_to_the_same_bytes(self, name, oneira, clip, folder):
        look = [] if name == "film.gif" else ["--quality", 70]
        ended = oneira("video", clip, "--keep", 0.8, *look, "--seed", 3, "-o", name, *DREAM)
        assert ended.status == 0, ended.err
        ended = oneira("rerun", name)
        assert ended.status == 0, ended.err
        again = f"film-rerun{name[4:]}"
        assert ended.lines[-1].startswith(f"wrote {again} (64x48, 3 frames, ")
        assert (folder / again).read_bytes() == (folder / name).read_bytes()
        assert left_in(folder) == sorted(["clip.mp4", again, name])

    def test_it_tells_the_verb_its_options_and_those_of_the_film(self, oneira, clip):
        assert oneira("video", clip, "--mute", "-o", "film.mp4", *DREAM).status == 0
        recipe = json.loads(oneira("recipe", "film.mp4").out)
        assert recipe["technique"] == "video"
        assert recipe["options"]["verb"] == "dream"
        assert recipe["options"]["options"]["layer"] == ["tiny:relu2"]
        assert recipe["options"]["film"] == FilmOptions(mute=True).model_dump()
        assert recipe["inputs"]["image"] == {"path": "clip.mp4", "sha256": Clip.open(clip).sha256}

    @pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.webm", "film.gif", "film.webp", "film.png"])
    @pytest.mark.parametrize("renamed", ["other.avi", "other", "other.jpg"])
    def test_it_is_read_whatever_the_film_is_called(self, name, renamed, oneira, clip, folder):
        assert oneira("video", clip, "-o", name, *DREAM).status == 0
        told = oneira("recipe", name).out
        assert json.loads(told)["technique"] == "video"
        (folder / name).rename(folder / renamed)
        ended = oneira("recipe", renamed)
        assert (ended.status, ended.out, ended.err) == (0, told, "")

    @pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.webp"])
    def test_so_is_a_picture_s(self, name, oneira, picture, folder):
        assert oneira("dream", picture, *DREAM[1:], "-o", name).status == 0
        told = oneira("recipe", name).out
        assert json.loads(told)["technique"] == "dream"
        (folder / name).rename(folder / "other.mp4")
        assert oneira("recipe", "other.mp4").out == told

    def test_other_flow_than_its_own_is_noted(self, oneira, clip, folder, monkeypatch):
        class Resting(Flow):
            identity = "resting"

            def __call__(self, first, second, numbers):
                return torch.zeros(1, 2, *first.shape[2:])

        class Other(Resting):
            identity = "resting, of another year"

        monkeypatch.setattr("oneira.motion.flow._REGISTERED", {})
        register_flow("mine", Resting)
        assert oneira("video", clip, "--flow", "mine", "-o", "film.mp4", *DREAM).status == 0
        assert json.loads(oneira("recipe", "film.mp4").out)["options"]["flow"] == "resting"
        assert "optical flow" not in oneira("rerun", "film.mp4", "-o", "again.mp4").err
        register_flow("mine", Other)
        ended = oneira("rerun", "film.mp4", "-o", "other.mp4")
        assert ended.status == 0, ended.err
        assert ended.lines[0] == "note: the recipe's optical flow was resting, here it is resting, of another year"

    def test_one_that_tells_no_flow_is_followed_without_a_word(self, oneira, clip, folder):
        assert oneira("video", clip, "-o", "film.mp4", *DREAM).status == 0
        recipe = read_film_recipe("film.mp4")
        options = {name: value for name, value in recipe.options.items() if name != "flow"}
        assert set(recipe.options) - set(options) == {"flow"}
        still = Reel.steady([lambda: torch.ones(1, 3, 16, 16)], Fraction(25))
        older = recipe.model_copy(update={"options": options})
        write_film("older.mp4", still, size=(16, 16), rate=Fraction(25), recipe=older)
        ended = oneira("rerun", "older.mp4")
        assert ended.status == 0, ended.err
        assert len(ended.lines) == 1
        assert (folder / "older-rerun.mp4").read_bytes() == (folder / "film.mp4").read_bytes()

    def test_it_can_be_left_out(self, oneira, clip, network):
        assert oneira("video", clip, "--no-recipe", "-o", "film.mp4", *network).status == 0
        assert "holds no recipe" in oneira("recipe", "film.mp4").err

    def test_sound_is_taken_again(self, oneira, network, folder):
        write_clip(folder / "clip.mp4", sound=0.3)
        assert oneira("video", "clip.mp4", "-o", "film.mp4", *network).status == 0
        assert oneira("rerun", "film.mp4", "-o", "again.mp4").status == 0
        assert sound_of("again.mp4") == sound_of("clip.mp4") != []

    def test_another_clip_under_its_name_is_refused(self, oneira, clip, network, folder):
        assert oneira("video", clip, "-o", "film.mp4", *network).status == 0
        write_clip(folder / "clip.mp4")
        ended = oneira("rerun", "film.mp4")
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert "'clip.mp4'" in ended.lines[0]

    def test_other_weights_than_its_own_are_noted(self, oneira, clip, scrambled_pocket):
        words = ["dream", "--layer", "relu1_1", "--octaves", 1, "--steps", 1, "--jitter", 1]
        assert oneira("video", clip, "-o", "film.mp4", *words).status == 0
        ended = oneira("rerun", "film.mp4", "--weights", scrambled_pocket)
        assert ended.status == 0, ended.err
        assert ended.lines[0].startswith("note: the weights of pocket are others than the recipe's (SHA-256 ")

    @pytest.mark.parametrize("option", ["--resume", "--stages", "--csv", "--sidecar", "--record"])
    def test_options_of_pictures_are_none_of_a_film_s(self, option, oneira, clip, network):
        assert oneira("video", clip, "-o", "film.mp4", *network).status == 0
        value = [] if option in ("--resume", "--sidecar") else ["making.mp4"]
        ended = oneira("rerun", "film.mp4", option, *value)
        assert (ended.status, ended.lines) == (2, [f"oneira: a film has no {option}: leave it out"])

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda options: {}, "it tells no verb, or nothing of the film"),
            (lambda options: options | {"verb": "dreem"}, "it tells no verb"),
            (lambda options: options | {"verb": ["dream"]}, "it tells no verb"),
            (lambda options: options | {"options": None}, "or nothing of the film"),
            (lambda options: options | {"film": 7}, "or nothing of the film"),
            (lambda options: options | {"film": {"keep": 2}}, "does not fit video: --keep cannot be 2; allowed: at l"),
            (lambda options: options | {"film": {"kept": 1}}, "does not fit video: video has no option --kept; did"),
            (lambda options: options | {"options": {"octaves": 0}}, "does not fit dream: --octaves cannot be 0"),
            (lambda options: options | {"options": {"image": "cat.png"}}, "names IMAGE without a hash"),
            (lambda options: options | {"verb": "style"}, "does not fit style, whose pictures are"),
            (lambda options: options | {"film": {"flow": "no folder"}}, "unknown optical flow 'no folder'"),
        ],
    )
    def test_one_that_does_not_fit_is_told_in_one_line(self, change, told, oneira, clip, folder):
        assert oneira("video", clip, "-o", "film.mp4", *DREAM).status == 0
        recipe = read_film_recipe("film.mp4")
        changed = Recipe(**{**recipe.model_dump(), "options": change(dict(recipe.options))})
        still = Reel.steady([lambda: torch.ones(1, 3, 16, 16)], Fraction(25))
        write_film("film.mp4", still, size=(16, 16), rate=Fraction(25), recipe=changed)
        ended = oneira("rerun", "film.mp4")
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert told in ended.lines[0]
        assert left_in(folder) == ["clip.mp4", "film.mp4"]

    def test_one_without_its_clip_is_told_in_one_line(self, oneira, clip, folder):
        assert oneira("video", clip, "-o", "film.mp4", *DREAM).status == 0
        recipe = read_film_recipe("film.mp4")
        still = Reel.steady([lambda: torch.ones(1, 3, 16, 16)], Fraction(25))
        changed = recipe.model_copy(update={"inputs": {}})
        write_film("film.mp4", still, size=(16, 16), rate=Fraction(25), recipe=changed)
        ended = oneira("rerun", "film.mp4")
        assert ended.status == 1
        assert len(ended.lines) == 1
        assert "works on no picture" in ended.lines[0]


REFUSED = {
    "no clip": ("dream", 2, "video needs CLIP, before the verb 'dream'"),
    "no verb": ("clip.mp4", 2, "video needs a verb behind its own words: dream, "),
    "nothing": ("", 2, "CLIP"),
    "an unknown verb": ("clip.mp4 dreem", 2, "did you mean 'dream'?"),
    "no such clip": ("clop.mp4 dream", 1, "'clop.mp4'; did you mean 'clip.mp4'?"),
    "a picture": ("cat.png dream", 1, "'cat.png'"),
    "text": ("notes.txt dream", 1, "'notes.txt'"),
    "text that names films": ("list.mp4 dream", 1, "'list.mp4'"),
    "a folder": ("folder dream", 1, "'folder'"),
    "a sample": ("sample:cat dream", 1, "'sample:cat'"),
    "an unknown extension": ("clip.mp4 -o film.mp5 dream", 1, "unknown extension '.mp5'; did you mean '.mp4'?"),
    "a picture's extension": ("clip.mp4 -o film.jpg dream", 1, "unknown extension '.jpg'"),
    "no folder for it": ("clip.mp4 -o no/film.mp4 dream", 1, "there is no folder 'no'"),
    "the clip itself": ("clip.mp4 -o clip.mp4 dream", 2, "is the input 'clip.mp4'; name another file"),
    "the style itself": ("clip.mp4 -o style.webp style style.webp", 2, "is the input 'style.webp'; name another file"),
    "no pass": ("clip.mp4 --passes 0 dream", 2, "--passes cannot be 0; allowed: at least 1 and at most 20"),
    "more than all": ("clip.mp4 --keep 1.5 dream", 2, "--keep cannot be 1.5; allowed: at least 0 and at most 1"),
    "no effort": ("clip.mp4 --effort 0 dream", 2, "--effort cannot be 0.0; allowed: above 0 and at most 1"),
    "no such flow": ("clip.mp4 --flow diss dream", 2, "unknown optical flow 'diss'; did you mean 'dis'?"),
    "a folder without flow": ("clip.mp4 --flow folder dream", 1, "'folder' holds no optical flow"),
    "what grows twice": ("clip.mp4 --passes 2 dream", 2, "a dream would grow: leave it out"),
    "one pass twice": ("clip.mp4 --passes 2 stylize", 2, "--passes is for what is made step by step, not for stylize"),
    "a share of no steps": ("clip.mp4 --effort 0.5 stylize", 2, "--effort is for what is made step by step, not for s"),
    "a term of none": ("clip.mp4 --temporal-weight 2 stylize", 2, "--temporal-weight is for what is made step by step"),
    "an effort of frames on their own": ("clip.mp4 --keep 0 --effort 0.5 dream", 2, "--keep 0 makes each frame on its"),
    "frames on their own held": ("clip.mp4 --keep 0 --temporal-weight 2 dream", 2, "--keep 0 makes each frame on its"),
    "quality of a GIF": ("clip.mp4 -o a.gif --quality 50 dream", 2, "--quality is nothing that a film in .gif can"),
    "quality of a PNG": ("clip.mp4 -o a.png --quality 50 dream", 2, "--quality is nothing that a film in .png can"),
    "no picture to work on": ("clip.mp4 visualize", 2, "visualize makes pictures out of nothing"),
    "a texture": (
        "clip.mp4 texture --model tiny --layer tiny:relu1 --layer-weight 1 --size 32 --smallest 32 --steps 1",
        2,
        "texture makes pictures of 32x32 of frames of 64x48",
    ),
    "a dive": ("clip.mp4 dream --zoom 1.1 --layer tiny:relu2", 2, "leave them out, or make each frame on its own"),
    "dreams within": ("clip.mp4 dream --through tiny:relu1,tiny:relu2", 2, "--zoom, --through and several layers"),
    "another picture": ("clip.mp4 dream cat.png", 2, "cat.png"),
    "no style": ("clip.mp4 style", 2, "style needs STYLE"),
    "no such style": ("clip.mp4 style cut.png", 1, "no picture 'cut.png'; did you mean 'cat.png'?"),
    "no such layer": ("clip.mp4 dream --layer relu9_9", 2, "unknown layer 'relu9_9'"),
    "no such weights": ("clip.mp4 dream --weights no.pth", 1, "no weights 'no.pth'"),
    "weights for what paints": ("clip.mp4 --weights cat.png stylize", 2, "what paints is told by --network"),
    "no such device": ("clip.mp4 dream --device cuda:99", 2, "auto or cpu"),
    "sound that it cannot hold": ("loud.mp4 -o film.webm dream", 1, "webm does not hold the sound of 'loud.mp4', wh"),
    "a seed twice": ("clip.mp4 --seed 1 dream --seed 2", 2, "--seed is given before the verb and behind it"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_told_in_one_line_and_leaves_nothing(case, oneira, clip, picture, folder):
    (folder / "notes.txt").write_text("notes\n")
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile 'clip.mp4'\n")
    (folder / "folder").mkdir()
    save(folder / "style.webp", load(picture))
    if case == "sound that it cannot hold":
        write_clip(folder / "loud.mp4", sound=0.1)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    words, status, told = REFUSED[case]
    ended = oneira("video", *words.split())
    assert len(ended.lines) == 1, ended.err
    assert told in ended.lines[0]
    assert ended.status == status
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert list(folder.glob("*.frames")) == []


RUN = {
    "output": (["-o", "other.mkv"], "other.mkv"),
    "seed": (["--seed", 7], 7),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "float32"], "float32"),
    "weights": (["--weights", "my.pth"], "my.pth"),
    "offline": (["--offline"], True),
    "no_recipe": (["--no-recipe"], True),
    "quiet": (["-q"], True),
    "as_json": (["--json"], True),
}
FILM = {
    "flow": (["--flow", "dis-fast"], "dis-fast"),
    "temporal_weight": (["--temporal-weight", 2], 2),
    "keep": (["--keep", 0.5], 0.5),
    "effort": (["--effort", 0.5], 0.5),
    "passes": (["--passes", 2], 2),
    "cut": (["--cut", 0.25], 0.25),
    "mute": (["--mute"], True),
    "quality": (["--quality", 50], 50),
}


def test_every_option_is_listed_here():
    assert set(RUN) == set(VideoOptions.model_fields) - WITHOUT
    assert set(RunOptions.model_fields) > WITHOUT
    assert set(FILM) == set(FilmOptions.model_fields) == {*Coherence.model_fields, "mute", "quality"}


@pytest.fixture
def seen(monkeypatch):
    """What would have been filmed and written, instead."""
    seen = {}

    class Filming(verb.Filming):
        def __init__(self, technique, clip, work, coherence, means):
            seen.update(technique=technique, clip=clip, coherence=coherence, means=means)
            super().__init__(technique, clip, work, coherence, means)

    def write(path, frames, **told):
        seen.update(path=str(path), **told)

    monkeypatch.setattr(verb, "Filming", Filming)
    monkeypatch.setattr(verb, "write_film", write)
    return seen


@pytest.mark.parametrize("name", FILM)
def test_an_option_of_the_film_reaches_what_it_is_for(name, oneira, seen, network, clip, folder):
    write_clip(folder / "loud.mp4", sound=0.2, stamps=range(2))
    words, meaning = FILM[name]
    by_steps = ["style", "sample:coffee", "--size", 32, "--smallest", 32, "--steps", 1]
    technique = by_steps if name in ("passes", "effort", "temporal_weight") else network
    assert oneira("video", "loud.mp4", "-o", "film.mp4", *technique).status == 0
    default = dict(seen)
    ended = oneira("video", "loud.mp4", *words, "-o", "film.mp4", *technique)
    assert ended.status == 0, ended.err
    assert default["sound"].path == seen["clip"].path
    assert (seen["sound"] is None) == (name == "mute")
    assert seen["look"].quality == (50 if name == "quality" else default["look"].quality)
    told = {name: meaning} if name in Coherence.model_fields else {}
    assert seen["coherence"] == Coherence(**told)
    assert (seen["coherence"] == default["coherence"]) == (told == {})
    assert seen["recipe"].options["film"] == FilmOptions(**{name: meaning}).model_dump()


@pytest.mark.parametrize("behind", [False, True], ids=["before the verb", "behind it"])
@pytest.mark.parametrize("name", RUN)
def test_an_option_of_running_reaches_the_job_on_either_side(name, behind, oneira, clip, monkeypatch):
    seen = {}
    monkeypatch.setattr(verb.FilmJob, "run", lambda job, running, *_, **__: seen.update(running=running) or 0)
    words, meaning = RUN[name]
    ended = oneira("video", clip, *([] if behind else words), "dream", *(words if behind else []))
    assert ended.status == 0, ended.err
    value = getattr(seen["running"], name)
    assert (value if isinstance(value, bool | int) else str(value)) == meaning
    assert VideoOptions.model_fields[name].default != value


def test_what_runs_is_made_with_what_was_told(oneira, seen, clip, scrambled_pocket):
    words = ["--seed", 7, "--precision", "float32", "--device", "cpu", "--offline", "--weights", scrambled_pocket]
    dream = ["dream", "--layer", "relu1_1", "--octaves", 1, "--steps", 1, "--jitter", 1]
    assert oneira("video", clip, *words, "-o", "film.mp4", *dream).status == 0
    means = seen["means"]
    assert (means.seed, means.precision, means.device, means.offline) == (7, "float32", "cpu", True)
    assert means.weights == {"pocket": scrambled_pocket}
    assert (seen["path"], seen["recipe"].seed) == ("film.mp4", 7)


@pytest.mark.parametrize("name", sorted(WITHOUT))
def test_what_would_change_nothing_is_no_option(name, oneira, clip):
    for words in ([option_name(name), 1, "dream"], ["dream", option_name(name), 1]):
        ended = oneira("video", clip, *words)
        assert ended.status == 2
        assert option_name(name) in ended.lines[0]
