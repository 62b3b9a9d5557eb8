import errno
import os
import subprocess
import sys

import pytest

from sentence_ordering.data.atomic import write_whole

KILLED = """
import os, signal, sys
from sentence_ordering.data.atomic import write_whole
with write_whole(sys.argv[1]) as [file]:
    file.write(b'half of what was to be written')
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_files_get_their_names_together_at_the_end(tmp_path):
    (tmp_path / "a").write_text("old")
    with write_whole(tmp_path / "a", tmp_path / "b") as (a, b):
        a.write(b"new")
        b.write(b"other")
        a.flush()
        assert (tmp_path / "a").read_text() == "old"
        assert not (tmp_path / "b").exists()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new", "b": "other"}


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(KeyError), write_whole(tmp_path / "a", tmp_path / "b") as (a, _):
        a.write(b"new")
        raise KeyError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


def test_a_file_that_cannot_be_opened_is_named_and_takes_no_other_with_it(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError, match="absent/b'$"), write_whole(tmp_path / "a", tmp_path / "absent" / "b"):
        pass
    with pytest.raises(IsADirectoryError, match=f"'{tmp_path}'$"), write_whole(tmp_path / "a", tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "target").chmod(0o640)
    (tmp_path / "link").symlink_to("target")
    with write_whole(tmp_path / "link") as [file]:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_is_told_with_the_name():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"), write_whole("/dev/full") as [file]:
        file.write(b"new")
    assert os.path.exists("/dev/full")


def test_standard_output_is_written_to_and_its_absence_told():
    code = "from sentence_ordering.data.atomic import write_whole\nwith write_whole('-') as [f]: f.write(b'new')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert run.stdout == b"new"
    closed = subprocess.run(["sh", "-c", '"$0" -c "$1" >&-', sys.executable, code], capture_output=True, text=True)
    assert closed.stderr.splitlines()[-1] == "OSError: [Errno 9] is closed: 'standard output'"


def test_what_killed_processes_left_is_overwritten(tmp_path):
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, tmp_path / "a"])
        assert [path.name for path in tmp_path.iterdir()] == [".a.0.tmp"]
    with write_whole(tmp_path / "a") as [file]:
        file.write(b"new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new"}


def test_two_that_write_one_file_at_once_do_not_mix(tmp_path):
    with write_whole(tmp_path / "a") as [first]:
        first.write(b"first, and longer")
        first.flush()
        with write_whole(tmp_path / "a") as [second]:
            second.write(b"second")
        assert (tmp_path / "a").read_text() == "second"
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "first, and longer"}


def test_a_filesystem_without_locks_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with write_whole(tmp_path / "a") as [file]:
        file.write(b"new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new"}
