"""The command as its users run it: on a local cluster or another, killed, interrupted, refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module as usual_import
from pathlib import Path

import dask.config
import pytest

import attn_dynamics.commands.sweep.command as command
from attn_dynamics.commands.sweep import runner
from attn_dynamics.commands.sweep.grid import Grid
from attn_dynamics.commands.sweep.runner import outcome
from attn_dynamics.errors import InputError
from attn_dynamics.system import extras
from attn_dynamics.system import workers as workers_module
from attn_dynamics.system.workers import in_line
from attn_dynamics.training import configured_run
from attn_dynamics.training.corpus_config import Config
from tests.commands.driving import TASK, Call, contents, film_folder
from tests.commands.sweep.driving import (
    LONGER,
    TINY,
    differences,
    ended,
    holds,
    kill_a_worker,
    kill_the_client,
    press_ctrl_c,
    rows,
    started,
    wait_for,
    workers,
)

TWELVE = (*LONGER, "--model", "attn-fc", "attn-tl", "--seed", *range(6))
SEEDS = range(25)
TWO_HUNDRED = (
    *("--epochs", "800", *TASK, "--model", "attn-fc", "attn-tl", "--learning-rate", "0.05", "0.1"),
    *("--start-scale", "0.5", "1", "--seed", *SEEDS),
)


@pytest.fixture
def sweep(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a sweep with two workers; whatever the test leaves of it is ended."""
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        processes.append(started(*arguments, "--workers", 2, cwd=place))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            kill_the_client(process)


Sweep = Callable[..., subprocess.Popen[str]]


# --- torn


@pytest.mark.slow
def test_a_sweep_whose_worker_and_client_are_killed_ends_as_one_that_was_not(
    sweep: Sweep, call: Call, place: Path
) -> None:
    """The other one is run without Dask, last run first: a row does not depend on who carries it out, nor when."""
    assert call(*TWELVE, "--out", "whole").code == 0
    torn = place / "torn"
    first = sweep(*TWELVE, "--out", "torn")
    wait_for(first, lambda: len(rows(torn)) >= 1)
    kill_a_worker(first)
    wait_for(first, lambda: len(rows(torn)) >= 3)
    kill_the_client(first)
    left = rows(torn)
    assert 3 <= len(left) < 12
    done = ended(sweep(*TWELVE, "--out", "torn", "--resume"))
    assert done.code == 0, done.err
    assert "12 of 12 runs are in torn/results.parquet" in done.out
    assert holds(rows(torn), left)
    assert differences(rows(torn), rows(place / "whole")) == []
    assert [*contents(torn)] == ["command.txt", "results.parquet"]


@pytest.mark.slow
def test_two_hundred_runs_survive_a_killed_worker_a_killed_client_and_ctrl_c(sweep: Sweep, place: Path) -> None:
    assert ended(sweep(*TWO_HUNDRED, "--out", "whole")).code == 0
    torn = place / "torn"
    first = sweep(*TWO_HUNDRED, "--out", "torn")
    wait_for(first, lambda: len(rows(torn)) >= 40)
    kill_a_worker(first)
    wait_for(first, lambda: len(rows(torn)) >= 80)
    kill_the_client(first)
    left = rows(torn)
    assert 80 <= len(left) < 200

    second = sweep(*TWO_HUNDRED, "--out", "torn", "--resume")
    wait_for(second, lambda: len(rows(torn)) > len(left))
    hands = workers(second)
    press_ctrl_c(second)
    done = ended(second)
    assert done.code == 130
    kept = rows(torn)
    assert len(left) < len(kept) < 200
    assert f"interrupted; {len(kept)} of 200 runs are in torn/results.parquet" in done.said
    assert "Traceback" not in done.err
    assert not any(hand.is_running() for hand in hands)

    done = ended(sweep(*TWO_HUNDRED, "--out", "torn", "--resume"))
    assert done.code == 0, done.err
    assert len(rows(torn)) == 200
    assert holds(rows(torn), kept)
    assert differences(rows(torn), rows(place / "whole")) == []
    # Negative control: the runs of another seed in the place of the last.
    assert ended(sweep(*TWO_HUNDRED[: -len(SEEDS)], 25, "--out", "other")).code == 0
    disguised = [each | {"seed": SEEDS[-1]} for each in rows(place / "other")]
    found = differences([each for each in rows(torn) if each["seed"] != SEEDS[-1]] + disguised, rows(place / "whole"))
    assert len(disguised) == 8
    assert sum(name.startswith("train_loss of") for name in found) == 8


