"""How long a training step takes, beside other libraries: the parts of benchmarks/bench_steps.py."""
