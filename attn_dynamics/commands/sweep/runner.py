"""Runs as pure functions of their configurations, which Dask distributes over processes of one thread each."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numba
from threadpoolctl import threadpool_limits

from attn_dynamics.commands.sweep.table import Row, is_loaded, row
from attn_dynamics.errors import InputError
from attn_dynamics.results import summary as results
from attn_dynamics.results.assumptions import broken_in_words
from attn_dynamics.system.workers import error_of, finished, in_line
from attn_dynamics.tasks import load_task
from attn_dynamics.training import configured_run
from attn_dynamics.training.corpus_config import Config
from attn_dynamics.training.replicates.engine import engine_for
from attn_dynamics.training.run import Diverged

AT_ONCE = 1000
"""Largest number of runs that a scheduler has at a time, enough to keep all its workers busy."""


def outcome(config: Config) -> Row:
    """Return the row of one run, from data to summary; only `seconds` depends on the machine.

    A run that diverges has a row that says so, and so has a run that the synthetic task refuses, because both follow
    from the settings alone. Errors with other causes are raised, so that the run can be tried again: data from files or
    the hub, a device, or memory.

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
        task = load_task(config.task, configured_run.task_options(config))
        start = configured_run.start(config, task)
    except InputError as error:
        if is_loaded(config):
            raise
        return {"ended": "refused", "message": str(error)}
    data = results.data_digest(task) if is_loaded(config) else None
    try:
        run, message = configured_run.train(config, task, start), None
    except Diverged as stop:
        if not stop.run.trajectory.sizes["epoch"]:
            return {"ended": "diverged", "message": str(stop), "data": data}
        run, message = stop.run, str(stop)
    trajectory = results.annotate(run, config, task, start)
    summary = results.summarise(trajectory, time.perf_counter() - begun)
    more = {"last_epoch": summary["epochs"], "broken_assumptions": broken_in_words(summary["assumptions"])}
    return summary | more | {"message": message, "data": data}


def workers_versions(client: Any, device: str, precision: str) -> list[list[str]]:
    """Return the versions of each worker, after a check that it has the device.

    Raises:
        InputError: a worker cannot compute on the device.
    """
    found = client.run(_equipment, device, precision, on_error="return")
    for worker, each in found.items():
        if isinstance(each, BaseException):
            given, fix = f"{worker}, which has none ({each})", "Start workers that have it, or give another device."
            raise InputError("--device", expected=f"workers that have {device!r}", given=given, fix=fix)
    return list(found.values())


def _equipment(device: str, precision: str) -> list[str]:
    engine_for(device, precision)
    return results.versions(device)


def stream(client: Any, configs: Sequence[Config]) -> Iterator[tuple[list[Row], list[str]]]:
    """Yield batches of finished rows as they arrive, and the errors of failed runs."""
    for done in finished(client.get_executor(pure=False), outcome, configs, at_once=AT_ONCE):
        errors = {each: error_of(each) for each in done}
        rows = [each.result() for each, error in errors.items() if error is None]
        yield rows, [in_line(error) for error in errors.values() if error is not None]
