"""Held-out trainings on text and speech."""

import math
import random
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ._case import WORDS, Expect, Training, batches, case, text, windows


def names_context(block=3, n=600):
    picks = torch.randint(26, (n, 6))
    picks[:, 1::2] = picks[:, ::2] * 7 % 5  # a vowel that depends on the consonant
    words = torch.cat([torch.zeros(n, block, dtype=torch.long), picks + 1, torch.zeros(n, 1, dtype=torch.long)], 1)
    grams = words.unfold(1, block + 1, 1).reshape(-1, block + 1)
    return grams[:, :-1], grams[:, -1]


class MakemoreMLP(nn.Module):
    def __init__(self, gain, out_gain, block=3, n_embd=10, n_hidden=100):
        super().__init__()
        self.C = nn.Parameter(torch.randn(27, n_embd))
        self.W1 = nn.Parameter(torch.randn(n_embd * block, n_hidden) * gain)
        self.b1 = nn.Parameter(torch.randn(n_hidden) * 0.01)
        self.W2 = nn.Parameter(torch.randn(n_hidden, 27) * out_gain)
        self.b2 = nn.Parameter(torch.randn(27) * 0)

    def forward(self, x):
        emb = self.C[x]
        h = torch.tanh(emb.view(emb.shape[0], -1) @ self.W1 + self.b1)
        return h @ self.W2 + self.b2


@case(plain_randn=Expect(("init-gain", "saturation"), "W1|W2", "randn without gains: initial loss ~20, saturated tanh"))
def makemore_mlp(fault):
    x, y = names_context()
    model = MakemoreMLP(1.0, 1.0) if fault else MakemoreMLP(5 / 3 / 30**0.5, 0.01)
    return Training(model, batches(x, y), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1), 100)


class FlattenConsecutive(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.n = n

    def forward(self, x):
        b, t, c = x.shape
        x = x.reshape(b, t // self.n, c * self.n)
        return x.squeeze(1) if x.shape[1] == 1 else x


class BatchNormLast(nn.BatchNorm1d):
    def forward(self, x):
        return super().forward(x.transpose(1, -1)).transpose(1, -1) if x.dim() == 3 else super().forward(x)


@case()
def makemore_wavenet(fault):
    x, y = names_context(8)
    h = 48
    model = nn.Sequential(
        nn.Embedding(27, 16),
        FlattenConsecutive(2), nn.Linear(32, h, bias=False), BatchNormLast(h), nn.Tanh(),
        FlattenConsecutive(2), nn.Linear(2 * h, h, bias=False), BatchNormLast(h), nn.Tanh(),
        FlattenConsecutive(2), nn.Linear(2 * h, h, bias=False), BatchNormLast(h), nn.Tanh(),
        nn.Linear(h, 27),
    )  # fmt: skip
    with torch.no_grad():
        model[-1].weight *= 0.1
    return Training(model, batches(x, y), F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1), 100)


class MinCharRNN(nn.Module):
    """Karpathy's gist in torch: bare matrices, an Elman cell in a loop."""

    def __init__(self, vocab, hidden=100, rec=0.01):
        super().__init__()
        self.Wxh = nn.Parameter(torch.randn(hidden, vocab) * 0.01)
        self.Whh = nn.Parameter(torch.randn(hidden, hidden) * rec)
        self.Why = nn.Parameter(torch.randn(vocab, hidden) * 0.01)
        self.bh = nn.Parameter(torch.zeros(hidden, 1))
        self.by = nn.Parameter(torch.zeros(vocab, 1))
        self.vocab = vocab

    def forward(self, inputs):
        h = torch.zeros(self.bh.shape[0], inputs.shape[0])
        ys = []
        for t in range(inputs.shape[1]):
            x = F.one_hot(inputs[:, t], self.vocab).float().T
            h = torch.tanh(self.Wxh @ x + self.Whh @ h + self.bh)
            ys.append((self.Why @ h + self.by).T)
        return torch.stack(ys, 1)


@case(randn_recurrent=Expect(("recurrent-gain",), "Whh|", "Whh = randn without the 0.01"))
def min_char_rnn_adagrad(fault):
    ids, vocab = text()
    model = MinCharRNN(vocab, rec=1.0 if fault else 0.01)
    return Training(
        model, windows(ids, 25, 8), lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()),
        torch.optim.Adagrad(model.parameters(), lr=0.1), 100,
    )  # fmt: skip


