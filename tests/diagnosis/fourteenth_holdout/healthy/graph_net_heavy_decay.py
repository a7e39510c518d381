"""A graph net sorts the nodes of a made-up social network; much weight decay in one of two parameter groups, few
labelled nodes, dropped edges."""

import torch
from torch import nn


class Graph:
    def __init__(self, nodes=240, groups=4):
        self.group = torch.randint(0, groups, (nodes,))
        same = self.group[:, None] == self.group[None, :]
        upper = torch.rand(nodes, nodes).triu(1)
        self.edges = ((upper > 0) & (upper < torch.where(same, 0.08, 0.01))).float()
        self.edges = self.edges + self.edges.t()
        self.features = nn.functional.one_hot(self.group, groups).float() @ torch.randn(groups, 20) + 2.0 * torch.randn(nodes, 20)
        self.labelled = torch.randperm(nodes)[:80]

    def propagation(self, drop):
        a = self.edges * (torch.rand_like(self.edges) > drop) + torch.eye(len(self.edges))
        return a / a.sum(1, keepdim=True)


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(20, 32), nn.Linear(32, 4)

    def forward(self, a, x):
        return self.two(a @ torch.relu(self.one(a @ x)))


torch.manual_seed(113)
graph, model = Graph(), GCN()
optimizer = torch.optim.SGD(
    [{"params": model.one.parameters(), "weight_decay": 5e-3}, {"params": model.two.parameters(), "weight_decay": 1e-3}], lr=0.2, momentum=0.9
)
losses, epoch = [], 0
while epoch < 250:
    optimizer.zero_grad()
    logits = model(graph.propagation(0.3), graph.features)
    loss = nn.functional.cross_entropy(logits[graph.labelled], graph.group[graph.labelled])
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if epoch % 50 == 0:
        with torch.no_grad():
            right = (model(graph.propagation(0.0), graph.features).argmax(1) == graph.group).float().mean().item()
        print(epoch, loss.item(), right)
    epoch += 1
print("final loss", sum(losses[-20:]) / 20)
