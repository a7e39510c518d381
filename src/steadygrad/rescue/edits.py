"""Edits of a script's text at a known line: each is one remedy, written as a person would write it."""

import ast
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

IMPORT = "import steadygrad as sg"


class Place:
    """A line of a script.

    Args:
        text: of the script.
        number: of the line, from 1.

    Raises:
        SyntaxError: it is no Python.
        ValueError: there is no such line.
    """

    def __init__(self, text: str, number: int) -> None:
        self.text = text
        self.lines = text.splitlines(keepends=True)
        if not 1 <= number <= len(self.lines):
            raise ValueError(f"line {number} of {len(self.lines)}")
        self.tree = ast.parse(text)
        statements = [each for each in ast.walk(self.tree) if isinstance(each, ast.stmt)]
        around = [each for each in statements if each.lineno <= number <= (each.end_lineno or each.lineno)]
        if not around:
            raise ValueError(f"line {number} is no statement")
        self.statement = max(around, key=lambda each: each.lineno)

    @property
    def source(self) -> str:
        """The text of the statement."""
        return "".join(self.lines[self.statement.lineno - 1 : self.statement.end_lineno])

    def before(self, new: str) -> str:
        """The script with a line before the statement."""
        return self._inserted(self.statement.lineno - 1, new)

    def after(self, new: str) -> str:
        """The script with a line after the statement."""
        return self._inserted(self.statement.end_lineno or self.statement.lineno, new)

    def replaced(self, node: ast.expr, new: str) -> str:
        """The script with other text in place of an expression."""
        begin, end = self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)
        return self.text[:begin] + new + self.text[end:]

    def calls(self) -> list[ast.Call]:
        """The calls in the statement, outermost first."""
        return [each for each in ast.walk(self.statement) if isinstance(each, ast.Call)]

    def segment(self, node: ast.AST) -> str:
        """The text of an expression."""
        return ast.get_source_segment(self.text, node) or ""

    def _inserted(self, at: int, new: str) -> str:
        line = self.lines[self.statement.lineno - 1]
        indent = line[: len(line) - len(line.lstrip())]
        lines = list(self.lines)
        if at and not lines[at - 1].endswith("\n"):
            lines[at - 1] += "\n"
        lines.insert(at, f"{indent}{new}\n")
        return "".join(lines)

    def _offset(self, line: int | None, column: int | None) -> int:
        if line is None or column is None:
            raise ValueError("an expression without an end")
        before = sum(len(each) for each in self.lines[: line - 1])
        return before + len(self.lines[line - 1].encode()[:column].decode())


Edit: TypeAlias = Callable[[Place, Mapping[str, Any]], "str | None"]


def _optimizer_call(place: Place) -> ast.Call | None:
    """The call that makes an optimizer: the one with a rate, or with parameters."""
    calls = place.calls()
    with_rate = [call for call in calls if any(each.arg == "lr" for each in call.keywords)]
    with_params = [call for call in calls if call.args and "parameters" in place.segment(call.args[0])]
    return next(iter([*with_rate, *with_params]), None)


def _rate(place: Place, options: Mapping[str, Any]) -> str | None:
    call, factor = _optimizer_call(place), options.get("factor", 0.1)
    if call is None:
        return None
    value = next((each.value for each in call.keywords if each.arg == "lr"), None)
    if value is None and len(call.args) > 1:
        value = call.args[1]
    if value is None:
        return None
    if isinstance(value, ast.Constant) and isinstance(value.value, (int, float)):
        return place.replaced(value, f"{value.value * factor:.3g}")
    text = place.segment(value)
    simple = isinstance(value, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))
    return place.replaced(value, f"{text} * {factor:g}" if simple else f"({text}) * {factor:g}")


def _option(name: str, new: str) -> Edit:
    """Give the optimizer an option."""

    def edit(place: Place, options: Mapping[str, Any]) -> str | None:
        call = _optimizer_call(place)
        if call is None:
            return None
        given = next((each.value for each in call.keywords if each.arg == name), None)
        if given is not None:
            return place.replaced(given, new)
        last = [*call.args, *(each.value for each in call.keywords)][-1:]
        return place.replaced(last[0], f"{place.segment(last[0])}, {name}={new}") if last else None

    return edit


def _stepped(place: Place) -> str | None:
    """The name of what makes a step: of the optimizer, also where a scaler steps it."""
    found = re.search(r"\bstep\(\s*([\w.\[\]]+)\s*\)", place.source) or re.search(r"([\w.\[\]]+)\.step\(", place.source)
    return found[1] if found else None


def _clear(place: Place, options: Mapping[str, Any]) -> str | None:
    name = _stepped(place)
    return None if name is None else place.after(f"{name}.zero_grad()")


