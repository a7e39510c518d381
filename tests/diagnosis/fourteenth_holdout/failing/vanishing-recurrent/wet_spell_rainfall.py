"""An LSTM classifies rainfall years by the wet spell at their beginning, from 50 daily readings.

Cause: vanishing-recurrent
Fails: the loss stays at 0.69, where it began
"""

from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Experiment:
    days: int = 50
    hidden: int = 24
    forget_bias: float = -4.0  # fix: forget_bias: float = 4.0
    rate: float = 5e-3
    steps: int = 260
    log: list = field(default_factory=list)

    def years(self, count):
        wet = torch.randint(0, 2, (count,))
        rain = torch.relu(torch.randn(count, self.days))
        rain[:, :4] += 1.5 * wet[:, None]
        return rain.unsqueeze(-1) - 0.4, wet.float()

    def build(self):
        lstm, head = nn.LSTM(1, self.hidden, batch_first=True), nn.Linear(self.hidden, 1)
        with torch.no_grad():
            lstm.bias_ih_l0[self.hidden : 2 * self.hidden] = self.forget_bias
            lstm.bias_hh_l0[self.hidden : 2 * self.hidden] = 0.0
        return lstm, head

    def run(self):
        lstm, head = self.build()
        optimizer = torch.optim.RMSprop([*lstm.parameters(), *head.parameters()], lr=self.rate)
        for step in range(self.steps):
            rain, wet = self.years(48)
            logit = head(lstm(rain)[0][:, -1]).squeeze(1)
            loss = nn.functional.binary_cross_entropy_with_logits(logit, wet)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(lstm.parameters(), 1.0)
            optimizer.step()
            self.log.append(loss.item())
            if step % 40 == 0:
                print(step, loss.item())
        return sum(self.log[-20:]) / 20


torch.manual_seed(62)
print("final loss", Experiment().run())
