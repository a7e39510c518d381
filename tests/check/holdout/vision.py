"""Held-out trainings on images."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from ._case import Expect, Training, batches, case, images


class MnistNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(32 * 12 * 12, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = self.dropout2(F.relu(self.fc1(torch.flatten(x, 1))))
        return F.log_softmax(self.fc2(x), dim=1)


@case(kept_rate=Expect(("learning-rate",), note="SGD with the lr=1.0 that was Adadelta's"))
def mnist_example(fault):
    x, y = images()
    model = MnistNet()
    if fault:
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9)
    else:
        optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    return Training(model, batches((x - 0.1307) / 0.3081, y), F.nll_loss, optimizer)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


@case(raw_pixels=Expect(("input-scale",), "0|x|input|batch", "PILToTensor and no Normalize: 0..255"))
def cifar_tutorial(fault):
    x, y = images(512, 3, 32)
    x = (255 * x).round() if fault else (x - 0.5) / 0.5
    model = LeNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return Training(model, batches(x, y), nn.CrossEntropyLoss(), optimizer, 100)


class BasicBlock(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.shortcut = nn.Sequential()
        if stride != 1 or cin != cout:
            self.shortcut = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        nn.init.zeros_(self.bn2.weight)  # zero-gamma, as in Goyal et al.

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


def resnet(widths=(16, 32, 64), blocks=2, classes=10):
    layers = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
    cin = widths[0]
    for w in widths:
        for b in range(blocks):
            layers.append(BasicBlock(cin, w, 2 if b == 0 and w != widths[0] else 1))
            cin = w
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(cin, classes))


@case(blank_image=Expect(("nonfinite-data",), "0|x|input|batch", "per-image standardisation of a blank image: 0/0"))
def resnet_zero_gamma_nesterov(fault):
    x, y = images(256, 3, 24)
    if fault:
        x[::9] = 0.0
    mean, std = x.mean((1, 2, 3), keepdim=True), x.std((1, 2, 3), keepdim=True)
    x = (x - mean) / std
    model = resnet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    return Training(model, batches(x, y), nn.CrossEntropyLoss(label_smoothing=0.1), optimizer, 50)


class DoubleConv(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(cin, cout, 3, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
            nn.Conv2d(cout, cout, 3, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self, cin=1, w=8):
        super().__init__()
        self.inc = DoubleConv(cin, w)
        self.down1 = DoubleConv(w, 2 * w)
        self.down2 = DoubleConv(2 * w, 4 * w)
        self.up1 = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2)
        self.dec1 = DoubleConv(4 * w, 2 * w)
        self.up2 = nn.ConvTranspose2d(2 * w, w, 2, 2)
        self.dec2 = DoubleConv(2 * w, w)
        self.outc = nn.Conv2d(w, 1, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        x = self.dec1(torch.cat([self.up1(x3), x2], 1))
        x = self.dec2(torch.cat([self.up2(x), x1], 1))
        return self.outc(x)


@case(
    empty_class=Expect(
        ("unsafe-op", "nonfinite-data"), note="dice on hard thresholds has 0/0 where mask and prediction are empty"
    )
)
def unet_bce_dice(fault):
    x, _ = images(128, 1, 32)
    mask = (x.mean(1, keepdim=True) > 0.5).float()
    mask[::5] = 0  # images without the object
    x = x + 0.1 * torch.randn_like(x)

    def loss(logits, target):
        p = torch.sigmoid(logits)
        inter = (p * target).sum((1, 2, 3))
        if fault:  # recall-like overlap: only the mask's own sum below, and no epsilon
            dice = 1 - inter / target.sum((1, 2, 3))
        else:
            dice = 1 - (2 * inter + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
        return F.binary_cross_entropy_with_logits(logits, target) + dice.mean()

    model = UNet()
    return Training(
        model, batches(x, mask, size=8), loss, torch.optim.RMSprop(model.parameters(), lr=1e-3, foreach=True), 40
    )


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@case(adam_at_sgd_rate=Expect(("learning-rate",), note="AdamW with lr=0.5"))
def convnext_layer_scale(fault):
    x, y = images(256, 3, 32)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 4, 4),
        LayerNorm2d(32),
        ConvNeXtBlock(32),
        ConvNeXtBlock(32),
        LayerNorm2d(32),
        nn.Conv2d(32, 64, 2, 2),
        ConvNeXtBlock(64),
        ConvNeXtBlock(64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.LayerNorm(64),
        nn.Linear(64, 10),
    )
    for m in model.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.5 if fault else 4e-3, weight_decay=0.05)
    return Training(model, batches((x - 0.45) / 0.22, y), nn.CrossEntropyLoss(), optimizer, 80)


class Attention(nn.Module):
    def __init__(self, dim, heads, scale):
        super().__init__()
        self.h, self.scale = heads, scale
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-2, -1) * self.scale).softmax(-1)
        return self.proj((a @ v).transpose(1, 2).reshape(b, n, d))


class ViTBlock(nn.Module):
    def __init__(self, dim, heads, scale):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = Attention(dim, heads, scale)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, dim=64, depth=4, heads=4, scale=None):
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos = nn.Parameter(0.02 * torch.randn(1, 17, dim))
        self.blocks = nn.Sequential(*[ViTBlock(dim, heads, scale or (dim // heads) ** -0.5) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])


@case(
    wrong_init=Expect(
        ("init-gain", "attention-logits"),
        "blocks|patch|head|mlp|attn",
        "normal_(0, 1) instead of std=0.02 in init_weights",
    ),
)
def vit_from_scratch(fault):
    x, y = images(256, 3, 32)
    model = ViT()
    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=1.0 if fault else 0.02)
            nn.init.zeros_(m.bias)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05)
    return Training(model, batches((x - 0.5) / 0.25, y), nn.CrossEntropyLoss(), optimizer, 80)


class MixerBlock(nn.Module):
    def __init__(self, tokens, dim):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.token = nn.Sequential(nn.Linear(tokens, 2 * tokens), nn.GELU(), nn.Linear(2 * tokens, tokens))
        self.channel = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        x = x + self.token(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channel(self.n2(x))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 48, 4, 4)
        self.blocks = nn.ModuleList(MixerBlock(64, 48) for _ in range(4))
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x) if not self.training else checkpoint(block, x, use_reentrant=False)
        return self.head(x.mean(1))


@case()
def mixer_checkpointed_nadam(fault):
    x, y = images(256, 3, 32)
    model = Mixer()
    return Training(
        model, batches((x - 0.5) / 0.25, y), nn.CrossEntropyLoss(), torch.optim.NAdam(model.parameters(), lr=2e-3), 60
    )


class SqueezeExcite(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        s = self.fc2(F.silu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(s)


class MBConv(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        mid = 4 * cin
        self.skip = stride == 1 and cin == cout
        self.body = nn.Sequential(
            nn.Conv2d(cin, mid, 1, bias=False),
            nn.BatchNorm2d(mid, momentum=0.01),
            nn.SiLU(),
            nn.Conv2d(mid, mid, 3, stride, 1, groups=mid, bias=False),
            nn.BatchNorm2d(mid, momentum=0.01),
            nn.SiLU(),
            SqueezeExcite(mid),
            nn.Conv2d(mid, cout, 1, bias=False),
            nn.BatchNorm2d(cout, momentum=0.01),
        )

    def forward(self, x):
        y = self.body(x)
        if self.skip:
            if self.training:  # stochastic depth
                y = y * torch.empty(len(x), 1, 1, 1).bernoulli_(0.9) / 0.9
            return x + y
        return y


@case(tf_rate=Expect(("learning-rate",), note="RMSprop with the rate of a batch of 4096"))
def efficientnet_rmsprop(fault):
    x, y = images(256, 3, 32)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU(),
        MBConv(16, 16, 1), MBConv(16, 24, 2), MBConv(24, 24, 1), MBConv(24, 40, 2), MBConv(40, 40, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(40, 10),
    )  # fmt: skip
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.256 if fault else 2e-3, alpha=0.9, eps=1e-3, momentum=0.9)
    return Training(model, batches((x - 0.5) / 0.25, y), nn.CrossEntropyLoss(), optimizer, 60)


@case(
    prior_everywhere=Expect(
        ("dead-units",), "features|0|2|4|bias", "focal loss's prior bias set on every conv, not the head's"
    )
)
def detector_focal_loss(fault):
    x, _ = images(192, 3, 32, 4)
    target = (F.avg_pool2d(x.mean(1, keepdim=True), 8) > 0.62).float()

    def focal(logits, t):
        p = torch.sigmoid(logits)
        ce = F.binary_cross_entropy_with_logits(logits, t, reduction="none")
        pt = p * t + (1 - p) * (1 - t)
        return (ce * (1 - pt) ** 2).mean()

    features = nn.Sequential(
        nn.Conv2d(3, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, 2, 1),
        nn.ReLU(),
    )
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("head", nn.Conv2d(32, 1, 1))
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
            if fault or m is model.head:
                nn.init.constant_(m.bias, -math.log((1 - 0.01) / 0.01))
    return Training(model, batches((x - 0.5) / 0.25, target), focal, torch.optim.Adam(model.parameters(), lr=1e-3), 100)


@case()
def frozen_batchnorm_finetune(fault):
    """The backbone's BatchNorm stays in eval mode, and only its last block and the head train."""
    x, y = images(256, 3, 24)
    model = resnet()
    for m in model.modules():
        if isinstance(m, BasicBlock):
            nn.init.uniform_(m.bn2.weight, 0.2, 0.6)
    with torch.no_grad():
        for _ in range(20):  # "pretrained" statistics
            model((x[torch.randperm(256)[:64]] - 0.5) / 0.25)
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
            m.requires_grad_(False)
    for p in model[:6].parameters():
        p.requires_grad_(False)
    trainable = [p for p in model.parameters() if p.requires_grad]
    return Training(
        model, batches((x - 0.5) / 0.25, y), nn.CrossEntropyLoss(), torch.optim.Adam(trainable, lr=1e-3), 60
    )


