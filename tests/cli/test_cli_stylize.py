"""`oneira stylize`: one picture, folders of them, frames on standard input; what it says, and how it ends."""

import io
import json
import signal
import subprocess

import pytest
import torch
from noise_pictures import noise

from oneira.feedforward import TrainedNetwork, TransformerNetwork
from oneira.images import Picture, load, ppm_frame, read_frame, read_recipe, save


@pytest.fixture
def network(folder):
    generator = torch.Generator().manual_seed(0)
    network = TransformerNetwork(styles=3, channels=(4, 6, 8), residuals=1, identity=2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    TrainedNetwork(network, ("starry", "wave", "itself")).write(folder / "net.safetensors")
    return folder / "net.safetensors"


@pytest.fixture
def wave(network):
    return ["--network", "net.safetensors", "--style", "wave"]


@pytest.fixture
def photos(folder):
    """Three pictures, one of them in a folder further down, and what is none."""
    (folder / "photos/deep").mkdir(parents=True)
    for number, name in enumerate(("a.jpg", "b.png", "deep/c.webp")):
        noise(folder / "photos" / name, seed=number)
    (folder / "photos/notes.txt").write_text("notes")
    return folder / "photos"


def painted(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class TestOnePicture:
    def test_it_is_made_and_made_again(self, oneira, picture, wave, folder):
        ended = oneira("stylize", picture, *wave, "--strength", 0.6)
        assert ended.status == 0
        assert ended.lines[-1].startswith("wrote cat-stylize.png (28x20, ")
        recipe = read_recipe("cat-stylize.png")
        assert (recipe.technique, recipe.options["style"], recipe.options["strength"]) == ("stylize", "wave", 0.6)
        assert oneira("rerun", "cat-stylize.png").status == 0
        assert (folder / "cat-stylize-rerun.png").read_bytes() == (folder / "cat-stylize.png").read_bytes()

    def test_another_network_than_the_recipes_is_told(self, oneira, picture, wave, network):
        assert oneira("stylize", picture, *wave).status == 0
        trained = TrainedNetwork.load(network)
        with torch.no_grad():
            trained.network.draw.convolution.weight.mul_(2)
        trained.write(network)
        assert "the weights of network are others than the recipe's" in oneira("rerun", "cat-stylize.png").err

    def test_with_the_network_that_ships(self, oneira, picture):
        assert oneira("stylize", picture, "--blend", "starry_night=0.7,great_wave", "-o", "a.png").status == 0
        assert oneira("stylize", picture, "--style", "great_wave", "-o", "b.png").status == 0
        assert not torch.equal(load("a.png"), load("b.png"))

    def test_transparency_and_16_bits(self, oneira, wave, folder):
        seen = noise(folder / "glass.png", channels=4)
        assert oneira("stylize", seen, *wave, "--depth", 16, "-o", "deep.png", "--no-recipe").status == 0
        assert torch.equal(Picture.open("deep.png").alpha, Picture.open(seen).alpha)
        assert (load("deep.png") * 255 % 1 > 0.01).any()

    def test_a_mask_and_elsewhere(self, oneira, picture, wave, folder):
        save(folder / "white.png", torch.ones(1, 3, 20, 28))
        given = ["--mask", "white.png", "--elsewhere", "starry"]
        assert oneira("stylize", picture, *wave, *given, "-o", "masked.png", "--precision", "float32").status == 0
        assert oneira("stylize", picture, *wave, "-o", "plain.png", "--precision", "float32").status == 0
        assert (load("masked.png") - load("plain.png")).abs().max() < 1.5 / 255

    def test_styles_are_listed(self, oneira, network):
        ended = oneira("stylize", "--network", network, "--style", "list")
        assert (ended.status, ended.err) == (0, "")
        lines = [line.split() for line in ended.out.splitlines()[1:]]
        assert [words[0] for words in lines] == ["starry", "wave", "itself"]
        assert " ".join(lines[2][1:]) == "the photograph as it is"
        assert "great_wave" in oneira("stylize", "--style", "list").out

    def test_what_is_in_force_is_explained(self, oneira, folder):
        ended = oneira("stylize", "--explain", "--strength", 0.5)
        assert (ended.status, ended.err) == (0, "")
        listed = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines() if line.strip()}
        assert listed["--strength"] == ["0.5", "given"]
        assert listed["IMAGE"] == ["to", "be", "given"]
        assert listed["--output"][-1] == "default"
        assert not {"--seed", "--stages", "--csv"} & set(listed)
        assert oneira("stylize", "--preset", "list").out.splitlines()[1].startswith("pocket-styles")
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("words", "status", "hint"),
        [
            (["cat.png", "--style", "wafe"], 2, "did you mean 'wave'"),
            (["cat.png", "--stile", "wave"], 2, "stylize has no option --stile; did you mean '--style'?"),
            (["cat.png", "--elsewhere", "wave"], 2, "give a mask"),
            (["cat.png", "--blend", "wave=x"], 2, "is no blend"),
            ([], 2, "stylize needs IMAGE"),
            (["cut.png"], 1, "'cat.png'"),
            (["cat.png", "-o", "cat.png"], 2, "is the input"),
            (["-", "cat.png"], 2, "come alone"),
            (["-", "-o", "film.ppm"], 2, "--output is for files, not for frames"),
            (["-", "--json"], 2, "--json is for files"),
            (["nothing"], 2, "no picture in 'nothing'"),
            (["photos", "-o", "photos"], 2, "no picture in 'photos'"),
            (["photos/a.jpg", "photos/b.png", "-o", "photos"], 2, "is one of the pictures to be worked on"),
            (["photos", "-o", "cat.png"], 1, "is no folder"),
        ],
    )
    def test_trouble_is_told_in_one_line(self, words, status, hint, oneira, picture, network, photos, folder):
        (folder / "nothing").mkdir()
        before = painted(folder)
        ended = oneira("stylize", *words, "--network", network)
        assert (ended.status, ended.out) == (status, "")
        assert len(ended.lines) == 1
        assert hint in ended.lines[0]
        assert painted(folder) == before


