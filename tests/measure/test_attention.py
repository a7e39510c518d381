"""Logits of attentions: the pure measure against brute force; the probe sees every implementation, and nothing notices."""

import copy
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from steadygrad.measure.attention import attention_stats
from steadygrad.measure.attention_probe import AttentionProbe


@pytest.fixture(autouse=True)
def _no_error_of_ours(caplog):
    """A probe that has stopped itself would look like one that has seen nothing."""
    yield
    assert "has stopped itself" not in caplog.text


def brute(query, key, attn_mask=None, is_causal=False, scale=None):
    """One row at a time, of (batch, heads, L, d), in float64."""
    query, key = query.double(), key.double()
    key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    batch, heads, length, width = query.shape
    source = key.shape[2]
    scale = 1 / math.sqrt(width) if scale is None else scale
    largest, entropies = [], []
    for head in range(heads):
        tops, rows = [-math.inf], []
        for entry in range(batch):
            for place in range(length):
                logits = key[entry, head] @ query[entry, head, place] * scale
                seen = torch.ones(source, dtype=torch.bool)
                if is_causal:
                    seen[place + 1 :] = False
                if attn_mask is not None:
                    mask = attn_mask.expand(batch, heads, length, source)[entry, head, place]
                    if mask.dtype == torch.bool:
                        seen &= mask
                    else:
                        logits = logits + mask
                        seen &= mask > -math.inf
                if seen.any():
                    tops.append(logits[seen].max().item())
                    weights = logits[seen].softmax(0)
                    rows.append(-(weights * weights.log()).nan_to_num(0).sum().item())
        largest.append(max(tops))
        entropies.append(sum(rows) / max(1, len(rows)))
    return largest, entropies


def agrees(stats, expected, **tolerance):
    assert stats.max_logit.tolist() == pytest.approx(expected[0], abs=1e-5, **tolerance)
    assert stats.entropy.tolist() == pytest.approx(expected[1], abs=1e-5, **tolerance)


def masks(kind, batch, heads, length, source, generator):
    shape = {
        "plain": (length, source),
        "padding": (batch, 1, 1, source),
        "head": (heads, length, source),
        "full": (batch, heads, length, source),
    }[kind]
    return torch.rand(shape, generator=generator) > 0.4


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    heads=st.sampled_from([(1, 1), (2, 2), (4, 2), (3, 1)]),
    length=st.integers(1, 6),
    source=st.integers(1, 7),
    mask=st.sampled_from([None, "plain", "padding", "head", "full"]),
    additive=st.booleans(),
    causal=st.booleans(),
    scale=st.sampled_from([None, 0.3, 4.0]),
    limit=st.integers(1, 200),
    seed=st.integers(0, 1000),
)
def test_it_is_what_brute_force_says(batch, heads, length, source, mask, additive, causal, scale, limit, seed):
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(batch, heads[0], length, 5, generator=generator)
    key = torch.randn(batch, heads[1], source, 5, generator=generator)
    given_mask = None if mask is None else masks(mask, batch, heads[0], length, source, generator)
    if additive and given_mask is not None:
        bias = torch.randn(given_mask.shape, generator=generator)
        given_mask = bias.masked_fill(~given_mask, -math.inf)
    stats = attention_stats(
        query, key, attn_mask=given_mask, is_causal=causal, scale=scale, enable_gqa=True, max_logits=limit
    )
    agrees(stats, brute(query, key, given_mask, causal, scale), rel=1e-4)


