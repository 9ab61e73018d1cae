"""One place says where SST is: a folder, nothing, or an error in words; what is measured there is told."""

from pathlib import Path

import pytest

from attn_dynamics.claims._support import drawn
from attn_dynamics.errors import InputError
from attn_dynamics.tasks import Options, Synthetic, TextOptions, load_task
from attn_dynamics.tasks.treebank import ABSENT, VARIABLE, sst_folder
from tests.support import needs_sst


def test_a_folder_is_found_and_nothing_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert sst_folder() == tmp_path
    for unset in ("", None):
        monkeypatch.setenv(VARIABLE, unset) if unset is not None else monkeypatch.delenv(VARIABLE)
        assert sst_folder() is None
        assert drawn.treebank_in_words(quick=False, measured="sentences") == ABSENT


def test_what_is_no_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=f"{VARIABLE}: expected a folder, got .*nowhere"):
        sst_folder()


@needs_sst
def test_sentences_of_sst_are_among_what_the_exact_laws_are_measured_on() -> None:
    _, some = drawn.corpora(quick=False)
    assert some.n_sentences == drawn.SENTENCES
    assert {"the", "movie"} < set(some.vocabulary)
    assert (some.counts.sum(axis=0) > 0).all()
    assert drawn.where(quick=False).endswith(f"{drawn.SENTENCES} sentences of SST-2")
    assert len(drawn.corpora(quick=True)) == 1


@needs_sst
@pytest.mark.parametrize("name", ["sst2", "sst5"])
def test_the_published_data_have_the_published_sizes(name: str) -> None:
    assert load_task(name, Options(data_dir=sst_folder())).notes == ()


def test_a_folder_without_the_files_is_told_which_were_looked_for(tmp_path: Path) -> None:
    wanted = r"expected a folder with stsa\.fine\.train, stsa\.fine\.dev and stsa\.fine\.test, got no such files"
    with pytest.raises(InputError, match=wanted):
        load_task("sst5", Options(data_dir=tmp_path))


def test_options_that_a_task_does_not_read_are_told(tmp_path: Path) -> None:
    text = TextOptions(padding=True, text_column="review")
    (note,) = load_task("synthetic", Options(data_dir=tmp_path, text=text)).notes
    assert note == "Without effect on the task synthetic: --data-dir, --padding, --text-column."
    assert load_task("synthetic", Options(synthetic=Synthetic(topics=3))).notes == ()
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text("0 bad film\n1 good film\n", encoding="utf-8")
    options = Options(synthetic=Synthetic(topics=3), text=TextOptions(split=(0.5, 0.0, 0.5), vocabulary="train"))
    assert load_task(str(tmp_path), options).notes == (
        "Without effect on files that are split already: --split.",
        f"Without effect on the task {tmp_path}: --topics.",
    )
