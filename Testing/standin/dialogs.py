"""What a person would do outside the panel: answer dialogs, look at opened folders and pages."""

answers = []  # what the next dialogs return, in order; a test appends. A function is called while the dialog is open
seen = []  # the texts of the dialogs that were asked for
begun = []  # where dialogs for files began; an empty text is the folder in which Slicer was started
opened = []  # what the desktop was asked to open


def ask(text):
    """Record a dialog and return the next answer.

    Raises:
        AssertionError: No answer was prepared: nobody could have closed the dialog.
    """
    seen.append(text)
    if not answers:
        raise AssertionError(f"a modal dialog that no test answers: {text}")
    answer = answers.pop(0)
    return answer() if callable(answer) else answer


def forget():
    """Forget what was answered, asked, begun and opened."""
    for record in (answers, seen, begun, opened):
        record.clear()