@pytest.mark.parametrize("given_mask", [None, (5, 7), (3, 2, 1, 1, 7), (2, 1, 5, 7)])
def test_more_batch_dimensions_and_fewer(given_mask):
    torch.manual_seed(0)
    query, key = torch.randn(3, 2, 4, 5, 6), torch.randn(3, 2, 4, 7, 6)
    mask = None if given_mask is None else torch.rand(given_mask) > 0.5
    stats = attention_stats(query, key, attn_mask=mask, max_logits=50)
    flat = None if mask is None else mask.expand(3, 2, 4, 5, 7).flatten(0, 1)
    agrees(stats, brute(query.flatten(0, 1), key.flatten(0, 1), flat), rel=1e-4)
    agrees(attention_stats(query[0, 0], key[0, 0]), brute(query[0, :1], key[0, :1]), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_reduced_precision_is_worked_on_in_float32(dtype):
    torch.manual_seed(0)
    query, key = (30 * torch.randn(2, 2, 300, 8)).to(dtype), torch.randn(2, 2, 300, 8).to(dtype)
    lowest = torch.full((300, 300), torch.finfo(dtype).min, dtype=dtype).triu(1)
    stats = attention_stats(query, key, attn_mask=lowest)
    assert stats.max_logit.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    agrees(stats, brute(query, key, is_causal=True), rel=1e-4)


def test_autocast_does_not_round_the_logits():
    torch.manual_seed(0)
    query, key = torch.randn(1, 2, 4, 8), torch.randn(1, 2, 4, 8)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = (query @ key.mT / math.sqrt(8)).amax((0, 2, 3)).float()
        stats = attention_stats(query, key)
    assert stats.max_logit.tolist() != pytest.approx(rounded.tolist(), rel=1e-5)
    agrees(stats, brute(query, key), rel=1e-5)


def test_what_is_masked_whole_counts_for_nothing():
    query = torch.ones(1, 2, 3, 4)
    hidden = torch.ones(1, 2, 3, 3, dtype=torch.bool)
    hidden[:, 0] = False
    hidden[:, 1, 0] = False
    stats = attention_stats(query, query, attn_mask=hidden)
    assert stats.max_logit.tolist() == [-math.inf, 2]
    assert stats.entropy.tolist() == pytest.approx([0, math.log(3)])
    nothing = attention_stats(query[..., :0, :], query)
    assert nothing.max_logit.tolist() == [-math.inf] * 2
    assert nothing.entropy.tolist() == [0, 0]
    assert attention_stats(query, query[..., :0, :]).max_logit.tolist() == [-math.inf] * 2


@pytest.mark.parametrize("fused", [True, False])
def test_the_lowest_number_is_as_good_a_mask_as_minus_infinity(fused):
    torch.manual_seed(0)
    query = torch.randn(2, 2, 4, 8)
    seen = torch.ones(4, 4, dtype=torch.bool).tril(-1)
    mask = torch.zeros(4, 4).masked_fill(~seen, torch.finfo(torch.float32).min)

    class Attention(nn.Module):
        def forward(self, batch):
            if fused:
                return F.scaled_dot_product_attention(batch, batch, batch, mask)
            return torch.softmax(batch @ batch.mT / math.sqrt(8) + mask, -1)

    model = Attention()
    with AttentionProbe(model, every=1) as probe:
        model(query)
    agrees(probe.read()[""], brute(query, query, seen), rel=1e-4)


def test_nan_is_data():
    query = torch.ones(1, 2, 3, 4)
    query[0, 1, 1, 0] = math.nan
    stats = attention_stats(query, torch.ones(1, 2, 3, 4), is_causal=True)
    assert stats.max_logit.isnan().tolist() == [False, True]
    assert stats.entropy.isnan().tolist() == [False, True]


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((4, 8), (4, 8)), {}, "query and key have 2 and 2 dimensions"),
        (((4, 5, 8), (2, 5, 8)), {}, "query has 4 heads and key 2"),
        (((4, 5, 8), (3, 5, 8)), {"enable_gqa": True}, "query has 4 heads and key 3"),
        (((4, 5, 8), (4, 5, 8)), {"max_logits": 0}, "max_logits is 0"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        attention_stats(torch.ones(shapes[0]), torch.ones(shapes[1]), **options)


class Largest(TorchDispatchMode):
    """The most elements of any tensor that is made, those that share memory with given ones left out."""

    def __init__(self, *given):
        super().__init__()
        self.given = {tensor.untyped_storage().data_ptr() for tensor in given}
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        storage = result.untyped_storage() if isinstance(result, torch.Tensor) else None
        if storage is not None and storage.data_ptr() not in self.given:
            self.elements = max(self.elements, storage.nbytes() // result.element_size())
        return result


@pytest.mark.parametrize("limit", [500, 5_000, 100_000])
def test_no_more_logits_exist_at_once_than_allowed(limit):
    query, key = torch.randn(4, 2, 50, 2), torch.randn(4, 1, 40, 2)
    mask = torch.rand(4, 1, 50, 40) > 0.5
    total = 4 * 2 * 50 * 40
    with Largest(query, key, mask) as largest:
        attention_stats(query, key, attn_mask=mask, is_causal=True, enable_gqa=True, max_logits=limit)
    assert min(limit, total) / 5 < largest.elements <= min(limit, total)


def test_the_pure_measure_compiles_whole():
    query, key = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 7, 8)
    compiled = torch.compile(attention_stats, fullgraph=True, backend="aot_eager")
    options = {"enable_gqa": True, "is_causal": True, "max_logits": 200}
    stats, expected = compiled(query, key, **options), attention_stats(query, key, **options)
    torch.testing.assert_close(stats.max_logit, expected.max_logit)
    torch.testing.assert_close(stats.entropy, expected.entropy)


@pytest.fixture
def mesh():
    from torch.distributed.tensor import init_device_mesh

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def test_sharded_tensors(mesh):
    from torch.distributed.tensor import Shard, distribute_tensor

    query, mask = torch.randn(2, 4, 5, 8), torch.rand(2, 1, 5, 5) > 0.5
    sharded = distribute_tensor(query, mesh, [Shard(1)])
    expected = attention_stats(query, query, attn_mask=mask)
    stats = attention_stats(sharded, sharded, attn_mask=distribute_tensor(mask, mesh, [Shard(0)]))
    assert type(stats.max_logit) is torch.Tensor
    assert torch.equal(stats.max_logit, expected.max_logit)
    assert torch.equal(stats.entropy, expected.entropy)

    class Attention(nn.Module):
        def forward(self, logits):
            return torch.softmax(logits, -1)

    model = Attention()
    with AttentionProbe(model, every=1) as probe:
        model(sharded)
    assert type(probe.read()[""].max_logit) is torch.Tensor
    assert torch.equal(probe.read()[""].max_logit, query.amax((0, 2, 3)))


class HandWrittenAttention(nn.Module):
    """As nanoGPT writes it."""

    def __init__(self, softmax, width=8, heads=2, dropout=0.2):
        super().__init__()
        self.n_head = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)
        self.drop = nn.Dropout(dropout)
        self.softmax = softmax

    def split(self, batch):
        return [part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in self.c_attn(batch).chunk(3, -1)]

    def forward(self, batch):
        query, key, value = self.split(batch)
        logits = query @ key.mT / math.sqrt(query.shape[-1])
        hidden = torch.ones(logits.shape[-2:], dtype=torch.bool).triu(1)
        weights = self.drop(self.softmax(logits.masked_fill(hidden, -math.inf)))
        return self.c_proj((weights @ value).transpose(1, 2).flatten(2))


