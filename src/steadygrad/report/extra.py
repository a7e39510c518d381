"""The optional extra `[ui]`: bokeh and jinja2."""

from importlib import import_module

from .._i18n import say
from ..errors import MissingExtra


def require_ui() -> None:
    """Make sure that a report can be made, before hours of training go by.

    Raises:
        MissingExtra: bokeh or jinja2 cannot be imported.
    """
    try:
        import_module("jinja2")
        import_module("bokeh.plotting")
    except ImportError:
        raise MissingExtra(say("the report needs bokeh and jinja2: pip install 'steadygrad[ui]'")) from None
