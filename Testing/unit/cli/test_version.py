from IncrementalSegLib import __version__


def test_the_version_is_told(command):
    assert command("--version").out.strip() == f"incrementalseg {__version__}"
