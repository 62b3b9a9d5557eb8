import json

from sentence_ordering import commands


def test_dry_run_tells_what_would_be_trained_on_what_and_stops(encoder_folder, tmp_path, capsys):
    # One token a word and a sentence token: rows of 4, 4, 8 and 6 tokens, batches of 2.
    train = [["b", "c"], ["c", "b"], ["b c d", "b c d"], ["b", "c", "d"], ["alone"]]
    rows = {"train": train, "validation": [["b", "c"]]}
    for name, documents in rows.items():
        lines = (json.dumps({"sentences": document}) + "\n" for document in documents)
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    options = ["--model", str(encoder_folder), "--output_dir", str(tmp_path / "out"), "--use_cpu", "--dry_run"]
    options += ["--train_file", str(tmp_path / "train.jsonl"), "--validation_file", str(tmp_path / "validation.jsonl")]
    options += ["--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "2", "--num_train_epochs", "3"]
    commands.main(["train", *options])
    model, training, validation, steps = capsys.readouterr().out.splitlines()
    assert model.startswith("model        SentenceOrderingModel around bert, 0.0 million parameters")
    # Grouped by length, only 6 and 8 tokens meet: 2 of 24 tokens are padding.
    assert training == (
        "train        4 documents, 9 sentences, 22 tokens, longest row 8 tokens, 8.3 % of the batches padding"
    )
    assert validation == (
        "validation   1 documents, 2 sentences, 4 tokens, longest row 4 tokens, 0.0 % of the batches padding"
    )
    assert steps == "steps        1 an epoch of 4 documents each, 3 in all"
    assert list((tmp_path / "out").iterdir()) == []
