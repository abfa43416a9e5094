"""The manifest: what is handed out, what is skipped, what is kept through a kill, and what is refused."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hands import written
from hypothesis import given
from hypothesis import strategies as st

from oneira.batch.manifest import Manifest, State
from oneira.batch.manifest_file import NAME
from oneira.errands import Errand
from oneira.errors import BatchError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def errands(tmp_path, folder):
    found = []
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
        found.append(Errand(tmp_path / name, folder / f"{name}.png"))
    return found


def enlisted(folder, errands, recipe="1", *, retry_failed=False):
    with Manifest.at_work(folder) as manifest:
        return manifest.enlist(errands, recipe, retry_failed=retry_failed)


def made(folder, errands, recipe="1", *, failing=()):
    """Make all, but for those that fail; the names of what was handed out."""
    names = []
    with Manifest.at_work(folder) as manifest:
        manifest.enlist(errands, recipe, retry_failed=False)
        while (item := manifest.claim()) is not None:
            names.append(item.errand.source.name)
            if item.errand.source.name in failing:
                manifest.failed(item, "damaged")
            else:
                manifest.done(item, written(item.errand))
    return names


def test_each_item_is_handed_out_once_in_order(folder, errands):
    assert made(folder, errands) == ["a", "b", "c"]
    found = enlisted(folder, errands)
    assert (found.total, found.there, found.failed, found.anew, found.waiting) == (3, 3, 0, 0, 0)
    assert made(folder, errands) == []


def test_what_was_running_when_the_job_was_killed_waits_again_behind_the_others(folder, errands):
    with Manifest.at_work(folder) as manifest:
        manifest.enlist(errands, "1", retry_failed=False)
        assert manifest.claim().errand == errands[0]
    half = folder / ".a.png.x.part"
    half.touch()
    assert made(folder, errands) == ["b", "c", "a"]
    assert not half.exists()


def test_what_is_not_as_it_was_made_is_made_anew(folder, errands, tmp_path):
    made(folder, errands)
    (folder / "a.png").unlink()
    (folder / "b.png").write_text("cut")
    assert enlisted(folder, errands).anew == 2
    assert made(folder, errands) == ["a", "b"]
    assert enlisted(folder, errands, "2").anew == 3


def test_another_time_alone_changes_nothing_and_other_bytes_do(folder, errands):
    with Manifest.at_work(folder) as manifest:
        manifest.enlist(errands[:1], "1", retry_failed=False)
        item = manifest.claim()
        outcome = written(item.errand)
        digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # SHA-256 of "a"
        source = type(outcome.source)(outcome.source.size, outcome.source.mtime, digest)
        manifest.done(item, type(outcome)(source, outcome.bytes, 0.1))
    os.utime(errands[0].source, (1, 1))
    assert enlisted(folder, errands[:1]).there == 1
    errands[0].source.write_text("b")
    assert enlisted(folder, errands[:1]).anew == 1


def test_what_failed_is_left_until_it_is_asked_for_or_has_changed(folder, errands):
    assert made(folder, errands, failing=["b"]) == ["a", "b", "c"]
    assert made(folder, errands) == []
    found = enlisted(folder, errands)
    assert (found.there, found.failed, found.waiting) == (2, 1, 0)
    assert enlisted(folder, errands, retry_failed=True).waiting == 1
    assert made(folder, errands, failing=["b"]) == ["b"]
    errands[1].source.write_text("mended")
    assert made(folder, errands) == ["b"]
    missing = Errand(Path("nowhere"), folder / "d.png")
    assert made(folder, [missing], failing=["nowhere"]) == ["nowhere"]
    assert made(folder, [missing]) == []


@given(st.integers(1, 4))
def test_what_takes_its_worker_along_is_tried_so_often_and_no_more(tmp_path_factory, limit):
    folder = tmp_path_factory.mktemp("out")
    with Manifest.at_work(folder) as manifest:
        manifest.enlist([Errand(Path(name), folder / name) for name in ("poison", "other")], "1", retry_failed=False)
        order, again = [], []
        while (item := manifest.claim()) is not None:
            order.append(item.errand.source.name)
            if order[-1] == "poison":
                again.append(manifest.faulted(item, "killed", limit))
            else:
                manifest.failed(item, "")
        assert again == [True] * (limit - 1) + [False]
        assert order == ["poison", "other", *["poison"] * (limit - 1)]
        assert manifest.tally() == {State.WAITING: 0, State.RUNNING: 0, State.DONE: 0, State.FAILED: 2}


def test_what_is_given_back_has_not_been_tried(folder, errands):
    with Manifest.at_work(folder) as manifest:
        manifest.enlist(errands, "1", retry_failed=False)
        item = manifest.claim()
        manifest.released(item)
        assert manifest.claim() == item
        assert [entry.tries for entry in manifest.entries()] == [1, 0, 0]


def test_only_what_the_last_command_was_about_is_handed_out_and_told(folder, errands):
    enlisted(folder, errands)
    assert made(folder, errands[1:2]) == ["b"]
    with Manifest.to_read(folder) as manifest:
        [entry] = manifest.entries()
    assert (entry.source, entry.target, entry.state, entry.tries) == (errands[1].source, Path("b.png"), State.DONE, 1)
    assert (entry.error, entry.seconds) == (None, 0.25)


def test_names_may_hold_whatever_file_systems_allow(folder):
    names = ["line\nbreak", "[red]", "ü", os.fsdecode(b"\xff\xfe"), "'; DROP TABLE item; --"]
    enlisted(folder, [Errand(Path(name), folder / name) for name in names])
    with Manifest.to_read(folder) as manifest:
        assert [str(entry.source) for entry in manifest.entries()] == names
        assert [str(entry.target) for entry in manifest.entries()] == names


def test_one_job_at_a_time_and_readers_meanwhile(folder, errands):
    with Manifest.at_work(folder) as manifest:
        manifest.enlist(errands, "1", retry_failed=False)
        with pytest.raises(BatchError, match="another batch is at work in"):
            Manifest.at_work(folder)
        with Manifest.to_read(folder) as reader:
            assert len(reader.entries(State.WAITING, 2)) == 2
    assert enlisted(folder, errands).total == 3


def test_the_lock_of_another_process_ends_with_it(folder, errands):
    code = f"""
