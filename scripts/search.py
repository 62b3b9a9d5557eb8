"""Search learning rate, warm-up and weight decay of a recipe with optuna (extra `search`), for the best tau.

    python scripts/search.py configuration/quickstart.yaml --trials 20 --output_dir output/search

Takes the options of `sentence-ordering train` and runs `Trainer.hyperparameter_search`: a trial is a training run,
measured on the validation split. Prints the best options, and writes them to best.yaml in the output folder, as lines
for a recipe.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sentence_ordering.commands.arguments import parse_arguments
from sentence_ordering.commands.train import make_trainer
from sentence_ordering.commands.train_arguments import DataArguments, ModelArguments
from sentence_ordering.training.trainer import load_model

if TYPE_CHECKING:
    import optuna
    from transformers import Trainer, TrainingArguments


@dataclass
class SearchArguments:
    """How long to search."""

    trials: int = field(default=20, metadata={"help": "Number of training runs."})


def main(argv: list[str] | None = None) -> None:
    """Search, print the best options, and write them to a file.

    Args:
        argv: Command-line arguments; by default the process's.
    """
    from sentence_ordering.training.precision import PreciseTrainingArguments

    types = (SearchArguments, ModelArguments, DataArguments, PreciseTrainingArguments)
    search_args, model_args, data_args, training_args = parse_arguments(types, argv, "search", __doc__)
    try:
        if data_args.dry_run:
            raise ValueError("A search has no --dry_run. That of `sentence-ordering train` checks the same options.")
        import optuna

        trainer = make_search_trainer(model_args, data_args, training_args)
    except (ImportError, OSError, TypeError, ValueError) as error:
        sys.exit(str(error))
    best: Any = trainer.hyperparameter_search(
        hp_space=suggest,
        compute_objective=partial(choose_tau, trainer=trainer),
        n_trials=search_args.trials,
        direction="maximize",
        backend="optuna",
        sampler=optuna.samplers.TPESampler(seed=training_args.seed),
        pruner=optuna.pruners.NopPruner(),  # Every trial is a whole training run.
    )
    if best is None:  # Not the main process.
        return
    options = yaml.safe_dump(best.hyperparameters)
    file = Path(str(training_args.output_dir)) / "best.yaml"
    file.write_text(
        f"# tau {best.objective:.3f} on the validation split, the best of {search_args.trials} trials\n{options}"
    )
    print(file.read_text(), end="")


def make_search_trainer(
    model_args: ModelArguments, data_args: DataArguments, training_args: TrainingArguments
) -> Trainer:
    """Make the trainer of `sentence-ordering train`, which starts every trial with a fresh model."""
    # The Trainer casts what a trial draws to the type of what was there, and shares would become whole numbers.
    training_args.warmup_steps = float(training_args.warmup_steps)
    trainer = make_trainer(model_args, data_args, training_args, data_args.load())
    if trainer.eval_dataset is None:
        raise ValueError("There is no validation split to measure trials on: name one.")

    def model_init() -> Any:
        return load_model(model_args.name, model_args.lora_rank, **model_args.keywords())

    trainer.model_init = model_init
    return trainer


def suggest(trial: optuna.Trial) -> dict[str, float]:
    """Draw the options of a trial.

    Args:
        trial: optuna's trial.

    Returns:
        Values for options of `TrainingArguments`.
    """
    return {
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 3e-4, log=True),
        "warmup_steps": trial.suggest_float("warmup_steps", 0.0, 0.2),
        "weight_decay": trial.suggest_float("weight_decay", 0.0, 0.1),
    }


def choose_tau(metrics: dict[str, float], trainer: Trainer) -> float:
    """Choose the tau of the weights that a trial would keep: the best, if the best are kept, or else the last."""
    if not trainer.args.load_best_model_at_end:
        return metrics["eval_kendall_tau"]
    return max(entry["eval_kendall_tau"] for entry in trainer.state.log_history if "eval_kendall_tau" in entry)


if __name__ == "__main__":
    main()
