"""What a process started by `steadygrad run` loads: `site/` lies on its PYTHONPATH, `child` runs when torch is there."""