class NameRNN(nn.Module):
    def __init__(self, vocab, hidden=64, classes=6):
        super().__init__()
        self.i2h = nn.Linear(vocab + hidden, hidden)
        self.h2o = nn.Linear(hidden, classes)
        self.hidden, self.vocab = hidden, vocab

    def forward(self, x):
        hidden = torch.zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            combined = torch.cat((F.one_hot(x[:, t], self.vocab).float(), hidden), 1)
            hidden = torch.tanh(self.i2h(combined))
        return F.log_softmax(self.h2o(hidden), dim=1)


@case(rate=Expect(("learning-rate",), note="lr=5 with momentum"))
def classify_names_tutorial(fault):
    y = torch.randint(6, (400,))
    x = torch.randint(26, (400, 7))
    x[:, 4:] = (y[:, None] * 4 + torch.randint(4, (400, 3))) % 26
    model = NameRNN(26)
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0 if fault else 0.15, momentum=0.9 if fault else 0.0)
    return Training(model, batches(x, y, size=64), nn.NLLLoss(), optimizer, 100)


class RNNModel(nn.Module):
    """The encoder, LSTM and tied decoder of PyTorch's word_language_model."""

    def __init__(self, vocab, n=64, layers=2):
        super().__init__()
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(vocab, n)
        self.rnn = nn.LSTM(n, n, layers, dropout=0.2, batch_first=True)
        self.decoder = nn.Linear(n, vocab)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, x):
        out, hidden = self.rnn(self.drop(self.encoder(x)))
        return self.decoder(self.drop(out)), hidden


@case()
def word_language_model_tied_lstm(fault):
    ids, vocab = text()
    model = RNNModel(vocab)
    return Training(
        model, windows(ids, 24), lambda out, y: F.cross_entropy(out[0].flatten(0, 1), y.flatten()),
        torch.optim.SGD(model.parameters(), lr=5.0), 100,
    )  # fmt: skip


class Seq2Seq(nn.Module):
    """GRU encoder and Bahdanau attention decoder, with a teacher-forcing coin, as in the translation tutorial."""

    def __init__(self, vocab, hidden=48):
        super().__init__()
        self.embedding = nn.Embedding(vocab, hidden)
        self.encoder = nn.GRU(hidden, hidden, batch_first=True)
        self.dec_embedding = nn.Embedding(vocab, hidden)
        self.Wa, self.Ua, self.Va = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        self.gru = nn.GRU(2 * hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, vocab)

    def forward(self, src, tgt):
        keys, hidden = self.encoder(self.embedding(src))
        token = torch.zeros(len(src), 1, dtype=torch.long)
        outputs = []
        teacher = random.random() < 0.8
        for t in range(tgt.shape[1]):
            query = hidden.permute(1, 0, 2)
            weights = F.softmax(self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1), -1)
            step, hidden = self.gru(torch.cat((self.dec_embedding(token), torch.bmm(weights, keys)), 2), hidden)
            logits = self.out(step)
            outputs.append(logits)
            token = tgt[:, t : t + 1] if teacher else logits.argmax(-1).detach()
        return torch.cat(outputs, 1)


@case(
    zero_embedding=Expect(
        ("symmetric-init", "dead-units"), note="every Linear's and Embedding's weights set to zero: 'neutral' init"
    )
)
def seq2seq_bahdanau(fault):
    src = torch.randint(1, 12, (400, 6))
    tgt = (src + 1) % 12
    model = Seq2Seq(12)
    if fault:
        for p in model.parameters():
            nn.init.zeros_(p)
    return Training(
        model, batches(src, tgt, tgt, size=64), lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()),
        torch.optim.Adam(model.parameters(), lr=3e-3), 100,
    )  # fmt: skip


class PositionalEncoding(nn.Module):
    def __init__(self, d, n=200):
        super().__init__()
        position = torch.arange(n)[:, None]
        div = torch.exp(torch.arange(0, d, 2) * (-math.log(10000.0) / d))
        pe = torch.zeros(n, d)
        pe[:, 0::2], pe[:, 1::2] = torch.sin(position * div), torch.cos(position * div)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[: x.shape[1]]


class TransformerModel(nn.Module):
    def __init__(self, vocab, d=64, layers=2, norm_first=False):
        super().__init__()
        self.embedding = nn.Embedding(vocab, d)
        self.pos_encoder = PositionalEncoding(d)
        layer = nn.TransformerEncoderLayer(d, 4, 128, 0.1, batch_first=True, norm_first=norm_first)
        self.transformer_encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.linear = nn.Linear(d, vocab)
        self.d = d
        self.embedding.weight.data.uniform_(-0.1, 0.1)
        self.linear.weight.data.uniform_(-0.1, 0.1)
        self.linear.bias.data.zero_()

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        h = self.pos_encoder(self.embedding(x) * math.sqrt(self.d))
        return self.linear(self.transformer_encoder(h, mask, is_causal=True))