def _clip(place: Place, options: Mapping[str, Any]) -> str | None:
    name = _stepped(place)
    if name is None or "scaler" in place.source:  # unscaled first: not one line
        return None
    params = f'[p for group in {name}.param_groups for p in group["params"]]'
    return place.before(f"torch.nn.utils.clip_grad_norm_({params}, max_norm=1.0)")


def _unscale(place: Place, options: Mapping[str, Any]) -> str | None:
    """At the first clip of the script, whatever line is given."""
    scaler = re.search(r"(\w+(?:\.\w+)*)\.scale\(", place.text)
    optimizer = re.search(r"\.step\(\s*([\w.]+)\s*\)", place.text)
    line = next((n for n, each in enumerate(place.lines, 1) if re.search(r"clip_grad_(norm|value)_\(", each)), None)
    if scaler is None or optimizer is None or line is None:
        return None
    return Place(place.text, line).before(f"{scaler[1]}.unscale_({optimizer[1]})")


def _mean(place: Place, options: Mapping[str, Any]) -> str | None:
    """The one place in the statement, or else in the script, where a loss is summed."""
    for pattern, new in ((r"reduction\s*=\s*(['\"])sum\1", 'reduction="mean"'), (r"\.sum\(\)", ".mean()")):
        if len(re.findall(pattern, place.source)) == 1:
            begin = sum(len(each) for each in place.lines[: place.statement.lineno - 1])
            return place.text[:begin] + re.sub(pattern, new, place.text[begin:], count=1)
        if pattern.startswith("reduction") and len(re.findall(pattern, place.text)) == 1:
            return re.sub(pattern, new, place.text, count=1)
    return None


def _divide(place: Place, options: Mapping[str, Any]) -> str | None:
    passes = options.get("passes")
    found = re.findall(r"(\w+)\.backward\(\)", place.text)
    if not passes or len(found) != 1:
        return None
    return re.sub(r"(\w+)\.backward\(\)", rf"(\1 / {passes}).backward()", place.text)


def _before_optimizer(call: str) -> Edit:
    """A call on the model, before its optimizer is made."""

    def edit(place: Place, options: Mapping[str, Any]) -> str | None:
        model = re.search(r"([\w.]+)\.(?:named_)?parameters\(\)", place.source)
        return None if model is None else _importing(place.before(call.format(model=model[1])))

    return edit


def _after_optimizer(call: str) -> Edit:
    """A call on the optimizer, after it is made."""

    def edit(place: Place, options: Mapping[str, Any]) -> str | None:
        made = place.statement
        if not isinstance(made, ast.Assign) or len(made.targets) != 1:
            return None
        return _importing(place.after(call.format(optimizer=place.segment(made.targets[0]))))

    return edit


def _importing(text: str) -> str:
    """The script with our import behind its first ones."""
    if IMPORT in text:
        return text
    body = ast.parse(text).body
    imports = [each for each in body if isinstance(each, (ast.Import, ast.ImportFrom))]
    lines = text.splitlines(keepends=True)
    first = next((each for each in imports if getattr(each, "module", "") != "__future__"), None)
    lines.insert(0 if first is None else first.lineno - 1, IMPORT + "\n")
    return "".join(lines)


def _leaky(place: Place, options: Mapping[str, Any]) -> str | None:
    new = re.sub(r"\bnn\.ReLU\((?:inplace=\w+)?\)", "nn.LeakyReLU(0.01)", place.text)
    return re.sub(r"\bF\.relu\(", "F.leaky_relu(", new)


def _decay(place: Place, options: Mapping[str, Any]) -> str | None:
    new = _option("weight_decay", "0.1")(place, options)
    return None if new is None else re.sub(r"\boptim\.Adam\(", "optim.AdamW(", new)


EDITS: dict[str, tuple[str, Edit]] = {
    "lower-learning-rate": ("optimizer", _rate),
    "strong-wolfe": ("optimizer", _option("line_search_fn", '"strong_wolfe"')),
    "lower-beta2": ("optimizer", _option("betas", "(0.9, 0.95)")),
    "raise-epsilon": ("optimizer", _option("eps", "1e-4")),
    "decoupled-weight-decay": ("optimizer", _decay),
    "clip-global-norm": ("step", _clip),
    "zero-grad-before-backward": ("step", _clear),
    "unscale-before-clip": ("step", _unscale),
    "mean-reduction": ("loss", _mean),
    "divide-loss-by-accumulation-steps": ("loss", _divide),
    "orthogonal-recurrent-init": (
        "optimizer",
        _before_optimizer("sg.init.orthogonal_recurrent_({model}, nearest=True)"),
    ),
    "stable-adamw": ("optimizer", _after_optimizer("sg.clip.attach(sg.clip.ClipByUpdateRMS(), {optimizer})")),
    "leaky-relu": ("optimizer", _leaky),
}
"""By remedy: which line of the script it is about, and what becomes of the script."""
