"""Classifies scikit-learn's wine table with a two-layer net, straight from the data frame.

Cause: input-scale
Fails: the loss ends and stays at that of the class frequencies after a first peak of some hundred: proline in the hundreds swamps everything
"""
import torch
from torch.utils.data import DataLoader, TensorDataset
from sklearn.datasets import load_wine

torch.manual_seed(0)
wine = load_wine()
X = torch.tensor(wine.data, dtype=torch.float32)
y = torch.tensor(wine.target, dtype=torch.long)
# fix: X = (X - X.mean(0)) / X.std(0)

loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)

model = torch.nn.Sequential(
    torch.nn.Linear(13, 32),
    torch.nn.ReLU(),
    torch.nn.Linear(32, 32),
    torch.nn.ReLU(),
    torch.nn.Linear(32, 3),
)
criterion = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

num_epochs = 60
for epoch in range(num_epochs):
    running_loss = 0.0
    for inputs, labels in loader:
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * inputs.size(0)
    if (epoch + 1) % 10 == 0:
        print("Epoch [%d/%d], Loss: %.4f" % (epoch + 1, num_epochs, running_loss / len(X)))
print("final loss", running_loss / len(X))
