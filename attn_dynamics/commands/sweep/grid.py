"""Grid of a sweep: several values for any setting, and the product of all of them."""

from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Annotated

import tyro

from attn_dynamics.check import at_least_one
from attn_dynamics.model.parameters import TRAINABLE
from attn_dynamics.tasks import Synthetic, Task, TextOptions, load_task
from attn_dynamics.training import experiment
from attn_dynamics.training.replicates.descent import check_update
from attn_dynamics.training.settings import Config, Device, Model, Precision, Preset, RuleName, Trainable, UpdateOptions

SHARED = ("data_dir", "device", "precision", "full", "topic_distribution", "text", "nesterov", "decoupled")
"""Settings that have one value for all runs; every other field of the grid is an axis."""
SYNTHETIC = tuple(each.name for each in fields(Synthetic))
STEPS = tuple(each.name for each in fields(UpdateOptions))


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Settings of all runs: the product of the values given for each.

    Values given twice count once, and so do two orders of one trained subset.
    """

    task: tuple[str, ...] = (Config.task,)
    """synthetic, sst2, sst5, or paths of files or folders of labelled texts: `LABEL text` lines, CSV, TSV or JSON."""
    topics: tuple[int, ...] = (Synthetic.topics,)
    """n: number of classes of the synthetic task."""
    topic_words: tuple[int, ...] = (Synthetic.topic_words,)
    """Number of topic words of each class."""
    other_words: tuple[int, ...] = (Synthetic.other_words,)
    """m: number of non-topic words in each sentence."""
    dictionary: tuple[int, ...] = (Synthetic.dictionary,)
    """Number of non-topic words to draw from."""
    sentences: tuple[int, ...] = (Synthetic.sentences,)
    """Number of training sentences of the synthetic task."""
    test_sentences: tuple[int, ...] = (Synthetic.test_sentences,)
    """Number of test sentences of the synthetic task; 0 for none."""
    model: tuple[Model, ...] = (Config.model,)
    """Classifiers on top of the attention block; attn-window runs by attn_dynamics.simulate alone."""
    embedding_dim: tuple[int, ...] = (Config.embedding_dim,)
    """d, dimension of the embeddings."""
    key_dim: tuple[int | None, ...] = (Config.key_dim,)
    """d_k, dimension of keys and query (default: d; 10 for the start published)."""
    hidden_dim: tuple[int, ...] = (Config.hidden_dim,)
    """h, number of hidden units of attn-tl."""
    start: tuple[Preset, ...] = (Config.start,)
    """Initial values by name."""
    start_scale: tuple[float, ...] = (Config.start_scale,)
    """Factor on the initial embeddings."""
    train: tyro.conf.UseAppendAction[tuple[tuple[Trainable, ...], ...]] = ()
    """Trained parts; one option a subset: --train keys --train keys embeddings (default: keys embeddings head)."""
    learning_rate: tuple[float, ...] = (Config.learning_rate,)
    """Learning rate η; time = η × epoch."""
    epochs: tuple[int | None, ...] = (Config.epochs,)
    """Steps of gradient descent, at most (default: 5,000 on the synthetic task, 50,000 on text)."""
    patience: tuple[int | None, ...] = (Config.patience,)
    """Epochs without a lower dev loss after which a run stops, 0 for never (default: 2,000 where there is dev data)."""
    rule: tuple[RuleName, ...] = (UpdateOptions.rule,)
    """Update rules: descent, momentum, adam or sign."""
    momentum: tuple[float, ...] = (UpdateOptions.momentum,)
    """Shares of the last step that --rule momentum keeps."""
    nesterov: bool = UpdateOptions.nesterov
    """Take Nesterov's variant of --rule momentum."""
    decay: tuple[float, ...] = (UpdateOptions.decay,)
    """Weight decay of all trained parts."""
    decoupled: bool = UpdateOptions.decoupled
    """Shrink parameters at each step, as AdamW does, instead of adding decay to the gradient."""
    batch_size: tuple[int | None, ...] = (UpdateOptions.batch_size,)
    """Sentences a step (default: all); an epoch is then a pass over all of them."""
    seed: tuple[int, ...] = (Config.seed,)
    """Seeds of the data and of the initial values."""
    data_dir: Path | None = None
    """Folder that holds the files of sst2 or sst5."""
    device: Device = Config.device
    """Compiled loops, or the same equations by PyTorch (extra 'torch') on a processor or a GPU."""
    precision: Precision = Config.precision
    """Precision of PyTorch's numbers."""
    full: bool = False
    """Do not use law A6."""
    topic_distribution: tuple[float, ...] | None = None
    """Probability of each class; uniform if not given."""
    text: Annotated[TextOptions, tyro.conf.arg(name="")] = field(default_factory=TextOptions)

    def configs(self) -> list[Config]:
        """Return the configuration of every run; seeds vary fastest.

        Raises:
            InputError: a setting has no value, or a value is out of range.
        """
        axes = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in SHARED}
        axes["train"] = [
            tuple(name for name in TRAINABLE if name in subset) for subset in self.train or (Config.train,)
        ]
        for name, values in axes.items():
            at_least_one(name, values)
        points = product(*(dict.fromkeys(values) for values in axes.values()))
        return [self._config(dict(zip(axes, point, strict=True))) for point in points]

    def _config(self, point: dict) -> Config:
        point |= {name: getattr(self, name) for name in SHARED}
        synthetic = Synthetic(**{name: point.pop(name) for name in SYNTHETIC})
        steps = UpdateOptions(**{name: point.pop(name) for name in STEPS})
        return Config(**point, synthetic=synthetic, steps=steps)


def check(configs: list[Config], *, here: bool) -> list[str]:
    """Check the configurations against their data before anything runs; return the notes on the data.

    Each task is loaded once, with its first seed. The devices of this machine are checked only if the runs are `here`.

    Raises:
        InputError: data cannot be used, settings do not fit them, or a device is missing.
    """
    for config in configs:
        check_update(config.device, config.update)
    if not here:
        configs = [replace(config, device=Config.device, precision=Config.precision) for config in configs]
    alike = {}
    for config in configs:
        alike.setdefault(replace(config, seed=0, learning_rate=1.0, start_scale=1.0), config)
    tasks: dict[tuple, Task] = {}
    for config in alike.values():
        options = experiment.task_options(config)
        if (config.task, options) not in tasks:
            tasks[config.task, options] = load_task(config.task, options)
        experiment.check(config, tasks[config.task, options])
        experiment.start(config, tasks[config.task, options])
    return [note for task in tasks.values() for note in task.notes]
