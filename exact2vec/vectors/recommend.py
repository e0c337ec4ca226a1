"""Recommendations: the most probable next items of a basket, and because of which items."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from exact2vec.counts.features import NamedCounts, is_matrix
from exact2vec.errors import InputError, UnknownWordError, UsageError
from exact2vec.vectors.neighbours import checked_topn, largest_places

MOST_REASONS = 3
LEAST_REASON = 0.01  # share of p, below which an item is no reason
Recommendations = list[tuple[str, float]]
NextItemsOf = Callable[[Any], Any]  # of vectors, the ItemModel


@dataclass(frozen=True)
class Basket:
    """What of a basket is known: numbers of its items, each once; and the names that are not."""

    items: list[int]
    unknown: list[str]
    doubled: list[str]


class Recommender:
    """A model of what comes next, with the names of its items.

    `load` gives the model when it is first asked: it holds the counts, which lookups do not need.
    """

    def __init__(self, names: Sequence[str], load: Callable[[], Any]) -> None:
        self.names, self._load = names, load
        self.places = {name: place for place, name in enumerate(names)}

    @cached_property
    def model(self) -> Any:
        """The `ItemModel`."""
        return self._load()

    def basket(self, items: Sequence[str]) -> Basket:
        """The known items of a basket in the order given; an item asked twice is one."""
        known = [item for item in items if item in self.places]
        distinct = list(dict.fromkeys(known))
        doubled = sorted({item for item in known if known.count(item) > 1})
        unknown = [item for item in dict.fromkeys(items) if item not in self.places]
        return Basket([self.places[item] for item in distinct], unknown, doubled)

    def contexts(self, baskets: Sequence[Sequence[str]]) -> csr_array:
        """The known items of each basket, basket × item."""
        rows = [sorted(self.basket(items).items) for items in baskets]
        starts = np.cumsum([0, *map(len, rows)])
        items = np.array([item for row in rows for item in row], np.int32)
        shape = (len(rows), len(self.names))
        return csr_array((np.ones(len(items)), items, starts), shape=shape)

    def recommend(
        self, contexts: csr_array, topn: int = 10, *, exclude_seen: bool = True
    ) -> list[list[tuple[int, float]]]:
        """The numbers of the `topn` most probable next items of each context, with p.

        Equal ones stand in the order of the items: of more baskets first, then by name.
        """
        from exact2vec.vectors.item_model import blocks  # which needs torch; lookup does not
        from exact2vec.vectors.ranking import ranks_and_tops

        found: list[list[tuple[int, float]]] = []
        for rows in blocks(contexts):
            some = contexts[rows]
            p = self.model.probabilities(some, exclude_seen=exclude_seen)
            left_out = some if exclude_seen else csr_array(some.shape)
            nothing = csr_array(some.shape)
            values = p.copy()
            _, tops = ranks_and_tops(values, left_out, nothing, min(topn, len(self.names)))
            found.extend(
                [(int(item), float(p[row, item])) for item in top if item >= 0]
                for row, top in enumerate(tops)
            )
        return found

    def probabilities(self, baskets: Any) -> NDArray[np.float64]:
        """p(item | basket) among the items outside it: baskets of names, or a matrix of them."""
        if is_matrix(baskets):
            if baskets.shape[1] != len(self.names):
                raise InputError(
                    f"wanted a matrix of baskets × the {len(self.names):,} items; "
                    f"got {baskets.shape}"
                )
            contexts = NamedCounts.of_matrix(baskets, None, None).matrix
        else:
            named = [[one] if isinstance(one, str) else list(one) for one in baskets]
            _refuse_what_is_no_name(named)
            contexts = self.contexts(named)
        found: NDArray[np.float64] = self.model.probabilities(contexts)
        return found

    def because(self, context: Sequence[int], item: int) -> list[tuple[int, float]]:
        """The items of the context that make `item` probable, with their shares of p.

        At most three, those of a hundredth and more; none where there is no mixture.
        """
        if not context:
            return []
        sources = np.array(sorted(context))
        shares = self.model.reasons(sources, item)
        order = largest_places(shares, min(MOST_REASONS, len(shares)))
        return [(int(sources[at]), float(shares[at])) for at in order if shares[at] >= LEAST_REASON]


def stored_next_items(run: Any) -> NextItemsOf:
    """What loads the model of a run folder when it is first asked."""

    def model(vectors: Any) -> Any:
        from exact2vec.vectors.stored_items import stored_model  # which needs torch

        return stored_model(run, vectors)

    return model


def _refuse_what_is_no_name(baskets: Sequence[Any]) -> None:
    for basket in baskets:
        listed = isinstance(basket, list | tuple | set | np.ndarray)
        if not listed or not all(isinstance(name, str) for name in basket):
            raise UsageError(
                "recommend takes names: a basket of text, or a list of such baskets; "
                f"got {basket!r}"
            )


class Recommends:
    """What `Vectors` predict: words near words, and of items what comes next."""

    recommender: Recommender | None

    def nearest_spellings(self, word: str) -> list[str]:
        """Trained names that are spelled alike."""
        here: Any = self
        found: list[str] = here.spaces.nearest_spellings(word)
        return found

    def predict_output_word(
        self, context_words_list: str | Sequence[str], topn: int = 10
    ) -> list[tuple[str, float]]:
        """The most probable words near the given ones, with p(w | …), as gensim names it."""
        here: Any = self
        p = np.exp(here.log_probabilities(context_words_list))
        places = largest_places(p, min(checked_topn(topn), len(p)))
        return [(here.columns[place], float(p[place])) for place in places]

    def recommending(self, *, new_items: bool = False) -> Recommender:
        """The model of what comes next; InputError where there is none.

        With `new_items` those that are known by their features alone are among its items.
        """
        if self.recommender is None:
            raise InputError(
                "these vectors have no model of what comes next: train on baskets or a table "
                "(--kind baskets, --kind table; count_baskets), and keep the run folder"
            )
        if not new_items:
            return self.recommender
        from exact2vec.vectors.new_items import NewItems, WithNewItems

        trained, new = self.recommender, NewItems.of_vectors(self)
        names = [*trained.names, *new.names]
        return Recommender(names, lambda: WithNewItems(trained.model, new))

    def recommend(
        self, items: Any, topn: int = 10, *, exclude_seen: bool = True, new_items: bool = False
    ) -> Recommendations | list[Recommendations]:
        """The most probable next items, with p(item | items), most probable first.

        `items` is a name, a basket of names, or a list of baskets, which gives a list. With
        `exclude_seen` p is among the items that are not in the basket. Names that are not known say
        nothing; an item that is named twice counts once; of an empty basket it is the popularity.
        With `new_items` those that no row held, but whose features are known, are ranked too.

        Raises UnknownWordError where a single name is unknown, InputError for vectors of no items.
        """
        if not isinstance(items, str | list | tuple | set | np.ndarray):
            raise UsageError(
                "recommend takes a name, a basket of names, or a list of baskets; "
                f"got {type(items).__name__}"
            )
        many = not isinstance(items, str) and any(not isinstance(one, str) for one in items)
        baskets = [[items]] if isinstance(items, str) else list(items) if many else [list(items)]
        _refuse_what_is_no_name(baskets)
        recommender = self.recommending(new_items=new_items)
        names = recommender.names
        if isinstance(items, str) and items not in recommender.places:
            raise UnknownWordError(items, len(names), lambda: self.nearest_spellings(items))
        found = recommender.recommend(
            recommender.contexts(baskets), checked_topn(topn), exclude_seen=exclude_seen
        )
        named = [[(names[item], p) for item, p in row] for row in found]
        return named if many else named[0]
