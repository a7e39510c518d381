"""Loaded by every Python that `steadygrad run` starts, before the user's code. Imports nothing heavy.

It chains the `sitecustomize` that would have been loaded without it, and waits for torch: only a process that imports
torch is watched, and one that does not pays a few microseconds. Whatever goes wrong here is never the user's problem.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def chain():
    """Run the `sitecustomize` that this one hides (Debian ships one)."""
    from _frozen_importlib_external import PathFinder

    elsewhere = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != HERE]
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


class TorchFinder:
    """Finds torch as the others do, and lets steadygrad attach as soon as it has been loaded."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "torch":
            return None
        # Asking for the spec is not importing: transformers and others only look whether torch is there.
        for finder in sys.meta_path:
            if finder is TorchFinder:
                continue
            spec = finder.find_spec(name, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None and spec.loader is not None:
                break
        else:
            return None
        loader = spec.loader
        load = loader.exec_module

        def exec_module(module):
            if TorchFinder in sys.meta_path:
                sys.meta_path.remove(TorchFinder)
            load(module)
            if importing():
                attach_later()
            else:
                attach()

        loader.exec_module = exec_module
        return spec


def importing():
    """Whether a part of steadygrad that the user's code uses is being loaded now: it is what has loaded torch then."""
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("steadygrad.")]
    return any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in ours)


def attach_later():
    """Attach when the first module or optimizer is made, or the first loss is differentiated: all is loaded by then."""
    import torch

    places = [(torch.nn.Module, "__init__"), (torch.optim.Optimizer, "__init__"), (torch.autograd, "backward")]
    originals = [getattr(owner, name) for owner, name in places]

    def waiting(owner, name, original):
        def called(*args, **kwargs):
            if importing():
                return original(*args, **kwargs)
            for (each, its), own in zip(places, originals, strict=True):
                setattr(each, its, own)
            attach()
            return getattr(owner, name)(*args, **kwargs)

        return called

    for (owner, name), original in zip(places, originals, strict=True):
        setattr(owner, name, waiting(owner, name, original))


def attach():
    """Hand over to the installed package; without it, leave word that it is missing."""
    import gc

    # Modules leave no garbage, and torch's are so many that looking for it among them takes as long as loading ours.
    collects = gc.isenabled()
    gc.disable()
    try:
        load_and_start()
    finally:
        if collects:
            gc.enable()


def load_and_start():
    """Everything of `attach` that may fail."""
    try:
        from steadygrad._autostart.child import start
    except ImportError as error:
        absent(error)
        return
    except Exception as error:
        complain(error)
        return
    try:
        start()
    except Exception as error:
        complain(error)


def absent(error):
    """This interpreter has no steadygrad: say so in the run folder, for the verdict."""
    try:
        import json
        import time

        folder = json.loads(os.environ["STEADYGRAD_RUN"])["folder"]
        line = {
            "event": "absent",
            "pid": os.getpid(),
            "time": time.time(),
            "python": sys.executable,
            "error": str(error),
        }
        with open(os.path.join(folder, "processes.jsonl"), "a", encoding="utf-8") as events:
            events.write(json.dumps(line) + "\n")
    except Exception:
        pass


def complain(error):
    """One line; the user's run goes on."""
    try:
        told = f"{type(error).__name__}: {error}"
        try:
            from steadygrad._i18n import say

            line = say("not watching ({error})", error=told)
        except Exception:
            line = f"not watching ({told})"
        print(f"steadygrad: {line}", file=sys.stderr, flush=True)
    except Exception:
        pass


if "STEADYGRAD_RUN" in os.environ and os.environ.get("STEADYGRAD", "").strip().lower() not in {
    "off",
    "0",
    "no",
    "false",
}:
    sys.meta_path.insert(0, TorchFinder)
chain()
