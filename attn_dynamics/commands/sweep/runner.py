"""Runs as pure functions of their configurations, spread by Dask over processes of one thread each."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numba
from threadpoolctl import threadpool_limits

from attn_dynamics.commands.sweep.needs import needed
from attn_dynamics.commands.sweep.table import Row, is_loaded, row
from attn_dynamics.errors import InputError
from attn_dynamics.results import summary as results
from attn_dynamics.results.assumptions import broken_in_words
from attn_dynamics.system.interrupt import out_of_earshot
from attn_dynamics.tasks import load_task
from attn_dynamics.training import experiment
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.run import Diverged
from attn_dynamics.training.settings import Config

PATIENCE = 10.0
"""Seconds in which a scheduler, and a worker of it, must answer."""
ENVIRONMENT = {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL")}
"""Of a local worker, from before it imports anything."""


def outcome(config: Config) -> Row:
    """The row of one run, from data to summary; the same wherever it is run, but for `seconds`.

    A run that diverges has a row that says so, as has one that the synthetic task refuses: both follow from the
    settings alone. What can be mended from outside is raised, and so tried again: data from files or the hub, and
    what the machine lacks, a device or its memory.

    Raises:
        InputError: data that cannot be loaded or used here, or a device that cannot train.
    """
    begun, threads = time.perf_counter(), numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(1):
            found = _measured(config, begun)
    finally:
        numba.set_num_threads(threads)
    return row(config, {"seconds": time.perf_counter() - begun, "versions": results.versions(config.device)} | found)


def _measured(config: Config, begun: float) -> Row:
    try:
        task = load_task(config.task, experiment.task_options(config))
        start = experiment.start(config, task)
    except InputError as error:
        if is_loaded(config):
            raise
        return {"ended": "refused", "message": str(error)}
    data = results.data_digest(task) if is_loaded(config) else None
    try:
        run, message = experiment.train(config, task, start), None
    except Diverged as stop:
        if not stop.run.trajectory.sizes["epoch"]:
            return {"ended": "diverged", "message": str(stop), "data": data}
        run, message = stop.run, str(stop)
    trajectory = results.annotate(run, config, task, start)
    summary = results.summarise(trajectory, time.perf_counter() - begun)
    more = {"last_epoch": summary["epochs"], "broken_assumptions": broken_in_words(summary["assumptions"])}
    return summary | more | {"message": message, "data": data}


@contextmanager
def cluster(workers: int, scheduler: str | None) -> Iterator[Any]:
    """A Dask client of the scheduler at an address, or of that many processes of this machine.

    Raises:
        InputError: Dask is not installed; no scheduler answers, or it has no workers, or workers of several threads.
    """
    distributed = needed("distributed")
    if scheduler is not None:
        with _connected(distributed, scheduler) as client:
            yield client
        return
    with out_of_earshot():
        local = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any free port: the usual one may be taken
            scheduler_kwargs={"dashboard": False},
            memory_limit=None,  # the system's to watch
            silence_logs=logging.CRITICAL,
            env=ENVIRONMENT,
        )
    with local, distributed.Client(local) as client:
        yield client


@contextmanager
def _connected(distributed: Any, address: str) -> Iterator[Any]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        expected, fix = "the address of a Dask scheduler", "Start one by dask scheduler, and give the address it says."
        given = f"{address!r}, where none answers ({_line(error)})"
        raise InputError("--scheduler", expected=expected, given=given, fix=fix) from None
    with client:
        _check_workers(client, address)
        yield client


def _check_workers(client: Any, address: str) -> None:
    fix = f"Start some by dask worker {address} --nthreads 1 --nworkers 2."
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise InputError("--scheduler", expected="a scheduler with workers", given="none", fix=fix) from None
    threads = max(client.nthreads().values())
    if threads > 1:
        # The threads of numba serve one caller in a process.
        given = f"a worker of {threads} threads"
        raise InputError("--scheduler", expected="workers of one thread each", given=given, fix=fix)


def workers_versions(client: Any, device: str, precision: str) -> list[list[str]]:
    """The versions of each worker, what it needs for the device among them.

    Raises:
        InputError: one of them cannot compute so.
    """
    found = client.run(_equipment, device, precision, on_error="return")
    for worker, each in found.items():
        if isinstance(each, BaseException):
            given, fix = f"{worker}, which cannot ({each})", "Start workers where it is, or give another device."
            raise InputError("--device", expected=f"workers that have {device!r}", given=given, fix=fix)
    return list(found.values())


def _equipment(device: str, precision: str) -> list[str]:
    engine_for(device, precision)
    return results.versions(device)


def stream(client: Any, configs: Sequence[Config]) -> Iterator[tuple[list[Row], list[str]]]:
    """Rows as they come, all that are ready at once, and what was raised by runs that failed.

    A run whose worker dies is given to another, as often as Dask's `allowed-failures` says (by default three times).
    """
    futures = client.map(outcome, configs, pure=False)
    as_completed = needed("distributed").as_completed
    for batch in as_completed(futures, with_results=True, raise_errors=False).batches():
        rows = [found for future, found in batch if future.status == "finished"]
        yield rows, [_line(_raised(found)) for future, found in batch if future.status != "finished"]


def _raised(found: Any) -> BaseException:
    return found[1] if isinstance(found, tuple) else found


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
