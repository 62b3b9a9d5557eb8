"""Two processes (gloo) on our data path: started by the test with torchrun, this file is also the program they run."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, Trainer, TrainingArguments, set_seed

from sentence_ordering import (
    AutoModelForSentenceOrdering,
    DataCollatorForSentenceOrdering,
    ShuffledDocuments,
    prepare_dataset,
)
from sentence_ordering.data import load_documents

EPOCHS = 2
BATCH_SIZE = 4


class RecordingCollator(DataCollatorForSentenceOrdering):
    """Keeps what it was given: for each document its tokens in a fixed order, and in that of the batch."""

    def __call__(self, rows):
        self.seen += [(str(sorted(row["input_ids"])), str(row["input_ids"])) for row in rows]
        return super().__call__(rows)


def train(encoder, output, count, **arguments):
    """Train on some documents; write what this process saw, and the weights."""
    set_seed(0)
    model = AutoModelForSentenceOrdering.from_pretrained(encoder)
    for dropout in (module for module in model.modules() if isinstance(module, torch.nn.Dropout)):
        dropout.p = 0.0  # Processes draw different ones.
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    documents = load_documents("bigbench_narratives")["train"].select(range(count))
    collator = RecordingCollator(tokenizer, model.config)
    collator.seen = []
    trainer = Trainer(
        model,
        TrainingArguments(
            str(output),
            train_sampling_strategy="sequential",
            per_device_train_batch_size=BATCH_SIZE,
            num_train_epochs=EPOCHS,
            learning_rate=1e-3,
            max_grad_norm=0,
            optim="sgd",
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            **arguments,
        ),
        train_dataset=ShuffledDocuments(
            prepare_dataset(documents, tokenizer, model.config), model.config, group_by_length_of=BATCH_SIZE
        ),
        data_collator=collator,
    )
    trainer.train()
    trainer.save_model()
    rank = os.environ.get("RANK", "0")
    (output / f"seen-{rank}.json").write_text(json.dumps(collator.seen))


if __name__ == "__main__":
    from pathlib import Path

    torch.set_num_threads(1)
    for number in (64, 61):
        train(sys.argv[1], Path(sys.argv[2]) / str(number), number)


@pytest.mark.slow
def test_two_processes_see_every_document_once_an_epoch_and_train_like_one(encoder_folder, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    run = subprocess.run([*launch, __file__, str(encoder_folder), str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr

    def seen(count):
        """For each epoch the documents of each process."""
        ranks = [json.loads((tmp_path / f"{count}" / f"seen-{rank}.json").read_text()) for rank in range(2)]
        size = len(ranks[0]) // EPOCHS
        return [[rows[epoch * size : epoch * size + size] for rows in ranks] for epoch in range(EPOCHS)]

    epochs = [[Counter(document for document, _ in rows) for rows in ranks] for ranks in seen(64)]
    for ranks in epochs:
        assert [rows.total() for rows in ranks] == [32, 32]
        assert set((ranks[0] + ranks[1]).values()) == {1} and len(ranks[0] + ranks[1]) == 64
    assert epochs[0] != epochs[1]
    shuffles = [{order for rows in ranks for _, order in rows} for ranks in seen(64)]
    assert len(shuffles[0] & shuffles[1]) < 32

    # The last batches of a number that does not divide are filled up with documents of the first.
    for ranks in seen(61):
        times = Counter(document for rows in ranks for document, _ in rows)
        assert (len(times), times.total()) == (61, 64)

    train(encoder_folder, tmp_path / "one", 64, gradient_accumulation_steps=2)
    weights, expected = (load_file(tmp_path / name / "model.safetensors") for name in ("64", "one"))
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-6, rtol=1e-5)
