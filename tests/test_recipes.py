"""The recipes in configuration/, each run for two steps on small files that the commands in its first lines prepare."""

import csv
import json
import re
import shlex
from pathlib import Path

import distil
import pytest
import yaml
from transformers import AutoTokenizer, ModernBertConfig, ModernBertModel

from sentence_ordering import AutoModelForSentenceOrdering, commands

RECIPES = sorted((Path(__file__).parents[1] / "configuration").glob("*.yaml"))


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request):
    return request.param


@pytest.fixture
def corpora(stories, tmp_path, monkeypatch):
    """A folder with small files of the names that the recipes use."""
    monkeypatch.chdir(tmp_path)
    five = [(story * 5)[:5] for story in stories[:40]]
    for name, rows in (("ROCStories_winter2017.csv", five[:20]), ("ROCStories_spring2016.csv", five[20:])):
        with open(name, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["storyid", "storytitle", *(f"sentence{number}" for number in range(1, 6))])
            table.writerows([f"{index}", "A title", *row] for index, row in enumerate(rows))
    for mixture in ("general", "general-base", "general-base-continued", "general-distilled", "multilingual"):
        Path("corpora", mixture).mkdir(parents=True)
        for split, documents in (("train", stories[:16]), ("validation", stories[16:24])):
            rows = [{"sentences": sentences, "scores": [*range(len(sentences))]} for sentences in documents]
            lines = [json.dumps(row) + "\n" for row in rows]
            Path(f"corpora/{mixture}/{split}.jsonl").write_text("".join(lines))
    for folder in ("paragraphs", "books", "buecher"):
        Path(folder).mkdir()
        for number in range(6):
            some = stories[number * 8 : number * 8 + 8]
            paragraphs = [" ".join(story) for story in some] if folder == "paragraphs" else sum(some, start=[])
            Path(folder, f"{number}.txt").write_text("\n\n".join(paragraphs), encoding="utf-8")


@pytest.fixture(scope="session")
def long_encoder_folder(modernbert_config, tokenizer, tmp_path_factory):
    """An encoder with as many positions as the recipe for long documents uses."""
    folder = tmp_path_factory.mktemp("long-encoder")
    config = ModernBertConfig(**{**modernbert_config.to_dict(), "max_position_embeddings": 8192})
    ModernBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_recipe_says_what_it_needs_and_what_was_reached(recipe):
    assert isinstance(yaml.safe_load(recipe.read_text()), dict)
    comment = " ".join(line for line in recipe.read_text().splitlines() if line.startswith("#"))
    assert "Needs" in comment
    assert "Reached" in comment or "Not measured" in comment


def test_recipe_leaves_the_precision_to_the_device(recipe):
    options = yaml.safe_load(recipe.read_text())
    assert not {"bf16", "fp16", "use_cpu"} & options.keys()
    assert "dtype" not in options.get("encoder_options", {})


def test_recipe_trains_on_what_its_first_lines_prepare(recipe, corpora, encoder_folder, long_encoder_folder, capsys):
    comment = "\n".join(line[1:] for line in recipe.read_text().splitlines() if line.startswith("#"))
    if "--language" in comment:
        pytest.importorskip("sentencex")
    for command in re.findall(r"sentence-ordering (prepare .*)", comment.replace("\\\n", "")):
        commands.main([*shlex.split(command, comments=True), "--held_out", "0.4", "--validation", "0.5"])
    encoder = long_encoder_folder if "max_tokens" in yaml.safe_load(recipe.read_text()) else encoder_folder
    options = ["--model", str(encoder), "--output_dir", "out", "--max_steps", "2", "--disable_tqdm", "1"]
    if "scripts/distil.py" in comment:
        distil.main([str(recipe), *options])
    else:
        commands.main(["train", str(recipe), *options])
    assert re.search(r"\n\d+ documents\n", capsys.readouterr().out)
    assert AutoTokenizer.from_pretrained("out").cls_token == "[CLS]"
    assert AutoModelForSentenceOrdering.from_pretrained("out").config.pooling == (
        yaml.safe_load(recipe.read_text()).get("pooling", "cls")
    )
