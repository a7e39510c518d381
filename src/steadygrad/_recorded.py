"""Sentences that a run is recorded with: in English on disk, and said again in the language of whoever reads them."""

import re
from string import Formatter
from typing import Any

from ._i18n import later, say

SENTENCES = (
    # Why the guard has lowered the rate, rolled back or stopped.
    later("{why}, after {count} rollbacks"),
    later("{count} steps in a row could not be made"),
    later("{count} of the last {window} steps could not be made"),
    later("{count} quiet steps"),
    later("the evidence says so"),
    later("its moments begin anew"),
    later("not finite: {names}"),
    later("the first gradient was out of scale"),
    later("the steps before have thrown the weights away"),
    later("the learning rate drives the loss away"),
    later("the loss drifts away"),
    later("the loss rises above where the run began"),
    later("the weights of step {step} do better on the batches of now"),
    later("the loss has not come back"),
    later("the loss stays above where the run began"),
    later("it made no difference"),
    later("the run begins anew"),
    later("what was wrong is put right"),
    later("no weights of before do better on the batches of now"),
    later("the script has lowered its rate itself"),
    later("the gradient scaler found an overflow"),
    later("the step became non-finite between evaluations of its closure"),
    # Why nothing is recorded.
    later("cannot record to {path}: {error}"),
    # Why a pass could not be computed again.
    later("no pass was seen"),
    later("no pass was kept"),
    later("taping every pass would have cost too much"),
    later("the loss was computed by something that torch does not show"),
    later("the batch was changed in place after the model had seen it"),
    later("{operation} changes a tensor in place that was there before"),
    later("{operation} was given something that torch does not show how it was computed"),
    later("the loss was differentiated by a function of the user's own"),
    later("a transform of torch.func"),
    later("a mode of torch's is on"),
    later("more than {count} functions between the model and the loss"),
    later("computed again the loss is {loss}, it was {was}: the pass is not repeatable"),
    later("computed again the loss is {loss}, it was {was}"),
)
"""Every one, the more particular before the more general where both fit."""


def recorded(message: str, **values: Any) -> str:
    """A sentence for a recording, in English whatever is spoken.

    Args:
        message: one of `SENTENCES`.
        values: what stands in its places, written as it is to be read.

    Example:
        >>> recorded("{count} steps in a row could not be made", count=20)
        '20 steps in a row could not be made'
    """
    return message.format(**values)


def again(text: str) -> str:
    """What a recording says, in the language of the people; as it is if it is no sentence of ours.

    Example:
        >>> again("the loss drifts away, after 3 rollbacks")
        'the loss drifts away, after 3 rollbacks'
    """
    for sentence, pattern in _PATTERNS:
        found = pattern.fullmatch(text)
        if found is not None:
            return say(sentence, **{name: again(value) for name, value in found.groupdict().items()})
    return text


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = [re.escape(text) + (f"(?P<{name}>.+?)" if name else "") for text, name, _, _ in Formatter().parse(sentence)]
    return re.compile("".join(parts), re.DOTALL)


_PATTERNS = tuple((sentence, _pattern(sentence)) for sentence in SENTENCES)
