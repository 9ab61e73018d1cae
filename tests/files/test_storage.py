"""Claim: a file is either whole or as it was, whatever goes wrong while it is written."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import numpy as np
import pytest
import xarray as xr

from attn_dynamics.errors import StorageError
from attn_dynamics.files import storage
from attn_dynamics.files.storage import (
    Damaged,
    discard_leftovers,
    is_partial,
    read_arrays,
    read_json_object,
    read_netcdf,
    write_arrays,
    write_json,
    write_netcdf,
    write_whole,
)
from tests.forking import context

OLD = b"what was there before"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "kept").write_bytes(OLD)
    return tmp_path / "kept"


def assert_untouched(path: Path) -> None:
    assert path.read_bytes() == OLD
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def fails_with(error: BaseException):
    def write(file) -> None:
        file.write(b"half of what")
        raise error

    return write


def test_a_file_is_replaced_whole(path: Path) -> None:
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_write_that_fails_leaves_the_old_file_and_says_why(path: Path) -> None:
    with pytest.raises(
        StorageError, match=r"kept: expected to write this file, got: No space left on device\. .*free some space"
    ):
        write_whole(path, fails_with(OSError(28, "No space left on device")))
    assert_untouched(path)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("not to be written"), SystemExit(1)], ids=repr)
def test_what_is_no_matter_of_storage_passes_through_and_leaves_the_old_file(path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        write_whole(path, fails_with(error))
    assert caught.value is error
    assert_untouched(path)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_after_the_last_byte_leaves_the_old_file(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments) -> None:
        raise OSError(5, "Input/output error")

    if step == "fsync":
        monkeypatch.setattr(storage.os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="Input/output error"):
        write_whole(path, lambda file: file.write(b"new"))
    assert_untouched(path)


def test_nothing_is_replaced_before_all_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(storage.os, "fsync", lambda descriptor: seen.append(path.read_bytes()))
    write_whole(path, lambda file: file.write(b"new"))
    assert seen == [OLD]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for place in (tmp_path / "missing" / "file", Path("/proc/no/such/place")):
        with pytest.raises(StorageError, match=f"{place}: expected to write this file, got: No such file") as caught:
            write_json(place, {})
        assert str(caught.value).endswith("untouched; name a folder that can be written to.")


# --- what stands there


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_only_regular_files_are_replaced(kind: str, tmp_path: Path) -> None:
    place = tmp_path / kind
    os.mkfifo(place) if kind == "pipe" else place.mkdir()
    with pytest.raises(StorageError, match=f"{kind}: expected to write this file, got: a (device or a pipe|folder)"):
        write_whole(place, lambda file: file.write(b"new"))
    assert place.is_fifo() == (kind == "pipe")
    assert [each.name for each in tmp_path.iterdir()] == [kind]


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_points_to_is_written(there: bool, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "target", tmp_path / "link"
    if there:
        target.write_bytes(OLD)
    link.symlink_to(target)
    write_whole(link, lambda file: file.write(b"new"))
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_permissions_stay_and_new_files_have_the_usual_ones(path: Path) -> None:
    path.chmod(0o640)
    write_whole(path, lambda file: file.write(b"new"))
    assert path.stat().st_mode & 0o777 == 0o640
    (path.parent / "plain").touch()
    write_whole(path.with_name("new"), lambda file: file.write(b"new"))
    assert path.with_name("new").stat().st_mode == (path.parent / "plain").stat().st_mode


def test_a_name_as_long_as_names_may_be_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ν" * 127)
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"


def test_leftovers_of_the_dead_are_removed_and_of_the_living_kept(tmp_path: Path) -> None:
    dead, living = (f".a.nc.{storage.HOST}-{process}-0123abcd.partial" for process in (2**22 + 1, os.getpid()))
    elsewhere, other = dead.replace(storage.HOST, "01234567"), dead.replace(".a.", ".b.")
    theirs = {living, elsewhere, ".a.nc.partial", ".x.partial", "a.partial", ".partially"}
    names = {*theirs, dead, other, "below/" + dead}
    (tmp_path / "below").mkdir()
    for name in names:
        (tmp_path / name).touch()
    discard_leftovers(tmp_path, "a.nc")
    assert {name for name in names if (tmp_path / name).exists()} == names - {dead}
    discard_leftovers(tmp_path)
    assert {name for name in names if (tmp_path / name).exists()} == theirs
    assert {name for name in theirs if is_partial(tmp_path / name)} == {living, elsewhere}


# --- two writers

CONTENTS = [bytes([letter]) * size for letter, size in ((97, 300_000), (98, 500_000))]


def test_a_writer_who_is_overtaken_still_writes_a_whole_file(path: Path) -> None:
    """One begins, another writes all of the same file, and then the first goes on."""

    def overtaken(file: BinaryIO) -> None:
        file.write(CONTENTS[0][:1000])
        write_whole(path, lambda file: file.write(CONTENTS[1]))
        assert path.read_bytes() == CONTENTS[1]
        file.write(CONTENTS[0][1000:])

    write_whole(path, overtaken)
    assert path.read_bytes() == CONTENTS[0]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def _write_on(path: Path, content: bytes, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        write_whole(path, lambda file: file.write(content))


@pytest.mark.parametrize("seconds", [0.3, pytest.param(15.0, marks=pytest.mark.slow)])
def test_every_read_of_a_file_with_two_writers_is_whole(seconds: float, path: Path) -> None:
    """For a short time these are threads, for a long one processes; what each of them wrote is read at some time."""
    kind = context().Process if seconds > 1 else Thread
    writers = [kind(target=_write_on, args=(path, content, seconds)) for content in CONTENTS]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        content = path.read_bytes()
        seen.add(content[:1] + str(len(content)).encode())
        assert content in (OLD, *CONTENTS)
    assert {b"a300000", b"b500000"} <= seen
    assert [each.name for each in path.parent.iterdir()] == [path.name]


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np, xarray as xr
from attn_dynamics.errors import StorageError
from attn_dynamics.files.storage import write_arrays, write_json, write_netcdf

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
large = np.arange(100_000.0)
folder = Path(sys.argv[1])
for write, content in (
    (write_arrays, {"a": large[:100], "large": large}),
    (write_json, large.tolist()),
    (write_netcdf, xr.Dataset({"large": ("x", large)})),
):
    try:
        write(folder / write.__name__, content)
    except StorageError as error:
        print(error)
"""


