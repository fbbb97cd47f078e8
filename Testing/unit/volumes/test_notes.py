from IncrementalSegLib.volumes.notes import Note, summary


def test_notes_are_counted_by_kind_with_the_first_example():
    grid = [Note("other-grid", f"{name} lies elsewhere.") for name in ("a", "b")]
    odd = Note("unnamed-values", "b holds 7.")
    assert summary({"p1": grid[:1], "p2": [grid[1], odd, odd]}) == [
        "2 cases, first p1: a lies elsewhere.",
        "p2: b holds 7.",
    ]
