"""Trains a small BERT sequence classifier from a config with the Hugging Face Trainer.

Cause: learning-rate
Fails: the evaluation loss stays at the level of guessing
"""
import os
import random
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

set_seed(42)
torch.set_num_threads(1)
POS, NEG = list(range(10, 25)), list(range(25, 40))
NOT = 5


class Reviews(Dataset):
    def __init__(self, n, seed):
        r = random.Random(seed)
        self.rows = []
        for _ in range(n):
            y = r.randint(0, 1)
            toks = [r.randint(40, 99) for _ in range(16)]
            for p in r.sample(range(1, 15), 4):
                if r.random() < 0.3:
                    toks[p - 1], toks[p] = NOT, r.choice(NEG if y else POS)
                else:
                    toks[p] = r.choice(POS if y else NEG)
            self.rows.append(([1] + toks + [2], y))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        t, y = self.rows[i]
        return {"input_ids": torch.tensor(t), "attention_mask": torch.ones(len(t), dtype=torch.long), "labels": torch.tensor(y)}


config = BertConfig(vocab_size=100, hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=128, max_position_embeddings=32, num_labels=2)
model = BertForSequenceClassification(config)
args = TrainingArguments(
    output_dir=tempfile.mkdtemp(),
    per_device_train_batch_size=16,
    max_steps=300,
    learning_rate=5e-2,  # fix: learning_rate=5e-4,
    lr_scheduler_type="linear",
    weight_decay=0.01,
    logging_steps=50,
    save_strategy="no",
    report_to="none",
    use_cpu=True,
    disable_tqdm=True,
    seed=42,
)
trainer = Trainer(model=model, args=args, train_dataset=Reviews(3000, 0), eval_dataset=Reviews(400, 1))
trainer.train()
print("final loss", trainer.evaluate()["eval_loss"])
