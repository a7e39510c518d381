"""Spoken-keyword-like classification of noisy spectral frames in fp16 with a GradScaler.

Cause: clip-before-unscale
Fails: the loss stays at 2.08, chance among eight, for all 700 steps
"""
import torch
import torch.nn as nn

torch.manual_seed(31)
CLASSES, FRAMES, BANDS = 8, 10, 16
templates = torch.randn(CLASSES, FRAMES * BANDS)


def get_batch(n=64):
    y = torch.randint(CLASSES, (n,))
    gain = torch.rand(n, 1) + 0.5
    return templates[y] * gain * 0.5 + torch.randn(n, FRAMES * BANDS), y


model = nn.Sequential(
    nn.Linear(FRAMES * BANDS, 128), nn.ReLU(),
    nn.Linear(128, 128), nn.ReLU(),
    nn.Linear(128, CLASSES))
opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 14)
loss_fn = nn.CrossEntropyLoss()
avg = None

for step in range(700):
    x, y = get_batch()
    opt.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.float16):
        logits = model(x)
    loss = loss_fn(logits.float(), y)
    scaler.scale(loss).backward()
    # fix: scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(opt)
    scaler.update()
    avg = loss.item() if avg is None else 0.95 * avg + 0.05 * loss.item()
    if step % 70 == 0:
        print(f"step {step} loss {loss.item():.4f} avg {avg:.4f} scale {scaler.get_scale():.0f}")
print("final loss", avg)
