"""The folder in which a job's pictures wait: whose it is, who is at work in it, and what a kill leaves there."""

import os
import subprocess
import sys

import pytest
import torch

from oneira.errors import CheckpointError, FilmError
from oneira.motion.work import WorkFolder

JOB = {"verb": "dream", "seed": 3}
ANOTHER = {"verb": "dream", "seed": 4}
# Takes the lock of a folder as another program would, tells that it has it, and keeps it.
HOLDER = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def work(tmp_path):
    return WorkFolder(tmp_path / "film.mp4")


def picture(level=0.5):
    return torch.full((1, 3, 4, 6), level)


class TestHolding:
    def test_a_second_is_refused_while_the_first_is_there(self, work, tmp_path):
        with work.held():
            work.claim(JOB)
            for _ in range(2):  # having been refused once changes nothing
                with (
                    pytest.raises(CheckpointError, match=r"^another process is at work in '.*film\.mp4\.frames': wait"),
                    WorkFolder(tmp_path / "film.mp4").held(),
                ):
                    pytest.fail("two at once")
            assert work.claim(JOB) == 0
        with WorkFolder(tmp_path / "film.mp4").held():
            pass

    def test_so_it_is_where_another_process_has_it_until_that_is_killed(self, work):
        work.folder.mkdir()
        with subprocess.Popen([sys.executable, "-c", HOLDER, work.folder], stdout=subprocess.PIPE) as holder:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(CheckpointError, match="another process"), work.held():
                pytest.fail("two at once")
            holder.kill()
        with work.held():
            pass

    def test_others_are_not_in_its_way(self, work, tmp_path):
        with work.held(), WorkFolder(tmp_path / "other.mp4").held():
            pass

    def test_empty_it_goes(self, work, tmp_path):
        with work.held():
            assert work.folder.is_dir()
        assert list(tmp_path.iterdir()) == []

    def test_what_is_in_it_stays(self, work):
        with work.held():
            work.claim(JOB)
            work.keep(1, picture())
        assert (work.finished, work.claim(JOB)) == (1, 1)

    def test_what_fails_within_gives_it_back(self, work, tmp_path):
        with pytest.raises(KeyboardInterrupt), work.held():
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []
        with work.held():
            pass

    def test_where_it_cannot_be_it_is_told_in_one_line(self, work, tmp_path):
        work.folder.write_text("a file")
        for folder in (work, WorkFolder(tmp_path / "none" / "film.mp4")):
            with pytest.raises(FilmError, match=r"^cannot write into '[^\n]*\.frames': [^\n]*$"), folder.held():
                pytest.fail("held")


class TestClaiming:
    @pytest.mark.parametrize(
        "left",
        [
            {},
            {"job.json": '{"another": 1}'},
            {".job.json.x1.part": '{"verb": "dre'},
            {"job.json": '{"another": 1}', ".000001.png.x2.part": "half"},
            {".000001.png.x2.part": "half", "sources/.000001.png.x3.part": "half"},
        ],
        ids=lambda left: " ".join(left) or "nothing",
    )
    def test_what_was_killed_before_its_first_picture_is_nobody_s(self, left, work):
        put(work, left)
        assert work.claim(JOB) == 0
        work.keep(1, picture())
        assert work.claim(JOB) == 1
        with pytest.raises(CheckpointError):
            work.claim(ANOTHER)

    @pytest.mark.parametrize(
        "name",
        ["000001.png", "sources/000001.png", "notes.txt", "film.part", ".part.txt", ".hidden"],
    )
    def test_anything_else_is_somebody_s(self, name, work):
        put(work, {name: "mine"})
        with pytest.raises(CheckpointError, match=r"^'.*film\.mp4\.frames' holds finished frames of another job: rem"):
            work.claim(JOB)
        assert [path.name for path in work.folder.rglob("*") if path.is_file()] == [name.rpartition("/")[2]]
        assert (work.folder / name).read_text() == "mine"


class TestRemoving:
    def test_nothing_is_left(self, work, tmp_path):
        filled(work)
        work.remove()
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("last", [False, True], ids=["claimed first", "claimed last"])
    def test_killed_anywhere_the_same_job_may_claim_again(self, last, work, tmp_path, monkeypatch):
        """In whichever order the folder lists its files: by their age, the newest or the oldest first."""
        kills = 0
        while True:
            filled(work)
            if last:
                told = (work.folder / "job.json").read_text()
                (work.folder / "job.json").unlink()
                put(work, {"job.json": told})
            with monkeypatch.context() as patched:
                killed = Kill(patched, after=kills)
                try:
                    work.remove()
                except KeyboardInterrupt:
                    assert killed.calls == kills + 1
                else:
                    break
            assert 0 <= work.claim(JOB) <= 3
            kills += 1
        # Three pictures, two within, what was half written, whose it is, and two folders.
        assert kills == 9
        assert list(tmp_path.iterdir()) == []

    def test_one_that_is_not_there_is_no_error(self, work):
        work.remove()


class Kill:
    """Ends a process, as it were, at the removal behind so many."""

    def __init__(self, patched, after):
        self.calls, self.after = 0, after
        for name in ("unlink", "rmdir"):
            patched.setattr(os, name, self.counted(getattr(os, name)))

    def counted(self, remove):
        def removed(*args, **kwargs):
            self.calls += 1
            if self.calls > self.after:
                raise KeyboardInterrupt
            remove(*args, **kwargs)

        return removed


def put(work, files):
    for name, text in files.items():
        path = work.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    work.folder.mkdir(exist_ok=True)


def filled(work):
    """As of a job that is half done."""
    work.claim(JOB)
    sources = work.within("sources", depth=16)
    for number in (1, 2, 3):
        work.keep(number, picture(number / 4))
    for number in (1, 2):
        sources.keep(number, picture(number / 4))
    put(work, {".000004.png.x.part": "half"})


def test_a_picture_that_is_damaged_is_told_in_one_line(work):
    filled(work)
    work.path(2).write_bytes(work.path(2).read_bytes()[:40])
    with pytest.raises(FilmError, match=r"^[^\n]*000002\.png[^\n]*; remove it, and it is made again$"):
        work.kept(2)
