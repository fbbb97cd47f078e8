from IncrementalSegLib import __version__


def test_the_version_is_told(command):
    assert command("--version").out.strip() == f"incrementalseg {__version__}"


def test_versions_names_what_was_hardly_learned(command, taught):
    (version,) = command("versions", taught, "--json").json["versions"]
    assert version["hardly_learned"] == ["liver"]
    assert command("versions", taught).out.rstrip().endswith("Version 1, hardly learned: liver.")
