"""Tiny models and tokenizers, made in code, so that every test runs offline."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from copy import copy
from pathlib import Path

# Before anything reads them: no network, and no cache that an earlier run filled.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="hf-home-")
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import preloaded
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import BertConfig, BertForMaskedLM, BertModel, ModernBertConfig, PreTrainedTokenizerFast

from sentence_ordering import AutoModelForSentenceOrdering
from sentence_ordering.commands import main
from sentence_ordering.data import load_documents

torch.set_num_threads(1)


def pytest_collection_finish():
    gc.freeze()  # What was imported is not looked through by each training that collects garbage.


def pytest_unconfigure():
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def python_with_torch(tmp_path_factory):
    """What stands for `sys.executable` in commands that may find torch imported, and what transformers imports of it.

    See preloaded.py. It is for commands that import transformers themselves.
    """
    modules = ["pandas", "pyarrow.dataset", "scipy.optimize", "torch._dynamo", "torch.distributed.checkpoint"]
    modules += ["torch.distributed.fsdp", "torch.distributed.tensor"]
    with serve_python(sys.executable, tmp_path_factory.mktemp("python_with_torch"), modules) as client:
        yield client


@pytest.fixture(scope="session")
def python(python_with_torch, tmp_path_factory):
    """The same for commands that may find transformers imported, too."""
    modules = ["datasets", "transformers.pipelines", "transformers.trainer"]
    with serve_python(python_with_torch, tmp_path_factory.mktemp("python"), modules) as client:
        yield client


@contextmanager
def serve_python(interpreter, folder, modules):
    """Start a Python that has imported modules, and give what stands for it."""
    server = subprocess.Popen([interpreter, preloaded.__file__, str(folder / "socket"), *modules])
    client = folder / "python"
    shebang = Path(sys.executable).resolve()
    client.write_text(preloaded.CLIENT.format(python=shebang, socket=str(folder / "socket")))
    client.chmod(0o700)
    while not (folder / "socket").exists():
        assert server.poll() is None
        time.sleep(0.1)
    try:
        yield str(client)
    finally:
        server.terminate()
        server.wait()


STORY = ["Tom bought a cake.", "He took it home.", "Then he ate it all.", "In the end he felt sick.", "He went to bed."]


@pytest.fixture(scope="session")
def stories():
    """The embedded corpus's training documents, lists of sentences."""
    return load_documents("bigbench_narratives")["train"]["sentences"][:]


@pytest.fixture(scope="session")
def counted():
    """Documents whose order can be read off: one, two, three, ..."""
    numbers = ["one", "two", "three", "four", "five", "six", "seven"]
    return [[f"{number} {i}" for number in numbers[: 3 + i % 5]] for i in range(160)]


@pytest.fixture(scope="session")
def tokenizer(stories):
    """A WordPiece tokenizer with BERT's special tokens."""
    special = {"unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _train(
        backend, trainers.WordPieceTrainer(vocab_size=600, special_tokens=[*special.values()]), special, stories
    )


@pytest.fixture(scope="session")
def bpe_tokenizer(stories):
    """A byte-level BPE tokenizer with RoBERTa's special tokens."""
    special = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=[*special.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    return _train(backend, trainer, special, stories)


@pytest.fixture(scope="session")
def unigram_tokenizer(stories):
    """A Unigram tokenizer with XLM-RoBERTa's special tokens."""
    special = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=[*special.values()], unk_token="<unk>")
    return _train(backend, trainer, special, stories)


def _train(backend, trainer, special, stories):
    backend.train_from_iterator((sentence for story in stories for sentence in story), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{name}_token": token for name, token in special.items()}
    )


@pytest.fixture(scope="session")
def bert_config(tokenizer):
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=256,
    )


@pytest.fixture(scope="session")
def modernbert_config(tokenizer):
    """An encoder with rotary positions, without a pooler and without token types."""
    return ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        pad_token_id=tokenizer.pad_token_id,
    )


@pytest.fixture(scope="session")
def encoder_folder(bert_config, tokenizer, tmp_path_factory):
    """A plain encoder's checkpoint with its tokenizer."""
    return _save(BertModel, bert_config, tokenizer, tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def shallow_encoder_folder(bert_config, tokenizer, tmp_path_factory):
    """The same of one layer, for what takes long for each layer: exports."""
    config = copy(bert_config)
    config.num_hidden_layers = 1
    return _save(BertModel, config, tokenizer, tmp_path_factory.mktemp("shallow-encoder"))


@pytest.fixture(scope="session")
def masked_lm_folder(bert_config, tokenizer, tmp_path_factory):
    """A masked language model's checkpoint with its tokenizer."""
    return _save(BertForMaskedLM, bert_config, tokenizer, tmp_path_factory.mktemp("masked-lm"))


def _save(model_class, config, tokenizer, folder):
    torch.manual_seed(0)
    model_class(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model(encoder_folder):
    """A new orderer around the plain encoder, in evaluation mode."""
    torch.manual_seed(0)
    return AutoModelForSentenceOrdering.from_pretrained(encoder_folder)


@pytest.fixture
def orderer_folder(model, tokenizer, tmp_path):
    """A saved orderer with its tokenizer."""
    folder = tmp_path / "orderer"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def without_package():
    """Code for the beginning of a fresh process: the package is out of sight, and proven to be."""
    return """
import json, os, sys
sys.path = [path for path in sys.path if not os.path.isdir(os.path.join(path or ".", "sentence_ordering"))]
try:
    import sentence_ordering
except ImportError:
    pass
else:
    sys.exit("the package is visible")
"""


@pytest.fixture(scope="session")
def documents(stories):
    """Sixty documents as a dataset with the column `sentences`."""
    return Dataset.from_dict({"sentences": stories[:60]})


@pytest.fixture(scope="session")
def train_lora(stories):
    """A function that trains adapters of a model on a few stories, with the command, and returns its output folder."""

    def train(model, output_dir, **options):
        file = output_dir.with_suffix(".jsonl")
        file.write_text("".join(json.dumps({"sentences": story}) + "\n" for story in stories[:24]))
        options = {"lora_rank": 4, "max_steps": 2, "learning_rate": 0.02, "report_to": "none"} | options
        options |= {"model": model, "output_dir": output_dir, "train_file": file, "validation_file": file}
        main(["train", *(f"--{name}={value}" for name, value in options.items()), "--use_cpu", "--disable_tqdm=1"])
        return output_dir

    return train
