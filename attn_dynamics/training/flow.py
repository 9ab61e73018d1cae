"""Gradient flow of the exact gradient, by scipy's solvers, in time or in log time."""

import math
from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import BDF, DOP853, LSODA, RK45, OdeSolver, Radau
from scipy.optimize import brentq

from attn_dynamics.check import as_floats, flag, function, integer, number, one_of, renamed
from attn_dynamics.errors import InputError
from attn_dynamics.model.heads import Array
from attn_dynamics.model.parameters import Parameters
from attn_dynamics.system.interrupt import deferred_interrupt
from attn_dynamics.system.threads import one_blas_thread
from attn_dynamics.tasks.corpus import Corpus
from attn_dynamics.training import interface
from attn_dynamics.training.dynamics import Dynamics
from attn_dynamics.training.interface import Flowing
from attn_dynamics.training.recording import Layout, Recorder
from attn_dynamics.training.run import Diverged, Ended, Interrupted, Run
from attn_dynamics.training.settings import Training

SOLVERS: dict[str, type[OdeSolver]] = {"DOP853": DOP853, "RK45": RK45, "LSODA": LSODA, "Radau": Radau, "BDF": BDF}
"""Solvers by name: the explicit ones for most models, the last three for small models whose flow is stiff."""
STIFF = ("LSODA", "Radau", "BDF")
MOST_STIFF = 4096
"""Largest number of coordinates for a stiff solver, whose dense Jacobian then stays within 128 MiB."""
RECORDED = 101
"""Number of recorded times if none are given."""
EXACT = 4 * np.finfo(float).eps
"""Relative accuracy of the clock time of an event."""


@renamed(judge="evaluate_on", hold="frozen_words")
def flow(
    corpus: Corpus,
    parameters: Parameters,
    *,
    time: float = 500.0,
    times: ArrayLike | None = None,
    log_time: bool = False,
    train: Collection[str] = ("keys", "embeddings", "head"),
    evaluate_on: Mapping[str, Corpus] | None = None,
    follow: Sequence[Hashable] = (),
    frozen_words: Collection[Hashable] = (),
    reduced: bool = True,
    solver: str = "DOP853",
    rtol: float = 1e-9,
    atol: float = 1e-12,
    stop_loss: float | None = None,
    stop_attention: float | None = None,
    max_steps: int | None = None,
    meter: Callable[[float, float], None] | None = None,
) -> Run:
    """Follow the gradient flow dθ/dτ = -∂L/∂θ of the exact gradient (theory §1), and record it.

    Gradient descent approaches this flow as its learning rate goes to 0, at time τ = learning rate × epoch.

    Args:
        corpus: N sentences over V words to train on.
        parameters: the initial values; not changed.
        time: duration, above 0.
        times: times to record; the last one replaces `time`. By default they are evenly spaced on the solver's clock.
            Time 0 is always recorded, and so is the end of a run that an event stopped.
        log_time: whether the solver's clock is ln(1 + τ), for runs to very large times.
        train: parts to train, any of query, keys, embeddings, head.
        evaluate_on: further corpora by name, evaluated at every recorded time.
        follow: words recorded at every recorded time.
        frozen_words: words whose scores and embeddings keep their initial values; their keys must be 0 if the query is
            trained.
        reduced: whether to use law A6 if it holds.
        solver: one of `SOLVERS`.
        rtol: relative tolerance of one solver step.
        atol: absolute tolerance of one solver step.
        stop_loss: training loss, in nats, at which to stop.
        stop_attention: mean attention weight at which to stop, once every followed word receives it.
        max_steps: number of solver steps after which to give up. If the gradient jumps, as at the relu of Attn-TL, the
            flow may slide along the jump, and the solver takes ever smaller steps.
        meter: function called with the time reached and its training loss.

    Returns:
        A run whose trajectory has the dimension `time` instead of `epoch`.

    Raises:
        InputError: an argument is invalid.
        Interrupted: Ctrl-C was pressed; the exception holds the run so far.
        Diverged: the solver cannot continue; the exception holds the run so far.

    Example:
        >>> from attn_dynamics import Corpus, draw
        >>> corpus = Corpus.from_sentences([["good", "film"], ["bad", "film"]], labels=[1, 0])
        >>> start = draw("paper", "attn-fc", n_words=3, n_classes=2, embedding_dim=2, rng=np.random.default_rng(0))
        >>> run = flow(corpus, start, times=[1.0, 10.0], follow=["good"])
        >>> run.trajectory.time.values.tolist(), run.ended
        ([0.0, 1.0, 10.0], 'time')
    """
    training = Training(train=train, frozen_words=frozen_words, reduced=reduced)
    layout = Layout(corpus, evaluate_on, follow)
    function("meter", meter)
    clock = LOG_TIME if flag("log_time", log_time) else LINEAR_TIME
    bounds = {"rtol": rtol, "atol": atol, "stop_loss": stop_loss, "stop_attention": stop_attention}
    _check(solver, layout, bounds, max_steps)
    due = _due(time, times, clock)
    dynamics = Dynamics(corpus, parameters, training, others=layout.others.values(), followed=layout.columns)
    system = System(dynamics, clock)
    _check_size(solver, system.start.size)
    stops = _stops(system, layout, stop_loss, stop_attention)
    tolerances = {"rtol": rtol, "atol": atol}
    return integrate(system, layout, training, due, solver, **tolerances, stops=stops, max_steps=max_steps, meter=meter)


