"""Commands say where the text embeddings of names come from."""

from types import SimpleNamespace

from IncrementalSegLib.cli.text_source import text_source
from IncrementalSegLib.structures import Structure, StructureList


def said(*sources):
    """Return the sentence of a version whose structures "0", "1", ... have these sources; ``None`` for none."""
    known = [Structure.create(str(number), 1) for number in range(len(sources))]
    output = {
        item.id: {"row": 0} | ({"source": text} if text else {}) for item, text in zip(known, sources, strict=True)
    }
    return text_source(SimpleNamespace(structures=StructureList(tuple(known)), architecture={"output": output}))


def test_a_network_that_reads_no_names_needs_no_sentence():
    assert said(None, None) == ""
    assert text_source(SimpleNamespace(structures=(), architecture={})) == ""


def test_each_source_is_said():
    assert said("wordllama 0.4", "wordllama 0.4") == "Text embeddings of names: WordLlama 0.4."
    assert "no meaning" in said("seeded")
    both = said("table 0123456789abcdef", "seeded")
    assert "a table with SHA-256 0123456789ab…: 0; the hash of the name" in both
    assert both.endswith(": 1.")
