"""`oneira batch`: the pictures of the verb alone, each once, whatever happens meanwhile; what is told and refused."""

import errno
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from batch.hands import AtHand
from noise_pictures import noise

from oneira.batch.manifest_file import NAME
from oneira.cli import batch as verb
from oneira.cli.batch import WITHOUT, BatchOptions, BatchRunning
from oneira.cli.run_options import RunOptions
from oneira.errors import ImageError
from oneira.feedforward import TrainedNetwork, TransformerNetwork
from oneira.images import load, read_recipe
from oneira.techniques.refusals import option_name

DREAM = ["dream", "--layer", "tiny:relu2", "--octaves", 1, "--steps", 1, "--jitter", 1, "--size", 16]
STYLIZE = ["stylize", "--network", "net.safetensors", "--size", 16]


@pytest.fixture
def at_hand(monkeypatch):
    """This process in place of workers: networks of the tests' own are known in it."""
    monkeypatch.setattr(verb, "Crew", AtHand)


@pytest.fixture
def network(folder):
    TrainedNetwork(TransformerNetwork(channels=(2, 2, 2), residuals=1), ("wave",)).write(folder / "net.safetensors")


@pytest.fixture
def photos(folder):
    """Three pictures, one of them in a folder further down, and a damaged one."""
    (folder / "photos/deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.jpg", "deep/c.webp")):
        noise(folder / "photos" / name, 16, 16, seed=number)
    (folder / "photos/bad.png").write_bytes(b"nothing")
    return folder / "photos"


