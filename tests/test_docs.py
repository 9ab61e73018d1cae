"""Claim: docs/theory.md says where each claim is proved, measured and tested; no link in the documents is dead."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.mutations import MUTATIONS, Mutation, mutated
from attn_dynamics import Corpus, Parameters, descend, draw, loss_and_gradient
from attn_dynamics.claims import CLAIMS
from attn_dynamics.model.heads import HEADS
from attn_dynamics.tasks import TASKS, Options, load_task
from attn_dynamics.training.rules import RULES
from proofs import PROOFS
from tests.architecture import PACKAGES, architecture
from tests.support import end

ROOT = Path(__file__).parents[1]
THEORY = ROOT / "docs" / "theory.md"
PAGES = [page for part in ("", "how-to", "reference") for page in sorted((ROOT / "docs" / part).glob("*.md"))]
DOCUMENTS = (*sorted(ROOT.glob("*.md")), *PAGES)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def passages(text: str) -> dict[str, str]:
    """By its id, what stands under the heading of a claim, or in its row of a table."""
    text = FENCED.sub("", text)
    headed = re.findall(r"^#+ ([A-Z]\d+) (.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| ([A-Z]\d+) \|(.*)$", text, re.MULTILINE)
    return dict(headed + rows)


def links(text: str) -> list[str]:
    """Relative links, without the part of the page."""
    found = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", text))]
    return [target for target in found if target and ":" not in target]


def dead(document: Path) -> list[str]:
    return [target for target in links(document.read_text()) if not (document.parent / target).exists()]


def homeless(glossary: str) -> list[str]:
    """Files that a glossary names and that are neither in the library nor beside it."""
    named = re.findall(r"`(\w+/[\w/]*(?:\.py)?)`", glossary)
    return [name for name in named if not any((ROOT / part / name).exists() for part in ("attn_dynamics", "."))]


def test_the_glossary_names_files_that_are_there() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text()
    assert homeless(glossary) == []
    assert homeless(glossary.replace("tasks/corpus.py", "tasks/gone.py")) == 3 * ["tasks/gone.py"], "negative control"


PLACES = re.compile(
    r"^- (?:\*Proved\* in \[(?P<proof>.*?)\]\(\.\./proofs/(?P=proof)\)[^*]*, \*measured\*|\*Not proved; measured\*)"
    r"\s+in\s+"
    r"\[(?P<claim>.*?)\]\(\.\./attn_dynamics/(?P=claim)\),\s+\[(?P<test>.*?)\]\(\.\./tests/claims/(?P=test)\)\.",
    re.MULTILINE,
)
"""The line of a passage that says where its claim is proved, measured and tested; labels of links are their targets."""


def places(text: str) -> dict[str, tuple[str | None, ...] | None]:
    """By its id, the files of proof, measurement and test that the passage under a heading names."""
    lines = {id: PLACES.search(passage) for id, passage in passages(text).items()}
    return {id: line and line.group("proof", "claim", "test") for id, line in lines.items() if not id.startswith("M")}


def file_of(source: Callable) -> str:
    return source.__module__.rsplit(".", 1)[1] + ".py"


PROVED = {id: file_of(proof.derivation) for id, proof in PROOFS.items()}
MEASURED = {id: file_of(claim.measurement) for id, claim in CLAIMS.items()}
PLACED = {id: (PROVED.get(id), f"claims/{file}", f"test_{file}") for id, file in MEASURED.items()}


def misplaced(text: str) -> set[str]:
    """Ids of claims whose passage is missing, or names other files than the registries, or that are no claims."""
    found = places(text)
    return {id for id in found.keys() | PLACED.keys() if found.get(id) != PLACED.get(id)}


def unnamed(text: str) -> list[str]:
    """Ids of proofs whose passage or row does not exist, or has no link to their file."""
    found = passages(text)
    return [id for id, file in PROVED.items() if f"../proofs/{file}" not in links(found.get(id, ""))]


def test_every_claim_says_where_it_is_proved_measured_and_tested() -> None:
    text = THEORY.read_text()
    assert misplaced(text) == set()
    assert unnamed(text) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_link_is_dead(document: Path) -> None:
    assert dead(document) == []


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """Negative control: an id without heading, one without its file or with another's, a link to no file."""
    text = THEORY.read_text()
    assert misplaced(text.replace("### B1 ", "### The relation, ")) == {"B1"}
    assert misplaced(text.replace("### B1 ", "### Z9 ")) == {"B1", "Z9"}
    proved, measured = "*Proved* in [sen.py](../proofs/sen.py), *measured*", "*Not proved; measured*"
    assert misplaced(text.replace(proved, measured)) == {"B1", "B3", "B4", "B5"}
    assert misplaced(text.replace(measured, proved)) == {"B2", "C2", "C7", "D1", "D7", "E2", "E3", "F1"}
    assert misplaced(text.replace("claims/b1_sen.py", "claims/b3_sen_descent.py")) == {"B1"}
    assert misplaced(text.replace("[test_b1_sen.py]", "[test_b1.py]")) == {"B1"}
    assert unnamed(text.replace("| M1 |", "| M7 |")) == ["M1"]
    assert "M1" in unnamed(text.replace("../proofs/attention.py", "../proofs/sen.py"))
    page = tmp_path / "page.md"
    page.write_text("[here](page.md#top) [gone](gone.md) [far](https://far.org)\n```\n[code](none)\n```\n")
    assert dead(page) == ["gone.md"]


