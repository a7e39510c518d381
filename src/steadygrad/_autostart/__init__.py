"""What a process that `steadygrad run` starts loads: `site/` lies on its PYTHONPATH, `child` runs when torch is there."""
