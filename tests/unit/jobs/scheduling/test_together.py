"""What Ollama shows as loaded, and what follows from it."""

from jobs.scheduling import LoadedTogether


def _seen(*loaded: str) -> LoadedTogether:
    together = LoadedTogether()
    for names in loaded:
        together.observe(list(names))
    return together


def test_a_model_that_was_never_seen_is_alone() -> None:
    """Nothing is assumed."""
    assert _seen().with_model("a") == {"a"}


def test_two_that_were_loaded_together_fit() -> None:
    """Also after both have been unloaded for idleness."""
    assert _seen("a", "ab").with_model("b") == {"a", "b"}
    assert _seen("a", "ab", "").with_model("a") == {"a", "b"}


def test_one_that_takes_the_others_place_does_not_fit() -> None:
    """Whatever was seen before."""
    assert _seen("a", "b").with_model("a") == {"a"}
    assert _seen("ab", "a", "b").with_model("a") == {"a"}
    assert _seen("ab", "a", "", "", "b").with_model("a") == {"a"}  # the list is empty during a load
    assert _seen("abc", "ac", "c", "bc").with_model("a") == {"a", "c"}


def test_one_that_comes_back_alone_is_learned_again() -> None:
    """What went for idleness looks the same as what had to go."""
    assert _seen("ab", "", "a").with_model("a") == {"a"}
    assert _seen("ab", "", "a", "ab").with_model("a") == {"a", "b"}


def test_three_fit_only_if_each_two_do() -> None:
    """Room for two: the one that is loaded beside the model counts."""
    assert _seen("ab", "bc").with_model("b") == {"b", "c"}
    assert _seen("ab", "bc").with_model("a") == {"a", "b"}
    assert _seen("abc").with_model("a") == {"a", "b", "c"}
