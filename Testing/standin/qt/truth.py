"""Truth values of Qt's objects: what is empty, invalid or null is false in PythonQt, layouts and menus included."""

_TESTS = (("isEmpty", False), ("isValid", True), ("isNull", False))
"""Method and the answer of a true object; the first that a class has decides, as in PythonQt's wrappers."""


def give(kind):
    """Give a class of PySide the truth value of PythonQt; a class without such a method is left as it is.

    A layout is empty when it holds nothing, nothing but stretch, or only hidden widgets.
    """
    for name, answer in _TESTS:
        test = getattr(kind, name, None)
        if callable(test):
            kind.__bool__ = _truth(test, answer)
            return


def _truth(test, answer):
    def __bool__(self):
        try:
            return bool(test(self)) is answer
        except TypeError:  # it needs arguments, so PythonQt does not take it for a test
            return True

    return __bool__
