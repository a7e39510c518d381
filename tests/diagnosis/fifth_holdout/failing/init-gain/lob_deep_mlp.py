"""Deep net over order-book windows that predicts the next mid-price move on a toy book.

Cause: init-gain
Fails: the very first loss is 1.5e11 and everything is NaN from step 1.
"""
import torch
import torch.nn as nn

torch.manual_seed(5)

# In[1]: simulated book: imbalance leads the price
T, LEVELS = 6000, 8
imb = torch.zeros(T, LEVELS)
for t in range(1, T):
    imb[t] = 0.9 * imb[t - 1] + 0.4 * torch.randn(LEVELS)
w_true = torch.linspace(1.0, 0.1, LEVELS)
move = torch.tanh(imb @ w_true) + 0.1 * torch.randn(T)
imb = (imb - imb.mean(0)) / imb.std(0)

# In[2]: the net
WIN, WIDTH, DEPTH = 10, 64, 9


def make_net():
    dims = [WIN * LEVELS] + [WIDTH] * DEPTH
    layers = []
    for a, b in zip(dims, dims[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(WIDTH, 1))
    for m in net:
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.6)  # fix: nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    return net


net = make_net()
opt = torch.optim.SGD(net.parameters(), lr=3e-3, momentum=0.9)

# In[3]: training
history = []
for it in range(1000):
    i = torch.randint(WIN, T, (64,))
    x = torch.stack([imb[k - WIN + 1:k + 1].flatten() for k in i.tolist()])
    loss = (net(x).squeeze(1) - move[i]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append(loss.item())
    if it % 100 == 0 or it < 4:
        print(it, history[-1])

# In[4]:
print("final loss", sum(history[-50:]) / 50)
