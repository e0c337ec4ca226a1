# %% [markdown]
# # Loss function to train the embeddings
#
# The lecture of this name, step by step: first the loss as torch has it, then ours beside it, each number asserted. At the end comes what the
# lecture promises and leaves out: the same loss training real embeddings.
#
# This notebook is made and executed by `python docs/make_lecture.py`, from `docs/lecture.py`.

# %%
import numpy as np
import torch

import exact2vec as e2v
from exact2vec.pages import figures
from exact2vec.pages.diagnostics import principal_plane

torch.set_printoptions(precision=4, sci_mode=False)

# %% [markdown]
# ## 1. The logarithm of a probability
#
# A model gives the right answer the probability *p*. If *p* is near 1, log *p* is near 0; if *p* is near 0, log *p* falls without bound.
# So **−log p** is a loss: 0 for certainty in the right answer, and the less the right answer was expected, the more it costs. Its unit is the *nat*.
#
# The same figure from a terminal: `exact2vec loss --figure log.svg`.

# %%
p = np.linspace(1e-7, 0.9, 500)
figures.log_curve(p)

# %% [markdown]
# ## 2. `NLLLoss`, and what it is made of
#
# The *negative log-likelihood*: give it log-probabilities and the number of the right class, it picks that one log-probability and turns its sign. Nothing else.

# %%
log_probabilities = torch.log(torch.tensor([[0.7, 0.2, 0.1]]))
target = torch.tensor([0])

print("torch  ", torch.nn.NLLLoss()(log_probabilities, target).item())
print("ours   ", e2v.NLLLoss()(log_probabilities, target).item())
print("by hand", -np.log(0.7))

# %% [markdown]
# An `NLLLoss` is an object. The lecture lists its parts with `dir`; most of what that prints belongs to every module of torch. These are the parts of the loss:

# %%
print([name for name in dir(torch.nn.NLLLoss()) if not name.startswith("_")][:12], "…")
e2v.NLLLoss()

# %% [markdown]
# ## 3. Raw scores → log-softmax → the loss of each target
#
# A network gives scores, any real numbers. Softmax makes probabilities of them, $p_i = e^{z_i} / \sum_k e^{z_k}$, and log-softmax their logarithms,
# $\log p_i = z_i - \log \sum_k e^{z_k}$.

# %%
scores = torch.tensor([[-1.0, 2.3, 0.1]])
print("scores         ", scores)
print("softmax        ", scores.softmax(dim=1), " sum", scores.softmax(dim=1).sum().item())
print("torch's log    ", torch.log_softmax(scores, dim=1))
print("ours           ", e2v.log_softmax(scores, dim=1))

for target, printed in enumerate((3.4377, 0.1377, 2.3377)):
    theirs = torch.nn.NLLLoss()(torch.log_softmax(scores, dim=1), torch.tensor([target]))
    ours = e2v.NLLLoss()(e2v.log_softmax(scores, dim=1), torch.tensor([target]))
    print(f"target {target}: torch {theirs:.4f}  ours {ours:.4f}")
    assert f"{theirs:.4f}" == f"{ours:.4f}" == f"{printed:.4f}"

# %% [markdown]
# All of it at once, with the gradient that comes in step 5 (in a terminal: `exact2vec loss -1 2.3 .1 --target 0`):

# %%
print(e2v.explain([-1, 2.3, 0.1], target=0))

# %% [markdown]
# The three classes on the curve of −log *p*. The smaller the probability of the target, the higher it lies:

# %%
figures.log_curve(mark=e2v.explain([-1, 2.3, 0.1]).probabilities)

# %% [markdown]
# ## 4. A batch and its mean
#
# Four rows of the same scores, with targets 0, 1, 2, 0. The loss of a batch is the mean of the losses of its rows.

# %%
batch = scores.repeat(4, 1)
targets = torch.tensor([0, 1, 2, 0])

theirs = torch.nn.NLLLoss()(torch.log_softmax(batch, dim=1), targets)
ours = e2v.NLLLoss()(e2v.log_softmax(batch, dim=1), targets)
rows = -torch.log_softmax(batch, dim=1)[range(4), targets]
print("row by row  ", rows)
print("mean by hand", (rows.sum() / 4).item())
print("torch       ", theirs.item())
print("ours        ", ours.item())
assert f"{theirs:.4f}" == f"{ours:.4f}" == f"{rows.mean():.4f}" == "2.3377"

# %% [markdown]
# Log-softmax and NLLLoss in one function is `cross_entropy`; it takes the raw scores.

# %%
print("torch", torch.nn.functional.cross_entropy(batch, targets).item())
print("ours ", e2v.cross_entropy(batch, targets).item())
assert f"{e2v.cross_entropy(batch, targets):.4f}" == "2.3377"

# %% [markdown]
# ## 5. Backward
#
# First as everybody does it once: the scores do not ask for a gradient.

# %%
loss = e2v.NLLLoss()(e2v.log_softmax(scores, dim=1), torch.tensor([0]))
try:
    loss.backward()
except RuntimeError as error:
    print(error)
    assert "does not require grad" in str(error)
else:
    raise AssertionError("torch should have refused")

# %% [markdown]
# The cure is `requires_grad=True` on the tensor that is to be learned. Then its gradient is **p − y**: the probabilities, minus 1 at the target.

