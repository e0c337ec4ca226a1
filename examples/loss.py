"""The loss in a training loop of PyTorch: word counts given topics, no batch of pairs.

python examples/loss.py
"""

import torch

import exact2vec as e2v

torch.manual_seed(1)
topics, words, size = 20, 1000, 8
counts = torch.poisson(torch.rand(topics, words) ** 8 * 10)  # mostly 0
stored = counts.to_sparse()

inputs = torch.nn.Parameter(torch.randn(topics, size))
outputs = torch.nn.Linear(size, words)
optimizer = torch.optim.Adam([inputs, *outputs.parameters()], lr=0.05)
for step in range(201):
    weight, bias = outputs.weight, outputs.bias
    loss = e2v.linear_cross_entropy(inputs, weight, linear_bias=bias, counts=stored)
    if step % 50 == 0:
        print(f"step {step:3}  loss {loss.item():.3f} nats a count")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

shares = counts / counts.sum(dim=1, keepdim=True)
floor = -torch.xlogy(counts, shares).sum() / counts.sum()
print(f"no model can be below the entropy of the counts, {floor:.3f}")
