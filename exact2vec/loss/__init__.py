"""The loss by itself: PyTorch tensors in and out.

formulas.py         WHAT: the definitions; all else is tested against them
functional.py       log_softmax, nll_loss, cross_entropy, linear_cross_entropy
modules.py          the same as torch's modules, which say what they compute
arguments.py        target, counts and weights as given → targets.py: t of Σ t_w · −log p_w
sparse_counts.py    counts in CSR and COO format, read and checked
validation.py       what users mistake: errors with their cure; suspicions.py: warnings
layout.py           which dimension holds the classes
decomposition.py    a loss as entropy + excess
explain.py          one row, a batch, or some steps of descent, shown
engine/             HOW: by autograd, in tiles on any device, in compiled loops on a CPU
"""