@case(rate=Expect(("learning-rate",), note="SGD's lr=5.0 of the tutorial left in with Adam"))
def transformer_tutorial(fault):
    ids, vocab = text()
    model = TransformerModel(vocab)
    return Training(
        model, windows(ids, 32), lambda out, y: F.cross_entropy(out.view(-1, vocab), y.view(-1)),
        torch.optim.Adam(model.parameters(), lr=5.0 if fault else 1e-3), 80,
    )  # fmt: skip


class CausalSelfAttention(nn.Module):
    def __init__(self, d, heads, rope=False):
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.heads = heads

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (z.view(b, t, self.heads, d // self.heads).transpose(1, 2) for z in self.c_attn(x).split(d, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, d))


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = CausalSelfAttention(d, heads)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(d, 4 * d), "c_proj": nn.Linear(4 * d, d)})

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


class NanoGPT(nn.Module):
    def __init__(self, vocab, d=64, layers=4, heads=4, block=48, init=True):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocab, d), nn.Embedding(block, d)
        self.h = nn.ModuleList(Block(d, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(d)
        self.lm_head = nn.Linear(d, vocab, bias=False)
        self.wte.weight = self.lm_head.weight
        if init:
            self.apply(self._init)
            for name, p in self.named_parameters():
                if name.endswith("c_proj.weight"):
                    nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers))

    def _init(self, m):
        if isinstance(m, nn.Linear | nn.Embedding):
            nn.init.normal_(m.weight, std=0.02)
            if getattr(m, "bias", None) is not None:
                nn.init.zeros_(m.bias)

    def forward(self, idx, targets=None):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1)) if targets is not None else None
        return logits, loss


def nano_groups(model, lr):
    decay = [p for p in model.parameters() if p.dim() >= 2]
    rest = [p for p in model.parameters() if p.dim() < 2]
    return torch.optim.AdamW(
        [{"params": decay, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}], lr=lr, betas=(0.9, 0.95)
    )


def nano_loss(model, batch):
    return model(*batch)[1]


@case(
    tied_default_init=Expect(
        ("init-gain",), "wte|lm_head", "N(0, 1) token embedding tied to the head: loss far above log(vocab)"
    ),
    rate=Expect(("learning-rate",), note="lr=6e-1 for 6e-4"),
)
def nanogpt(fault):
    ids, vocab = text()
    model = NanoGPT(128 if fault == "tied_default_init" else vocab, d=64)
    if fault == "tied_default_init":
        model = NanoGPT(vocab, d=64)
        nn.init.normal_(model.wte.weight)  # what nn.Embedding does by itself
    return Training(model, windows(ids, 32, 12), nano_loss, nano_groups(model, 0.6 if fault == "rate" else 1e-3), 80)


@case()
def nanogpt_bfloat16(fault):
    ids, vocab = text()
    model = NanoGPT(vocab, d=64, layers=3).to(torch.bfloat16)

    def loss(model, batch):
        logits, _ = model(batch[0])
        return F.cross_entropy(logits.float().flatten(0, 1), batch[1].flatten())

    return Training(model, windows(ids, 32, 12), loss, nano_groups(model, 2e-3), 80)


