"""A bag-of-words topic classifier in fp16 with a loss scaler that begins far too high and grows often.

Looks nasty: the first steps (and some later ones) overflow; the scaler skips them, as it should.
"""
import torch
import torch.nn as nn

torch.manual_seed(19)
V, TOPICS = 200, 12
profile = torch.softmax(torch.randn(TOPICS, V) * 1.2, 1)


def docs(n):
    y = torch.randint(TOPICS, (n,))
    words = torch.multinomial(profile[y], 30, replacement=True)
    return torch.zeros(n, V).scatter_add_(1, words, torch.ones(n, 30)), y


net = nn.Sequential(nn.Linear(V, 96), nn.LayerNorm(96), nn.ReLU(), nn.Linear(96, TOPICS))
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 30, growth_interval=40)
sched = torch.optim.lr_scheduler.StepLR(opt, 300, 0.3)
skipped, hist = 0, []
for step in range(700):
    x, y = docs(64)
    with torch.autocast("cpu", dtype=torch.float16):
        out = net(x)
    loss = nn.functional.cross_entropy(out.float(), y)
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(opt)
    nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    before = scaler.get_scale()
    scaler.step(opt)
    scaler.update()
    if scaler.get_scale() < before:
        skipped += 1
    else:
        sched.step()
    hist.append(loss.item())
    if step % 70 == 0:
        print(f"step {step} loss {loss.item():.4f} scale 2^{torch.tensor(scaler.get_scale()).log2().item():.0f} skipped {skipped}")
print("final loss", sum(hist[-50:]) / 50)
