"""Settings move from version to version: nothing that an operator wrote is lost on the way."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stackgen import __version__, envfile
from stackgen.migrations import MIGRATIONS, Migration, migrated, removed, renamed
from stackgen.versions import number

KEYS = st.sampled_from(["DOMAIN", "OLD", "NEW", "GONE", "OLDER", "MEM_LIMIT"])
VALUES = st.text(alphabet="abcXYZ0189 _-./:", max_size=12).map(str.strip)
STORED = st.dictionaries(KEYS, VALUES, max_size=6)

MOVES = (
    Migration("0.3.0", renamed("OLD", "NEW")),
    Migration("0.4.0", removed("GONE", "has no effect any more")),
)


def text_of(stored: dict[str, str]) -> str:
    return "# mine\n" + "".join(envfile.line(key, value) + "\n" for key, value in stored.items()) + "\n# the end\n"


def test_the_migrations_are_in_the_order_of_their_versions_and_none_is_of_a_version_to_come() -> None:
    versions = [number(migration.version) for migration in MIGRATIONS]
    assert all(one <= other for one, other in pairwise(versions))
    assert all(version <= number(__version__) for version in versions)


@given(stored=STORED)
def test_every_value_is_kept_under_its_new_name(stored: dict[str, str]) -> None:
    done = migrated(text_of(stored), "0.2.0", MOVES)
    after = envfile.parse(done.text)
    expected = {key: value for key, value in stored.items() if key not in ("OLD", "GONE")}
    if "OLD" in stored and "NEW" not in stored:
        expected["NEW"] = stored["OLD"]
    assert after == expected
    assert len(done.notes) == ("OLD" in stored) + ("GONE" in stored)
    assert done.text.startswith("# mine\n")
    assert done.text.endswith("\n# the end\n")


@given(stored=STORED)
def test_a_second_time_changes_nothing(stored: dict[str, str]) -> None:
    once = migrated(text_of(stored), "0.1.0", MOVES).text
    assert migrated(once, "0.1.0", MOVES).text == once


def test_only_what_later_versions_changed_is_done() -> None:
    text = "OLD=1\nGONE=2\n"
    assert migrated(text, "0.4.0", MOVES).text == text
    assert migrated(text, "0.3.0", MOVES).text == "OLD=1\n"
    assert migrated(text, "0.2.9", MOVES).text == "NEW=1\n"


def test_the_operator_is_told_what_was_done() -> None:
    assert migrated("OLD=1\nNEW=2\nGONE=3\n", "0.2.0", MOVES).notes == [
        "OLD is called NEW now, which is set already: OLD is taken out",
        "GONE has no effect any more",
    ]
