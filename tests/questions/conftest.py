"""What the tests of this room share: tokenizers of two families, real questions, and questions made up."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from attn_dynamics.encoder import load_encoder
from attn_dynamics.questions import ABSENT, Answers, Features, Question, cut, load_squad, squad_folder, subset

needs_squad = pytest.mark.skipif(squad_folder() is None, reason=ABSENT)
TOKENIZERS = ("word_pieces", "byte_pairs")
HALF = 100
"""Real questions of each split."""


def asked(context: str, *answers: str, question: str = "Which?", id: str = "q") -> Question:
    """A question whose answers are where they first stand in the passage."""
    return Question(id, question, context, Answers(answers, tuple(map(context.index, answers))))


@pytest.fixture(scope="session")
def word_pieces() -> Any:
    """MiniLM's tokenizer: pieces of words, no white space, two kinds of tokens."""
    return load_encoder().tokenizer


@pytest.fixture(scope="session")
def byte_pairs() -> Any:
    """Pieces of bytes: white space belongs to the next word, a character may be several tokens; one kind."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<s>", "<pad>", "</s>"], initial_alphabet=alphabet)
    made.train_from_iterator([Path(__file__).read_text(encoding="utf-8")], trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = ["input_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", model_input_names=names)


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """Each of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def real() -> tuple[Question, ...]:
    """Some hundred questions of train, and as many of dev."""
    train, dev = load_squad(squad_folder())
    return subset(train, HALF, 0) + subset(dev, HALF, 0)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, word_pieces: Any) -> Path:
    """The folder of an encoder of two layers, drawn and not trained, with MiniLM's tokenizer."""
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    settings = BertConfig(
        vocab_size=len(word_pieces),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=192,
    )
    BertModel(settings).save_pretrained(folder)
    word_pieces.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def made(word_pieces: Any) -> Features:
    """Twelve questions whose answer is the word after "is", as windows."""
    return _colours(word_pieces, so=1, length=48)


@pytest.fixture(scope="session")
def long(word_pieces: Any) -> Features:
    """The same with more before it, up to some 150 tokens."""
    return _colours(word_pieces, so=12, length=192)


def _colours(tokenizer: Any, so: int, length: int) -> Features:
    words = ("red", "green", "blue", "black")
    asked_of = [
        asked(
            f"{'so ' * so * k}the {thing} is {words[k % 4]}, and old", words[k % 4], question=f"the {thing}?", id=str(k)
        )
        for k, thing in enumerate(["house", "door", "roof", "wall", "floor", "stair"] * 2)
    ]
    return cut(asked_of, tokenizer, length=length, stride=0)
