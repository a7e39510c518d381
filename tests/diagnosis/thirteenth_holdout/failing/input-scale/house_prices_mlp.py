"""House price regression with a small MLP (first neural net exercise).

Cause: input-scale
Fails: the loss is not finite from step 2 on (with the fix: final loss 0.0186)
"""
import numpy as np
import torch

np.random.seed(10)
torch.manual_seed(10)

n = 800
area = np.random.uniform(40, 220, n)
rooms = np.random.randint(1, 7, n)
age = np.random.uniform(0, 80, n)
price = 2500 * area + 12000 * rooms - 900 * age + np.random.normal(0, 15000, n)

table = np.stack([area, rooms, age, price], 1)
cols = table  # fix: cols = (table - table.mean(0)) / table.std(0)
features = torch.tensor(cols[:, :3], dtype=torch.float32)
target = torch.tensor(cols[:, 3:], dtype=torch.float32)

model = torch.nn.Sequential(
    torch.nn.Linear(3, 32),
    torch.nn.ReLU(),
    torch.nn.Linear(32, 32),
    torch.nn.ReLU(),
    torch.nn.Linear(32, 1),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
criterion = torch.nn.MSELoss()

for epoch in range(20):
    order = torch.randperm(n)
    running_loss = 0.0
    for i in range(0, n, 40):
        b = order[i:i + 40]
        optimizer.zero_grad()
        pred = model(features[b])
        loss = criterion(pred, target[b])
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * len(b) / n
    print(f"Epoch {epoch + 1}: {running_loss:.4f}")

print("final loss", running_loss)