# %%
scores = torch.tensor([[-1.0, 2.3, 0.1]], requires_grad=True)
e2v.NLLLoss()(e2v.log_softmax(scores, dim=1), torch.tensor([0])).backward()
by_hand = scores.detach().softmax(dim=1) - torch.tensor([[1.0, 0.0, 0.0]])
theirs = torch.tensor([[-1.0, 2.3, 0.1]], requires_grad=True)
torch.nn.NLLLoss()(torch.log_softmax(theirs, dim=1), torch.tensor([0])).backward()
print("ours ", scores.grad)
print("torch", theirs.grad)
print("p − y", by_hand)
torch.testing.assert_close(scores.grad, by_hand)
torch.testing.assert_close(theirs.grad, by_hand)

# %% [markdown]
# ## 6. Ten steps of SGD
#
# Two weights, (−1, 0.2), themselves the scores of two classes. The target is class 0, the rate 0.5; each step moves the weights against the gradient.

# %%
weights = torch.tensor([[-1.0, 0.2]], dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.5)
losses, path = [], [weights.detach().clone()[0].tolist()]
for step in range(10):
    optimizer.zero_grad()
    loss = torch.nn.NLLLoss()(torch.log_softmax(weights, dim=1), torch.tensor([0]))
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    path.append(weights.detach().clone()[0].tolist())
    print(
        f"step {step}  loss {losses[-1]:.6f}  weights after it {path[-1][0]:9.6f} {path[-1][1]:9.6f}"
    )

# %% [markdown]
# Ours keeps every loss and every weight (in a terminal: `exact2vec loss -1 .2 --target 0 --steps 10 --rate .5 --figure steps.svg`):

# %%
descent = e2v.descend([-1, 0.2], target=0, steps=10, rate=0.5)
print(descent)
assert (len(descent.losses), len(descent.weights)) == (10, 11)
assert (f"{descent.losses[0]:.6f}", f"{descent.losses[-1]:.6f}") == ("1.463282", "0.131842")
assert [f"{weight:.6f}" for weight in descent.weights[-1]] == ["0.641514", "-1.441514"]
np.testing.assert_allclose(descent.losses, losses, rtol=1e-12)
np.testing.assert_allclose(descent.weights, path, rtol=1e-12)

# %% [markdown]
# The lecture's last figure. The target's weight rises, the other falls by as much (a gradient p − y sums to 0), and the loss goes to 0:

# %%
figures.steps(descent.losses, descent.weights, target=0)

# %% [markdown]
# ## 7. What the lecture promises: the same loss trains real embeddings
#
# Now a class is a word, a row of scores belongs to a *context* word c: the score of w is b_w + u_w · x_c, and the targets are the words that were counted near c.
# The text is the documentation that this Python carries. Nothing is sampled: the loss is −log p as above, the mean over all counted pairs, with a softmax over all words.

# %%
counts = e2v.count_text(e2v.Text("python-docs"))
counts

# %%
model = e2v.Exact2Vec(vector_size=60, epochs=4, seed=1).fit(counts)
model.history_

# %% [markdown]
# The untrained model knows nothing: ln V nats, as if every word were equally likely. The *unigram* knows how frequent each word is. The *floor* is the entropy of the
# counts themselves: no model can be below it.

# %%
last = model.last_.losses
baselines = {"ln V": np.log(len(model.wv)), "unigram": last.unigram, "floor": last.floor}
figures.training_curve(model.history_, baselines)

# %% [markdown]
# ### The loss as floor + excess
#
# The loss of the lecture can go to 0, because there is one right answer. Here the word near *server* differs from place to place, so some of the loss stays whatever is learned.
# The loss splits into that **floor**, the entropy of the counts, and the **excess** above it, the Kullback–Leibler divergence from the counts to the model. Only the excess can be trained away.

# %%
print(f"loss {last.nll:.4f} = floor {last.floor:.4f} + excess {last.excess:.4f}")
assert abs(last.nll - last.floor - last.excess) < 1e-5
assert last.floor < last.nll < last.unigram < np.log(len(model.wv))
for before, after in zip(model.history_, model.history_[1:], strict=False):
    assert after["nll"] < before["nll"]

# %% [markdown]
# ### And the neighbours make sense

# %%
for word in ("server", "thread", "list", "error", "file"):
    print(f"{word:8}", ", ".join(near for near, _ in model.wv.most_similar(word, topn=8)))
assert {"request", "client", "response", "localhost", "http", "socket", "serve"} & {
    near for near, _ in model.wv.most_similar("server", topn=8)
}

# %% [markdown]
# A probability of the model is a probability: it sums to 1 over all words, and −log of it is the loss of that one pair. What stands near *raised*?

# %%
log_p = model.wv.log_probabilities("raised")
assert abs(np.exp(log_p).sum() - 1) < 1e-9
for place in np.argsort(-log_p)[:5]:
    print(
        f"{model.wv.index_to_key[place]:12} p = {np.exp(log_p[place]):.4f}   −log p = {-log_p[place]:.4f} nats"
    )

# %% [markdown]
# A map of the words: the plane in which the vectors differ most (principal components). Distances in a plane are only a shadow of those in 60 dimensions.

# %%
plane = principal_plane(model.wv.vectors)
figures.word_map(
    plane.points[:1000],
    model.wv.index_to_key[:1000],
    np.log10(model.wv.vocabulary.counts[:1000]),
    labels=70,
    colour_name="log₁₀ count",
)

# %% [markdown]
# Look further: `exact2vec train python-docs -o runs/python-docs`, then `exact2vec report runs/python-docs` or `exact2vec explore runs/python-docs`.