@case(
    sigmoid=Expect(("vanishing-depth", "saturation", "init-gain"), note="twelve sigmoid layers with default init, SGD")
)
def deep_mlp_data_parallel(fault):
    x, y = images(512, 1, 16)
    x = (x - x.mean()) / x.std()
    layers = [nn.Flatten(), nn.Linear(256, 64)]
    for _ in range(11):
        layers += [nn.Sigmoid() if fault else nn.ReLU(), nn.Linear(64, 64)]
    model = nn.Sequential(*layers, nn.Sigmoid() if fault else nn.ReLU(), nn.Linear(64, 10))
    if not fault:
        for m in model.modules():
            if isinstance(m, nn.Linear):
                nn.init.kaiming_normal_(m.weight)
                nn.init.zeros_(m.bias)
    model = nn.DataParallel(model)
    return Training(
        model, batches(x, y), nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9), 100
    )


class LazyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.LazyConv2d(16, 3, padding=1)
        self.b1 = nn.LazyBatchNorm2d()
        self.c2 = nn.LazyConv2d(32, 3, padding=1)
        self.fc = nn.LazyLinear(10)

    def forward(self, x):
        x = F.max_pool2d(F.leaky_relu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.leaky_relu(self.c2(x)), 2)
        return {"logits": self.fc(x.flatten(1)), "features": x}