class FlatAttention(HandWrittenAttention):
    """Batch and heads in one dimension, and bmm."""

    def forward(self, batch):
        query, key, value = (part.flatten(0, 1) for part in self.split(batch))
        bias = torch.zeros(batch.shape[1], batch.shape[1]).masked_fill_(
            torch.ones(batch.shape[1], batch.shape[1]).triu(1).bool(), torch.finfo(batch.dtype).min
        )
        logits = torch.baddbmm(bias.expand(len(query), -1, -1), query, key.mT, alpha=1 / math.sqrt(query.shape[-1]))
        out = torch.bmm(self.drop(self.softmax(logits)), value)
        return self.c_proj(out.unflatten(0, (-1, self.n_head)).transpose(1, 2).flatten(2))


class FusedAttention(HandWrittenAttention):
    """As current code writes it."""

    def __init__(self, call, **options):
        super().__init__(None, **options)
        self.call = call

    def forward(self, batch):
        query, key, value = self.split(batch)
        return self.c_proj(self.call(query, key, value).transpose(1, 2).flatten(2))


def eager_attention_forward(module, query, key, value):
    """As transformers writes it: a function outside the module, softmax in float32."""
    key, value = key.repeat_interleave(module.groups, 1), value.repeat_interleave(module.groups, 1)
    weights = torch.matmul(query, key.transpose(2, 3)) * module.scaling
    lowest = torch.full(weights.shape[-2:], torch.finfo(weights.dtype).min, dtype=weights.dtype).triu(1)
    weights = F.softmax(weights + lowest, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = F.dropout(weights, p=0.1, training=module.training)
    return torch.matmul(weights, value)


def sdpa_attention_forward(module, query, key, value):
    return F.scaled_dot_product_attention(
        query, key, value, dropout_p=0.1, is_causal=True, scale=module.scaling, enable_gqa=True
    )


class LlamaAttention(nn.Module):
    def __init__(self, run, width=8, heads=4, kv_heads=2):
        super().__init__()
        self.run, self.groups, self.heads = run, heads // kv_heads, heads
        self.scaling = (width // heads) ** -0.5
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width // self.groups)
        self.v_proj = nn.Linear(width, width // self.groups)
        self.o_proj = nn.Linear(width, width)

    def split(self, batch):
        width = self.q_proj.out_features // self.heads
        return [
            part(batch).unflatten(-1, (-1, width)).transpose(1, 2) for part in (self.q_proj, self.k_proj, self.v_proj)
        ]

    def forward(self, batch):
        out = self.run(self, *self.split(batch))
        return (self.o_proj(out.transpose(1, 2).flatten(2)), None)


CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()

IMPLEMENTATIONS = {
    "torch.softmax": lambda: HandWrittenAttention(lambda logits: torch.softmax(logits, -1)),
    "torch.softmax, dim by name": lambda: HandWrittenAttention(lambda logits: torch.softmax(input=logits, dim=3)),
    "Tensor.softmax": lambda: HandWrittenAttention(lambda logits: logits.softmax(dim=-1)),
    "F.softmax": lambda: HandWrittenAttention(lambda logits: F.softmax(logits, dim=-1)),
    "nn.Softmax": lambda: HandWrittenAttention(nn.Softmax(-1)),
    "torch.special.softmax": lambda: HandWrittenAttention(lambda logits: torch.special.softmax(logits, -1)),
    "flat softmax": lambda: FlatAttention(lambda logits: torch.softmax(logits, -1)),
    "sdpa, causal": lambda: FusedAttention(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, None, 0.1, True),
    ),
    "sdpa, boolean mask": lambda: FusedAttention(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=CAUSAL, dropout_p=0.1)
    ),
    "sdpa, additive mask": lambda: FusedAttention(
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, attn_mask=torch.zeros(5, 5).masked_fill(~CAUSAL, -math.inf)
        )
    ),
    "sdpa, flat heads": lambda: FusedAttention(
        lambda q, k, v: F.scaled_dot_product_attention(
            *(part.flatten(0, 1) for part in (q, k, v)), attn_mask=CAUSAL.expand(q.shape[0] * q.shape[1], 5, 5)
        ).unflatten(0, q.shape[:2])
    ),
    "transformers, eager": lambda: LlamaAttention(eager_attention_forward),
    "transformers, sdpa": lambda: LlamaAttention(sdpa_attention_forward),
}