def test_the_first_script_of_the_readme_prints_run_and_theory(capsys: pytest.CaptureFixture[str]) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## From Python\n")[1]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None
    exec(block[1], {})
    run, theory = map(float, capsys.readouterr().out.split())
    assert run == pytest.approx(theory, rel=0.01)  # 1/(ρN), theory B2


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1000


def activated(readme: str) -> bool:
    """Return whether the environment is activated before the first command that needs it."""
    return "activate" in readme[: readme.index("python -m")]


def test_the_readme_activates_the_environment_before_its_first_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert activated(readme)
    assert not activated(readme.replace(". .venv/bin/activate", "")), "negative control"


def example(heading: str, folder: Path, block: int = 0, name: str = "example.py") -> Path:
    """Write a Python block under a heading of CONTRIBUTING.md, by default the first, to a file of its own."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    file = folder / name
    file.write_text(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[block])
    return file


@contextmanager
def entered(registry: dict[str, Any], file: Path) -> Iterator[str]:
    """Run a file and give the one name that it enters in a registry, until the end of the block."""
    before = set(registry)
    try:
        runpy.run_path(str(file))
        (name,) = registry.keys() - before
        yield name
    finally:
        for name in registry.keys() - before:
            del registry[name]


def test_the_claim_of_contributing_holds_and_its_control_fails(tmp_path: Path) -> None:
    with entered(CLAIMS, example("A new claim is one file", tmp_path)) as claim:
        assert CLAIMS[claim].judge(quick=True).holds


def test_the_head_of_contributing_has_the_gradient_of_its_loss(tmp_path: Path) -> None:
    """Central differences of the loss along one drawn direction, in every parameter at once."""
    with entered(HEADS, example("A new head", tmp_path)) as model:
        corpus = Corpus.from_sentences([["a", "b"], ["b", "c", "c"], ["a", "c"]], [0, 1, 2])
        rng, shape = np.random.default_rng(0), {"n_words": 3, "n_classes": 3, "embedding_dim": 4}
        start, way = (draw("paper", model, scale=1e3, rng=rng, **shape) for _ in range(2))
        gradient = loss_and_gradient(corpus, start)[1]
        slope = sum(float(np.sum(g * d)) for g, d in zip(arrays_of(gradient), arrays_of(way), strict=True))
        losses = [loss_and_gradient(corpus, moved(start, way, step))[0] for step in (1e-5, -1e-5)]
        # h² of the third derivative, and ε / h of round-off.
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(slope, rel=1e-8, abs=1e-9)
        assert abs(slope) > 1e-2


def arrays_of(parameters: Parameters) -> list[np.ndarray]:
    return [parameters.query, parameters.keys, parameters.embeddings, *parameters.head.arrays().values()]


def moved(start: Parameters, way: Parameters, step: float) -> Parameters:
    """Go a step from the start along the direction of other parameters."""
    head = {name: array + step * way.head.arrays()[name] for name, array in start.head.arrays().items()}
    return Parameters(
        query=start.query + step * way.query,
        keys=start.keys + step * way.keys,
        embeddings=start.embeddings + step * way.embeddings,
        head=start.head.replace(**head),
    )


def test_the_task_of_contributing_is_loaded_by_its_name(tmp_path: Path) -> None:
    with entered(TASKS, example("A new task", tmp_path)) as name:
        task = load_task(name, Options(seed=1))
        assert task.train.n_sentences == 100
        assert task.topic_words == (("tails",), ("heads",))


def test_the_rule_of_contributing_is_that_of_torch(tmp_path: Path) -> None:
    corpus = Corpus.from_sentences([["a", "b"], ["b", "c", "c"], ["a", "c"]], [0, 1, 2])
    start = draw("paper", "attn-tc", n_words=3, n_classes=3, embedding_dim=4, rng=np.random.default_rng(0))
    embeddings = torch.tensor(start.embeddings, requires_grad=True)
    wanted = torch.optim.RMSprop([embeddings], lr=0.01)
    for _ in range(3):
        parameters = replace(start, embeddings=embeddings.detach().numpy())
        embeddings.grad = torch.tensor(loss_and_gradient(corpus, parameters)[1].embeddings)
        wanted.step()
    with entered(RULES, example("A new rule is one file", tmp_path)) as name:
        settings = {"train": ("embeddings",), "learning_rate": 0.01, "epochs": 3}
        runs = [descend(corpus, start, rule=rule, **settings) for rule in (RULES[name](), RULES["descent"]())]
    ours, plain = (end(run).embeddings for run in runs)
    np.testing.assert_allclose(ours, embeddings.detach().numpy(), rtol=0, atol=1e-12)
    assert abs(ours - plain).max() > 1e-3, "negative control"


def test_the_script_of_contributing_runs_the_command_by_its_rule(tmp_path: Path) -> None:
    heading, line = "A new rule is one file", ["run.py", "--rule", "rmsprop", "--epochs", "0", "--out", "here"]
    example(heading, tmp_path, 0, "myrules.py")
    script = example(heading, tmp_path, 1, "run.py")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = lambda: subprocess.run([sys.executable, *line], cwd=tmp_path, env=environment, capture_output=True, text=True)  # noqa: E731
    done = run()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here/command.txt").read_text() == shlex.join(["python", *line]) + "\n"
    script.write_text(script.read_text().replace("import myrules", ""))
    assert run().returncode == 2, "negative control"


def test_the_map_says_what_packages_say_of_themselves() -> None:
    """`python tests/architecture.py` prints the map as it should be."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert page.split("```\n")[1].rstrip() == architecture()
    there = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("[a-z]*/**/__init__.py")}
    assert {each for each in there if not each.startswith("tests")} == set(PACKAGES)


def test_at_most_nine_modules_stand_loose() -> None:
    assert len([*(ROOT / "attn_dynamics").glob("*.py")]) - 1 <= 9, "beside __init__.py"


@pytest.mark.parametrize("each", MUTATIONS, ids=lambda each: each.text)
def test_each_mutation_finds_its_line(each: Mutation) -> None:
    """`python -m analysis.mutations` tries them all, in half an hour."""
    assert mutated(each).count(each.wrong) >= 1
