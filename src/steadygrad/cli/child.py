"""Running the user's command as a child: signals, exit status. Nothing is added or hidden."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence

FORWARDED = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH")
    if hasattr(signal, name)
)

FROM_TERMINAL = frozenset(
    getattr(signal, name) for name in ("SIGINT", "SIGQUIT", "SIGHUP", "SIGWINCH") if hasattr(signal, name)
)
"""Signals that a terminal sends to the whole foreground group: the child has them already."""


def run_child(command: Sequence[str], env: dict[str, str], meanwhile: Callable[[], None] | None = None) -> int:
    """Run a command to its end, passing signals on.

    Args:
        command: the command line.
        env: its environment.
        meanwhile: done in a thread while the command runs; nothing waits for it.

    Returns:
        Its exit status, or minus the number of the signal that ended it.

    Raises:
        OSError: it could not be started.
    """
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, frame: object) -> None:
        if child is not None and child.poll() is None and not (number in FROM_TERMINAL and _in_foreground()):
            child.send_signal(number)

    # Handlers, not SIG_IGN: an ignored signal would stay ignored in the child, a handled one is reset by exec.
    previous = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        child = subprocess.Popen(command, env=env)
        if meanwhile is not None:
            threading.Thread(target=meanwhile, daemon=True).start()
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_like(status: int) -> None:
    """Die of the signal that ended the child, so that whoever started us sees what it would have seen."""
    if status >= 0:
        return
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)


def _in_foreground() -> bool:
    """Whether we run in the foreground of a terminal, whose signals reach the child without us."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