def trained(model, batch, probe=None, steps=3, autocast=False):
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    attached = probe(model) if probe else None
    losses = []
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = model(batch)
            loss = (output[0] if isinstance(output, tuple) else output).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    if attached:
        attached.close()
    read = attached.read() if attached else None
    return losses + [param.detach().clone() for param in model.parameters()] + [torch.get_rng_state()], read


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_training_is_bit_identical_and_was_seen(name, autocast):
    torch.manual_seed(0)
    model = IMPLEMENTATIONS[name]()
    batch = torch.randn(3, 5, 8)
    bare, _ = trained(copy.deepcopy(model), batch, autocast=autocast)
    watched, read = trained(model, batch, lambda model: AttentionProbe(model, every=2), autocast=autocast)
    assert all(map(torch.equal, bare, watched))
    assert list(read) == [""]
    assert no_hooks(model)


@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_implementation_shows_the_same_logits(name):
    torch.manual_seed(0)
    model = IMPLEMENTATIONS[name]()
    batch = 5 * torch.randn(3, 5, 8)
    query, key, _ = model.split(batch)
    with AttentionProbe(model, every=1) as probe:
        model(batch)
    agrees(probe.read()[""], brute(query.detach(), key.detach(), is_causal=True), rel=1e-4)
    with AttentionProbe(model, every=1, entropy=False) as probe:
        model(batch)
    assert probe.read()[""].max_logit.tolist() == pytest.approx(brute(query, key, is_causal=True)[0], rel=1e-4)
    assert probe.read()[""].entropy is None


