"""Trains a small multilayer perceptron on the wine data of scikit-learn with SGD and momentum.

Cause: input-scale
Fails: the loss leaps at the first steps and then stays at the level of guessing
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.set_num_threads(1)
data = load_wine()
X_train, X_test, y_train, y_test = train_test_split(data.data, data.target, test_size=0.25, random_state=0, stratify=data.target)
mean, std = X_train.mean(0), X_train.std(0)
X_train, X_test = (X_train - mean), (X_test - mean)  # fix: X_train, X_test = (X_train - mean) / std, (X_test - mean) / std
train = TensorDataset(torch.tensor(X_train, dtype=torch.float32), torch.tensor(y_train))
loader = DataLoader(train, batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(1))
xt, yt = torch.tensor(X_test, dtype=torch.float32), torch.tensor(y_test)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(13, 64), nn.Linear(64, 32), nn.Linear(32, 3)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(60):
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
        running += loss.item()
    if epoch % 10 == 0:
        print("epoch", epoch, "loss", round(running / len(loader), 4))
net.eval()
with torch.no_grad():
    print("final loss", criterion(net(xt), yt).item())