class Clock(NamedTuple):
    """The solver's clock: clock time as a function of τ, τ as a function of clock time, and dτ/d(clock time) at τ."""

    from_time: Callable[[Array], Array]
    time: Callable[[float], float]
    speed: Callable[[float], float]
    longest: float
    """Longest step of the solver, in clock time."""


LINEAR_TIME = Clock(np.asarray, float, lambda _: 1.0, np.inf)
# Late in training the flow in log time decays at a rate of order 1. Longer steps are at the limit of stability, where
# an error of the size of the tolerance is amplified ten thousandfold between two records.
LOG_TIME = Clock(np.log1p, math.expm1, lambda time: 1.0 + time, 1.0)


class System:
    """The moving arrays of a model, as one vector for the solver."""

    def __init__(self, dynamics: Flowing, clock: Clock) -> None:
        self.dynamics = dynamics
        self.clock = clock
        state = dynamics.state()
        self._names, self._shapes = list(state), [array.shape for array in state.values()]
        self._ends = np.cumsum([array.size for array in state.values()], dtype=int)
        self.start = self._join(state)

    def evaluate(self, state: Array) -> tuple[Any, Any]:
        """Return the fit (loss and accuracy) and the gradient at a state vector."""
        self.restore(state)
        return self.dynamics.evaluate()

    def restore(self, state: Array) -> None:
        """Set the model to a state vector."""
        named = zip(self._names, np.split(state, self._ends)[:-1], self._shapes, strict=True)
        self.dynamics.restore({name: part.reshape(shape) for name, part, shape in named})

    def velocity(self, clock_time: float, state: Array) -> Array:
        """Return the derivative of a state vector with respect to clock time."""
        moving = self.dynamics.velocity(self.evaluate(state)[1])
        return self.clock.speed(self.clock.time(clock_time)) * self._join(moving)

    def _join(self, arrays: Mapping[str, Array]) -> Array:
        return np.concatenate([np.empty(0), *(arrays[name].ravel() for name in self._names)])


class _Record:
    """Recorded states and their times."""

    def __init__(self, system: System, recorder: Recorder, training: Training) -> None:
        self._system, self._recorder, self._training = system, recorder, training
        self._last = -1.0, system.start
        self.times: list[float] = []

    def add(self, clock_time: float, state: Array, time: float | None = None) -> None:
        """Record a state, unless it was recorded last at this clock time."""
        if clock_time == self._last[0]:
            return
        self._system.restore(state)
        self._system.dynamics.record(self._recorder.rows(len(self.times), len(self.times) + 1)[0])
        if self._recorder.layout.snapshot_due(len(self.times)):
            self._recorder.snapshot(len(self.times))
        self._last = clock_time, state
        self.times.append(self._system.clock.time(clock_time) if time is None else time)

    def run(self, ended: Ended) -> Any:
        """Return the run with everything recorded, and the parameters of the state that was recorded last."""
        last, system = len(self.times) - 1, self._system
        system.evaluate(self._last[1])  # the solver has set the model to other states since
        self._recorder.snapshot(last)
        parameters = system.dynamics.parameters() if ended != "diverged" else None
        run = self._recorder.run(last + 1, self._training, parameters=parameters, ended=ended, best_epoch=last)
        return run.over(np.array(self.times))


Stops = dict[Ended, Callable[[Array], float]]
"""Events by name: an event occurs when its function of the state falls to 0."""


def _stops(system: System, layout: Layout, loss: float | None, attention: float | None) -> Stops:
    stops: Stops = {}
    if loss is not None:
        stops["loss"] = lambda state: system.evaluate(state)[0].loss - loss
    if attention is not None:
        if not layout.frequency[layout.columns].all():
            raise InputError(
                "stop_attention",
                expected="followed words that occur in training sentences",
                given="one that occurs in none",
                fix="Follow only words of the training sentences.",
            )
        row = np.empty(layout.width)

        def missing(state: Array) -> float:
            system.restore(state)
            system.dynamics.record(row)
            return attention - float(layout.followed(row, "attention").min())

        stops["attention"] = missing
    return stops