def test_a_full_disk_leaves_every_kind_of_file_as_it_was(tmp_path: Path) -> None:
    """A limit on the size of files, in a process of its own, stands for the disk."""
    names = "write_arrays", "write_json", "write_netcdf"
    for name in names:
        (tmp_path / name).write_bytes(OLD)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert done.stdout.count("got: File too large") == 3
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted(names)
    assert all((tmp_path / name).read_bytes() == OLD for name in names)


# --- what is in the files


def test_numbers_that_json_cannot_say_become_null(tmp_path: Path) -> None:
    content = {
        "nan": float("nan"),
        "deep": [np.float64("inf"), {"minus": -float("inf"), "pair": (1.5, float("nan"))}],
        "kept": [0.1, -0.0, 1e-300, 2**60, True, None, "ν"],
    }
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "ν" in text
    assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == {
        "nan": None,
        "deep": [None, {"minus": None, "pair": [1.5, None]}],
        "kept": [0.1, -0.0, 1e-300, 2**60, True, None, "ν"],
    }


def test_what_json_cannot_hold_leaves_the_old_file(path: Path) -> None:
    with pytest.raises(TypeError):
        write_json(path, {"a": {1, 2}})
    assert_untouched(path)


def test_arrays_come_back_to_the_bit(tmp_path: Path) -> None:
    arrays = {
        "floats": np.array([[0.1, -0.0, np.nan, np.inf, 5e-324]]),
        "deep.name": np.arange(3, dtype=np.int64),
        "empty": np.empty((0, 3)),
        "scalar": np.array(1.5),
        "text": np.array("digest"),
    }
    write_arrays(tmp_path / "x.npz", arrays)
    again = read_arrays(tmp_path / "x.npz")
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert (again[name].dtype, again[name].shape) == (array.dtype, array.shape)
        assert again[name].tobytes() == array.tobytes()


def test_no_object_that_could_run_code_is_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pickle"):
        write_arrays(tmp_path / "x.npz", {"a": np.array([object()])})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "y.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_arrays(tmp_path / "y.npz")


def test_a_dataset_comes_back_as_it_was(tmp_path: Path) -> None:
    dataset = xr.Dataset(
        {"loss": ("epoch", np.array([1.0, 0.1, np.nan]), {"units": "nats"})},
        {"epoch": [0, 1, 2], "word": ["ν", "a"]},
        {"title": "a run"},
    )
    write_netcdf(tmp_path / "x.nc", dataset)
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as again:
        assert again.load().identical(dataset)
    assert read_netcdf(tmp_path / "x.nc").identical(dataset)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '"x"', "1e999", "\udcff", "[" * 100_000])
def test_json_that_is_no_object_is_told_in_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(
        Damaged, match=r"x\.json: expected a file as it was written, got one that cannot be read"
    ) as told:
        read_json_object(tmp_path / "x.json")
    assert "\n" not in str(told.value)


def test_names_that_are_no_text_come_back_from_json(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"out": "caf\udce9 ν"})
    assert read_json_object(tmp_path / "x.json") == {"out": "caf\udce9 ν"}
    assert "ν" in (tmp_path / "x.json").read_text(encoding="utf-8")