def test_bfloat16():
    torch.manual_seed(0)
    model = FusedAttention(lambda q, k, v: F.scaled_dot_product_attention(q, k, v)).bfloat16()
    batch = torch.randn(3, 5, 8, dtype=torch.bfloat16)
    with AttentionProbe(model, every=1) as probe:
        model(batch)
    query, key, _ = model.split(batch)
    agrees(probe.read()[""], brute(query.detach(), key.detach()), rel=1e-4)


def heads_of(attention, query, key):
    weight, bias = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    return [
        F.linear(tensor, weight[place], bias[place]).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2).detach()
        for place, tensor in enumerate([query, key])
    ]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("masked", ["no", "causal", "float", "padding", "3-d"])
def test_multihead_attention(need_weights, masked):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)
    nn.init.normal_(attention.in_proj_bias)
    query, key = torch.randn(3, 5, 8), torch.randn(3, 6, 8)
    hidden = torch.ones(5, 6, dtype=torch.bool).triu(1)
    padding = torch.zeros(3, 6, dtype=torch.bool)
    padding[1, 4:] = True
    three = torch.rand(6, 5, 6) > 0.6
    options, expected = {
        "no": ({}, None),
        "causal": ({"attn_mask": hidden, "is_causal": True}, ~hidden),
        "float": ({"attn_mask": torch.zeros(5, 6).masked_fill(hidden, -math.inf)}, ~hidden),
        "padding": ({"key_padding_mask": padding}, ~padding[:, None, None]),
        "3-d": ({"attn_mask": three}, ~three.unflatten(0, (3, 2))),
    }[masked]

    torch.manual_seed(1)
    bare = attention(query, key, key, need_weights=need_weights, **options)
    torch.manual_seed(1)
    with AttentionProbe(attention, every=1) as probe:
        watched = attention(query, key, key, need_weights=need_weights, **options)
    assert torch.equal(bare[0], watched[0])
    assert (bare[1] is None and watched[1] is None) or torch.equal(bare[1], watched[1])
    agrees(probe.read()[""], brute(*heads_of(attention, query, key), expected), rel=1e-4)


def test_a_transformer_of_torch():
    torch.manual_seed(0)
    model = nn.Transformer(8, 2, 1, 1, 8, batch_first=True)
    source, target = torch.randn(2, 4, 8), torch.randn(2, 3, 8)
    with AttentionProbe(model, every=1) as probe:
        model(
            source, target, tgt_is_causal=True, tgt_mask=nn.Transformer.generate_square_subsequent_mask(3)
        ).sum().backward()
    assert list(probe.read()) == [
        "encoder.layers.0.self_attn",
        "decoder.layers.0.self_attn",
        "decoder.layers.0.multihead_attn",
    ]
    first = model.encoder.layers[0].self_attn
    agrees(probe.read()["encoder.layers.0.self_attn"], brute(*heads_of(first, source, source)), rel=1e-4)


def test_a_transformer_of_torch_trains_bit_identically():
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.2, batch_first=True), 2)
    batch = torch.randn(3, 5, 8)
    bare, _ = trained(copy.deepcopy(model), batch)
    watched, read = trained(model, batch, lambda model: AttentionProbe(model, every=1))
    assert all(map(torch.equal, bare, watched))
    assert len(read) == 2


def test_the_innermost_attention_is_looked_at_by_default():
    class BertSelfAttention(HandWrittenAttention):
        pass

    class BertAttention(nn.Module):
        def __init__(self):
            super().__init__()
            self.self = BertSelfAttention(nn.Softmax(-1))

        def forward(self, batch):
            return self.self(batch)

    model = nn.Sequential(BertAttention(), nn.Linear(8, 8))
    for modules, expected in [(None, "0.self"), ([model[0]], "0"), (["0.self"], "0.self"), ([model[0].self], "0.self")]:
        with AttentionProbe(model, every=1, modules=modules) as probe:
            model(torch.randn(1, 3, 8))
        assert list(probe.read()) == [expected]


def test_modules_that_are_not_there_are_refused():
    model = nn.Sequential(nn.MultiheadAttention(8, 2))
    with pytest.raises(ValueError, match="modules has '1', which Sequential has not"):
        AttentionProbe(model, modules=["1"])
    with pytest.raises(ValueError, match="modules has a MultiheadAttention, which Sequential has not"):
        AttentionProbe(model, modules=[nn.MultiheadAttention(8, 2)])
    with pytest.raises(ValueError, match="Linear has no attention module"):
        AttentionProbe(nn.Linear(2, 2))
    assert no_hooks(model)


