"""From one sequence to another: translation with attention, torch's Transformer, alignment by CTC."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from tests.check import data
from tests.check.case import Problem, faulty, sound
from tests.check.common import MakeOptimizer, adam, adamw, of


class AdditiveAttention(nn.Module):
    """Bahdanau's. A row without any word to look at has no weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.score = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, state: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        score = self.score(torch.tanh(self.query(state)[:, None] + self.key(memory))).squeeze(2)
        weight = score.masked_fill(~mask, float("-inf")).softmax(dim=1)
        return (weight[:, :, None] * memory).sum(dim=1)


class Translator(nn.Module):
    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.source = nn.Embedding(vocabulary, width, padding_idx=0)
        self.target = nn.Embedding(vocabulary, width, padding_idx=0)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.attention = AdditiveAttention(width)
        self.decoder = nn.GRUCell(2 * width, width)
        self.project = nn.Linear(2 * width, vocabulary)

    def forward(self, source: Tensor, shifted: Tensor) -> Tensor:
        memory, state = self.encoder(self.source(source))
        state, logits = state[0], []
        for word in self.target(shifted).unbind(dim=1):
            context = self.attention(state, memory, source != 0)
            state = self.decoder(torch.cat([word, context], dim=1), state)
            logits.append(self.project(torch.cat([state, context], dim=1)))
        return torch.stack(logits, dim=1)


def padded_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits.transpose(1, 2), target, ignore_index=0)


def translation(empty: bool = False, expand: float | None = None, optimizer: MakeOptimizer = None) -> Problem:
    """Sentences of 6 to 12 words, reversed. `empty`: one source is only padding."""
    torch.manual_seed(120)
    model = Translator(60, 40)
    if expand is not None:
        nn.init.normal_(model.encoder.weight_hh_l0, std=expand)
        nn.init.normal_(model.decoder.weight_hh, std=expand)
    words = [1 + data.text(1, int(length), 58)[0] for length in torch.randint(6, 13, (24,))]
    source = pad_sequence(words, batch_first=True)
    target = pad_sequence([word.flip(0) for word in words], batch_first=True)
    if empty:
        source[5] = 0
    shifted = F.pad(target[:, :-1], (1, 0), value=59)
    return model, (source, shifted, target), padded_cross_entropy, of(model, optimizer)


class Seq2SeqTransformer(nn.Module):
    """torch's own, with all of its masks."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 32)
        self.position = nn.Embedding(16, 32)
        self.transformer = nn.Transformer(32, 4, 2, 2, 64, 0.1, batch_first=True)
        self.generator = nn.Linear(32, vocabulary)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        place = torch.arange(16)
        mask = nn.Transformer.generate_square_subsequent_mask(tgt.shape[1])
        a = self.embedding(src) + self.position(place[: src.shape[1]])
        b = self.embedding(tgt) + self.position(place[: tgt.shape[1]])
        return self.generator(self.transformer(a, b, tgt_mask=mask, tgt_is_causal=True))


def seq2seq_transformer(head: float | None = None, optimizer: MakeOptimizer = None) -> Problem:
    torch.manual_seed(121)
    model = Seq2SeqTransformer(50)
    if head is not None:
        nn.init.normal_(model.generator.weight, std=head)
    src = data.text(24, 10, 50)
    tgt = (src + 7) % 50
    return model, (src, F.pad(tgt[:, :-1], (1, 0), value=0), tgt), token_loss, of(model, optimizer)


def token_loss(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1), label_smoothing=0.05)


class Acoustic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(12, 32, bidirectional=True)
        self.out = nn.Linear(64, 11)

    def forward(self, frames: Tensor) -> Tensor:
        return self.out(self.lstm(frames)[0]).log_softmax(dim=-1)


def alignment(frames: int = 40, letters: int = 8, optimizer: MakeOptimizer = None) -> Problem:
    """CTC. With more letters than frames there is no alignment, and the loss is infinite."""
    torch.manual_seed(122)
    target = torch.randint(1, 11, (16, letters))
    target = torch.where(target == target.roll(1, 1), target % 10 + 1, target)
    place = torch.arange(frames) * letters // frames
    sound_of = torch.randn(11, 12)
    x = (sound_of[target[:, place]] + 0.3 * torch.randn(16, frames, 12)).transpose(0, 1)
    batch = {"frames": x, "labels": target, "lengths": torch.full((16,), letters)}

    def loss_fn(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        scores = model(batch["frames"])
        steps = torch.full((scores.shape[1],), scores.shape[0])
        return F.ctc_loss(scores, batch["labels"], steps, batch["lengths"])

    model = Acoustic()
    return model, batch, loss_fn, of(model, optimizer)


FAULTY = (
    faulty("translation-expanding", "recurrent-gain", translation, optimizer=adam(3e-3), fault={"expand": 2.0}),
    faulty("translation-empty-source", "unsafe-op", translation, optimizer=adam(3e-3), fault={"empty": True}),
    faulty("ctc-more-letters-than-frames", "unsafe-op", alignment, optimizer=adam(1e-2), fault={"frames": 6}),
    faulty("transformer-head-of-4", "init-gain", seq2seq_transformer, optimizer=adamw(), fault={"head": 4.0},
           where="generator"),
)  # fmt: skip

SOUND = (
    sound("translation-attention", translation, optimizer=adam(3e-3)),
    sound("transformer-seq2seq", seq2seq_transformer, optimizer=adamw()),
    sound("ctc", alignment, optimizer=adam(1e-2)),
)