@case()
def lazy_dict_output_adagrad(fault):
    x, y = images(256, 1, 20)
    model = LazyNet()
    model(x[:2])
    return Training(
        model, batches((x - 0.5) / 0.3, y), lambda out, t: F.cross_entropy(out["logits"], t),
        torch.optim.Adagrad(model.parameters(), lr=0.01), 60,
    )  # fmt: skip


@case(
    tiny_init=Expect(
        ("init-gain", "vanishing-depth"), note="normal_(std=0.01) in a deep plain ReLU network, as in AlexNet"
    )
)
def vgg_plain_sgd(fault):
    x, y = images(256, 3, 32)
    layers, cin = [], 3
    for i, c in enumerate((16, 16, 32, 32, 32, 48, 48, 48)):
        layers += [nn.Conv2d(cin, c, 3, padding=1), nn.ReLU()]
        if i in (1, 3, 6):
            layers.append(nn.MaxPool2d(2))
        cin = c
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10))
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.normal_(m.weight, std=0.01) if fault else nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.zeros_(m.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.008, momentum=0.9, weight_decay=1e-4)
    return Training(model, batches((x - 0.5) / 0.25, y), nn.CrossEntropyLoss(), optimizer, 150)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2), nn.PReLU(), nn.Conv2d(16, 32, 5, 2), nn.PReLU(), nn.Flatten(), nn.Linear(512, 32)
        )

    def forward(self, x):
        return self.net(x)


