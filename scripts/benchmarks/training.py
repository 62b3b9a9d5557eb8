"""Training: beside the tutorial's way, in random batches, and beside the bare encoder's steps."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .materials import choose_stories, cut_documents, whole_batches
from .measuring import Row, clock, compare, single, summarize

if TYPE_CHECKING:
    import torch
    from datasets import Dataset
    from torch import nn

    Batch = dict[str, torch.Tensor]

TUTORIAL_TOKENS = 512
# A step of ours and one of the bare encoder differ by a few percent at most, so they take more turns than epochs do.
STEPS_PER_ROUND = 10
PADDING_DOCUMENTS = 4000


class Setup:
    """What the comparisons of training share: tokenizer, models, collator, and prepared documents."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        from sentence_ordering import AutoModelForSentenceOrdering, DataCollatorForSentenceOrdering

        self.folder = folder
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.load_model = partial(AutoModelForSentenceOrdering.from_pretrained, folder, scale_positions=True)
        self.config = self.load_model().config
        # Ours drops the pooler, too.
        self.load_encoder = partial(AutoModel.from_pretrained, folder, add_pooling_layer=False)
        self.collator = partial(DataCollatorForSentenceOrdering, self.tokenizer, self.config)

    def prepare(self, documents: list[list[str]]) -> Dataset:
        """Encode documents."""
        from datasets import Dataset

        from sentence_ordering import prepare_dataset

        return prepare_dataset(Dataset.from_dict({"sentences": documents}), self.tokenizer, self.config)


def benchmark_training(args: Namespace, folder: str) -> list[Row]:
    """Measure epochs of five-sentence stories beside the tutorial's, and steps beside the bare encoder's."""
    setup = Setup(folder)
    stories = choose_stories(args, args.documents)
    prepared = setup.prepare(stories[: whole_batches(len(stories), args.batch_size)])
    rows = []
    for bf16 in (False, True) if args.bf16 else (False,):
        rows += compare_stories(args, setup, prepared, bf16)
    return rows


def compare_stories(args: Namespace, setup: Setup, prepared: Dataset, bf16: bool) -> list[Row]:
    """Make the comparisons on stories of equally many sentences in one precision."""
    from torch.utils.data import DataLoader
    from transformers import AutoModelForTokenClassification

    from sentence_ordering import ShuffledDocuments

    classifier = AutoModelForTokenClassification.from_pretrained(setup.folder, num_labels=1)
    model, encoder = setup.load_model(), setup.load_encoder()
    step_tutorial = training_step(classifier, partial(tutorial_loss, classifier, setup.config.sentence_token_id), bf16)
    step_ours = training_step(model, partial(our_loss, model), bf16)
    step_bare = training_step(encoder, partial(cheapest_loss, encoder), bf16)

    # The tutorial's batches lie ready and cost it nothing; ours are shuffled and padded while the clock runs.
    pad_fully = setup.collator(pad_to_multiple_of=TUTORIAL_TOKENS)
    full_batches = list(DataLoader(prepared, args.batch_size, collate_fn=pad_fully))
    shuffled = ShuffledDocuments(prepared, model.config, group_by_length_of=args.batch_size)
    our_batches = DataLoader(shuffled, args.batch_size, collate_fn=setup.collator())
    batch = next(iter(DataLoader(prepared, args.batch_size, collate_fn=setup.collator())))

    def tutorial_epoch(_: int) -> None:
        for batch in full_batches:
            step_tutorial(batch)

    def our_epoch(number: int) -> None:
        shuffled.set_epoch(number)
        for batch in our_batches:
            step_ours(batch)

    epochs = (tutorial_epoch, our_epoch)
    steps = (lambda _: step_bare(batch), lambda _: step_ours(batch))
    precision, target = ("bfloat16 autocast", 15) if bf16 else ("float32", 10)
    return [
        compare(f"training / the tutorial's way, {precision}", epochs, args.rounds, len(prepared), target),
        compare(f"training step / bare encoder, {precision}", steps, args.rounds * STEPS_PER_ROUND, target=1.03),
    ]


