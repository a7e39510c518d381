"""A tiny Llama made from a config learns counting sentences with the transformers Trainer.

Cause: learning-rate
Fails: the peak rate suits a linear probe and not AdamW on a transformer, the loss goes up and stays above the start
"""
import logging
import warnings

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments, set_seed

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
set_seed(28)
THINGS = "cats dogs hens pigs cows".split()
VERBS = "saw fed sold lost".split()
WORDS = ["<s>", "i", "and", "then", "so", "had"] + THINGS + VERBS + [str(k) for k in range(20)]
ID = {w: i for i, w in enumerate(WORDS)}


def sentence(g):
    r = lambda n: int(torch.randint(n, (1,), generator=g))
    a, b, t = r(10), r(10), THINGS[r(5)]
    s = f"<s> i {VERBS[r(2)]} {a} {t} and then i {VERBS[2 + r(2)]} {b} {t} so i had {a + b} {t}"
    return [ID[w] for w in s.split()]


class Counting(torch.utils.data.Dataset):
    def __init__(self, n):
        g = torch.Generator().manual_seed(28)
        self.rows = [torch.tensor(sentence(g)) for _ in range(n)]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return {"input_ids": self.rows[i], "labels": self.rows[i]}


class Keep(TrainerCallback):
    losses = []

    def on_log(self, args, state, control, logs=None, **kw):
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


cfg = LlamaConfig(vocab_size=len(WORDS), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32)
args = TrainingArguments(
    output_dir="llama_tiny_out",
    per_device_train_batch_size=16,
    num_train_epochs=1,
    learning_rate=1.0,  # fix: learning_rate=3e-3,
    warmup_steps=5,
    max_grad_norm=1.0,
    lr_scheduler_type="constant_with_warmup",
    logging_steps=5,
    save_strategy="no",
    report_to=[],
    use_cpu=True,
    disable_tqdm=True,
    seed=28,
)
trainer = Trainer(model=LlamaForCausalLM(cfg), args=args, train_dataset=Counting(2400), callbacks=[Keep()])
trainer.train()
print("final loss", sum(Keep.losses[-4:]) / 4)
