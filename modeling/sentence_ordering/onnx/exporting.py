"""Orderers to folders with an ONNX graph: exported by torch, rounded to 8 bits by onnxruntime."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch.export import Dim
from transformers.utils import CONFIG_NAME

from ..model.backbones import backbone_of
from ..model.batching import pad_rows
from ..model.encoding import encode_documents, load_tokenizer
from ..model.modeling_sentence_ordering import SentenceOrderingModel
from ..orderers import load_whole, locate_orderer
from .card import format_card
from .orderer import GRAPH, ORTModelForSentenceOrdering

# Rows that the graph is traced with, and then compared on, together and one alone: mixed lengths, one sentence, many.
EXAMPLES = (["He ate it.", "Tom bought a cake.", "It was late."], ["It rained."], ["One.", "Two.", "Three.", "Four."])
# Scores of float32 graphs differ from torch's by less; more means that the graph is wrong.
TOLERANCE = 1e-4
# A file of this many bytes is more than one message of protobuf may hold.
LARGEST_FILE = 2**31


def export_onnx(model: str | os.PathLike[str], output_dir: str | os.PathLike[str], *, int8: bool = False) -> float:
    """Write an orderer as a folder with an ONNX graph, its configuration, tokenizer and model card.

    The graph's inputs are `input_ids` and `attention_mask`, integers of shape `(documents, tokens)`, its output
    `logits`, float32 of shape `(documents, sentences)`; all three sizes may vary from call to call.

    Args:
        model: A folder or Hub id of an orderer, or `"general"`. An adapter is merged into its encoder.
        output_dir: The folder to write to. It appears when all of it is written.
        int8: Whether to round the weights to 8 bits.

    Returns:
        The greatest difference of a score from torch's, on three short documents.

    Raises:
        ValueError: If it is no orderer, or there is no tokenizer beside it, or its weights are of 8 bits already, the
            folder to write to holds another model, or the graph gives other scores than the model.
        OSError: If there is no orderer, or weights of it are missing, or the folder cannot be written.

    Example:
        >>> export_onnx("user/orderer", "output/onnx")
        >>> order = pipeline("sentence-ordering", model=ORTModelForSentenceOrdering.from_pretrained("output/onnx"))
    """
    output = Path(output_dir)
    if (output / CONFIG_NAME).exists() and not (output / GRAPH).exists():
        raise ValueError(f"{output} holds a model, whose configuration and card would be overwritten. Name another.")
    orderer: Any = load_whole(model, dtype=torch.float32)
    if orderer.config.int8:
        raise ValueError(
            f"{str(model)!r} has weights of 8 bits. Export the orderer they were rounded from, with `int8`."
        )
    tokenizer = load_tokenizer(locate_orderer(model), "Put the one that it was trained with into its folder.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        tokenizer.save_pretrained(work)
        orderer.config.to_json_file(str(Path(work, "config.json")))
        rows = pad_rows(encode_documents(EXAMPLES, tokenizer, orderer.config)["input_ids"], tokenizer)
        if int8:
            with TemporaryDirectory(dir=work) as aside:
                _write_graph(orderer, rows, Path(aside, GRAPH))
                _round_weights(Path(aside, GRAPH), Path(work, GRAPH), external_data=_is_large(orderer))
        else:
            _write_graph(orderer, rows, Path(work, GRAPH))
        difference = _compare(orderer, rows, work)
        if not int8 and difference > TOLERANCE:
            raise ValueError(f"The graph gives other scores than the model: they differ by up to {difference:.2g}.")
        card = format_card(
            str(model),
            output.name,
            count_bytes(work),
            difference,
            int8=int8,
            sentence_token_id=orderer.config.sentence_token_id,
            token_limit=orderer.config.token_limit,
        )
        Path(work, "README.md").write_text(card, encoding="utf-8")
        output.mkdir(exist_ok=True)
        for file in sorted(Path(work).iterdir()):
            file.replace(output / file.name)
    return difference


def count_bytes(folder: str | os.PathLike[str]) -> int:
    """Return the size of an exported orderer's graph, weights included."""
    return sum(file.stat().st_size for file in Path(folder).glob(f"{GRAPH}*"))


def _is_large(model: SentenceOrderingModel) -> bool:
    return sum(weight.numel() * weight.element_size() for weight in model.parameters()) >= LARGEST_FILE


def _write_graph(model: SentenceOrderingModel, rows: dict[str, torch.Tensor], path: Path) -> None:
    special, limit = backbone_of(model.config.backbone_config), model.config.position_limit
    shape = {0: Dim("documents"), 1: Dim("tokens", min=special.shortest_row, max=limit)}
    with warnings.catch_warnings(action="ignore"):  # Torch warns of what it does itself.
        try:
            torch.onnx.export(
                model,
                (),
                str(path),
                kwargs=rows,
                input_names=list(rows),
                output_names=["logits"],
                dynamic_shapes=dict.fromkeys(rows, shape),
                dynamo=True,
                external_data=_is_large(model),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise _not_exported(model) from error


def _not_exported(model: SentenceOrderingModel) -> ValueError:
    return ValueError(
        f"torch cannot export a backbone of type {model.config.backbone_config.model_type!r} to ONNX. On a processor, "
        "rounding to 8 bits makes it faster, too: `order --int8`."
    )


def _round_weights(path: Path, rounded: Path, *, external_data: bool) -> None:
    """Round the weights of a graph's matrix products to 8 bits, but for the head's."""
    graph = onnx.load(path).graph
    outputs = {weight.name: weight.dims[-1] for weight in graph.initializer if len(weight.dims) == 2}
    head = [node.name for node in graph.node if node.op_type == "MatMul" and outputs.get(node.input[1]) == 1]
    quantize_dynamic(
        path,
        rounded,
        op_types_to_quantize=["MatMul", "Gemm"],
        nodes_to_exclude=head,
        per_channel=True,
        reduce_range=True,  # So that products of 8 bits do not overflow on processors with AVX2 alone.
        weight_type=QuantType.QInt8,
        use_external_data_format=external_data,
    )


def _compare(model: SentenceOrderingModel, rows: dict[str, torch.Tensor], folder: str) -> float:
    """Return the greatest difference of the graph's scores from the model's, for rows and for the shortest alone."""
    exported = ORTModelForSentenceOrdering.from_pretrained(folder)
    shortest = rows["attention_mask"].sum(dim=1).argmin()
    tokens = rows["attention_mask"][shortest].bool()
    differences = []
    for batch in (rows, {name: tensor[shortest, tokens][None] for name, tensor in rows.items()}):
        with torch.inference_mode():
            expected = model(**batch).logits
        try:
            logits = exported(**batch).logits
        except InvalidArgument as error:  # A graph of one length, which torch traces without a word.
            raise _not_exported(model) from error
        assert logits is not None
        differences.append(float((logits - expected).abs().max()))
    return max(differences)
