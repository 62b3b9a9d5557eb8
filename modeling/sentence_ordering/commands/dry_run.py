"""What a training run would do, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from transformers import Trainer


def describe_run(trainer: Trainer) -> str:
    """Describe what a trainer would train on what; goes through the batches of one epoch.

    Args:
        trainer: A trainer whose datasets are prepared.

    Returns:
        A table: the model, the documents and tokens of each split, the longest row, padding, and optimizer steps.

    Example:
        >>> print(describe_run(trainer))
        model        SentenceOrderingModel around bert, 22.6 million parameters, 22.6 million of them trained
        train        770 documents, 3,525 sentences, 64,456 tokens, longest row 220 tokens, 2.7 % of the batches padding
        validation   42 documents, 187 sentences, 3,682 tokens, longest row 222 tokens, 60.5 % of the batches padding
        steps        49 an epoch of 16 documents each, 196 in all
    """
    args: Any = trainer.args
    model: Any = trainer.model
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    steps = trainer.set_initial_training_values(args, trainer.get_train_dataloader())
    _, steps_per_epoch, _, _, documents_per_step, _, max_steps = steps
    rows = {
        "model": f"{type(model).__name__} around {model.config.backbone_config.model_type}, "
        f"{model.num_parameters() / 1e6:.1f} million parameters, {trained / 1e6:.1f} million of them trained",
        "train": _describe_split(trainer, trainer.train_dataset, args.train_batch_size),
        "validation": "none"
        if trainer.eval_dataset is None
        else _describe_split(trainer, trainer.eval_dataset, args.eval_batch_size),
        "steps": f"{steps_per_epoch} an epoch of {documents_per_step} documents each, {max_steps} in all",
    }
    return "\n".join(f"{name:13}{text}" for name, text in rows.items())


def _describe_split(trainer: Trainer, dataset: Any, batch_size: int) -> str:
    """Count what a split's batches hold."""
    batches: DataLoader[Any] = DataLoader(dataset, batch_size=batch_size, collate_fn=trainer.data_collator)
    documents = sentences = tokens = padded = longest = 0
    for batch in batches:
        mask = batch["attention_mask"]
        documents += len(mask)
        sentences += int((batch["labels"] != -100).sum())
        tokens += int(mask.sum())
        padded += mask.numel()
        longest = max(longest, mask.shape[1])
    return (
        f"{documents:,} documents, {sentences:,} sentences, {tokens:,} tokens, longest row {longest} tokens, "
        f"{100 * (1 - tokens / padded):.1f} % of the batches padding"
    )