def test_softmax_that_is_no_attention_is_left_alone():
    class PoolingAttention(nn.Module):
        def forward(self, batch):
            weights = torch.softmax(batch.sum(-1, keepdim=True), 1)  # over the places, for one query
            return (weights * batch).sum(1).softmax(-1)

    model = nn.Sequential(PoolingAttention(), nn.Softmax(-1))
    with AttentionProbe(model, every=1) as probe:
        model(torch.randn(2, 3, 4))
        torch.softmax(torch.randn(2, 3, 4, 4), -1)  # outside
    assert probe.read() == {}


class Twice(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, small, large):
        return self.attention(small, small, small)[0].sum() + self.attention(large, large, large)[0].sum()


def alone(attention, batch):
    with AttentionProbe(attention, every=1) as probe:
        attention(batch, batch, batch)
    return probe.read()[""]


def test_calls_of_a_pass_are_put_together():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    small, large = torch.randn(1, 4, 8), 9 * torch.randn(1, 12, 8)
    one, other = alone(attention, small), alone(attention, large)
    model = Twice(attention)
    with AttentionProbe(model, every=1) as probe:
        model(large, small)
    stats = probe.read()["attention"]
    assert torch.equal(stats.max_logit, torch.maximum(one.max_logit, other.max_logit))
    torch.testing.assert_close(stats.entropy, (4 * one.entropy + 12 * other.entropy) / 16)


def test_the_maximum_is_kept_until_reset():
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    batches = [scale * torch.randn(1, 4, 8) for scale in (1, 9, 2)]
    single = [alone(attention, batch) for batch in batches]
    last = AttentionProbe(attention, every=1)
    largest = AttentionProbe(attention, every=1, accumulate=True, entropy=False)
    for batch in batches:
        attention(batch, batch, batch)
    assert torch.equal(last.read()[""].max_logit, single[2].max_logit)
    assert torch.equal(largest.read()[""].max_logit, torch.stack([one.max_logit for one in single]).amax(0))
    largest.reset()
    assert largest.read() == {}
    attention(batches[2], batches[2], batches[2])
    assert torch.equal(largest.read()[""].max_logit, single[2].max_logit)
    last.close()
    largest.close()


def test_two_probes_do_not_see_each_other():
    torch.manual_seed(0)
    model = HandWrittenAttention(nn.Softmax(-1))
    batch = torch.randn(2, 5, 8)
    with AttentionProbe(model, every=1) as alone:
        model(batch)
    with AttentionProbe(model, every=1) as first, AttentionProbe(model, every=1) as second:
        model(batch)
    for probe in (first, second):
        assert torch.equal(probe.read()[""].entropy, alone.read()[""].entropy)


def no_hooks(model):
    return not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Spy(nn.Module):
    """What is on the stack of modes while an attention runs."""

    n_head = 2

    def __init__(self):
        super().__init__()
        self.seen = []
        self.error = None

    def forward(self, batch):
        self.seen.append(len(_get_current_function_mode_stack()))
        if self.error:
            raise self.error
        return torch.softmax(batch @ batch.mT, -1) @ batch


def test_between_samples_and_in_eval_mode_there_is_no_mode():
    spy = Spy()
    model = nn.Sequential(spy)
    probe = AttentionProbe(model, every=3, modules=[spy])
    for step in range(5):
        if step == 1:
            model.eval()
            model(torch.randn(2, 3, 4))
            model.train()
        model(torch.randn(2, 3, 4))
        assert not spy._forward_hooks
        assert not spy._forward_pre_hooks
    assert spy.seen == [1, 0, 0, 0, 1, 0]
    probe.close()
    assert no_hooks(model)


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt("mine")])
def test_an_exception_in_forward_leaves_no_mode_behind(error, inner):
    spy = Spy()
    spy.error = error
    model = nn.Sequential(spy) if inner else spy
    probe = AttentionProbe(model, every=2, modules=[spy])
    with pytest.raises(type(error), match="mine") as caught:
        model(torch.randn(2, 3, 4))
    assert caught.value is error
    spy.error = None
    if isinstance(error, KeyboardInterrupt):
        with TorchFunctionModeOfTheUser() as own:
            model(torch.randn(2, 3, 4))  # torch tells hooks nothing of an interrupt: the next pass puts it right
            assert _get_current_function_mode_stack() == [own]
        assert spy.seen.pop() == 1, "not ours"
    assert _get_current_function_mode_stack() == []
    model(torch.randn(2, 3, 4))
    model(torch.randn(2, 3, 4))
    assert _get_current_function_mode_stack() == []
    assert 1 in spy.seen[1:], "it goes on"
    probe.close()
    assert no_hooks(model)


