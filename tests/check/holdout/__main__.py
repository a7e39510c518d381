"""`python -m tests.check.holdout [check|verify] [name ...]`: runs the check on every verified case, or verifies them by training."""

import argparse
import importlib
import json
import random
import re
import signal
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

import steadygrad as sg

from ._case import CASES, Training, train

for _part in ("vision", "language", "forecasting", "science"):
    importlib.import_module(f".{_part}", __package__)

SEEDS = (0, 1)
HERE = Path(__file__).parent


def build(name: str, fault: str, seed: int) -> Training:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    return CASES[name].build(fault)


def verify(names: list[str]) -> None:
    """A sound training gains at least a tenth of its loss with both seeds; a faulty one diverges, or makes less than
    two thirds of its twin's gain, with both."""
    known = json.loads((HERE / "verified.json").read_text()) if (HERE / "verified.json").exists() else {}
    for name in names:
        gains: list[tuple[float, float]] = []
        for fault in ("", *CASES[name].faults):
            rows, good = [], True
            for seed in SEEDS:
                try:
                    before, after, finite = train(build(name, fault, seed))
                except Exception as error:
                    traceback.print_exc()
                    rows.append(f"error {error!r}"[:80])
                    good = False
                    continue
                rows.append(f"{before:.4g}->{after:.4g}{'' if finite else ' non-finite'}")
                if not fault:
                    gains.append((before, after))
                    good &= finite and before - after > 0.1 * abs(before)
                elif finite:
                    first, last = gains[seed]
                    worse = not (first - after) > (first - last) * 2 / 3
                    good &= worse == bool(CASES[name].faults[fault].causes)
            known[f"{name}:{fault}"] = {"verified": good, "seeds": rows}
            print(f"{'ok ' if good else 'NOT'} {name:40s} {fault or 'sound':20s} {' | '.join(rows)}", flush=True)
        (HERE / "verified.json").write_text(json.dumps(known, indent=1) + "\n")


