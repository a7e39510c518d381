"""Masked language model (tiny BERT from config) on a templated corpus with the Hugging Face Trainer."""
import os, random, tempfile
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from torch.utils.data import Dataset
from transformers import BertConfig, BertForMaskedLM, Trainer, TrainingArguments, set_seed

set_seed(21)
PAD, CLS, SEP, MASK = range(4)
VOCAB, L = 90, 20

class Templates(Dataset):
    """each topic owns 12 words; sentences are order-2 chains inside a topic, with copies"""
    def __init__(self, n, seed):
        r = random.Random(seed)
        self.rows = []
        for _ in range(n):
            t = r.randrange(7); base = 4 + 12 * t
            a, b = r.randrange(12), r.randrange(12)
            s = [CLS, base + a, base + b]
            while len(s) < L - 1:
                a, b = b, (a * 3 + b + t) % 12 if r.random() < .9 else r.randrange(12)
                s.append(base + b)
            self.rows.append(s + [SEP])
    def __len__(self): return len(self.rows)
    def __getitem__(self, i): return self.rows[i]

def collate(rows):
    ids = torch.tensor(rows)
    labels = ids.clone()
    pick = (torch.rand(ids.shape) < .2) & (ids > 3)
    labels[~pick] = -100
    u = torch.rand(ids.shape)
    ids = torch.where(pick & (u < .8), torch.full_like(ids, MASK), ids)
    ids = torch.where(pick & (u > .9), torch.randint(4, VOCAB, ids.shape), ids)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}

cfg = BertConfig(vocab_size=VOCAB, hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96,
                 max_position_embeddings=L, hidden_dropout_prob=.05, attention_probs_dropout_prob=.0)
model = BertForMaskedLM(cfg)
with tempfile.TemporaryDirectory() as d:
    args = TrainingArguments(output_dir=d, max_steps=5000, per_device_train_batch_size=16, learning_rate=2e-3,
                             warmup_steps=300, lr_scheduler_type="linear", weight_decay=.01, logging_steps=250,
                             save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
                             remove_unused_columns=False, per_device_eval_batch_size=64,
                             eval_strategy="steps", eval_steps=1000, dataloader_num_workers=0)
    tr = Trainer(model=model, args=args, train_dataset=Templates(8000, 1), eval_dataset=Templates(320, 2), data_collator=collate)
    tr.train()
    logs = [h["loss"] for h in tr.state.log_history if "loss" in h]
    print("eval", tr.evaluate()["eval_loss"])
print(f"final loss {sum(float(x) for x in logs[-2:])/2:.4f}")
