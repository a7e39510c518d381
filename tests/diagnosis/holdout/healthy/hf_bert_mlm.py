"""Masked-language modelling with a tiny Hugging Face BERT config, few masked tokens per batch and hence noisy losses."""

import torch
from transformers import BertConfig, BertForMaskedLM

torch.manual_seed(1)
VOCAB, MASK, LEN = 24, 3, 12


def corpus(n):
    start = torch.randint(4, VOCAB, (n, 1))
    stride = 1
    return 4 + (start - 4 + stride * torch.arange(LEN)) % (VOCAB - 4)


size = dict(
    hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=16
)
cfg = BertConfig(vocab_size=VOCAB, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **size)
model = BertForMaskedLM(cfg)
opt = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for step in range(260):
    ids = corpus(16)
    masked = torch.rand(ids.shape) < 0.15
    masked[:, 5] = True
    inputs = ids.masked_fill(masked, MASK)
    labels = ids.masked_fill(~masked, -100)
    loss = model(input_ids=inputs, labels=labels).loss
    opt.zero_grad()
    loss.backward()
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
