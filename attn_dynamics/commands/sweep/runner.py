"""Runs as pure functions of their configurations; Dask spreads them over processes of one thread each."""

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
from attn_dynamics.training.replicates.engine import check_device
from attn_dynamics.training.run import Diverged
from attn_dynamics.training.settings import Config

PATIENCE = 10.0
"""Longest time in seconds for a scheduler, and for its first worker, to answer."""
ENVIRONMENT = {f"{library}_NUM_THREADS": "1" for library in ("NUMBA", "OMP", "OPENBLAS", "MKL")}
"""Environment of a local worker, set before it imports anything."""


def outcome(config: Config) -> Row:
    """Return the row of one run, from data to summary; only `seconds` depends on the machine.

    A run that diverges has a row that says so. So has a run that the synthetic task refuses. Both follow from the
    settings alone. Causes outside the settings are raised, so that the run is tried again: data from files or the
    hub, a device or its memory.

    Raises:
        InputError: data cannot be loaded or used here, or a device cannot train.
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
    """Connect to the Dask scheduler at an address, or start that many processes on this machine; yield the client.

    Raises:
        InputError: Dask is missing, no scheduler answers, or it has no workers, or workers with several threads.
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
            dashboard_address="127.0.0.1:0",  # any free port, because the usual one may be taken
            scheduler_kwargs={"dashboard": False},
            memory_limit=None,  # the system limits memory
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
        # Numba's threads serve one caller per process.
        given = f"a worker of {threads} threads"
        raise InputError("--scheduler", expected="workers of one thread each", given=given, fix=fix)


def workers_versions(client: Any, device: str, precision: str) -> list[list[str]]:
    """Return the versions of each worker, after a check that it has the device.

    Raises:
        InputError: a worker cannot compute on the device.
    """
    found = client.run(_equipment, device, precision, on_error="return")
    for worker, each in found.items():
        if isinstance(each, BaseException):
            given, fix = f"{worker}, which cannot ({each})", "Start workers where it is, or give another device."
            raise InputError("--device", expected=f"workers that have {device!r}", given=given, fix=fix)
    return list(found.values())


def _equipment(device: str, precision: str) -> list[str]:
    check_device(device, precision)
    return results.versions(device)


def stream(client: Any, configs: Sequence[Config]) -> Iterator[tuple[list[Row], list[str]]]:
    """Yield batches of finished rows as they arrive, and the errors of failed runs.

    If a worker dies, Dask gives its run to another, up to `allowed-failures` times (three by default).
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
