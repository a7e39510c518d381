"""Models of `transformers`, made small from their configurations: nothing is downloaded."""

import torch
from torch import nn

from tests.check import data
from tests.check.case import Problem, faulty, sound

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def finish(model: nn.Module, batch: dict[str, torch.Tensor], lr: float) -> Problem:
    """They return their own loss, so there is no loss function."""
    model.train()
    return model, batch, None, torch.optim.AdamW(model.parameters(), lr=lr)


def bert(initializer_range: float = 0.02, lr: float = 1e-3) -> Problem:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(180)
    config = BertConfig(vocab_size=200, max_position_embeddings=32, initializer_range=initializer_range, **SMALL)
    x, y = data.reviews(24, 20, 200)
    mask = (torch.arange(20) < torch.randint(10, 21, (24,))[:, None]).long()
    batch = {"input_ids": x, "attention_mask": mask, "labels": y}
    return finish(BertForSequenceClassification(config), batch, lr)


def gpt2(initializer_range: float = 0.02, lr: float = 1e-3) -> Problem:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(181)
    config = GPT2Config(
        vocab_size=150, n_positions=32, n_embd=64, n_layer=2, n_head=2, initializer_range=initializer_range,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    tokens = data.text(8, 24, 150)
    return finish(GPT2LMHeadModel(config), {"input_ids": tokens, "labels": tokens}, lr)


def t5(lr: float = 3e-3) -> Problem:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(182)
    config = T5Config(
        vocab_size=120, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, pad_token_id=0
    )
    source = 1 + data.text(16, 12, 119)
    return finish(T5ForConditionalGeneration(config), {"input_ids": source, "labels": source.flip(1)}, lr)


def vit(raw: bool = False, lr: float = 1e-3) -> Problem:
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(183)
    config = ViTConfig(image_size=16, patch_size=4, num_labels=4, **SMALL)
    x, y = data.images(32, 3, 16, 4)
    return finish(ViTForImageClassification(config), {"pixel_values": 255 * x if raw else 2 * x - 1, "labels": y}, lr)


def llama(lr: float = 1e-3) -> Problem:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(184)
    config = LlamaConfig(vocab_size=150, num_key_value_heads=2, max_position_embeddings=32, **SMALL)
    tokens = data.text(8, 24, 150)
    return finish(LlamaForCausalLM(config), {"input_ids": tokens, "labels": tokens}, lr)


FAULTY = (
    faulty("gpt2-weights-of-1", ("init-gain", "attention-logits"), gpt2, fault={"initializer_range": 1.0}),
    faulty("vit-bytes", "input-scale", vit, fault={"raw": True}),
    faulty("bert-lr-0.2", "learning-rate", bert, fault={"lr": 0.2}),
    faulty("llama-lr-1", "learning-rate", llama, lr=3e-3, fault={"lr": 1.0}),
)

SOUND = (
    sound("bert-classifier", bert),
    sound("gpt2", gpt2, lr=3e-3),
    sound("t5", t5),
    sound("vit-huggingface", vit),
    sound("llama", llama, lr=3e-3),
)