class TorchFunctionModeOfTheUser(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls.append(func)
        return func(*args, **(kwargs or {}))


def test_an_interrupt_is_put_right_by_close_too():
    spy = Spy()
    spy.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt), AttentionProbe(spy, every=1, modules=[spy]):
        spy(torch.randn(2, 3, 4))
    assert _get_current_function_mode_stack() == []
    assert no_hooks(spy)


@pytest.mark.parametrize("model", [nn.MultiheadAttention(8, 2), HandWrittenAttention(nn.Softmax(-1))])
def test_a_mode_of_the_user_sees_what_it_would_see_alone(model):
    batch = torch.randn(3, 5, 8)
    arguments = (batch,) if isinstance(model, HandWrittenAttention) else (batch, batch, batch)
    with TorchFunctionModeOfTheUser() as bare:
        model(*arguments)
    with AttentionProbe(model, every=1), TorchFunctionModeOfTheUser() as watched:
        model(*arguments)
    names = [[getattr(func, "__qualname__", None) for func in mode.calls] for mode in (bare, watched)]
    assert names[0] == names[1]


def test_a_default_device_does_not_hide_the_logits():
    model = nn.MultiheadAttention(8, 2)
    batch = torch.randn(3, 5, 8)
    with AttentionProbe(model, every=1) as probe, torch.device("cpu"):
        model(batch, batch, batch, need_weights=False)
    assert list(probe.read()) == [""]


def test_an_attention_that_was_kept_from_running_takes_no_mode_off_but_its_own():
    class Outer(nn.Module):
        n_head = 2

        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleList([Spy(), Spy()])
            self.stack = []

        def forward(self, batch):
            for inner in self.inner:
                try:
                    inner(batch)
                except ValueError:
                    self.stack.append(len(_get_current_function_mode_stack()))
            return torch.softmax(batch @ batch.mT, -1)

    def refuse(module, args):
        raise ValueError("not now")

    model = Outer()
    model.inner[0].error = ValueError("mine")
    model.inner[1].register_forward_pre_hook(refuse)
    with AttentionProbe(model, every=1, modules=["", "inner.0", "inner.1"]) as probe:
        model(torch.randn(2, 3, 4))
    assert model.stack == [1, 1], "the outer one's"
    assert list(probe.read()) == [""]


class Overriding(torch.Tensor):
    calls = None

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.calls.append(getattr(func, "__name__", None))
        return super().__torch_function__(func, types, args, kwargs)


def test_tensors_that_override_the_attention_of_torch_are_asked_as_before():
    model = nn.MultiheadAttention(8, 2)
    batch = torch.randn(3, 5, 8).as_subclass(Overriding)
    Overriding.calls = bare = []
    model(batch, batch, batch)
    Overriding.calls = watched = []
    with AttentionProbe(model, every=1):
        model(batch, batch, batch)
    assert watched == bare
    assert "multi_head_attention_forward" in bare


def test_a_torch_whose_attention_cannot_be_opened_runs_unseen(monkeypatch):
    model = nn.MultiheadAttention(8, 2)
    batch = torch.randn(3, 5, 8)
    monkeypatch.setattr("steadygrad.measure.attention_probe.without_overrides", lambda func: func)
    with AttentionProbe(model, every=1) as probe:
        assert torch.equal(model(batch, batch, batch)[0], model.eval()(batch, batch, batch)[0])
    assert probe.read() == {}


def test_a_call_with_another_number_of_heads_is_left_out():
    class TwoAttention(nn.Module):
        def forward(self, batch):
            return torch.softmax(batch, -1).sum() + torch.softmax(batch[:, :2] * 9, -1).sum()

    model = TwoAttention()
    batch = torch.rand(1, 4, 3, 3)
    with AttentionProbe(model, every=1) as probe:
        model(batch)
    assert torch.equal(probe.read()[""].max_logit, batch.amax((0, 2, 3)))