def _bits(x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        raw = x.detach().clone()
        return (
            "tensor",
            x.dtype,
            tuple(x.shape),
            x.requires_grad,
            raw.reshape(-1).view(torch.uint8).numpy().tobytes() if raw.numel() else b"",
        )
    if isinstance(x, dict):
        return {k: _bits(v) for k, v in x.items()}
    if isinstance(x, list | tuple):
        return [_bits(v) for v in x]
    return repr(x) if not callable(x) else None


def _state(training: Training, batch: Any) -> dict[str, Any]:
    """Everything that the check promises to leave as it was."""
    model, optimizer = training.model, training.optimizer
    return {
        "parameters": {n: _bits(p) for n, p in model.named_parameters()},
        "identity": [id(p) for p in model.parameters()],
        "buffers": {n: _bits(b) for n, b in model.named_buffers()},
        "grads": {n: None if p.grad is None else _bits(p.grad) for n, p in model.named_parameters()},
        "modes": {n: m.training for n, m in model.named_modules()},
        "hooks": {
            n: [
                len(m._forward_hooks),
                len(m._forward_pre_hooks),
                len(m._backward_hooks),
                len(m._backward_pre_hooks),
                "forward" in vars(m),
            ]
            for n, m in model.named_modules()
        },
        "parameter hooks": [None if not p._backward_hooks else len(p._backward_hooks) for p in model.parameters()],
        "optimizer state": [len(optimizer.state), _bits(optimizer.state_dict())],
        "optimizer keys": [sorted(k for k in vars(optimizer) if k != "state")],
        "optimizer hooks": [len(optimizer._optimizer_step_pre_hooks), len(optimizer._optimizer_step_post_hooks)],
        "torch rng": torch.get_rng_state().numpy().tobytes(),
        "python rng": random.getstate(),
        "numpy rng": repr(np.random.get_state()),
        "batch": _bits(batch),
        "grad mode": [torch.is_grad_enabled(), torch.is_anomaly_enabled(), torch.get_default_dtype()],
    }


def _losses(training: Training, n: int = 5) -> list[Any]:
    training.steps, training.metric = n, None
    losses: list[Any] = []
    step = training.optimizer.step

    def recorded(closure: Any) -> Any:
        losses.append(_bits(step(closure)))
        return torch.tensor(0.0)

    training.optimizer.step = recorded  # type: ignore[method-assign]
    try:
        train(training)
    except Exception as error:
        losses.append(repr(error))
    return losses


class _TooSlow(BaseException):
    pass


def _alarm(*_: Any) -> None:
    raise _TooSlow


def check_one(name: str, fault: str, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "fault": fault, "seed": seed, "findings": [], "problems": []}
    training = build(name, fault, seed)
    batch = training.batch(0)
    before = _state(training, batch)
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(180)
    start, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = sg.check(training.model, batch, training.loss_fn, training.optimizer)
            row["findings"] = result.to_dict()["findings"]
            row["skipped"] = dict(result.skipped)
            row["beyond"] = [
                f"{m.quantity} {m.where}: {m.value:.4g} ({m.limit})" for m in result.measurements if m.beyond
            ]
            row["measurements"] = [f"{m.quantity} {m.where}: {m.value:.4g} ({m.limit})" for m in result.measurements]
        except (_TooSlow, Exception) as error:
            row["crash"] = "".join(traceback.format_exception(error))[-3000:]
        finally:
            signal.alarm(0)
    row["seconds"], row["cpu"] = time.perf_counter() - start, time.process_time() - cpu
    row["warnings"] = sorted({str(w.message)[:200] for w in caught})
    after = _state(training, batch)
    row["changed"] = [key for key in before if before[key] != after[key]]
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    if "crash" not in row:
        checked = _losses(training)
        bare_training = build(name, fault, seed)
        bare_training.batch(0)
        random.seed(9), np.random.seed(9), torch.manual_seed(9)
        if checked != _losses(bare_training):
            row["changed"].append("training after the check")
    expect = CASES[name].faults.get(fault)
    causes = [f["cause"] for f in row["findings"]]
    if "crash" in row:
        row["outcome"] = "crash"
    elif expect is None or not expect.causes:
        row["outcome"] = "false alarm" if causes else "right"
    elif not causes:
        row["outcome"] = "miss"
    elif causes[0] in expect.causes:
        row["outcome"] = "right" if re.search(expect.where, row["findings"][0]["where"]) else "wrong where"
    else:
        row["outcome"] = "wrong rank" if set(causes) & set(expect.causes) else "wrong cause"
    return row


def check_all(names: list[str], seed: int, out: Path | None, unverified: bool) -> None:
    known = json.loads((HERE / "verified.json").read_text())
    counts: dict[str, int] = {}
    for name in names:
        for fault in ("", *CASES[name].faults):
            if not unverified and not known.get(f"{name}:{fault}", {}).get("verified"):
                continue
            row = check_one(name, fault, seed)
            if out is not None:
                with out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            kind = "sound" if not fault else "faulty" if CASES[name].faults[fault].causes else "harmless oddity"
            key = f"{kind}: {row['outcome']}"
            counts[key] = counts.get(key, 0) + 1
            found = "; ".join(f"{f['cause']}@{f['where']} {f['confidence']:.2f}" for f in row["findings"]) or "-"
            extra = f" CHANGED {row['changed']}" if row["changed"] else ""
            extra += f" WARNED {row['warnings']}" if row["warnings"] else ""
            print(f"{row['outcome']:12s} {name + ':' + fault:55s} {row['seconds']:5.1f}s {found}{extra}", flush=True)
    for key in sorted(counts):
        print(f"{key:32s} {counts[key]}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(prog="python -m tests.check.holdout")
    parser.add_argument("what", nargs="?", choices=("check", "verify"), default="check")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true", help="unverified cases too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="append each row as JSON")
    args = parser.parse_intermixed_args()
    chosen = args.names or list(CASES)
    verify(chosen) if args.what == "verify" else check_all(chosen, args.seed, args.out, args.all)