import os, sys
from pathlib import Path
from oneira.batch.manifest import Manifest
manifest = Manifest.at_work(Path({str(folder)!r}))
print("locked", flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"locked\n"
    with pytest.raises(BatchError, match="another batch"):
        Manifest.at_work(folder)
    process.kill()
    process.communicate()
    assert enlisted(folder, errands).total == 3


def altered(path, statement):
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "hint"),
    [
        (lambda path: path.write_bytes(b"nothing of the kind" * 99), "is damaged, or no manifest"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "is damaged, or no manifest"),
        (lambda path: altered(path, "PRAGMA user_version = 9"), "is of version 9, and version 1 is read here"),
        (lambda path: altered(path, "PRAGMA application_id = 9"), "is no manifest of a batch"),
    ],
    ids=["no SQLite", "cut off", "a later version", "another program's"],
)
def test_what_is_no_manifest_is_told_and_left_as_it_is(spoil, hint, folder, errands):
    made(folder, errands)
    path = folder / NAME
    spoil(path)
    before = path.read_bytes()
    for opening in (Manifest.at_work, Manifest.to_read):
        with pytest.raises(BatchError) as refused:
            opening(folder)
        assert hint in str(refused.value)
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


def test_where_there_is_none_there_is_nothing_to_tell(tmp_path):
    with pytest.raises(BatchError, match="there is no batch in"):
        Manifest.to_read(tmp_path)


def test_a_full_disk_is_told_and_what_is_done_is_kept(folder, errands):
    with Manifest.at_work(folder) as manifest:
        pages = manifest._connection.execute("PRAGMA page_count").fetchone()[0]
        manifest._connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [Errand(Path(f"{number}" * 200), folder / f"{number}") for number in range(500)]
        with pytest.raises(BatchError, match="database or disk is full; what is done is kept"):
            manifest.enlist(many, "1", retry_failed=False)
    assert enlisted(folder, errands).total == 3
