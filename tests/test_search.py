import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from transformers import TrainingArguments

from sentence_ordering.commands.train_arguments import DataArguments, ModelArguments

SCRIPT = Path(__file__).parents[1] / "scripts" / "search.py"


@pytest.fixture
def search(encoder_folder, stories, tmp_path):
    """Run the script on a few stories; return its output folder."""
    pytest.importorskip("optuna")
    for name, documents in (("train", stories[:16]), ("validation", stories[16:216])):
        lines = (json.dumps({"sentences": document}) + "\n" for document in documents)
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))

    def run(*options):
        common = ["--model", str(encoder_folder), "--output_dir", str(tmp_path / "out"), "--use_cpu", "--trials", "2"]
        common += ["--train_file", str(tmp_path / "train.jsonl"), "--max_steps", "6", "--disable_tqdm", "true"]
        runpy.run_path(str(SCRIPT))["main"]([*common, "--save_strategy", "no", *options])
        return tmp_path / "out"

    return run


@pytest.mark.slow
def test_best_options_are_those_of_the_trial_with_the_highest_tau(search, tmp_path, capsys, monkeypatch):
    import optuna

    studies = []
    create = optuna.create_study
    monkeypatch.setattr(optuna, "create_study", lambda **options: studies.append(create(**options)) or studies[0])
    folder = search("--validation_file", str(tmp_path / "validation.jsonl"), "--pooling", "mean")
    best = (folder / "best.yaml").read_text()
    assert best in capsys.readouterr().out
    [study] = studies
    taus = [trial.value for trial in study.trials]
    assert len(set(taus)) == 2
    assert best.startswith(f"# tau {max(taus):.3f} on the validation split, the best of 2 trials\n")
    assert yaml.safe_load(best) == study.trials[taus.index(max(taus))].params
    assert yaml.safe_load(best).keys() == {"learning_rate", "warmup_steps", "weight_decay"}


@pytest.mark.parametrize("lora_rank", [None, 2])
def test_trials_start_as_train_does(lora_rank, encoder_folder, tmp_path):
    pytest.importorskip("peft")
    model_args = ModelArguments(str(encoder_folder), pooling="mean", lora_rank=lora_rank)
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", train_sampling_strategy="sequential")
    data_args = DataArguments("bigbench_narratives")
    trainer = runpy.run_path(str(SCRIPT))["make_search_trainer"](model_args, data_args, arguments)
    assert isinstance(arguments.warmup_steps, float)  # or the Trainer makes whole numbers of the shares that are drawn
    starts = [
        {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        for model in (trainer.model, trainer.model_init())
    ]
    assert starts[0].keys() == starts[1].keys()
    [heads] = ([start[name][0] for start in starts] for name in starts[0] if "ordering_head" in name)
    assert torch.cosine_similarity(*heads, dim=0) > 0.999


@pytest.mark.parametrize(("keeps_best", "tau"), [(True, 0.5), (False, 0.3)])
def test_a_trial_is_judged_by_the_weights_that_it_keeps(keeps_best, tau):
    choose_tau = runpy.run_path(str(SCRIPT))["choose_tau"]
    log = [{"loss": 1.0}, {"eval_kendall_tau": 0.5}, {"eval_kendall_tau": 0.3}]
    trainer = SimpleNamespace(
        args=SimpleNamespace(load_best_model_at_end=keeps_best), state=SimpleNamespace(log_history=log)
    )
    assert choose_tau({"eval_kendall_tau": 0.3}, trainer) == tau


def test_a_dry_run_is_refused(search):
    with pytest.raises(SystemExit, match="A search has no --dry_run"):
        search("--dry_run")


def test_corpus_without_validation_split_is_refused(search):
    with pytest.raises(SystemExit, match="no validation split to measure trials on"):
        search()
