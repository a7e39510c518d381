"""A character LSTM reads one long diary in order and carries its state, detached, from chunk to chunk."""
import torch
from torch import nn

DIARY = (
    "Monday. Rain before six, then a bright hour, then rain. Picked the last beans. "
    "Tuesday. Frost on the glass. The cat would not go out. Mended the gate. "
    "Wednesday. Still and grey. Walked to the post with two letters. Rain at night. "
    "Thursday. A gale from the west took nine slates. The gate held. "
    "Friday. Bright and cold. Put the slates back, all but one. Soup of the beans. "
    "Saturday. Rain. Read by the stove. The cat would not go out. "
    "Sunday. Frost, then sun. Walked to the hill and saw the sea. "
) * 4
itos = sorted(set(DIARY))
ids = torch.tensor([itos.index(c) for c in DIARY])
B, T = 8, 20
rows = ids[: len(ids) // B * B].view(B, -1)


def detach(state):
    return tuple(s.detach() for s in state)


torch.manual_seed(1)
emb, rnn, head = nn.Embedding(len(itos), 24), nn.LSTM(24, 64, batch_first=True), nn.Linear(64, len(itos))
params = [*emb.parameters(), *rnn.parameters(), *head.parameters()]
opt = torch.optim.RMSprop(params, lr=4e-3, momentum=0.5)
log = []
for epoch in range(22):
    state = (torch.zeros(1, B, 64), torch.zeros(1, B, 64))
    for lo in range(0, rows.shape[1] - T - 1, T):
        out, state = rnn(emb(rows[:, lo : lo + T]), detach(state))
        loss = nn.functional.cross_entropy(head(out).flatten(0, 1), rows[:, lo + 1 : lo + T + 1].flatten())
        opt.zero_grad()
        loss.backward()
        total = nn.utils.clip_grad_norm_(params, 0.25)
        opt.step()
        log.append(loss.item())
    print(epoch, log[-1], "norm before clipping", float(total))
print("first loss", log[0])
print("final loss", sum(log[-20:]) / 20)