def benchmark_grouping(args: Namespace, folder: str) -> list[Row]:
    """Train on documents of mixed lengths in batches of similar length, and in random batches, beside each other."""
    import numpy as np
    import torch
    from torch.utils.data import DataLoader

    from sentence_ordering import ShuffledDocuments

    setup = Setup(folder)
    train = setup.prepare(cut_documents(args, args.documents, part=(0, 0.8)))
    held_out = setup.prepare(cut_documents(args, args.documents // 4, part=(0.8, 1)))
    held_out_batches = list(DataLoader(held_out, args.batch_size, collate_fn=setup.collator()))
    steps, loaders, losses = [], [], []
    torch.manual_seed(0)
    weights = setup.load_model().state_dict()
    for grouped in (None, args.batch_size):
        model = setup.load_model()
        model.load_state_dict(weights)  # so that both heads, which are new, are one
        steps.append(training_step(model, partial(our_loss, model), args.bf16, 1e-4))
        shuffled = ShuffledDocuments(train, setup.config, group_by_length_of=grouped)
        loaders.append((shuffled, DataLoader(shuffled, args.batch_size, collate_fn=setup.collator())))
        losses.append(partial(mean_loss, model, held_out_batches))

    curve = [[loss() for loss in losses]]
    speeds = np.empty((args.rounds, 2))
    for epoch in range(args.rounds):
        for side, (step, (shuffled, batches)) in enumerate(zip(steps, loaders, strict=True)):
            shuffled.set_epoch(epoch)
            start = clock()
            for batch in batches:
                step(batch)
            speeds[epoch, side] = len(train) / (clock() - start)
        curve.append([loss() for loss in losses])
    what = "training, mixed lengths, grouped / random batches"
    return [
        summarize(what, "documents/s", speeds, 1.5, less_is_better=False),
        *(single(f"loss on held-out documents after epoch {n}", "loss", *pair) for n, pair in enumerate(curve)),
    ]


def benchmark_padding(args: Namespace, folder: str) -> list[Row]:
    """Count the real tokens and the padded ones of an epoch of mixed lengths."""
    from torch.utils.data import DataLoader

    from sentence_ordering import ShuffledDocuments

    setup = Setup(folder)
    prepared = setup.prepare(cut_documents(args, 100 if args.smoke else PADDING_DOCUMENTS))
    rows = []
    for grouped, target in ((None, None), (args.batch_size, 0.95)):
        shuffled = ShuffledDocuments(prepared, setup.config, group_by_length_of=grouped)
        masks = [b["attention_mask"] for b in DataLoader(shuffled, args.batch_size, collate_fn=setup.collator())]
        padded, real = sum(mask.numel() for mask in masks), sum(int(mask.sum()) for mask in masks)
        what = f"real tokens / padded, {'random' if grouped is None else 'grouped'} batches of {args.batch_size}"
        rows.append(single(what, "tokens", padded, real, target=target))
    return rows


def benchmark_memory(args: Namespace, folder: str) -> list[Row]:
    """Measure the peak of what a training step allocates, beside the bare encoder's."""
    from torch.utils.data import DataLoader

    setup = Setup(folder)
    stories = choose_stories(args, args.documents)
    prepared = setup.prepare(stories)
    batch = next(iter(DataLoader(prepared, args.batch_size, collate_fn=setup.collator())))
    model, encoder = setup.load_model(), setup.load_encoder()
    sides = (
        training_step(encoder, partial(cheapest_loss, encoder), args.bf16),
        training_step(model, partial(our_loss, model), args.bf16),
    )
    bare, ours = (peak_megabytes(partial(side, batch)) for side in sides)
    return [single("peak memory of a step / bare encoder", "MB", bare, ours, target=1.02, less_is_better=True)]


def peak_megabytes(step: Callable[[], Any]) -> float:
    """Measure the most memory that a step holds at once, beyond what it found allocated.

    PyTorch's profiler notes every allocation on the CPU and its running total. The first call, which makes the
    optimizer's state, does not count.
    """
    import json
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from torch.profiler import ProfilerActivity, profile

    step()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    totals = [event["args"]["Total Allocated"] for event in events if event["name"] == "[memory]"]
    return max(totals) / 1e6


def tutorial_loss(classifier: nn.Module, sentence_token_id: int, batch: Batch) -> torch.Tensor:
    """Sum the squared errors of each document, one document after the other, and average over the documents."""
    import torch

    logits = classifier(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    loss = torch.zeros((), dtype=torch.float64)
    for token_scores, input_ids, labels in zip(logits, batch["input_ids"], batch["labels"], strict=True):
        scores = token_scores[input_ids == sentence_token_id].squeeze(1)
        loss = loss + (scores - labels[labels != -100].float()).square().sum()
    return loss / len(logits)


def cheapest_loss(encoder: nn.Module, batch: Batch) -> torch.Tensor:
    """Add up the hidden states, so that a step beside ours is the encoder's forward and backward pass alone."""
    return encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state.sum()


def our_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Take the loss that the model computes."""
    return model(**batch).loss


def training_step(
    model: nn.Module, compute_loss: Callable[[Batch], torch.Tensor], bf16: bool, learning_rate: float = 3e-5
) -> Callable[[Batch], None]:
    """Build what all sides do alike: dropout, precision, backward pass, and the Trainer's default optimizer."""
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)

    device = next(model.parameters()).device.type

    def step(batch: Batch) -> None:
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = compute_loss(batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def mean_loss(model: nn.Module, batches: list[Batch]) -> float:
    """Measure a model's loss on some batches, without dropout."""
    import torch

    model.eval()
    with torch.no_grad():
        losses = [float(model(**batch).loss) for batch in batches]
    model.train()
    return sum(losses) / len(losses)