class Expert(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w1, self.w2, self.w3 = (
            nn.Linear(d, 2 * d, bias=False),
            nn.Linear(2 * d, d, bias=False),
            nn.Linear(d, 2 * d, bias=False),
        )

    def forward(self, x):
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class MoELM(nn.Module):
    def __init__(self, vocab, d=48, experts=4, k=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, d)
        self.mixer = nn.GRU(d, d, batch_first=True)
        self.norm = nn.RMSNorm(d)
        self.gate = nn.Linear(d, experts, bias=False)
        self.experts = nn.ModuleList(Expert(d) for _ in range(experts))
        self.head = nn.Linear(d, vocab)
        self.k = k

    def forward(self, x):
        h, _ = self.mixer(self.embed(x))
        flat = self.norm(h).flatten(0, 1)
        probs = self.gate(flat).softmax(-1)
        top, index = probs.topk(self.k)
        top = top / top.sum(-1, keepdim=True)
        out = torch.zeros_like(flat)
        for e, expert in enumerate(self.experts):
            rows, slot = (index == e).nonzero(as_tuple=True)
            if len(rows):
                out.index_add_(0, rows, top[rows, slot, None] * expert(flat[rows]))
        logits = self.head(h + out.view_as(h))
        frac = F.one_hot(index[:, 0], len(self.experts)).float().mean(0)
        return logits, 0.01 * len(self.experts) * (frac * probs.mean(0)).sum()


@case()
def mixture_of_experts(fault):
    ids, vocab = text()
    model = MoELM(vocab)
    return Training(
        model, windows(ids, 24), lambda out, y: F.cross_entropy(out[0].flatten(0, 1), y.flatten()) + out[1],
        torch.optim.AdamW(model.parameters(), lr=3e-3), 80,
    )  # fmt: skip


class LoRALinear(nn.Module):
    def __init__(self, base, r=8, alpha=16, dead=False):
        super().__init__()
        self.base = base
        for p in base.parameters():
            p.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(r, base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        if dead:
            nn.init.zeros_(self.lora_A)
        self.scaling = alpha / r

    def forward(self, x):
        return self.base(x) + (x @ self.lora_A.T @ self.lora_B.T) * self.scaling


@case(
    both_zero=Expect(
        ("symmetric-init", "dead-units"), "lora", "A and B are both zero: a saddle that no gradient leaves"
    )
)
def lora_finetune(fault):
    ids, vocab = text()
    model = NanoGPT(vocab, d=64, layers=2)
    pre = nano_groups(model, 3e-3)
    get = windows(ids, 32, 12)
    for i in range(40):
        pre.zero_grad()
        nano_loss(model, get(5000 + i)).backward()
        pre.step()
    model.zero_grad(set_to_none=True)
    for p in model.parameters():
        p.requires_grad_(False)
    for block in model.h:
        block.attn.c_attn = LoRALinear(block.attn.c_attn, dead=bool(fault))
        block.mlp["c_fc"] = LoRALinear(block.mlp["c_fc"], dead=bool(fault))
    shifted, _ = text()
    new = windows((shifted * 3) % vocab, 32, 12)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    return Training(model, new, nano_loss, optimizer, 80)


class BiLSTMCRF(nn.Module):
    def __init__(self, vocab, tags, naive):
        super().__init__()
        self.embedding = nn.Embedding(vocab, 32)
        self.lstm = nn.LSTM(32, 32, bidirectional=True, batch_first=True)
        self.hidden2tag = nn.Linear(64, tags)
        self.transitions = nn.Parameter(torch.randn(tags, tags))
        self.naive = naive

    def neg_log_likelihood(self, x, tags):
        feats = self.hidden2tag(self.lstm(self.embedding(x))[0])
        gold = feats.gather(2, tags[..., None]).sum((1, 2)) + self.transitions[tags[:, :-1], tags[:, 1:]].sum(1)
        if self.naive:
            alpha = feats[:, 0].exp()
            for t in range(1, feats.shape[1]):
                alpha = (alpha[:, :, None] * self.transitions.exp()).sum(1) * feats[:, t].exp()
            return (alpha.sum(1).log() - gold).mean()
        alpha = feats[:, 0]
        for t in range(1, feats.shape[1]):
            alpha = torch.logsumexp(alpha[:, :, None] + self.transitions, 1) + feats[:, t]
        return (torch.logsumexp(alpha, 1) - gold).mean()

    def forward(self, x, tags):
        return self.neg_log_likelihood(x, tags)


@case(
    naive_partition=Expect(
        ("unsafe-op",), note="the partition function in probabilities, not logs: overflows with length"
    )
)
def bilstm_crf(fault):
    x = torch.randint(30, (256, 60))
    tags = (x % 5 + (torch.roll(x, 1, 1) % 2)) % 5
    model = BiLSTMCRF(30, 5, bool(fault))

    def loss(model, batch):
        return model(*batch)

    return Training(model, batches(x, tags, size=16), loss, torch.optim.Adam(model.parameters(), lr=5e-3), 50)


class DeepSpeechLite(nn.Module):
    def __init__(self, feats=40, classes=8):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(feats, 48, 5, 2, 2), nn.BatchNorm1d(48), nn.Hardtanh(0, 20))
        self.rnn = nn.LSTM(48, 48, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(96, classes)

    def forward(self, x):
        h, _ = self.rnn(self.conv(x).transpose(1, 2))
        return self.fc(h).log_softmax(-1).transpose(0, 1)


@case(
    too_long=Expect(
        ("nonfinite-data", "unsafe-op"),
        note="transcripts longer than the frames left after striding: infinite CTC loss",
    )
)
def ctc_speech(fault):
    words = torch.randint(1, 8, (200, 6))
    sound = torch.randn(8, 40)
    x = sound[words].repeat_interleave(8, 1).transpose(1, 2) + 0.3 * torch.randn(200, 40, 48)
    if fault:
        x = x[:, :, ::6].contiguous()  # 8 frames, 4 after the stride

    def loss(log_probs, targets):
        t, n, _ = log_probs.shape
        return F.ctc_loss(log_probs, targets, torch.full((n,), t), torch.full((n,), targets.shape[1]), blank=0)

    model = DeepSpeechLite()
    return Training(model, batches(x, words, size=16), loss, torch.optim.AdamW(model.parameters(), lr=3e-3), 100)


@dataclass
class DistilOutput:
    student: torch.Tensor
    teacher: torch.Tensor


class Distil(nn.Module):
    def __init__(self, teacher, student):
        super().__init__()
        self.teacher, self.student = teacher.eval(), student

    def train(self, mode=True):
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, x):
        with torch.no_grad():
            t = self.teacher(x)
        return DistilOutput(self.student(x), t)


@case(
    log_of_softmax=Expect(("unsafe-op",), note="KL by hand, p*log(p/q), on a confident teacher whose p underflows to 0")
)
def distillation_dataclass(fault):
    x, y = torch.randn(512, 20), None
    teacher = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10))
    with torch.no_grad():
        teacher[3].weight *= 60  # confident
        y = teacher.eval()(x).argmax(-1)
    for p in teacher.parameters():
        p.requires_grad_(False)
    model = Distil(teacher, nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 10)))

    def loss(out, target):
        hard = F.cross_entropy(out.student, target)
        if fault:
            p, q = F.softmax(out.teacher, -1), F.softmax(out.student, -1)
            return 0.5 * hard + 0.5 * (p * torch.log(p / q)).sum(-1).mean()
        temperature = 4.0
        soft = F.kl_div(
            F.log_softmax(out.student / temperature, -1),
            F.softmax(out.teacher / temperature, -1),
            reduction="batchmean",
        )
        return 0.5 * hard + 0.5 * soft

    return Training(model, batches(x, y), loss, torch.optim.Adam(model.student.parameters(), lr=3e-3), 100)


