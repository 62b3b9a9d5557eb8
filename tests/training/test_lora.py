import json

import pytest
import torch

from sentence_ordering import AutoModelForSentenceOrdering
from sentence_ordering.commands.train import main
from sentence_ordering.training.lora import add_lora

peft = pytest.importorskip("peft")
IDS = torch.tensor([[1, 20, 21, 1, 22, 1, 30]])


def test_adapter_loads_onto_a_fresh_wrap_and_merges_to_the_same_scores(encoder_folder, tmp_path):
    def fresh():
        return AutoModelForSentenceOrdering.from_pretrained(encoder_folder)

    model = add_lora(fresh(), rank=4)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.05)
    encoder = fresh().backbone.state_dict()
    for _ in range(3):
        optimizer.zero_grad()
        model(input_ids=IDS, labels=torch.tensor([[2, 0, 1]])).loss.backward()
        optimizer.step()
    model.eval()
    scores = model(input_ids=IDS).logits
    model.save_pretrained(tmp_path / "adapter")
    assert not (tmp_path / "adapter" / "model.safetensors").exists()

    loaded = peft.PeftModel.from_pretrained(fresh(), tmp_path / "adapter").eval()
    torch.testing.assert_close(loaded(input_ids=IDS).logits, scores)
    merged = loaded.merge_and_unload()
    torch.testing.assert_close(merged(IDS).logits, scores, atol=1e-5, rtol=1e-5)
    name = "encoder.layer.0.attention.self.query.weight"
    assert not merged.backbone.state_dict()[name].equal(encoder[name])
    word_embeddings = merged.get_input_embeddings().weight
    assert word_embeddings.equal(encoder["embeddings.word_embeddings.weight"])
    merged.save_pretrained(tmp_path / "orderer")
    again = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "orderer")
    torch.testing.assert_close(again(IDS).logits, merged(IDS).logits)


def test_training_program_leaves_a_merged_orderer_and_its_adapter(encoder_folder, stories, tmp_path):
    file = tmp_path / "train.jsonl"
    file.write_text("".join(json.dumps({"sentences": story}) + "\n" for story in stories[:24]))
    options = {"model": encoder_folder, "train_file": file, "validation_file": file, "output_dir": tmp_path / "out"}
    options |= {"lora_rank": 4, "max_steps": 2, "learning_rate": 0.01, "report_to": "none"}
    main([f"--{name}={value}" for name, value in options.items()] + ["--use_cpu"])
    orderer = AutoModelForSentenceOrdering.from_pretrained(tmp_path / "out")
    fresh = AutoModelForSentenceOrdering.from_pretrained(encoder_folder)
    merged = peft.PeftModel.from_pretrained(fresh, tmp_path / "out" / "adapter").eval().merge_and_unload()
    torch.testing.assert_close(orderer(IDS).logits, merged(IDS).logits)