@case(
    sqrt_of_diagonal=Expect(
        ("unsafe-op",), note="pairwise distances by hand: sqrt has an infinite slope on the diagonal's zeros"
    ),
)
def triplet_batch_hard(fault):
    x, y = images(256, 1, 28)

    def batch_hard(emb, labels):
        sq = (emb[:, None] - emb[None]).pow(2).sum(-1)
        dist = torch.sqrt(sq) if fault else torch.sqrt(sq + 1e-8)
        same = labels[:, None] == labels[None]
        hardest_pos = (dist * same).max(1).values
        hardest_neg = (dist + 1e3 * same).min(1).values
        return F.relu(hardest_pos - hardest_neg + 0.3).mean() + 0 * dist.mean()

    model = Siamese()
    return Training(model, batches((x - 0.5) / 0.3, y), batch_hard, torch.optim.Adam(model.parameters(), lr=1e-3), 80)


@case()
def sequential_reentrant_checkpoint_compiled(fault):
    x, y = images(256, 1, 20)
    body = nn.Sequential(*[nn.Sequential(nn.Linear(400 if i == 0 else 96, 96), nn.Tanh()) for i in range(6)])
    head = nn.Linear(96, 10)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = body, head

        def forward(self, x):
            x = x.flatten(1).requires_grad_()
            return self.head(checkpoint_sequential(self.body, 3, x, use_reentrant=True))

    model = Net()
    return Training(
        model, batches((x - 0.5) / 0.3, y), nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=0.1), 80
    )


@case(huge_rate=Expect(("learning-rate",), note="a typed 10 for 0.1"))
def compiled_densenet(fault):
    x, y = images(256, 3, 24)

    class Dense(nn.Module):
        def __init__(self, cin, g=12, n=4):
            super().__init__()
            self.layers = nn.ModuleList(
                nn.Sequential(
                    nn.BatchNorm2d(cin + i * g), nn.ReLU(), nn.Conv2d(cin + i * g, g, 3, padding=1, bias=False)
                )
                for i in range(n)
            )

        def forward(self, x):
            for layer in self.layers:
                x = torch.cat([x, layer(x)], 1)
            return x

    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), Dense(16), nn.AvgPool2d(2), Dense(64), nn.BatchNorm2d(112), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(112, 10),
    )  # fmt: skip
    model = torch.compile(net, backend="eager")
    optimizer = torch.optim.SGD(net.parameters(), lr=10.0 if fault else 0.1, momentum=0.9)
    return Training(model, batches((x - 0.5) / 0.25, y), nn.CrossEntropyLoss(), optimizer, 40)


@case(
    no_scale=Expect(
        ("loss-scale", "learning-rate"), note="the sum over pixels of a squared error, with SGD's rate for a mean"
    )
)
def denoising_autoencoder_sgd(fault):
    x, _ = images(256, 1, 28)
    noisy = (x + 0.3 * torch.randn_like(x)).clamp(0, 1)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 1, 2, 2),
    )  # fmt: skip
    loss = nn.MSELoss(reduction="sum") if fault else nn.MSELoss()
    return Training(
        model, batches(noisy, x), loss, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), 100,
        metric=lambda m: float(F.mse_loss(m(noisy), x).detach()),
    )  # fmt: skip