def files(folder):
    """What is there, but for the batch's own."""
    found = [path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith(".oneira-batch")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


class TestPictures:
    @pytest.mark.parametrize("kind", ["png", "jpg", "bmp"])
    def test_each_is_the_verb_s_alone_to_the_byte(self, kind, oneira, at_hand, photos, folder):
        ended = oneira("batch", "photos", "-o", "out", "--format", kind, "--seed", 3, *DREAM)
        assert ended.status == 1
        made = files("out")
        for source in ("a.png", "b.jpg", "deep/c.webp"):
            assert oneira(*DREAM, "--seed", 3, f"photos/{source}", "-o", f"alone.{kind}").status == 0
            for beside in ("", ".oneira.json") if kind == "bmp" else ("",):
                alone = (folder / f"alone.{kind}{beside}").read_bytes()
                assert made.pop(str(Path(source).with_suffix(f".{kind}{beside}"))) == alone
        assert not made

    def test_other_pictures_that_go_in_are_there_for_all(self, oneira, at_hand, photos, painting, folder):
        words = [painting, "--smallest", 16, "--steps", 1, "--size", 16]
        ended = oneira("batch", "photos/*.jpg", "-o", "out", "style", *words)
        assert ended.status == 0, ended.err
        assert oneira("style", "photos/b.jpg", *words, "-o", "alone.png").status == 0
        assert files("out") == {"b.png": (folder / "alone.png").read_bytes()}

    def test_sidecars_depth_and_recipes_as_they_are_asked_for(self, oneira, at_hand, photos):
        assert oneira("batch", "photos/a.png", "-o", "out", *DREAM, "--depth", 16, "--sidecar").status == 0
        assert set(files("out")) == {"a.png", "a.png.oneira.json"}
        assert oneira("batch", "photos/a.png", "-o", "bare", *DREAM, "--no-recipe").status == 0
        with pytest.raises(ImageError, match="holds no recipe"):
            read_recipe("bare/a.png")

    def test_formats_of_their_own_and_templates(self, oneira, at_hand, photos):
        oneira("batch", "photos", "-o", "out", "--format", "same", *DREAM)
        assert set(files("out")) == {"a.png", "b.jpg", "deep/c.webp"}
        oneira("batch", "photos", "-o", "named", "--template", "{index:03}-{stem}-{verb}-{seed}.png", *DREAM)
        assert set(files("named")) == {"001-a-dream-0.png", "002-b-dream-0.png", "004-c-dream-0.png"}

    def test_hostile_names(self, oneira, at_hand, folder):
        names = ["line\nbreak", "[bold]", "-o", "ünïcödé", "{stem}", "x" * 200, os.fsdecode(b"\xff\xfe"), "-..-"]
        (folder / "odd").mkdir()
        for name in names:
            noise(folder / "odd" / f"{name}.png", 16, 16)
        (folder / "odd" / ("y" * 251 + ".png")).write_bytes((folder / "odd/-o.png").read_bytes())
        ended = oneira("batch", "odd", "-o", "out", *DREAM)
        assert ended.status == 1
        assert set(files("out")) == {f"{name}.png" for name in names}
        assert [line for line in ended.lines if "a file name has at most 220 bytes" in line]
        assert ended.lines[-1].startswith("note: 8 done, 0 skipped, 1 failed")
        assert "line break" in oneira("batch", "--report", "out").out


class TestGoingOn:
    def test_what_is_there_is_skipped_and_what_has_changed_is_made_anew(self, oneira, at_hand, photos):
        words = ["batch", "photos", "-o", "out"]
        assert oneira(*words, *DREAM).lines[-1].startswith("note: 3 done, 0 skipped, 1 failed in ")
        first = files("out")
        ended = oneira(*words, *DREAM)
        assert ended.lines[0] == "note: 3 of 4 pictures are there already"
        assert (ended.status, ended.lines[-1]) == (1, "note: 0 done, 3 skipped, 1 failed")
        noise(photos / "a.png", 16, 16, seed=9)
        assert oneira(*words, *DREAM).lines[-1].startswith("note: 1 done, 2 skipped, 1 failed")
        assert {name for name, data in files("out").items() if first[name] != data} == {"a.png"}
        ended = oneira(*words, *DREAM, "--seed", 1)
        assert "note: 3 were made of other pictures, or otherwise: they are made anew" in ended.lines
        assert ended.lines[-1].startswith("note: 3 done, 0 skipped, 1 failed")

    def test_another_network_behind_the_same_name_is_another_recipe(self, oneira, at_hand, photos, network, folder):
        assert oneira("batch", "photos/a.png", "-o", "out", *STYLIZE).status == 0
        other = TransformerNetwork(channels=(3, 3, 3), residuals=1)
        TrainedNetwork(other, ("wave",)).write(folder / "net.safetensors")
        assert "they are made anew" in oneira("batch", "photos/a.png", "-o", "out", *STYLIZE).err

    def test_what_failed_is_tried_again_when_it_is_asked_for(self, oneira, at_hand, photos):
        words = ["batch", "photos", "-o", "out"]
        assert oneira(*words, *DREAM).status == 1
        assert oneira(*words, "--retry-failed", *DREAM).lines[-1].startswith("note: 0 done, 3 skipped, 1 failed in")
        noise(photos / "bad.png", 16, 16)
        ended = oneira(*words, *DREAM)
        assert (ended.status, ended.lines[-1][:33]) == (0, "note: 1 done, 3 skipped, 0 failed")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_stopped_it_goes_on(self, number, oneira, at_hand, photos, monkeypatch):
        (photos / "bad.png").unlink()
        words = ["batch", "photos", "-o", "out", *DREAM]
        with monkeypatch.context() as patched:
            patched.setattr(AtHand, "give", lambda hands, item, give=AtHand.give: stop(hands, item, give))

            def stop(hands, item, give):
                os.kill(os.getpid(), number)
                give(hands, item)

            ended = oneira(*words)
        assert ended.status == 128 + number
        assert ended.lines[0] == ("note: stopping: what is being made will be finished; the same signal again drops it")
        assert ended.lines[-1].endswith("; 2 are left, and the same command goes on")
        assert oneira(*words).lines[-1].startswith("note: 2 done, 1 skipped, 0 failed")

    def test_a_full_disk_ends_it_in_one_line_and_nothing_has_failed(self, oneira, at_hand, photos, monkeypatch):
        (photos / "bad.png").unlink()
        words = ["batch", "photos", "-o", "out", *DREAM]
        with monkeypatch.context() as patched:

            def full(path, *_, **__):
                raise ImageError(f"cannot write {str(path)!r}: No space left on device") from OSError(errno.ENOSPC, "")

            patched.setattr("oneira.batch.making.save", full)
            ended = oneira(*words)
        assert ended.status == 1
        assert ended.lines[-1] == "oneira: cannot write 'out/a.png': No space left on device"
        assert ended.lines[-2] == "note: 0 done, 0 skipped, 0 failed; 3 are left, and the same command goes on"
        assert oneira(*words).status == 0


class TestTelling:
    def test_failures_are_named_and_told_in_full_by_the_report(self, oneira, at_hand, folder):
        (folder / "photos").mkdir()
        for number in range(12):
            (folder / f"photos/{number:02}.png").write_bytes(b"nothing")
        ended = oneira("batch", "photos", "-o", "out", *DREAM)
        assert ended.status == 1
        failed = [line for line in ended.lines if line.startswith("note: failed: 'photos/")]
        assert len(failed) == 10
        assert "note: and 2 more: oneira batch --report out names them" in ended.lines
        report = oneira("batch", "--report", "out")
        assert (report.status, len(report.out.splitlines())) == (0, 13)
        lines = [json.loads(line) for line in oneira("batch", "--report", "out", "--json").out.splitlines()]
        assert [line["source"] for line in lines] == [f"photos/{number:02}.png" for number in range(12)]
        assert {(line["state"], line["tries"]) for line in lines} == {("failed", 1)}

    def test_json_tells_of_every_picture(self, oneira, at_hand, photos):
        ended = oneira("batch", "photos", "-o", "out", "--json", *DREAM)
        told = [json.loads(line) for line in ended.out.splitlines()]
        assert [(line["source"], line["state"]) for line in told] == [
            ("photos/a.png", "done"),
            ("photos/b.jpg", "done"),
            ("photos/bad.png", "failed"),
            ("photos/deep/c.webp", "done"),
        ]
        assert [(line["done"], line["total"]) for line in told] == [(number, 4) for number in (1, 2, 3, 4)]
        assert told[0]["target"] == "out/a.png"

    def test_quiet_tells_but_failures(self, oneira, at_hand, photos):
        ended = oneira("batch", "photos", "-o", "out", "-q", *DREAM)
        assert (ended.out, ended.lines) == (
            "",
            ["oneira: 1 of 4 pictures failed: oneira batch --report out names them"],
        )
        assert oneira("batch", "photos/a.png", "-o", "out", "-q", *DREAM).err == ""


REFUSED = {
    "no folder": (["photos", *DREAM], 2, "--output is missing"),
    "no picture": (["-o", "out", *DREAM], 2, "batch needs PICTURE, before the verb 'dream'"),
    "no verb": (["photos", "-o", "out"], 2, "batch needs a verb"),
    "nothing that fits": (["photos/*.gif", "-o", "out", *DREAM], 2, "no picture fits 'photos/*.gif'"),
    "no such picture": (["photo", "-o", "out", *DREAM], 2, "did you mean 'photos'"),
    "bad options": (["photos", "-o", "out", *DREAM, "--step", 0], 2, "--step"),
    "a missing style": (["photos", "-o", "out", "style", "lost.png"], 1, "no picture 'lost.png'"),
    "a verb of nothing": (["photos", "-o", "out", "visualize"], 2, "makes pictures out of nothing"),
    "a missing network": (["photos", "-o", "out", "stylize", "--network", "n.safetensors"], 1, "n.safetensors"),
    "an unknown layer": (["photos", "-o", "out", "dream", "--layer", "relu4-2"], 2, "did you mean 'relu4_2'"),
    "a film": (["photos", "-o", "out", "--format", "gif", *DREAM, "--zoom", 1.1, "--frames", 2], 2, "would be a film"),
    "a loop": (["photos", "-o", "out", *DREAM, "--zoom", 1.1, "--frames", 2, "--loop"], 2, "would be a film"),
    "a template": (["photos", "-o", "out", "--template", "../{stem}", *DREAM], 2, "not below the output folder"),
    "one name for all": (["photos", "-o", "out", "--template", "x", *DREAM], 2, "would both become 'out/x.png'"),
    "over itself": (["photos/a.png", "-o", "photos", *DREAM], 2, "is one of the pictures to be worked on"),
    "16 bits of JPEG": (["photos", "-o", "out", "--format", "jpg", "--depth", 16, *DREAM], 1, "allowed: 8"),
    "a file as folder": (["photos", "-o", "photos/a.png", *DREAM], 1, "is no folder that may be written to"),
    "no worker": (["photos", "-o", "out", "--workers", 0, *DREAM], 2, "--workers cannot be 0"),
    "a report and a job": (["photos", "--report", "out", *DREAM], 2, "does nothing"),
    "no batch": (["--report", "photos"], 1, "there is no batch in 'photos'"),
}


@pytest.mark.parametrize(("words", "status", "hint"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_before_anything_starts(words, status, hint, oneira, at_hand, photos, folder):
    before = files(folder)
    ended = oneira("batch", *words)
    assert (ended.status, len(ended.lines)) == (status, 1), ended.err
    assert hint in ended.lines[0]
    assert files(folder) == before
    assert not (folder / "out").exists()


@pytest.mark.parametrize("option", sorted(WITHOUT))
def test_options_of_single_pictures_are_none_of_a_batch_s(option, oneira, photos):
    ended = oneira("batch", "photos", "-o", "out", option_name(option), "1", *DREAM)
    assert ended.status == 2
    assert option_name(option) in ended.lines[0]


def test_a_manifest_that_is_none_is_left_alone(oneira, at_hand, photos, folder):
    (folder / "out").mkdir()
    (folder / "out" / NAME).write_bytes(b"my diary" * 400)
    for words in (["photos", "-o", "out", *DREAM], ["--report", "out"]):
        ended = oneira("batch", *words)
        assert (ended.status, len(ended.lines)) == (1, 1)
        assert "is damaged, or no manifest of a batch" in ended.lines[0]
    assert files("out") == {}
    assert (folder / "out" / NAME).read_bytes() == b"my diary" * 400


OPTIONS = {
    "workers": (["--workers", "2"], 2),
    "threads": (["--threads", "3"], 3),
    "template": (["--template", "{name}"], "{name}"),
    "format": (["--format", "jpg"], "jpg"),
    "retry_failed": (["--retry-failed"], True),
    "tries": (["--tries", "5"], 5),
}
RUN = {
    "output": (["-o", "other"], "other"),
    "seed": (["--seed", "7"], 7),
    "device": (["--device", "cpu"], "cpu"),
    "precision": (["--precision", "float32"], "float32"),
    "max_memory": (["--max-memory", "64GB"], "64GB"),
    "weights": (["--weights", "my.pth"], "my.pth"),
    "offline": (["--offline"], True),
    "depth": (["--depth", "16"], 16),
    "sidecar": (["--sidecar"], True),
    "no_recipe": (["--no-recipe"], True),
    "quiet": (["-q"], True),
    "as_json": (["--json"], True),
}


def test_every_option_is_listed_here():
    assert set(RUN) == set(BatchRunning.model_fields) - WITHOUT
    assert set(RunOptions.model_fields) > WITHOUT
    assert {*OPTIONS, "report"} == set(BatchOptions.model_fields)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_of_the_batch_reaches_it(name, oneira, photos, monkeypatch):
    seen = {}
    monkeypatch.setattr(verb._Job, "execute", lambda job: seen.update(job=job) or 0)
    words, meaning = OPTIONS[name]
    ended = oneira("batch", "photos/a.png", "-o", "out", *words, *DREAM)
    assert ended.status == 0, ended.err
    assert getattr(seen["job"]._own, name) == meaning
    assert BatchOptions.model_fields[name].default != meaning


@pytest.mark.parametrize("behind", [False, True], ids=["before the verb", "behind it"])
@pytest.mark.parametrize("name", RUN)
def test_an_option_of_running_reaches_the_job_on_either_side(name, behind, oneira, photos, folder, monkeypatch):
    (folder / "my.pth").touch()
    seen = {}

    class Job:
        def __init__(self, given, running, own, words, output):
            seen.update(running=running)

        def execute(self):
            return 0

    monkeypatch.setattr(verb, "_Job", Job)
    words, meaning = RUN[name]
    output = [] if name == "output" else ["-o", "out"]
    around = (["dream"], words) if behind else (words, ["dream"])
    ended = oneira("batch", "photos", *output, *(around[0]), *(around[1]))
    assert ended.status == 0, ended.err
    value = getattr(seen["running"], name)
    assert (value if isinstance(value, bool | int) else str(value)) == meaning


def test_what_runs_is_made_with_what_was_told(oneira, photos, folder, monkeypatch):
    (folder / "my.pth").touch()
    seen = {}
    monkeypatch.setattr(verb._Job, "execute", lambda job: seen.update(order=job._order) or 0)
    running = ["--seed", 7, "--precision", "float32", "--device", "cpu", "--offline", "--weights", "my.pth"]
    writing = ["--depth", 16, "--no-recipe", "--max-memory", "1GB", "--threads", 5]
    assert oneira("batch", "photos/a.png", "-o", "out", *running, *writing, *DREAM).status == 0
    order = seen["order"]
    assert (order.means.seed, order.means.precision, order.means.device) == (7, "float32", "cpu")
    assert (order.means.offline, order.means.weights) == (True, {"pocket": Path("my.pth")})
    assert (order.means.max_memory, order.threads) == (10**9, 5)
    assert (order.writing.depth, order.writing.sidecar, order.writing.recipes) == (16, False, False)


@pytest.fixture
def many(folder, network):
    """Two hundred pictures, of which ten are damaged; the names of the others."""
    (folder / "many").mkdir()
    for number in range(200):
        path = folder / f"many/{number:03}.png"
        if number % 20 == 7:
            path.write_bytes(b"\x89PNG\r\n\x1a\nbad")
        else:
            noise(path, 16, 16, seed=number)
    return [f"{number:03}.png" for number in range(200) if number % 20 != 7]


def done_in(folder):
    try:
        connection = sqlite3.connect(f"file:{folder / NAME}?mode=ro", uri=True)
        [(count,)] = connection.execute("SELECT count(*) FROM item WHERE state = 'done'")
        connection.close()
    except sqlite3.OperationalError:  # which is not there yet
        return 0
    return count


def wait_until(done, process, folder):
    waited = time.monotonic()
    while done_in(folder) < done and process.poll() is None and time.monotonic() - waited < 60:
        time.sleep(0.02)
    assert process.poll() is None


def test_two_hundred_pictures_whatever_happens(oneira, started, many, folder, monkeypatch):
    """In this process undisturbed; by one worker, killed, by two, killed, by two: the same 190 files, byte by byte."""
    job = ["batch", "many", "--threads", 1, "-o"]
    with monkeypatch.context() as patched:
        patched.setattr(verb, "Crew", AtHand)
        ended = oneira(*job, "whole", *STYLIZE)
    assert ended.status == 1, ended.err
    assert ended.lines[-1].startswith("note: 190 done, 0 skipped, 10 failed in ")
    assert len([line for line in ended.lines if line.startswith("note: failed: 'many/")]) == 10
    whole = files("whole")
    assert sorted(whole) == many
    for workers, done in ((1, 3), (2, 120)):
        process = started(*job, "broken", "--workers", workers, *STYLIZE)
        wait_until(done, process, folder / "broken")
        process.kill()
        process.wait(timeout=60)
    assert 120 <= len([name for name in files("broken") if not name.startswith(".")]) < 190
    ended = oneira(*job, "broken", "--workers", 2, *STYLIZE)
    assert ended.status == 1
    assert ended.lines[-1].split(" in ")[0].endswith("10 failed")
    assert files("broken") == whole
    assert oneira(*job, "broken", *STYLIZE).lines[-1] == "note: 0 done, 190 skipped, 10 failed"
    assert oneira(*STYLIZE, "many/000.png", "-o", "alone.png").status == 0
    assert (folder / "alone.png").read_bytes() == whole["000.png"]


def test_interrupted_workers_finish_what_they_are_at(started, many, folder):
    process = started("batch", "many", "-o", "out", "--threads", 1, *STYLIZE, start_new_session=True)
    wait_until(2, process, folder / "out")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "are left, and the same command goes on" in err.splitlines()[-1]
    left = files("out")
    assert 2 <= len(left) < 190
    assert not [name for name in left if name.startswith(".")]
    for name in left:
        load(folder / "out" / name)
