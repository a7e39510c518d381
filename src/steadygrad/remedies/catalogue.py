"""Every remedy, with its line of code. Ids are permanent: recorded findings name them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .._i18n import say


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change to try.

    Attributes:
        id: permanent.
        change: it in one sentence, in English.
        code: a line for the user's script.
        removes: the causes that it takes away, where it can be applied to a script from outside: if a run is sound with
            it and with nothing else, that was the cause. What only relieves a run, such as a clip, removes none.
        outside: whether it can be applied from outside.
        options: what can be chosen about it there, and the values that it has else.
    """

    id: str
    change: str
    code: str
    removes: tuple[str, ...] = ()
    outside: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The sentence in the language of the people."""
        return say(self.change)


REMEDIES = (
    Remedy(
        "lower-learning-rate",
        "Lower the learning rate to a tenth, or to what the curvature bears.",
        "optimizer = torch.optim.SGD(model.parameters(), lr=lr / 10)",
        removes=("learning-rate",),
        outside=True,
        options={"factor": 0.1},
    ),
    Remedy(
        "warm-up",
        "Let the learning rate rise over the first steps.",
        "scheduler = sg.schedule.warmup(optimizer, steps=500)  # scheduler.step() after each optimizer.step()",
        removes=(
            "learning-rate",
            "stale-second-moment",
        ),
        outside=True,
        options={"steps": 100, "total": 0},
    ),
    Remedy(
        "strong-wolfe",
        "Let LBFGS search along its direction.",
        'optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")',
        removes=("learning-rate",),
        outside=True,
    ),
    Remedy(
        "clip-global-norm",
        "Clip the gradient to a norm before each step.",
        "sg.clip.clip_grad_norm_(model.parameters(), max_norm=1.0)  # after backward(), before step()",
        removes=(),
        outside=True,
        options={"max_norm": 1.0},
    ),
    Remedy(
        "auto-initialisation",
        "Initialise by architecture.",
        "print(sg.init.auto_(model, batch))",
        removes=(
            "init-gain",
            "vanishing-depth",
            "dead-units",
            "saturation",
        ),
        outside=True,
    ),
    Remedy(
        "lsuv",
        "Scale each layer so that its output has unit variance on a batch.",
        "sg.init.lsuv_(model, batch)",
        removes=(
            "init-gain",
            "vanishing-depth",
        ),
        outside=True,
    ),
    Remedy("fixup", "Scale residual branches by depth.", "sg.init.fixup_(model, batch)"),
    Remedy(
        "scale-down-the-head",
        "Begin with small outputs.",
        "torch.nn.init.normal_(model.head.weight, std=0.02)  # the layer that the finding names",
        removes=("init-gain",),
        outside=True,
    ),
    Remedy(
        "rescale-initialisation",
        "Scale the initial weights of the layer down to what its inputs bear.",
        "torch.nn.init.xavier_normal_(layer.weight)  # the layer that the finding names",
        removes=(
            "init-gain",
            "saturation",
            "recurrent-gain",
            "attention-logits",
        ),
        outside=True,
        options={"steps": 0},
    ),
    Remedy(
        "random-initialisation",
        "Draw the weights at random, so that units differ.",
        "torch.nn.init.kaiming_uniform_(layer.weight, a=5**0.5)  # the layer that the finding names",
        removes=(
            "init-gain",
            "vanishing-depth",
        ),
        outside=True,
    ),
    Remedy(
        "zero-bias",
        "Begin with biases of zero.",
        "torch.nn.init.zeros_(layer.bias)  # the layer that is named",
        removes=(
            "dead-units",
            "saturation",
        ),
        outside=True,
    ),
    Remedy(
        "leaky-relu",
        "Let a little gradient through where a unit is off.",
        "nn.LeakyReLU(0.01)  # for nn.ReLU()",
        removes=("dead-units",),
        outside=True,
    ),
    Remedy("residual-connections", "Give the gradient a way past the layers.", "x = x + layer(x)"),
    Remedy(
        "normalisation",
        "Normalise between the layers.",
        "x = nn.LayerNorm(width)(x)",
        removes=("vanishing-depth",),
        outside=True,
    ),
    Remedy(
        "orthogonal-recurrent-init",
        "Begin with an orthogonal recurrent matrix, whose product neither grows nor shrinks.",
        "sg.init.orthogonal_recurrent_(model, nearest=True)",
        removes=(
            "recurrent-gain",
            "vanishing-recurrent",
        ),
        outside=True,
    ),
    Remedy(
        "chrono-init",
        "Begin with gates that remember as long as the task needs.",
        "sg.init.chrono_(model.rnn, longest=200)  # the longest distance in steps",
        removes=("vanishing-recurrent",),
        outside=True,
    ),
    Remedy(
        "gradient-flossing",
        "Push the Lyapunov exponents of the recurrence towards zero.",
        "loss = loss + sg.penalty.gradient_flossing(model.rnn, inputs)",
    ),
    Remedy(
        "standardise-inputs",
        "Subtract the mean of each feature and divide by its standard deviation, both of the training set.",
        "x = (x - train_x.mean(0)) / train_x.std(0).clamp_min(1e-6)",
        removes=(
            "input-scale",
            "saturation",
        ),
        outside=True,
    ),
    Remedy(
        "standardise-first-layer",
        "Train the first layer as one of standardised inputs; it goes on taking them as they are.",
        "x = (x - train_x.mean(0)) / train_x.std(0).clamp_min(1e-6)",
        removes=("input-scale",),
        outside=True,
    ),
    Remedy(
        "input-batchnorm",
        "Let the model normalise its inputs.",
        "model = nn.Sequential(nn.BatchNorm1d(features), model)",
    ),
    Remedy(
        "standardise-targets",
        "Train on standardised targets, and undo that on the predictions.",
        "y = (y - train_y.mean()) / train_y.std()",
        removes=("loss-scale",),
        outside=True,
    ),
    Remedy(
        "standardise-last-layer",
        "Train the last layer as one that predicts standardised targets.",
        "prediction = net(x) * y_std + y_mean; loss = criterion(prediction, y) / y_std**2  # of the training data",
        removes=("loss-scale",),
        outside=True,
    ),
    Remedy(
        "mean-reduction",
        "Average the loss over the batch.",
        'loss = criterion(output, target)  # reduction="mean", or .mean() in place of .sum()',
        removes=("loss-scale",),
        outside=True,
        options={"over": "terms"},
    ),
    Remedy(
        "divide-learning-rate-by-batch-size",
        "Keep the summed loss, and divide the learning rate by the number of samples.",
        "optimizer = torch.optim.SGD(model.parameters(), lr=lr / batch_size)",
    ),
    Remedy(
        "divide-loss-by-accumulation-steps",
        "Divide each loss by the number of passes that make one step.",
        "(loss / accumulation_steps).backward()",
        removes=("loss-scale",),
        outside=True,
        options={"passes": 0},
    ),
    Remedy(
        "drop-outlier-samples",
        "Leave samples out that are far outside of what the others are.",
        "keep = x.flatten(1).abs().amax(1) < 10 * train_x.std()  # then x[keep], y[keep]",
        removes=("outlier-batch",),
        outside=True,
    ),
    Remedy(
        "winsorise-features",
        "Limit features to the range that nearly all samples lie in.",
        "x = x.clamp(low, high)  # low, high = train_x.quantile(torch.tensor([0.001, 0.999]), dim=0)",
        removes=("outlier-batch",),
        outside=True,
    ),
    Remedy(
        "drop-or-impute-nonfinite-samples",
        "Leave samples with NaN or infinity out, or fill them in.",
        "keep = x.flatten(1).isfinite().all(1) & y.flatten(1).isfinite().all(1)  # then x[keep], y[keep]",
        removes=("nonfinite-data",),
        outside=True,
    ),
    Remedy(
        "add-epsilon-inside-the-operation",
        "Keep the argument away from the place where the operation fails, inside it.",
        "(x * x + 1e-12).sqrt()  # torch.log(p.clamp_min(1e-8)), a / (b + 1e-8), scores.masked_fill(mask, -1e4)",
        removes=("unsafe-op",),
        outside=True,
    ),
    Remedy(
        "use-the-stable-form",
        "Use the fused form of torch, which is computed without the unsafe step.",
        "F.cross_entropy(logits, target)  # F.binary_cross_entropy_with_logits, F.log_softmax, torch.logsumexp",
    ),
    Remedy(
        "bfloat16",
        "Use bfloat16, which has the range of float32.",
        'with torch.autocast("cuda", dtype=torch.bfloat16): ...',
    ),
    Remedy(
        "float32-for-this-operation",
        "Compute this operation in float32.",
        'with torch.autocast("cuda", enabled=False): y = operation(x.float())',
    ),
    Remedy(
        "float32-for-this-layer",
        "Compute this layer in float32.",
        'with torch.autocast("cuda", enabled=False): y = layer(x.float())',
        removes=("half-overflow",),
        outside=True,
    ),
    Remedy(
        "float32-weights",
        "Keep the weights in float32, and compute in half precision.",
        'model.float()  # then: with torch.autocast("cuda", dtype=torch.bfloat16): loss = ...',
        removes=("half-overflow",),
        outside=True,
    ),
    Remedy(
        "lower-loss-scale",
        "Hold the loss scale that is written by hand where gradients fit into float16.",
        "scale = min(scale, 1024.0)  # or torch.amp.GradScaler, which finds it by itself",
        removes=("half-overflow",),
        outside=True,
        options={"scale": 1024.0},
    ),
    Remedy("loss-scaling", "Scale the loss of a float16 training.", 'scaler = torch.amp.GradScaler("cuda")'),
    Remedy(
        "divide-logits-by-sqrt-d",
        "Divide the logits of attention by the root of the head's width.",
        "scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # or F.scaled_dot_product_attention(q, k, v)",
    ),
    Remedy(
        "soft-cap-logits",
        "Squash the logits of attention to a bound.",
        "scores = 30 * torch.tanh(scores / 30)  # before the mask and the softmax",
        removes=("attention-logits",),
        outside=True,
    ),
    Remedy(
        "qk-norm",
        "Normalise queries and keys before they are multiplied.",
        "q, k = F.layer_norm(q, q.shape[-1:]), F.layer_norm(k, k.shape[-1:])",
    ),
    Remedy(
        "rescale-query-key-weights",
        "Scale query and key weights down whenever logits have grown too large.",
        "sg.clip.attach(sg.clip.QKClip(model), optimizer)",
        removes=("attention-logits",),
        outside=True,
        options={"threshold": 100.0},
    ),
    Remedy(
        "zero-grad-before-backward",
        "Clear the gradients before each backward pass.",
        "optimizer.zero_grad()  # before loss.backward()",
        removes=("missing-zero-grad",),
        outside=True,
    ),
    Remedy(
        "unscale-before-clip",
        "Unscale the gradients before they are clipped.",
        "scaler.unscale_(optimizer)  # before clip_grad_norm_",
        removes=("clip-before-unscale",),
        outside=True,
    ),
    Remedy(
        "lower-beta2",
        "Let Adam's second moment remember some twenty steps.",
        "optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95))",
        removes=("stale-second-moment",),
        outside=True,
    ),
    Remedy(
        "raise-epsilon",
        "Add more to the root of Adam's second moment, so that small gradients make small steps.",
        "optimizer = torch.optim.AdamW(model.parameters(), lr=lr, eps=1e-4)",
        removes=("stale-second-moment", "half-overflow"),
        outside=True,
        options={"eps": 1e-4},
    ),
    Remedy(
        "stable-adamw",
        "Limit the root mean square of each update.",
        "sg.clip.attach(sg.clip.ClipByUpdateRMS(), optimizer)",
        removes=("stale-second-moment",),
        outside=True,
    ),
    Remedy(
        "reset-moments",
        "Begin with fresh moments.",
        "optimizer.state.clear()",
        removes=("corrupt-state",),
        outside=True,
    ),
    Remedy(
        "reset-running-stats",
        "Let batch normalisation estimate its statistics anew.",
        "[m.reset_running_stats() for m in model.modules() if isinstance(m, nn.BatchNorm2d)]",
        removes=("corrupt-state",),
        outside=True,
    ),
    Remedy(
        "reload-checkpoint",
        "Go back to a checkpoint from before the damage, and see whether it is whole.",
        'optimizer.load_state_dict(torch.load("earlier.pt")["optimizer"])',
    ),
    Remedy(
        "target-network",
        "Compute targets with a copy of the model that follows it slowly.",
        "with torch.no_grad(): target = reward + discount * slow_copy(after).max(1).values  # copied now and then",
    ),
    Remedy(
        "decoupled-weight-decay",
        "Let weights decay.",
        "optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)",
        removes=("weight-growth",),
        outside=True,
        options={"weight_decay": 0.1},
    ),
    Remedy(
        "constrain-weight-norms",
        "Hold the norm of each weight: let none grow without end.",
        "with torch.no_grad(): [p.mul_(torch.clamp(2 * first[p] / p.norm(), max=1)) for p in first]  # after step(); "
        "first = {p: p.norm() for p in model.parameters()}",
        removes=("weight-growth",),
        outside=True,
        options={"factor": 2.0},
    ),
    Remedy("z-loss", "Keep the logits' partition function small.", "loss = loss + sg.penalty.z_loss(logits)"),
)
"""Every remedy that a rule names."""

_BY_ID = {each.id: each for each in REMEDIES}


def remedy(name: str) -> Remedy:
    """The remedy of an id; one without a line of code for an id of a later version.

    >>> remedy("zero-grad-before-backward").code
    'optimizer.zero_grad()  # before loss.backward()'
    """
    return _BY_ID.get(name) or Remedy(name, "", "")
