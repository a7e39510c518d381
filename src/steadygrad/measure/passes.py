"""Sampled forward passes: hooks that lie on a model's modules only while a pass is looked at."""

import logging
import weakref
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor, is_legacy_batchedtensor, maybe_current_level
from torch.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from typing_extensions import Self

LOG = logging.getLogger("steadygrad")


class SampledPasses:
    """The base of probes that look at modules during every n-th training-mode forward pass of a model.

    Between samples there are two hooks on the model itself, which do nothing, and none on its modules. A pass that is
    not an ordinary one is not counted: in eval mode, inside a backward (the recomputation of a checkpoint), under
    `torch.func` transforms, while something is traced or compiled. Modules in eval mode (a frozen part) are left alone:
    some of torch's own take another code path when they carry hooks. One thread is looked at: the one that began the
    pass. A model that calls itself begins a new pass, which ends the looking at the outer one.

    Args:
        root: the model.
        targets: the modules to look at and their paths; held weakly.
        every: passes from one sample to the next; the first is sampled.
        on_error: receives an error of ours, after which nothing is looked at any more. Without it the log does.

    Raises:
        ValueError: `every` is less than 1.
    """

    def __init__(
        self,
        root: nn.Module,
        targets: Iterable[tuple[str, nn.Module]],
        every: int,
        on_error: Callable[[Exception], None] | None,
    ) -> None:
        if every < 1:
            raise ValueError(f"every is {every}, expected at least 1")
        self._root = weakref.ref(root)
        self._targets = [
            (path, weakref.ref(module)) for path, module in targets if not isinstance(module, torch.jit.ScriptModule)
        ]
        self._every = every
        self._on_error = on_error
        self._passes = 0
        self._thread: int | None = None
        self._stopped = False
        self._inner: list[RemovableHandle] = []
        # Always there, not only while a pass is looked at: torch walks over a module's own hooks when the pass fails,
        # and a hook that removed itself then would raise in place of the user's error.
        self._outer = [
            root.register_forward_pre_hook(Hook(self._enter_root)),
            root.register_forward_hook(Hook(self._leave_root), always_call=True),
        ]

    def targets(self) -> dict[str, nn.Module]:
        """The modules that are looked at and still alive, by their paths."""
        return {path: module for path, ref in self._targets if (module := ref()) is not None}

    def close(self) -> None:
        """Take every hook away; what was measured can still be read."""
        self._disarm()
        for handle in self._outer:
            handle.remove()
        self._outer.clear()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _begin(self) -> None:
        """A sampled pass begins."""

    def _before(self, path: str, module: nn.Module) -> None:
        """A target is called."""

    def _after(self, path: str, module: nn.Module, output: Any) -> None:
        """A target has returned `output`, or has raised (then it is None)."""

    def _finish(self) -> None:
        """A sampled pass is over, whatever ended it."""

    def _fail(self, error: Exception) -> None:
        """An error of ours ends the looking, never the training. The model's hooks go at its next call."""
        self._stopped = True
        if self._on_error is not None:
            self._on_error(error)
        else:
            LOG.warning("%s has stopped itself", type(self).__name__, exc_info=error)

    def _enter_root(self, root: nn.Module, args: Any) -> None:
        if self._stopped:
            self.close()
            return
        if self._thread not in (None, get_ident()) or not is_ordinary():
            return
        # What KeyboardInterrupt has ended is still armed: torch calls no hooks then.
        self._disarm()
        if not root.training:
            return
        sampled = self._passes % self._every == 0
        self._passes += 1
        if sampled:
            self._arm(root)

    def _leave_root(self, root: nn.Module, args: Any, output: Any) -> None:
        if self._thread != get_ident() or not is_ordinary():
            return
        for path, target in self._targets:
            if target() is self._root():
                self._leave(path, root, args, output)
        self._disarm()

    def _arm(self, root: nn.Module) -> None:
        self._thread = get_ident()
        try:
            self._begin()
            for path, reference in self._targets:
                target = reference()
                if target is None or not target.training:
                    continue
                if target is self._root():
                    self._before(path, root)
                    continue
                self._inner.append(target.register_forward_pre_hook(Hook(self._enter, path)))
                self._inner.append(target.register_forward_hook(Hook(self._leave, path), always_call=True))
        except Exception as error:
            self._fail(error)

    def _disarm(self) -> None:
        if self._thread is None:
            return
        self._thread = None
        for handle in self._inner:
            handle.remove()
        self._inner.clear()
        self._finish()

    def _looks(self) -> bool:
        return not self._stopped and self._thread == get_ident() and is_ordinary()

    def _enter(self, path: str, module: nn.Module, args: Any) -> None:
        if self._looks():
            try:
                self._before(path, module)
            except Exception as error:
                self._fail(error)

    def _leave(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        if self._looks():
            try:
                # What we compute is nothing that a mode of the user's, or of another probe, shall see.
                with torch._C.DisableTorchFunction():
                    self._after(path, module, output)
            except Exception as error:
                self._fail(error)


class Hook:
    """A hook that a copied or saved module does not take along: there it becomes a call that does nothing."""

    def __init__(self, call: Callable[..., None], *bound: Any) -> None:
        self._call = call
        self._bound = bound

    def __call__(self, *args: Any) -> None:
        if not torch.compiler.is_compiling():
            self._call(*self._bound, *args)

    def __reduce__(self) -> Any:
        return getattr, (nullcontext(), "__exit__")  # of the standard library: the copy opens without us


def is_wrapper(tensor: Tensor) -> bool:
    """Whether a tensor is that of a vmap or another transform, and ends with it."""
    return is_functorch_wrapped_tensor(tensor) or is_legacy_batchedtensor(tensor)


def is_ordinary() -> bool:
    """Whether this code runs as the user's eager forward: its tensors are real, and not made a second time."""
    return (
        torch._C._current_graph_task_id() == -1
        and maybe_current_level() is None
        and torch._C._get_tracing_state() is None
    )
