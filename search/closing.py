"""How a study, or a single run, is closed: with its best trials, and where their models lie."""

from __future__ import annotations

from collections.abc import Mapping

from search.events import BestTrial, Closing, StudyClosed
from search.model_shelf import ModelShelf
from search.objective import Values


def closing_of(closing: Closing, leaders: Mapping[int, Values], shelf: ModelShelf) -> StudyClosed:
    """Return the event that closes it, whoever does that: its supervisor, or who comes after one that died.

    Args:
        closing: how it ended.
        leaders: the best complete trial with its values by its number; with several objectives the Pareto front.
        shelf: where their models are.
    """
    found = {number: shelf.find(number) for number in leaders}
    models = {number: None if model is None else str(model) for number, model in found.items()}
    return StudyClosed(closing=closing, best=tuple(BestTrial(one, leaders[one], models[one]) for one in leaders))
