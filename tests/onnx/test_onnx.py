"""Exported orderers: the graph's scores are the model's, in the pipeline and without torch."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import pipeline

from sentence_ordering import AutoModelForSentenceOrdering, commands

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnx

from sentence_ordering.onnx import exporting
from sentence_ordering.onnx.exporting import export_onnx
from sentence_ordering.onnx.orderer import ORTModelForSentenceOrdering

LONG = [f"This is sentence number {number} of many in a row." for number in range(60)]
DOCUMENTS = [
    ["Then he ate it.", "Tom bought a cake.", "He took it home, where nobody was waiting for him.", "Tom was hungry."],
    ["Alone."],
    [],
    ["b", "a"],
    LONG,
]


@pytest.fixture(scope="module")
def encoder_folder(shallow_encoder_folder):
    return shallow_encoder_folder


@pytest.fixture(scope="module")
def orderers(encoder_folder, tokenizer, tmp_path_factory):
    """Orderers of both poolings, and what they are exported to."""
    folders = {}
    for pooling in ("cls", "mean"):
        torch.manual_seed(0)
        model = AutoModelForSentenceOrdering.from_pretrained(encoder_folder, pooling=pooling, confidence_slope=1.0)
        folder = tmp_path_factory.mktemp(pooling)
        model.save_pretrained(folder / "saved")
        tokenizer.save_pretrained(folder / "saved")
        export_onnx(folder / "saved", folder / "exported")
        folders[pooling] = folder
    return folders


@pytest.fixture(scope="module")
def rounded(orderers, tmp_path_factory):
    """The orderer with mean pooling, exported with weights of 8 bits by the program."""
    folder = tmp_path_factory.mktemp("rounded") / "int8"
    commands.main(["export", "--model", str(orderers["mean"] / "saved"), "--output_dir", str(folder), "--int8"])
    return folder


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("options", [{}, {"batch_size": 8}, {"num_shuffles": 3, "max_tokens_per_batch": 400}])
def test_pipeline_gives_the_same_answers(options, pooling, orderers):
    folder = orderers[pooling]
    expected = pipeline("sentence-ordering", model=str(folder / "saved"))(DOCUMENTS, **options)
    exported = ORTModelForSentenceOrdering.from_pretrained(folder / "exported")
    answers = pipeline("sentence-ordering", model=exported)(DOCUMENTS, **options)
    assert len(LONG) * 5 > exported.config.token_limit, "the last document is to be read in windows"
    for answer, right in zip(answers, expected, strict=True):
        assert answer["order"] == right["order"]
        assert answer["scores"] == pytest.approx(right["scores"], abs=1e-5)
        assert answer["confidence"] == pytest.approx(right["confidence"], abs=1e-5)


def test_graph_runs_where_torch_is_never_imported(orderers):
    code = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
feeds = {name: np.array(rows, dtype=np.int64) for name, rows in json.loads(sys.argv[2]).items()}
[scores] = session.run(["logits"], feeds)
print(json.dumps([scores.tolist(), "torch" in sys.modules]))
"""
    folder = orderers["mean"]
    feeds = {"input_ids": [[2, 9, 8, 2, 7], [2, 6, 0, 0, 0]], "attention_mask": [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]}
    command = [sys.executable, "-c", code, str(folder / "exported"), json.dumps(feeds)]
    scores, imported_torch = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    expected = AutoModelForSentenceOrdering.from_pretrained(folder / "saved")(
        **{name: torch.tensor(rows) for name, rows in feeds.items()}
    ).logits
    assert not imported_torch
    np.testing.assert_allclose(scores, expected.detach(), atol=1e-5)


def test_folder_is_whole_and_its_card_says_what_it_is(orderers):
    folder = orderers["mean"] / "exported"
    assert {"model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md"} == {
        file.name for file in folder.iterdir()
    }
    card = (folder / "README.md").read_text()
    size = (folder / "model.onnx").stat().st_size / 1e6
    assert f"take {size:.1f} MB" in card
    assert "Exported from `saved` by `sentence-ordering export`. " in card
    assert str(folder.parent) not in card
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_rounded_graph_is_smaller_and_its_order_hardly_differs(rounded, orderers):
    sizes = [(folder / "model.onnx").stat().st_size for folder in (orderers["mean"] / "exported", rounded)]
    assert sizes[1] < sizes[0]
    exact, approximate = (
        pipeline("sentence-ordering", model=ORTModelForSentenceOrdering.from_pretrained(folder))(DOCUMENTS[0])
        for folder in (orderers["mean"] / "exported", rounded)
    )
    assert approximate["scores"] != exact["scores"]
    assert np.array(approximate["scores"])[np.array(approximate["positions"])] == pytest.approx(
        np.array(exact["scores"])[np.array(exact["positions"])], abs=0.05
    )
    assert "with `--int8`" in (rounded / "README.md").read_text()


