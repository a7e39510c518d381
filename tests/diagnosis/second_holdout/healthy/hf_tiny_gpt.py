"""Hugging Face Trainer on a tiny GPT-2 with gradient accumulation, warm-up and cosine decay."""
import os
import tempfile
import warnings
import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed, logging

warnings.filterwarnings("ignore")
logging.set_verbosity_error()
os.environ["TOKENIZERS_PARALLELISM"] = "false"
set_seed(0)


class Counting(torch.utils.data.Dataset):
    """Arithmetic progressions modulo 24."""

    def __len__(self):
        return 1600

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        a, s = torch.randint(0, 24, (2,), generator=g).tolist()
        ids = (a + s * torch.arange(16)) % 24
        return {"input_ids": ids, "labels": ids.clone()}


model = GPT2LMHeadModel(GPT2Config(vocab_size=24, n_positions=16, n_embd=48, n_layer=2, n_head=4,
                                   bos_token_id=0, eos_token_id=0))
args = TrainingArguments(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=16, gradient_accumulation_steps=2,
                         num_train_epochs=5, learning_rate=5e-3, warmup_steps=30, lr_scheduler_type="cosine",
                         logging_steps=30, save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True, seed=0)
trainer = Trainer(model=model, args=args, train_dataset=Counting())
trainer.train()
logs = [h["loss"] for h in trainer.state.log_history if "loss" in h]
print("final loss", float(logs[-1]))