def test_an_error_of_ours_ends_the_probe_and_not_the_training(monkeypatch):
    def twice(logits):
        return (torch.softmax(logits, -1) + torch.softmax(logits, -1)) / 2

    model = nn.Sequential(HandWrittenAttention(twice), HandWrittenAttention(twice))
    errors = []
    probe = AttentionProbe(model, every=1, on_error=errors.append)
    monkeypatch.setattr("steadygrad.measure.attention_probe.logit_sums", lambda *_: 1 / 0)
    for _ in range(3):
        assert model(torch.randn(2, 5, 8)).isfinite().all()
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert _get_current_function_mode_stack() == []
    assert probe.read() == {}
    assert no_hooks(model)


@pytest.mark.parametrize("reentrant", [True, False])
def test_recomputation_is_not_counted(reentrant):
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = HandWrittenAttention(nn.Softmax(-1))

        def forward(self, batch):
            return checkpoint(self.attention, batch, use_reentrant=reentrant)

    torch.manual_seed(0)
    model = Outer()
    batch = torch.randn(2, 5, 8, requires_grad=True)
    calls = []
    model.attention.register_forward_hook(lambda *_: calls.append(len(_get_current_function_mode_stack())))
    with AttentionProbe(model, every=1, accumulate=True) as probe:
        loss = model(batch).sum()
        before = probe.read()["attention"]
        loss.backward()
        after = probe.read()["attention"]
    assert calls[0] == 1
    assert calls[1:] in ([0], [])  # without reentrance the recomputation stops before the module's end
    assert torch.equal(before.max_logit, after.max_logit)
    assert torch.equal(before.entropy, after.entropy)


def test_copies_and_saved_models_have_no_probe():
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0))
    keys = list(model.state_dict())
    probe = AttentionProbe(model, every=1)
    batch = torch.randn(2, 3, 8)
    expected = model(batch)
    first = probe.read()["0.self_attn"].max_logit
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(10 * batch), model[0](10 * batch))
        assert torch.equal(other(batch), expected)
        assert torch.equal(probe.read()["0.self_attn"].max_logit, first)
    assert b"steadygrad" not in pickle.dumps(model)
    assert list(model.state_dict()) == keys
    probe.close()


def test_nothing_is_kept_of_the_graph():
    model = HandWrittenAttention(nn.Softmax(-1))
    with AttentionProbe(model, every=1) as probe:
        model(torch.randn(2, 5, 8))
    stats = probe.read()[""]
    assert not stats.max_logit.requires_grad
    assert not stats.entropy.requires_grad
    query = torch.randn(1, 2, 3, 4, requires_grad=True)
    assert not attention_stats(query, query).max_logit.requires_grad
    assert stats.max_logit.untyped_storage().nbytes() == 8, "two heads, and no view of the logits"


def test_nothing_is_read_to_the_host():
    with FakeTensorMode():
        query, key = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 7, 8)
        stats = attention_stats(query, key, attn_mask=torch.zeros(6, 7), is_causal=True, enable_gqa=True, max_logits=50)
        assert stats.max_logit.shape == stats.entropy.shape == (4,)
        model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 8), HandWrittenAttention(nn.Softmax(-1)))
        with AttentionProbe(model, every=1) as probe:
            model(torch.randn(2, 3, 8)).sum().backward()
        assert [path for path, one in probe.read().items() if one.max_logit.shape == (2,)] == ["0.self_attn", "1"]


def test_a_compiled_model_runs_as_before():
    model = HandWrittenAttention(nn.Softmax(-1), dropout=0.0)
    batch = torch.randn(2, 5, 8)
    bare = model(batch)
    with AttentionProbe(model, every=1) as probe:
        assert torch.equal(torch.compile(model, backend="eager", fullgraph=True)(batch), bare)
        assert probe.read() == {}


# Dynamo looks at `.grad` of the inputs, with a probe and without.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_code_inside_an_attention_runs_as_before():
    @torch.compile(backend="aot_eager", fullgraph=True)
    def call(query, key, value):
        return F.scaled_dot_product_attention(query, key, value)

    model = FusedAttention(call)
    batch = torch.randn(2, 5, 8)
    bare = model(batch)
    with AttentionProbe(model, every=1) as probe:
        assert torch.equal(model(batch), bare)
        assert probe.read() == {}
