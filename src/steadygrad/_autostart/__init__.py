"""What a process that `steadygrad run` starts loads: `site/` is on its PYTHONPATH, `child` waits for torch."""
