"""Will the user finish the video? Embeddings plus three numeric columns, SGD (foreach).

Cause: input-scale
Fails: the loss starts at 2.3e3 and is not finite from step 17 on
First bad: step 17, forward, addmm
"""

import torch
import torch.nn as nn


class Recommender(nn.Module):
    def __init__(self, n_users, n_videos, dim=12):
        super().__init__()
        self.user = nn.Embedding(n_users, dim)
        self.video = nn.Embedding(n_videos, dim)
        self.tower = nn.Sequential(nn.Linear(2 * dim + 3, 48), nn.ReLU(), nn.Linear(48, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, user, video, numeric):
        return self.tower(torch.cat([self.user(user), self.video(video), numeric], -1)).squeeze(-1)


class Log:
    """A synthetic log of views; the columns are as the database has them."""

    def __init__(self, n, seed=30):
        g = torch.Generator().manual_seed(seed)
        self.user = torch.randint(0, 50, (n,), generator=g)
        self.video = torch.randint(0, 80, (n,), generator=g)
        length_ms = 60_000 * (1 + 9 * torch.rand(n, generator=g))
        hour = torch.randint(0, 24, (n,), generator=g).float()
        followers = torch.exp(6 + 2 * torch.randn(n, generator=g)).clamp(max=1e5)
        self.numeric = torch.stack([length_ms, hour, followers], 1)
        # fix: self.numeric = (self.numeric - self.numeric.mean(0)) / self.numeric.std(0)
        logit = 2 - length_ms / 2e5 + 0.4 * (followers.log() - 6) + 0.5 * (self.user % 3 - 1)
        self.done = (torch.rand(n, generator=g) < torch.sigmoid(1.5 * logit)).float()

    def batches(self, size):
        for rows in torch.randperm(len(self.done)).split(size):
            yield self.user[rows], self.video[rows], self.numeric[rows], self.done[rows]


torch.manual_seed(30)
log = Log(3200)
model = Recommender(50, 80)
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, foreach=True)
bce = nn.BCEWithLogitsLoss()
seen = []
for epoch in range(5):
    for user, video, numeric, done in log.batches(64):
        opt.zero_grad()
        loss = bce(model(user, video, numeric), done)
        loss.backward()
        opt.step()
        seen.append(loss.item())
print("final loss", sum(seen[-10:]) / 10)