def sentences(vocab=60, length=16, n=200):
    ids = torch.randint(5, vocab // 2, (n, length))
    ids[:, 1::2] = ids[:, ::2] + vocab // 2 - 5
    return ids


@case(
    initializer_range=Expect(("init-gain", "attention-logits"), note="initializer_range=1.0 for 0.02"),
    all_masked=Expect(
        ("unsafe-op", "nonfinite-data"), note="labels are -100 everywhere in the batch: the mean over none is NaN"
    ),
)
def hf_bert_mlm(fault):
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=60, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=32, initializer_range=1.0 if fault == "initializer_range" else 0.02,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    model.train()
    ids = sentences()

    def batch(i):
        g = torch.Generator().manual_seed(i)
        rows = ids[torch.randint(200, (24,), generator=g)]
        masked = torch.rand(rows.shape, generator=g) < 0.25
        inputs = rows.masked_fill(masked, 3)
        labels = rows.masked_fill(~masked, -100)
        if fault == "all_masked":
            labels = labels.masked_fill(masked, -100)
        return {"input_ids": inputs, "attention_mask": torch.ones_like(inputs), "labels": labels}

    return Training(model, batch, None, torch.optim.AdamW(model.parameters(), lr=1e-3), 80)


@case(rate=Expect(("learning-rate",), note="learning_rate=1 with AdamW, meant for Adafactor's relative steps"))
def hf_t5(fault):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=40,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        dropout_rate=0.1,
    )
    model = T5ForConditionalGeneration(config).train()
    word = torch.randint(3, 40, (256, 1))
    src = torch.where(torch.rand(256, 10) < 0.7, word, torch.randint(3, 40, (256, 10)))

    def batch(i):
        pick = torch.randint(256, (24,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": src[pick], "labels": word[pick].repeat(1, 4)}

    return Training(model, batch, None, torch.optim.AdamW(model.parameters(), lr=1.0 if fault else 3e-3), 100)


@case()
def hf_llama_stable_adamw(fault):
    import optimi
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=60, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config).train()
    ids = sentences()

    def batch(i):
        rows = ids[torch.randint(200, (16,), generator=torch.Generator().manual_seed(i))]
        return {"input_ids": rows, "labels": rows}

    return Training(model, batch, None, optimi.StableAdamW(model.parameters(), lr=2e-3, weight_decay=1e-2), 60)


@case(raw_audio=Expect((), note="int16 samples' log-mel without the log and the normalisation"))
def hf_whisper(fault):
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=40, num_mel_bins=20, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=40, max_target_positions=16,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).train()
    words = torch.randint(3, 40, (256, 1)).repeat(1, 8)  # keyword spotting: one word, repeated
    sound = torch.randn(40, 20)
    mel = sound[words].repeat_interleave(10, 1).transpose(1, 2) + 0.3 * torch.randn(256, 20, 80)
    if fault:
        mel = torch.exp(2.5 * mel + 8)

    def batch(i):
        pick = torch.randint(256, (16,), generator=torch.Generator().manual_seed(i))
        return {"input_features": mel[pick], "labels": words[pick]}

    return Training(model, batch, None, torch.optim.AdamW(model.parameters(), lr=3e-3), 100)


