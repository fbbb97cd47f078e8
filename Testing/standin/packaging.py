"""``slicer.packaging`` that installs nothing: tests say what is installed, and read what was asked for."""

installed = {}  # package -> version; tests fill it
calls = []  # (function, arguments) in order
log = []  # lines that the next pip_install reports
installing = False  # whether another extension installs just now
code = 0  # what the next pip_install ends with


def pip_check(requirements):
    """Tell whether all requirements are installed."""
    from packaging.requirements import Requirement

    wanted = [requirements] if isinstance(requirements, (str, Requirement)) else requirements
    found = [Requirement(str(one)) for one in wanted]
    return all(_is_met(one) for one in found if one.marker is None or one.marker.evaluate())


def pip_install(requirements, **named):
    """Record the call, report the prepared log, and end with the prepared code at the next turn of the event loop.

    In testing mode, as in Slicer, it waits for the end whatever was asked, and calls nobody back.
    """
    import subprocess

    import qt
    import slicer

    calls.append(("pip_install", {"requirements": requirements, **named}))
    if slicer.app.testingEnabled():
        if code != 0:
            raise subprocess.CalledProcessError(code, "pip install")
    elif named.get("blocking", True):
        _finish(named)
    else:
        qt.QTimer.singleShot(0, lambda: _finish(named))


def isPipInstallInProgress():
    """Tell whether another extension installs."""
    return installing


def forget():
    """Go back to nothing installed and nothing asked for."""
    global code, installing
    installed.clear(), calls.clear(), log.clear()
    code, installing = 0, False


def _is_met(requirement):
    version = installed.get(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _finish(named):
    for line in log:
        if named.get("logCallback"):
            named["logCallback"](line)
    if named.get("completedCallback"):
        named["completedCallback"](code)
