"""Trains a config-built BERT token tagger with the HF Trainer at a high peak rate with warm-up and a first loss well over the guess."""
import os
import tempfile
import torch
from transformers import BertConfig, BertForTokenClassification, Trainer, TrainingArguments

torch.manual_seed(0)
V, T, L = 40, 5, 12
table = torch.randint(0, T, (V,))
ids = torch.randint(0, V, (2500, L))
labels = (table[ids] + (torch.roll(ids, 1, 1) % 2) * (torch.arange(L) > 0)) % T


class DS(torch.utils.data.Dataset):
    def __len__(self):
        return len(ids)

    def __getitem__(self, i):
        return {"input_ids": ids[i], "labels": labels[i]}


cfg = BertConfig(vocab_size=V, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
                 max_position_embeddings=16, num_labels=T, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                 initializer_range=0.2)
with tempfile.TemporaryDirectory() as d:
    args = TrainingArguments(output_dir=os.path.join(d, "o"), per_device_train_batch_size=32, max_steps=150, learning_rate=5e-3,
                             warmup_steps=30, logging_steps=20, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True)
    tr = Trainer(model=BertForTokenClassification(cfg), args=args, train_dataset=DS())
    tr.train()
    h = [e["loss"] for e in tr.state.log_history if "loss" in e]
print("final loss", h[-1])