def test_ctrl_c_keeps_what_is_done(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(client: None, configs: list[Config]) -> Iterator[object]:
        yield [outcome(configs[0])], []
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "stream", cut_off)
    done = call(*TINY, "--seed", 0, 1, 2, "--out", "here")
    assert done.code == 130
    assert "interrupted; 1 of 3 runs are in here/results.parquet, --resume runs what is missing" in done.said
    assert [each["seed"] for each in rows(Path("here"))] == [0]


def test_ctrl_c_before_anything_is_there_replaces_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(*TINY, "--out", "here").code == 0
    before = contents(Path("here"))

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "clustered", cut_off)
    done = call(*TINY, "--seed", 7, "--out", "here", "--overwrite")
    assert (done.code, done.err) == (130, "interrupted; none of 1 runs has ended, --resume runs what is missing\n")
    assert contents(Path("here")) == before


def test_runs_that_fail_are_told_and_tried_again(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = command.stream

    def failing(client: None, configs: list[Config]) -> Iterator[object]:
        yield [outcome(configs[0])], []
        yield [], ["MemoryError: no room", "KilledWorker: again and again"]

    monkeypatch.setattr(command, "stream", failing)
    done = call(*TINY, "--seed", 0, 1, 2, "--out", "here")
    assert done.code == 1
    assert "error: 2 runs failed, the first by MemoryError: no room" in done.said
    assert "1 of 3 runs are in here/results.parquet, --resume tries what is missing again" in done.said
    monkeypatch.setattr(command, "stream", usual)
    assert call(*TINY, "--seed", 0, 1, 2, "--out", "here", "--resume").code == 0
    assert len(rows(Path("here"))) == 3


def test_a_worker_without_the_data_fills_no_rows_and_is_tried_again(
    call: Call, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command has seen the file; the worker does not, and then does."""
    film_folder(place / "films")
    usual = command.stream

    def elsewhere(client: None, configs: list[Config]) -> Iterator[object]:
        for config in configs:
            with pytest.raises(InputError) as caught:
                outcome(replace(config, task=str(place / "gone" / "films")))
            yield [], [in_line(caught.value)]

    arguments = ("--task", "films", "--epochs", 3, "--seed", 0, 1, "--out", "here")
    with monkeypatch.context() as patch:
        patch.setattr(command, "stream", elsewhere)
        done = call(*arguments)
    assert done.code == 1
    assert "error: 2 runs failed, the first by InputError: " in done.said
    assert rows(Path("here")) == []
    monkeypatch.setattr(command, "stream", usual)
    assert call(*arguments, "--resume").code == 0
    assert [each["ended"] for each in rows(Path("here"))] == ["epochs", "epochs"]


@pytest.mark.slow
def test_a_run_that_raises_or_kills_its_worker_stops_no_other(
    call_dask: Call, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def treacherous(config: Config) -> dict[str, object]:
        import os
        import signal

        from attn_dynamics.commands.sweep.runner import outcome

        if config.seed == 1:
            raise MemoryError("no room\nat all")
        if config.seed == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if config.seed == 4:  # as on a machine that has not the folder
            return outcome(replace(config, task="sst2", data_dir=Path("/nowhere")))
        return outcome(config)

    monkeypatch.setattr(runner, "outcome", treacherous)  # a function of this test, sent to the workers whole
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        done = call_dask(*TINY, "--seed", 0, 1, 2, 3, 4, "--workers", 2, "--out", "here")
    assert done.code == 1
    assert "error: 3 runs failed, the first by " in done.said
    assert "2 of 5 runs are in here/results.parquet, --resume tries what is missing again" in done.said
    assert "Traceback" not in done.err
    assert [each["seed"] for each in rows(place / "here")] == [0, 3]


# --- a cluster of one's own

CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    workers, threads = map(int, sys.argv[1:])
    with LocalCluster(n_workers=workers, threads_per_worker=threads, dashboard_address=":0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Callable[[int, int], str]]:
    """Start a cluster of so many workers of so many threads; the address of its scheduler."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    processes: list[subprocess.Popen[str]] = []

    def start(workers: int, threads: int) -> str:
        arguments = [sys.executable, str(script), str(workers), str(threads)]
        processes.append(subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout is not None
        return processes[-1].stdout.readline().strip()

    yield start
    for process in processes:
        process.communicate(timeout=60)


@pytest.mark.slow
def test_any_cluster_gives_the_same_table(address: Callable[[int, int], str], call: Call, place: Path) -> None:
    arguments = (*TINY, "--model", "attn-fc", "attn-tl", "--seed", "0", "1", "--out")
    done = ended(started(*arguments, "far", "--scheduler", address(1, 1), cwd=place))
    assert done.code == 0, done.err
    assert call(*arguments, "near").code == 0
    assert len(rows(place / "far")) == 4
    assert differences(rows(place / "far"), rows(place / "near")) == []


@pytest.mark.parametrize(("workers", "threads", "given"), [(0, 1, "got none"), (1, 2, "got a worker of 2 threads")])
def test_a_cluster_that_is_of_no_use_is_refused(
    workers: int,
    threads: int,
    given: str,
    address: Callable[[int, int], str],
    call_dask: Call,
    monkeypatch: pytest.MonkeyPatch,
    place: Path,
) -> None:
    where = address(workers, threads)
    monkeypatch.setattr(workers_module, "PATIENCE", 3.0)
    done = call_dask(*TINY, "--scheduler", where, "--out", "here")
    assert done.code == 2
    assert given in done.said
    assert f"dask worker {where} --nthreads 1" in done.said
    assert contents(place) == {}


@pytest.mark.slow
def test_the_device_is_looked_for_where_the_runs_are(
    address: Callable[[int, int], str], call_dask: Call, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    """This machine has no such device, the workers have. Negative control: the same runs on this machine."""
    pytest.importorskip("torch", reason="needs PyTorch")

    usual = configured_run.engine_for

    def lacking(device: str, precision: str) -> object:
        if device != "numpy":
            raise InputError("device", expected="a better machine", given="this one", fix="Buy it.")
        return usual(device, precision)

    monkeypatch.setattr(configured_run, "engine_for", lacking)
    arguments = (*TINY, "--device", "cpu", "--out", "here")
    done = call_dask(*arguments)
    assert done.code == 2
    assert done.said == "error: --device: expected a better machine, got this one. Buy it."
    assert contents(place) == {}
    done = call_dask(*arguments, "--scheduler", address(1, 1))
    assert done.code == 0, done.err
    assert [(each["device"], each["ended"]) for each in rows(place / "here")] == [("cpu", "epochs")]


@pytest.mark.slow
def test_workers_that_lack_the_device_or_have_other_versions_are_refused(
    address: Callable[[int, int], str], call_dask: Call, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def lacking(device: str, precision: str) -> list[str]:  # functions of this test, sent to the workers whole
        raise InputError("--device", expected="a better machine", given="this one", fix="Buy it.")

    def newer(device: str, precision: str) -> list[str]:
        return ["numpy 9"]

    arguments = (*TINY, "--scheduler", address(1, 1), "--out", "here")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_equipment", lacking)
        done = call_dask(*arguments)
    assert done.code == 2
    assert "--device: expected workers that have 'numpy', got tcp://127.0.0.1:" in done.said
    assert ", which has none (--device: expected a better machine, got this one. Buy it.)" in done.said
    assert done.err.count("\n") == 1
    assert contents(place) == {}
    assert call_dask(*arguments).code == 0
    before = contents(place)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "_equipment", newer)
        done = call_dask(*arguments, "--seed", 0, 1, "--resume")
    assert done.code == 2
    assert "--resume: expected the versions that made here/results.parquet" in done.said
    assert "got numpy 9. Install those" in done.said
    assert contents(place) == before
    assert call_dask(*arguments, "--seed", 0, 1, "--resume").code == 0


@pytest.mark.parametrize(("device", "given", "expected"), [("cuda", None, 1), ("cuda", 3, 3), ("cpu", None, 7)])
def test_one_process_has_the_gpu_unless_more_are_asked_for(
    device: str, given: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(7))
    assert command.Sweep(grid=Grid(device=device), workers=given).processes == expected


@pytest.mark.parametrize("given", ["tcp://127.0.0.1:9", "nonsense", "odd://127.0.0.1:8786"])
def test_an_address_without_a_scheduler_is_refused(
    given: str, call_dask: Call, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setattr(workers_module, "PATIENCE", 1.0)
    done = call_dask(*TINY, "--scheduler", given, "--out", "here")
    assert done.code == 2
    assert done.err.startswith(
        f"error: --scheduler: expected the address of a Dask scheduler, got {given!r}, where none"
    )
    assert done.err.count("\n") == 1
    assert contents(place) == {}


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--workers", "0"), ("--workers: expected 1 or more, got 0",)),
        (("--workers", "-2"), ("--workers: expected 1 or more, got -2",)),
        (("--workers", "2", "--scheduler", "tcp://127.0.0.1:9"), ("--workers", "either this or --scheduler, got both")),
        (("--resume", "--overwrite"), ("--resume", "either this or --overwrite, got both")),
        (("--seed",), ("--seed: expected at least one value, got none",)),
        (("--seed", "one"), ("--seed", "'one'")),
        (("--model", "attn-tc", "bert"), ("--model", "'bert'", "attn-fc")),
        (("--start", "warm"), ("--start", "'warm'", "published")),
        (("--train", "keys", "--train", "values"), ("--train", "'values'", "embeddings")),
        (("--learning-rate", "0.1", "nan"), ("--learning-rate: expected a finite number above 0, got nan",)),
        (("--task", "synthetic", "sst3"), ("--task", "'sst3', which is neither")),
        (
            ("--start", "published", "lmn21", "--embedding-dim", "10", "2"),
            ("--embedding-dim", "at least the 4", "got 2"),
        ),
        (("--patience", "5"), ("--patience: expected a task with dev data",)),
        (("--precision", "float32"), ("--precision: expected 'float64' on the device 'numpy'",)),
        (("--out", "x" * 300), ("File name too long",)),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    arguments: tuple[str, ...], parts: tuple[str, ...], call: Call, place: Path
) -> None:
    done = call(*TINY, "--out", "here", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.said
    assert contents(place) == {}


@pytest.mark.parametrize("library", ["distributed", "pyarrow"])
def test_without_the_extra_it_says_what_to_install(
    library: str, call_dask: Call, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def missing(name: str) -> object:
        if name.startswith(library):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return usual_import(name)

    monkeypatch.setattr(extras, "import_module", missing)
    done = call_dask(*TINY, "--out", "here")
    assert done.code == 2
    assert 'pip install -e ".[distributed]"' in done.said
    assert done.err.count("\n") == 1
    assert contents(place) == {}


def test_the_core_does_without_dask() -> None:
    check = "import sys, attn_dynamics.simulate; assert not {'dask', 'distributed'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", check], check=True)
