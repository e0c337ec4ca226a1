"""The loss by itself: PyTorch tensors in and out.

formulas.py              WHAT: the definitions; all else is tested against them
explain.py               one row, a batch, or some steps of descent, shown
dense.py, modules.py     torch's functions and modules; how, on a CPU: rows.py, kernels.py
linear.py                the same for scores x·uᵀ + b that are never held whole
targets.py, checks.py    what counts in a row; what users mistake
terms.py                 a loss as entropy + excess
tiles.py, tiles_cpu.py   HOW: the loss of counted pairs, for training, in torch operations and in compiled loops
sweep.py, workers.py     exact and estimated losses of all rows; threads that change no byte
"""
