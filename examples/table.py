"""Vectors of a table: which goods were bought together, item × item.

python examples/table.py
"""

import numpy as np

import exact2vec as e2v

ITEMS = ["tea", "milk", "sugar", "nails", "hammer", "glue"]
BASKETS = ["tea milk", "tea sugar", "milk sugar tea", "nails hammer", "glue nails", "hammer glue"]

bought = np.array([[item in basket.split() for item in ITEMS] for basket in BASKETS * 20], int)
together = bought.T @ bought
np.fill_diagonal(together, 0)
counts = e2v.Counts.from_matrix(together, rows=ITEMS, columns=ITEMS)
for record in e2v.fit(counts, vector_size=2, epochs=40, prior=None, seed=1):
    if record.training and record.epoch % 10 == 0:
        print(f"epoch {record.epoch:2.0f}  loss {record.training.nll:.3f} nats a pair")

inputs, outputs = record.state.sides
scores = inputs @ outputs.vectors.T + outputs.bias
for item, row in zip(ITEMS, scores.softmax(dim=1), strict=True):
    print(f"{item} goes with {ITEMS[int(row.argmax())]}, p = {float(row.max()):.2f}")