class TestFolders:
    def test_names_and_folders_are_kept(self, oneira, wave, photos, picture, folder):
        ended = oneira("stylize", "photos", picture, *wave, "-o", "out/painted")
        assert ended.status == 0
        assert painted(folder / "out/painted") == ["a.jpg", "b.png", "cat.png", "deep/c.webp"]
        assert ended.lines[-1].startswith("note: painted 4 of 4 pictures into out/painted in ")
        assert oneira("stylize", "photos/a.jpg", *wave, "-o", "a.jpg").status == 0
        assert (folder / "a.jpg").read_bytes() == (folder / "out/painted/a.jpg").read_bytes()

    def test_the_folder_has_a_name_of_its_own(self, oneira, wave, photos, folder):
        for expected in ("photos-stylize", "photos-stylize-2"):
            assert oneira("stylize", "photos", *wave).status == 0
            assert painted(folder / expected) == ["a.jpg", "b.png", "deep/c.webp"]
        (folder / "photos-stylize-2/b.png").unlink()
        ended = oneira("stylize", "photos", *wave, "--resume")
        assert "note: 2 of 3 pictures are there already" in ended.lines
        assert painted(folder / "photos-stylize-2") == ["a.jpg", "b.png", "deep/c.webp"]
        assert not (folder / "photos-stylize-3").exists()

    def test_one_picture_may_go_into_a_folder_that_is_there(self, oneira, wave, picture, folder):
        (folder / "out").mkdir()
        assert oneira("stylize", picture, *wave, "-o", "out").status == 0
        assert painted(folder / "out") == ["cat.png"]

    @pytest.mark.parametrize("quiet", [[], ["-q"]])
    def test_what_cannot_be_read_is_told_and_left_out(self, quiet, oneira, wave, photos, folder):
        (photos / "bad.png").write_bytes(b"nothing")
        ended = oneira("stylize", "photos", *wave, "-o", "out", *quiet)
        assert ended.status == 1
        assert [line for line in ended.lines if "left out: 'photos/bad.png' is text" in line]
        assert (len(ended.lines) == 1) == bool(quiet)
        assert painted(folder / "out") == ["a.jpg", "b.png", "deep/c.webp"]

    def test_json_tells_of_every_picture(self, oneira, wave, photos):
        (photos / "bad.png").write_bytes(b"nothing")
        ended = oneira("stylize", "photos", *wave, "-o", "out", "--json")
        told = [json.loads(line) for line in ended.out.splitlines()]
        assert [line["source"] for line in told] == [
            f"photos/{n}" for n in ("a.jpg", "b.png", "bad.png", "deep/c.webp")
        ]
        assert [line["done"] for line in told] == [1, 2, 3, 4]
        assert [line["problem"] is None for line in told] == [True, True, False, True]
        assert (told[0]["target"], told[0]["height"], told[0]["width"]) == ("out/a.jpg", 20, 28)

    def test_stopped_it_leaves_whole_files_and_goes_on(self, started, oneira, wave, folder):
        (folder / "many").mkdir()
        noise(folder / "many/000.png", 256, 256)
        for number in range(1, 200):
            (folder / f"many/{number:03}.png").hardlink_to(folder / "many/000.png")
        process = started("stylize", "many", *wave, "-o", "out", "--json")
        assert json.loads(process.stdout.readline())["done"] == 1
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "the same command with --resume goes on" in err
        left = painted(folder / "out")
        assert 1 <= len(left) < 200
        assert not [name for name in left if name.startswith(".")]
        for name in left:
            load(folder / "out" / name)
        for number in range(len(left) + 3, 200):
            (folder / f"many/{number:03}.png").unlink()
        assert oneira("stylize", "many", *wave, "-o", "out", "--resume").status == 0
        assert len(painted(folder / "out")) == len(left) + 3


class TestFrames:
    """As a process of its own, between two pipes."""

    @pytest.fixture
    def film(self, started, wave):
        def start():
            return started("stylize", "-", *wave, stdin=subprocess.PIPE, text=False)

        return start

    def test_frames_are_pictures_in_files(self, film, oneira, wave, image, folder):
        frames = [image, image.flip(2), image.mT.contiguous()]
        out, err = film().communicate(b"".join(map(ppm_frame, frames)) + ppm_frame(image)[:-1], timeout=60)
        stream = io.BytesIO(out)
        for number, frame in enumerate(frames):
            save(folder / "frame.png", frame)
            assert oneira("stylize", "frame.png", *wave, "-o", f"{number}.png").status == 0
            assert torch.equal(read_frame(stream, "painted"), load(folder / f"{number}.png"))
        assert stream.read() == b""
        assert err.decode().splitlines() == [
            "oneira: standard input ends inside a frame: 1,679 of its 1,680 bytes came"
        ]

    def test_a_reader_that_goes_away_ends_it_quietly(self, film, image):
        process = film()
        frame = ppm_frame(image)
        process.stdin.write(frame)
        process.stdin.flush()
        assert process.stdout.read(len(frame))[:2] == b"P6"  # it is out before the next one comes
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(frame, timeout=60)
        assert process.returncode == 0
        assert err.decode().startswith("note: 1 frame in ")

    def test_nothing_at_all_is_told(self, film):
        process = film()
        _, err = process.communicate(b"", timeout=60)
        assert process.returncode == 1
        assert err.decode() == "oneira: standard input is empty (0 bytes); PPM frames are needed\n"
