"""The environment that makes a child process load us. No torch."""

import os
from pathlib import Path

from .. import _config

SITE = Path(__file__).resolve().parent / "site"


def environment(config: _config.ChildConfig) -> dict[str, str]:
    """The child's environment: ours, with the autostart first on PYTHONPATH. Its LANG is the script's own affair."""
    result = dict(os.environ)
    inherited = result.get("PYTHONPATH")
    result["PYTHONPATH"] = str(SITE) + (os.pathsep + inherited if inherited else "")
    result[_config.CHILD] = config.to_env()
    return result
