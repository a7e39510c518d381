"""Learning rates over time, on the scheduler classes of torch, and the largest stable one."""
