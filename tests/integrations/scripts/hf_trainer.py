"""Fine-tuning with `transformers.Trainer`, everything left at its default: a small BERT learns a score of a text."""

import argparse
import hashlib

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
    set_seed,
)


class Texts(torch.utils.data.Dataset):
    """Random texts; the score is the share of common words in them."""

    def __init__(self, count, length=12, words=50):
        self.tokens = torch.randint(1, words, (count, length))
        self.scores = (self.tokens < 10).float().mean(1)

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return {
            "input_ids": self.tokens[index],
            "attention_mask": torch.ones_like(self.tokens[index]),
            "labels": self.scores[index],
        }


class Collator:
    """Makes batches; in one of them a score is missing, as it is when a table has a hole."""

    def __init__(self, nan_at):
        self.nan_at = nan_at
        self.batches = 0

    def __call__(self, examples):
        batch = default_data_collator(examples)
        if self.batches == self.nan_at:
            batch["labels"][0] = float("nan")
        self.batches += 1
        return batch


class PrintedTrainer(Trainer):
    # The logged loss is no witness: by default the Trainer replaces one that is not finite by an average.
    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        print("loss", repr(loss.item()))
        return loss


class PrintRate(TrainerCallback):
    def on_step_end(self, args, state, control, lr_scheduler=None, **kwargs):
        print("rate", repr(lr_scheduler.get_last_lr()[0]))


parser = argparse.ArgumentParser()
parser.add_argument("--nan-at", type=int, metavar="STEP", help="the batch that has a NaN in it")
parser.add_argument("--accumulate", type=int, default=1)
options = parser.parse_args()

set_seed(0)
config = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=16,
    num_labels=1,
)
model = BertForSequenceClassification(config)
trainer = PrintedTrainer(
    model=model,
    args=TrainingArguments(
        output_dir="out",
        learning_rate=1e-3,
        per_device_train_batch_size=8,
        gradient_accumulation_steps=options.accumulate,
        num_train_epochs=4,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    ),
    train_dataset=Texts(64),
    data_collator=Collator(options.nan_at),
    callbacks=[PrintRate()],
)
trainer.remove_callback(PrinterCallback)  # it prints how long the training took
trainer.train()

print("optimizer", type(trainer.optimizer.optimizer).__name__, "fused:", trainer.optimizer.param_groups[0]["fused"])
print("steps", trainer.state.global_step)
digest = hashlib.sha256()
for tensor in model.state_dict().values():
    digest.update(tensor.numpy().tobytes())
print("weights", digest.hexdigest())