def test_head_of_the_rounded_graph_stays_in_float32(rounded):
    import onnx

    products = [node for node in onnx.load(rounded / "model.onnx").graph.node if "MatMul" in node.op_type]
    weights = {weight.name: weight for weight in onnx.load(rounded / "model.onnx").graph.initializer}
    heads = [node for node in products if node.input[1] in weights and weights[node.input[1]].dims[-1] == 1]
    assert [node.op_type for node in heads] == ["MatMul"]
    assert sum(node.op_type == "MatMulInteger" for node in products) == 6


def test_orderer_whose_weights_are_rounded_already_is_not_exported(orderers, tmp_path, capsys):
    pipeline("sentence-ordering", model=str(orderers["cls"] / "saved"), int8=True).save_pretrained(tmp_path / "int8")
    with pytest.raises(SystemExit, match="has weights of 8 bits. Export the orderer they were rounded from"):
        commands.main(["export", "--model", str(tmp_path / "int8"), "--output_dir", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [("weights", "lacks the weights ordering_head.projection.weight"), ("tokenizer", "No tokenizer could be loaded")],
)
def test_orderers_that_are_not_whole_are_not_exported(missing, message, orderers, tmp_path):
    shutil.copytree(orderers["cls"] / "saved", tmp_path / "saved")
    if missing == "tokenizer":
        (tmp_path / "saved" / "tokenizer.json").unlink()
    else:
        weights = load_file(tmp_path / "saved" / "model.safetensors")
        del weights["ordering_head.projection.weight"]
        save_file(weights, tmp_path / "saved" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(SystemExit, match=message) as exit_:
        commands.main(["export", "--model", str(tmp_path / "saved"), "--output_dir", str(tmp_path / "out")])
    assert "\n" not in exit_.value.code
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("folder", "message"), [("", "--output_dir is empty"), ("saved", "holds a model, whose")])
def test_no_model_is_overwritten_with_a_graph(folder, message, orderers, tmp_path, monkeypatch):
    shutil.copytree(orderers["cls"] / "saved", tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    with pytest.raises(SystemExit, match=message):
        commands.main(["export", "--model", "saved", "--output_dir", folder])
    assert {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_exported_orderer_is_not_rounded_again(orderers):
    exported = ORTModelForSentenceOrdering.from_pretrained(orderers["cls"] / "exported")
    with pytest.raises(TypeError, match="`sentence-ordering export --int8`"):
        pipeline("sentence-ordering", model=exported, int8=True)


def test_folder_without_a_graph_is_refused(orderers):
    with pytest.raises(OSError, match="model.onnx"):
        ORTModelForSentenceOrdering.from_pretrained(orderers["cls"] / "saved")


def test_wrong_graph_is_not_written(orderers, tmp_path, monkeypatch):
    def copy(model, rows, path):  # The other pooling's.
        shutil.copy(orderers["cls"] / "exported" / "model.onnx", path)

    monkeypatch.setattr(exporting, "_write_graph", copy)
    with pytest.raises(ValueError, match="gives other scores than the model"):
        export_onnx(orderers["mean"] / "saved", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_backbones_that_torch_cannot_export_are_told_in_one_line(orderers, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise torch.onnx.OnnxExporterError("a page of text")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(SystemExit, match="torch cannot export a backbone of type 'bert' to ONNX.* `order --int8`"):
        commands.main(["export", "--model", str(orderers["cls"] / "saved"), "--output_dir", str(tmp_path / "out")])


def test_the_tokenizer_is_found_in_the_subfolder_of_the_graph(orderers):
    folder = orderers["cls"]
    exported = ORTModelForSentenceOrdering.from_pretrained(folder, subfolder="exported")
    assert sorted(pipeline("sentence-ordering", model=exported)(["a", "b"])["order"]) == [0, 1]


def test_a_graph_of_one_length_is_refused(orderers, tmp_path, monkeypatch):
    def write(model, rows, path):  # As torch exports Funnel, without a word.
        graph = onnx.load(orderers["cls"] / "exported" / "model.onnx")
        for given in graph.graph.input:
            given.type.tensor_type.shape.dim[1].dim_value = rows["input_ids"].shape[1]
        onnx.save(graph, path)

    monkeypatch.setattr(exporting, "_write_graph", write)
    with pytest.raises(ValueError, match="torch cannot export a backbone of type 'bert' to ONNX"):
        export_onnx(orderers["cls"] / "saved", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_missing_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for name in ("sentence_ordering.onnx.exporting", "sentence_ordering.onnx.orderer"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(SystemExit, match="needs the extra `onnx`"):
        commands.main(["export", "--output_dir", str(tmp_path / "out")])
