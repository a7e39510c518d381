"""The clock that decides: this thread's own time.

By the wall clock a sample, a snapshot or a look would come later where another process has the processor, and a run
would end otherwise than the same run on a quiet machine. What people are told (how long something took) goes by the
wall clock.
"""

from time import thread_time

own_seconds = thread_time
"""Seconds that this thread has computed. Waiting counts where it spins, as torch does for an accelerator's results."""
