"""Many tanh RNNs of one shape trained at once by SGD, each with its own weights, data, clip and Omega.

The first dimension of every tensor is the run, and every product is a batched one, so that ten small nets cost little
more than one. The backward pass is written out: Pascanu's Omega needs the gradient with respect to every hidden state,
and it is at hand here. tests/benchmarks/test_stacked_rnn.py holds that a run is what `torch.nn.RNN` would do.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BOUND = 1e-20
"""A state whose squared gradient is below it has no part in Omega."""


class StackedRNN:
    """R nets: h_t = tanh(x_t W_in + h_(t-1) W + b) with one-hot x_t, and a softmax at the last step.

    Args:
        recurrent: W of each, (R, H, H), to be multiplied from the right.
        inputs: W_in of each, (R, symbols, H).
        output: of each, (R, H, classes). The biases are 0.
        lr: the learning rate.
        max_norms: the clip of each by the norm of all its gradients; `inf` for none.
        omegas: by how much each one's Omega is multiplied; 0 for none.
    """

    def __init__(
        self,
        recurrent: Tensor,
        inputs: Tensor,
        output: Tensor,
        *,
        lr: float,
        max_norms: Sequence[float],
        omegas: Sequence[float],
    ) -> None:
        runs, hidden, _ = recurrent.shape
        self.hidden, self.symbols = hidden, inputs.shape[1]
        self.params = {
            "hidden": torch.cat([recurrent, inputs], dim=1),
            "bias": torch.zeros(runs, 1, hidden),
            "output": output.clone(),
            "output_bias": torch.zeros(runs, 1, output.shape[2]),
        }
        self.lr = lr
        self.max_norms, self.omegas = torch.tensor(max_norms), torch.tensor(omegas)
        self._states = torch.empty(0)

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these runs alone."""
        self.params = {name: param[list(places)] for name, param in self.params.items()}
        self.max_norms, self.omegas = self.max_norms[list(places)], self.omegas[list(places)]

    def logits(self, tokens: Tensor) -> Tensor:
        """Of tokens (R, time, batch): (R, batch, classes)."""
        self._forward(tokens)
        return self._states[-1, :, :, : self.hidden] @ self.params["output"] + self.params["output_bias"]

    def _forward(self, tokens: Tensor) -> None:
        """Fill `_states` (time + 1, R, batch, H + symbols): before each step the state, and what the step reads."""
        runs, length, batch = tokens.shape
        shape = (length + 1, runs, batch, self.hidden + self.symbols)
        if self._states.shape != shape:
            self._states = torch.zeros(shape)
        states = self._states
        states[0, :, :, : self.hidden] = 0.0
        states[:-1, :, :, self.hidden :] = torch.eye(self.symbols)[tokens.transpose(0, 1)]
        weight = self.params["hidden"].clone()
        weight[:, self.hidden :] += self.params["bias"]  # exactly one input is 1
        before = torch.empty(runs, batch, self.hidden)
        for step in range(length):
            states[step + 1, :, :, : self.hidden] = torch.bmm(states[step], weight, out=before).tanh_()

    def gradients(self, tokens: Tensor, classes: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Of the mean cross-entropy, and of Omega with respect to the recurrent weights.

        Args:
            tokens: (R, time, batch).
            classes: (R, batch).

        Returns:
            The gradients by parameter, and how many samples of each run were right, (R,).
        """
        logits = self.logits(tokens)
        runs, length, batch = tokens.shape
        wrong = logits.softmax(2) - torch.eye(logits.shape[2])[classes]
        wrong /= batch
        hs = self._states[..., : self.hidden]
        by_state = torch.empty(length + 1, runs, batch, self.hidden)
        by_input = torch.empty(length, runs, batch, self.hidden)
        by_state[-1] = wrong @ self.params["output"].transpose(1, 2)
        back = self.params["hidden"][:, : self.hidden].transpose(1, 2).contiguous()
        for step in range(length, 0, -1):
            h, delta = hs[step], by_state[step]
            torch.addcmul(delta, h * h, delta, value=-1, out=by_input[step - 1])
            torch.bmm(by_input[step - 1], back, out=by_state[step - 1])
        output = hs[-1].transpose(1, 2) @ wrong
        # What Omega adds to the gradient of W has the same right-hand factor as the loss's own: one product for both.
        left = self._states[:-1]
        if bool((self.omegas > 0).any()):
            left[..., : self.hidden] += self._omega_factors(by_state) * by_state[:-1]
        along = (1, 0, 2, 3)
        left, right = (part.permute(along).reshape(runs, length * batch, -1) for part in (left, by_input))
        found = {
            "hidden": left.transpose(1, 2) @ right,
            "bias": right.sum(1, keepdim=True),
            "output": output,
            "output_bias": wrong.sum(1, keepdim=True),
        }
        return found, (logits.argmax(2) == classes).sum(1)

    def _omega_factors(self, by_state: Tensor) -> Tensor:
        """The factors f in d(alpha Omega)/dW = sum over time and batch of f d_(t-1) z_t^T.

        Omega is the mean of (|d_(t-1)|^2 / |d_t|^2 - 1)^2 over the steps with a gradient, where d_(t-1) = z_t W^T and
        the derivative is the immediate one: d_t, z_t and the states count as constants.
        """
        squares = by_state.square().sum(3)
        valid = squares[1:] >= BOUND
        ratio = torch.where(valid, squares[:-1] / squares[1:], 1.0)
        count = valid.sum((0, 2)).clamp(min=1)  # the mean over the batch is above and below: it cancels
        factor = torch.where(valid, 4.0 * (ratio - 1.0) / squares[1:], 0.0)
        return (factor * (self.omegas / count)[None, :, None])[..., None]

    def step(self, tokens: Tensor, classes: Tensor) -> Tensor:
        """One update of every run; one whose gradient is not finite stays as it is. Returns how many were right."""
        found, right = self.gradients(tokens, classes)
        norms = torch.stack([each.flatten(1).norm(dim=1) for each in found.values()]).norm(dim=0)
        scale = torch.where(norms > self.max_norms, self.max_norms / norms, 1.0)
        finite = norms.isfinite()
        for name, param in self.params.items():
            gradient = torch.where(finite[:, None, None], found[name] * scale[:, None, None], 0.0)
            param.sub_(gradient, alpha=self.lr)
        return right


def smart_tanh(seed: int, hidden: int, symbols: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pascanu's initialisation of that name: 15 inputs a unit, spectral radius 0.95, all else N(0, 0.01^2).

    Returns:
        Recurrent weights (H, H), input weights (symbols, H), output weights (H, classes).
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = 0.01 * torch.randn(symbols, hidden, generator=generator)
    recurrent = torch.randn(hidden, hidden, generator=generator)
    order = torch.rand(hidden, hidden, generator=generator).argsort(1)
    recurrent = torch.where(order < min(15, hidden), recurrent, 0.0)
    recurrent *= 0.95 / max(torch.linalg.eigvals(recurrent).abs().max().item(), math.ulp(0.0))
    return recurrent, inputs, 0.01 * torch.randn(hidden, classes, generator=generator)
