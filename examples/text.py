"""Vectors of a text: count, train, ask.

python examples/text.py [FILE...]
"""

import sys

import exact2vec as e2v

text = e2v.Text(*(sys.argv[1:] or ["python-docs"]))  # the documentation that Python carries
model = e2v.Exact2Vec(vector_size=50, epochs=2, seed=1).fit(text)
first, last = model.history_[0], model.history_[-1]
print(f"held-out loss: {first['held_out_nll']:.3f} nats a pair before the training,")
print(f"               {last['held_out_nll']:.3f} after {last['epoch']:g} epochs")

word = model.wv.index_to_key[10]
print(f"near {word!r}:", ", ".join(near for near, _ in model.wv.most_similar(word, topn=5)))
(after,) = model.wv.predict_output_word([word], topn=1)
print(f"most probable beside {word!r}: {after[0]!r}, p = {after[1]:.3f}")
