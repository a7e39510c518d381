"""Recordings like those of real runs, written through the store's own recorder."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from steadygrad.records import NO_GRADIENT, Action, Alarm, OptimizerInfo, StepRecord, TensorInfo
from steadygrad.store import Recorder, Run, append_event, create_run, finish_run, open_run

HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>",
    "{{ 7 * 7 }} {% raw %}",
    "$$\\href{javascript:alert(1)}{x}$$",
    "@step $index @{loss}{safe} &lt;b&gt; ' \\ \u2028 \x00 \ud800",
)


def names(count: int) -> tuple[str, ...]:
    """Names like those of a transformer."""
    parts = ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.out_proj", "mlp.up", "mlp.down")
    return tuple(f"encoder.layers.{i // 12}.{parts[i % 12 // 2]}.{('weight', 'bias')[i % 2]}" for i in range(count))


def info(index: int, tensors: Sequence[str], optimizer: str = "AdamW") -> OptimizerInfo:
    """An optimizer over tensors of these names."""
    shapes = [(128, 64) if place % 2 == 0 else (128,) for place in range(len(tensors))]
    return OptimizerInfo(
        index, optimizer, tuple(TensorInfo(*pair, "float32") for pair in zip(tensors, shapes, strict=True))
    )


def healthy(folder: Path, steps: int = 300, tensors: int = 40, *, ended: bool = True) -> Run:
    """A run in which nothing happens."""
    path = create_run(folder, "train", "protect", ("python", "train.py"))
    recorder = Recorder(path / "rank0-100.db", _fail)
    _record(recorder, info(0, names(tensors)), steps)
    _facts(recorder)
    recorder.close()
    if ended:
        finish_run(path, 0)
    return open_run(path)


def stormy(folder: Path, steps: int = 300, tensors: int = 40) -> Run:
    """NaN, infinity, missing gradients, zeros, skips, clips and alarms; it recovers."""
    path = create_run(folder, "lstm_translation", "protect", ("python", "train.py", "--lr", "0.1"))
    recorder = Recorder(path / "rank0-100.db", _fail)
    _record(
        recorder,
        info(0, names(tensors)),
        steps,
        nan_at=(2, 120, 121, 122),
        inf_at=(180,),
        clip_at=range(60, 240, 7),
    )
    where = {
        "step": 2,
        "phase": "backward",
        "where": "encoder.layers.1.mlp.up.weight",
        "op": "mm",
        "shape": [128, 64],
    }
    _facts(recorder, first_nonfinite=where)
    recorder.close()
    finish_run(path, 0)
    return open_run(path)


def crashed(folder: Path) -> Run:
    """It ends in an exception, its losses NaN."""
    path = create_run(folder, "rnn_weather", "observe", ("python", "weather.py"))
    recorder = Recorder(path / "rank0-100.db", _fail)
    _record(recorder, info(0, names(6), "SGD"), 40, nan_at=range(25, 40), acted=False)
    _facts(recorder)
    recorder.close()
    append_event(path, "exit", error="ValueError: input has NaN\n  in forecast()")
    finish_run(path, 1)
    return open_run(path)


def unobserved(folder: Path) -> Run:
    """No step was seen."""
    path = create_run(folder, "eval", "protect", ("python", "eval.py"))
    finish_run(path, 0)
    return open_run(path)


def two_optimizers(folder: Path) -> Run:
    """A generator and a discriminator that steps twice as often."""
    path = create_run(folder, "gan", "protect", ("python", "gan.py"))
    recorder = Recorder(path / "rank0-100.db", _fail)
    _record(recorder, info(0, [f"generator.{name}" for name in names(8)], "Adam"), 100)
    _record(recorder, info(1, [f"discriminator.{name}" for name in names(6)], "Adam"), 200, nan_at=(50,))
    _facts(recorder)
    recorder.close()
    finish_run(path, 0)
    return open_run(path)


def hostile(folder: Path) -> Run:
    """Every text of the run is an attempt at the page."""
    path = create_run(folder, "train", "protect", ("python", *HOSTILE[:-1]))
    recorder = Recorder(path / "rank0-100.db", _fail)
    recorder.optimizer(info(0, HOSTILE, HOSTILE[0]))
    for step in range(30):
        record = StepRecord(0, step, 1.7e9 + step, 1.0, 0.1, 1.0, 1.0, 1.0, HOSTILE[1] if step == 5 else "")
        recorder.step(record, np.ones(len(HOSTILE), np.float32).tobytes())
    for step, text in enumerate(HOSTILE):
        name = text.replace("\ud800", "")
        recorder.alarm(Alarm(0, 8 + step, name, {text: text}))
        recorder.action(Action(0, 8 + step, name, {"reason": text}))
    recorder.facts({"first_nonfinite": {"step": 3, "phase": HOSTILE[0], "where": HOSTILE[1], "op": HOSTILE[0]}})
    recorder.facts({"detached": HOSTILE[0]})
    recorder.close()
    append_event(path, "exit", error=HOSTILE[0] + HOSTILE[1])
    finish_run(path, 1)
    return open_run(path)


def _record(
    recorder: Recorder,
    optimizer: OptimizerInfo,
    steps: int,
    *,
    nan_at: Sequence[int] = (),
    inf_at: Sequence[int] = (),
    clip_at: Sequence[int] = (),
    acted: bool = True,
) -> None:
    rng = np.random.default_rng(7)
    tensors = len(optimizer.tensors)
    scale = np.exp(rng.normal(-2, 1.3, tensors))
    recorder.optimizer(optimizer)
    for step in range(steps):
        norms = (scale * rng.lognormal(0, 0.25, tensors) * (1 + 4 * math.exp(-step / 30))).astype(np.float32)
        loss, action, coefficient = 2 + 5 * math.exp(-step / 60) + 0.1 * rng.normal(), "", 1.0
        detail: dict[str, object] = {}
        norms[tensors // 2 :: 11] = NO_GRADIENT if step < steps // 3 else norms[tensors // 2 :: 11]
        norms[3 % tensors] = 0.0 if step > steps // 2 else norms[3 % tensors]
        if step in nan_at or step in inf_at:
            norms[: max(1, tensors // 2)] = np.nan if step in nan_at else np.inf
            loss = math.nan if step in nan_at else loss
            action = "skip" if acted else ""
            detail = {"grad_norm": "nan" if step in nan_at else "inf", "loss": loss, "tensors": tensors // 2}
            recorder.alarm(Alarm(optimizer.index, step, "nonfinite-gradient", detail))
        elif step in clip_at:
            norms *= 30
            action, coefficient = "clip", 1 / 30
            detail = {"coefficient": coefficient, "limit": 1.5}
        total = float(np.sqrt((np.maximum(norms, 0).astype(float) ** 2).sum()))
        if action:
            recorder.action(Action(optimizer.index, step, action, detail))
        lr = 1e-3 * min(1.0, (step + 1) / 40)
        now = 1.7e9 + step
        recorder.step(
            StepRecord(optimizer.index, step, now, loss, lr, total, total * coefficient, coefficient, action),
            norms.tobytes(),
        )
        if step % 10 == 0:
            ratios = (1e-3 * rng.lognormal(0, 0.4, tensors)).astype(np.float32)
            recorder.sample(optimizer.index, step, "update_ratio", ratios.tobytes())


def _facts(recorder: Recorder, **more: object) -> None:
    recorder.facts({"overhead": {"seconds": 0.12, "fraction": 0.008}, "world_size": 1, **more})


def _fail(message: str) -> None:
    raise AssertionError(message)
