"""What a process started by `steadygrad run` loads: `site/` is put on its PYTHONPATH, `child` runs once torch is there."""