@case()
def hf_mamba(fault):
    from transformers import MambaConfig, MambaForCausalLM

    config = MambaConfig(vocab_size=60, hidden_size=32, num_hidden_layers=2, state_size=8, use_mambapy=False)
    model = MambaForCausalLM(config).train()
    ids = sentences()

    def batch(i):
        rows = ids[torch.randint(200, (16,), generator=torch.Generator().manual_seed(i))]
        return {"input_ids": rows, "labels": rows}

    return Training(model, batch, None, torch.optim.AdamW(model.parameters(), lr=3e-3), 40)


class TextCNN(nn.Module):
    def __init__(self, vocab, d=32):
        super().__init__()
        self.emb = nn.Embedding(vocab, d, padding_idx=0)
        self.convs = nn.ModuleList(nn.Conv1d(d, 24, k) for k in (3, 4, 5))
        self.fc = nn.Linear(72, 1)

    def forward(self, ids, mask):
        e = (self.emb(ids) * mask[..., None]).transpose(1, 2)
        h = torch.cat([F.relu(c(e)).max(-1).values for c in self.convs], 1)
        return self.fc(F.dropout(h, 0.3, self.training)).squeeze(-1)


@case(
    log_sigmoid=Expect(
        ("unsafe-op", "init-gain"),
        note="BCE on probabilities by hand, with features scaled so that they reach exactly 1",
    )
)
def sentiment_textcnn(fault):
    ids = torch.randint(1, 100, (400, 20))
    y = ((ids < 30).sum(1) > 6).float()
    mask = torch.ones_like(ids, dtype=torch.float)
    model = TextCNN(100)
    if fault:
        with torch.no_grad():
            model.emb.weight *= 60.0  # word2vec vectors, not normalised

    def loss(logits, t):
        if not fault:
            return F.binary_cross_entropy_with_logits(logits, t)
        p = torch.sigmoid(logits)
        return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()

    return Training(model, batches(ids, mask, y), loss, torch.optim.Adam(model.parameters(), lr=2e-3), 100)


class AttentionNoScale(nn.Module):
    """Single-head dot-product attention over word vectors, as in many hand-written classifiers."""

    def __init__(self, vocab, d, scaled):
        super().__init__()
        self.emb = nn.Embedding(vocab, d)
        self.q, self.k, self.v = nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, d)
        for m in (self.q, self.k, self.v):
            nn.init.kaiming_normal_(m.weight)
        self.out = nn.Linear(d, len(WORDS))
        self.scaled = scaled

    def forward(self, x):
        e = self.emb(x)
        q, k, v = self.q(e), self.k(e), self.v(e)
        scores = torch.matmul(q, k.transpose(1, 2))
        if self.scaled:
            scores = scores / math.sqrt(q.shape[-1])
        return self.out(torch.softmax(scores, -1) @ v)


@case(no_scale=Expect((), note="dot products of 256 dimensions without 1/sqrt(d)"))
def hand_written_attention(fault):
    x = torch.randint(50, (6000, 12))  # how many of the words are of the first kind?
    y = (x < 25).sum(1, keepdim=True).expand(-1, 12)
    model = AttentionNoScale(50, 256, not fault)
    return Training(
        model, batches(x, y), lambda out, t: F.cross_entropy(out.flatten(0, 1), t.flatten()),
        torch.optim.Adam(model.parameters(), lr=1e-3), 100,
    )  # fmt: skip