def integrate(
    system: System,
    layout: interface.Layout,
    training: Training,
    due: Array,
    solver: str,
    *,
    rtol: float,
    atol: float,
    stops: Stops | None = None,
    max_steps: int | None = None,
    meter: Callable[[float, float], None] | None = None,
) -> Any:
    """Follow the flow of a system to the last of the due times, or until an event, Ctrl-C or a failure ends the run.

    Raises:
        Interrupted, Diverged: as in `flow`.
    """
    stops, due_times, steps = stops or {}, system.clock.from_time(due).tolist(), 0
    ahead = deque(zip(due_times, due.tolist(), strict=True))
    options = {"rtol": rtol, "atol": atol, "max_step": system.clock.longest}
    with (
        one_blas_thread(),
        deferred_interrupt() as interrupted,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        running = SOLVERS[solver](system.velocity, 0.0, system.start, due_times[-1], **options)  # pyright: ignore
        record = _Record(system, Recorder(system.dynamics, layout), training)
        record.add(0.0, system.start)
        for name, missing in stops.items():
            if missing(system.start) <= 0.0:
                return record.run(name)
        while running.status == "running":
            steps += 1
            try:
                state = _step(running, steps, max_steps or math.inf)
                end, event = _first_event(stops, state, running)
                while ahead and ahead[0][0] <= end:
                    clock_time, time = ahead.popleft()
                    record.add(clock_time, state(clock_time), time)
            except ArithmeticError as error:
                raise Diverged(record.run("diverged"), _stuck(record.times[-1], str(error))) from None
            if meter is not None:
                meter(system.clock.time(end), system.evaluate(state(end))[0].loss)
            if event is not None or interrupted():
                record.add(end, state(end))
                if event is not None:
                    return record.run(event)
                raise Interrupted(record.run("interrupted"), f"time {record.times[-1]:g}")
        return record.run("time")


def _step(solver: OdeSolver, steps: int, most: float) -> Callable[[float], Array]:
    """Take a step; return the state as a function of clock time within it, at its end the solver's own state.

    Raises:
        ArithmeticError: the solver cannot continue, there are too many steps, or the model has no such state.
    """
    message = solver.step()
    if steps > most:
        message = f"more than {most} steps"
    elif not np.isfinite(solver.y).all():
        message = "the state is not finite"
    if message is not None:
        raise ArithmeticError(message)
    end, between, reached = solver.t, solver.dense_output(), solver.y
    return lambda clock_time: reached if clock_time == end else between(clock_time)


def _stuck(time: float, message: str) -> str:
    return (
        f"gradient flow after time {time:g}: expected the solver to continue, got: {message}. A looser rtol or another "
        "solver may get further, and so may `descend` if the gradient jumps; everything before is kept."
    )


def _first_event(stops: Stops, state: Callable[[float], Array], solver: OdeSolver) -> tuple[float, Ended | None]:
    """Return the clock time and the name of the first event within the step, or the end of the step and None."""
    crossings: list[tuple[float, Ended]] = []
    for name, missing in stops.items():
        gap = lambda clock_time, missing=missing: missing(state(clock_time))  # noqa: E731
        if gap(solver.t) <= 0.0:
            # The interpolant of some solvers does not reproduce the state at the start of the step.
            begun = gap(solver.t_old) <= 0.0
            at = solver.t_old if begun else brentq(gap, solver.t_old, solver.t, xtol=EXACT, rtol=EXACT)
            crossings.append((float(at), name))  # pyright: ignore[reportArgumentType]
    return min(crossings, default=(solver.t, None))


def _due(time: float, times: ArrayLike | None, clock: Clock) -> Array:
    """Return the times to record: 0, then the requested times."""
    if times is None:
        time = number("time", time, above=0, fix="LMN21 trains for 500.")
        clock_times = np.linspace(0.0, float(clock.from_time(np.asarray(time))), RECORDED)
        return np.array([*map(clock.time, clock_times[:-1]), time])
    asked = as_floats("times", times)
    if asked.ndim != 1 or not asked.size or asked.min() < 0.0 or asked.max() == 0.0:
        expected = "a list of times, none below 0 and one above"
        raise InputError("times", expected=expected, given=times, fix="Give the times to record.")
    return np.unique(np.append(asked, 0.0))


def _check(solver: str, layout: Layout, numbers: Mapping[str, float | None], max_steps: int | None) -> None:
    one_of("solver", solver, SOLVERS)
    for name, value in numbers.items():
        if value is not None or name in ("rtol", "atol"):
            number(name, value, above=0, fix="Leave it out for the default.")
    if max_steps is not None:
        integer("max_steps", max_steps, 1, fix="Leave it out for any number of steps.")
    stop = numbers["stop_attention"]
    if stop is not None and stop >= 1.0:
        raise InputError("stop_attention", expected="a weight below 1", given=stop, fix="Attention never reaches 1.")
    if stop is not None and not layout.columns.size:
        raise InputError("stop_attention", expected="words to watch", given="none", fix='Name them: follow=("word",).')


def _check_size(solver: str, size: int) -> None:
    if solver in STIFF and size > MOST_STIFF:
        raise InputError(
            "solver",
            expected=f"DOP853 or RK45 for more than {MOST_STIFF} moving coordinates",
            given=f"{solver} for {size}",
            fix="Choose one of these, or a smaller model.",
        )
