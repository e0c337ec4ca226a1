"""Vectors of a table of users × items: rows and columns have different names.

python examples/ratings.py
"""

import numpy as np

import exact2vec as e2v

DRINKS, TOOLS = ["tea", "milk", "sugar"], ["nails", "hammer", "glue", "saw"]
random = np.random.default_rng(1)
cooks, joiners = (
    np.hstack([random.poisson(mean, (5, 3)), random.poisson(22 - mean, (5, 4))]) for mean in (20, 2)
)
users = [f"cook {n}" for n in range(5)] + [f"joiner {n}" for n in range(5)]
counts = e2v.Counts.from_matrix(np.vstack([cooks, joiners]), rows=users, columns=DRINKS + TOOLS)

model = e2v.Exact2Vec(vector_size=2, epochs=40, prior=None, seed=1).fit(counts)
print("like cook 0:", ", ".join(user for user, _ in model.wv.most_similar("cook 0", topn=4)))
print("like saw:", ", ".join(item for item, _ in model.wv.most_similar("saw", topn=3)))
first, last = (row["nll"] for row in (model.history_[0], model.history_[-1]))
print(f"loss {first:.3f} nats a purchase before the training")
print(f"loss {last:.3f} after it")
print(f"no model can be below the entropy of the counts, {model.last_.training.floor:.3f}")
