"""A user's name, and the volume it leads to, are what JupyterHub and DockerSpawner make of them - for every name."""

import importlib
from types import SimpleNamespace

import hub_package
import pytest
from dockerspawner import DockerSpawner
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from jupyterhub.auth import Authenticator

from stackgen import names
from stackgen.logins import LOGINS

PREFIX = "jupyterhub-user-"

# what names are really made of, and everything else that a keyboard or a student list may hold
likely = st.text(alphabet="abcxyzABCXYZ0129.-_@+% éßÖİıſKσςΣ李雷ﬁñ", max_size=40)  # noqa: RUF001
text = likely | st.text(max_size=40)
email = st.emails()


@st.composite
def accepted(draw: st.DrawFn) -> str:
    """A name that `user_name` accepts, as it normalises it."""
    name = draw(likely | email | st.text(max_size=30))
    try:
        return names.user_name(name)
    except ValueError:
        assume(False)
        raise


def authenticator(login: str) -> Authenticator:
    """The one that the hub of a stack runs with this login, without its database."""
    module, _, name = LOGINS[login].authenticator.rpartition(".")
    hub: Authenticator = getattr(importlib.import_module(module), name)
    hub = hub.__new__(hub)
    hub.volume_prefix = PREFIX
    return hub


AUTHENTICATORS = {login: authenticator(login) for login in LOGINS}
logins = st.sampled_from(sorted(LOGINS))


def spawner_of(name: str, prefix: str = PREFIX) -> DockerSpawner:
    """A DockerSpawner with compose/hub/jupyterhub_config.py's settings, for this user."""
    return DockerSpawner(
        user=SimpleNamespace(name=name),
        prefix="stackgen",
        notebook_dir="/home/sage/notebooks",
        volumes={prefix + "{username}": "/home/sage/notebooks"},
    )


@given(text)
def test_a_name_is_escaped_as_dockerspawner_does(name: str) -> None:
    assert names.escaped(name) == DockerSpawner._escape(name)


@given(accepted())
def test_the_owner_of_a_volume_is_read_off_its_name(name: str) -> None:
    assert names.volume_owner(PREFIX, PREFIX + names.escaped(name)) == name


@given(st.text(alphabet="abcABC019-.%_é", max_size=20) | st.text(max_size=20))
def test_a_volume_has_an_owner_only_if_that_owner_would_get_this_volume(rest: str) -> None:
    """Foreign volumes that happen to begin like ours belong to nobody."""
    owner = names.volume_owner(PREFIX, PREFIX + rest)
    assert owner is None or PREFIX + names.escaped(owner) == PREFIX + rest
    assert names.volume_owner(PREFIX, "x" + PREFIX + rest) is None


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(accepted(), accepted())
@example("a-2d", "a-")
@example("é", "e\u0301")
@example("ada", "adа")  # noqa: RUF001  # the second one ends in a Cyrillic letter
def test_two_users_never_share_a_volume(one: str, other: str) -> None:
    assume(one != other)
    assert PREFIX + names.escaped(one) != PREFIX + names.escaped(other)


@given(text)
def test_a_name_in_other_letter_case_is_the_same_user_or_another_volume(name: str) -> None:
    """Whoever signs in as ADA is ada, on ada's volume; no spelling leads to a volume of its own by half."""
    found = set()
    for spelling in (name, name.upper(), name.lower(), name.title()):
        try:
            found.add(names.user_name(spelling))
        except ValueError:
            continue
    assert len({names.escaped(user) for user in found}) == len(found)
    assert all(names.user_name(user) == user for user in found)


@settings(max_examples=50)
@given(accepted(), st.sampled_from([PREFIX, "lab2-user-", "a.b_c-"]))
def test_the_real_dockerspawner_mounts_exactly_this_volume(name: str, prefix: str) -> None:
    try:
        volume = names.volume_name(prefix, name)
    except ValueError as error:
        assert "too long for a volume" in str(error)
        assert len(prefix + names.escaped(name)) > 255
        return
    binds = spawner_of(name, prefix).volume_binds
    assert binds == {volume: {"bind": "/home/sage/notebooks", "mode": "rw"}}
    assert names.volume_owner(prefix, volume) == name


def test_a_container_carries_the_stacks_and_the_users_name() -> None:
    assert spawner_of("ada.byron").object_name == "stackgen-ada-2ebyron"


@given(accepted(), logins)
@example("...", "accounts")
@example("50%", "pam")
def test_every_login_s_class_accepts_every_name_that_stackgen_accepts(name: str, login: str) -> None:
    """Otherwise add-admin would store an admin who can never log in."""
    try:
        normalised = names.user_name(name)
        names.volume_name(PREFIX, normalised)
    except ValueError:
        return
    assert AUTHENTICATORS[login].normalize_username(name) == normalised
    assert AUTHENTICATORS[login].normalize_username(normalised) == normalised
    assert AUTHENTICATORS[login].validate_username(normalised)


@given(text, logins)
def test_a_name_is_the_same_user_at_every_login_in_every_roster_and_on_every_volume(name: str, login: str) -> None:
    """What the hub takes is what `user_name` makes of it; what it refuses is refused before it is stored, too."""
    user = AUTHENTICATORS[login].normalize_username(name)
    try:
        names.volume_name(PREFIX, names.user_name(name))
    except ValueError:
        assert not AUTHENTICATORS[login].validate_username(user)
    else:
        assert user == names.user_name(name)
        assert AUTHENTICATORS[login].validate_username(user)


@pytest.mark.parametrize("typed", ["ＡＤＡ", "ａｄａ", "Ada"])  # noqa: RUF001
def test_full_width_letters_of_a_chinese_keyboard_are_the_same_name(typed: str) -> None:
    assert names.user_name(typed) == "ada"


def test_the_hub_reads_the_very_file_that_the_command_line_reads() -> None:
    assert importlib.import_module("stackgen_hub.names").user_name("ＡDA") == "ada"  # noqa: RUF001
    shipped = hub_package.PACKAGE / "names.py"
    assert shipped.read_bytes() == names.__spec__.loader.get_data(names.__file__)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "must not be empty"),
        ("  ", "must not begin or end with white space"),
        (" ada", "must not begin or end with white space"),
        ("ada\n", "must not begin or end with white space"),
        ("ada byron", "must not contain white space"),
        ("ada\tbyron", "must not contain white space"),
        ("ada\u3000byron", "must not contain white space"),
        ("ada\u200bbyron", "must not contain white space"),  # a space without width
        ("a/b", "must not contain white space or any of /"),
        ("a\\b", "must not contain white space or any of /"),
        ("ada,bob", "must not contain white space or any of / \\ ,"),
        ("o'hara", "must not contain white space or any of"),
        ("ada:x", "must not contain white space or any of"),
        ("$HOME", "must not contain white space or any of"),
        ("ada#1", "must not contain white space or any of"),
        ("-x", "must not begin with - or +"),
        ("+x", "must not begin with - or +"),
        ("－ada", "must not begin with - or +"),  # noqa: RUF001
        (".", "would not survive in a URL"),
        ("..", "would not survive in a URL"),
        ("...", "would not survive in a URL"),
        ("a%2fb", "would not survive in a URL"),
        ("%2e%2e", "would not survive in a URL"),
        ("x" * 129, "must not be longer than 128 characters"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_the_reason(typed: str, words: str) -> None:
    with pytest.raises(ValueError, match="user name") as refused:
        names.user_name(typed)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("typed", ["ada", "Ada", "ada.byron@example.edu", "李雷", "student-07", "a_b", "1815", "a+b"])
def test_the_names_of_ordinary_classes_are_accepted(typed: str) -> None:
    assert names.user_name(typed) == typed.lower()


def test_a_name_too_long_for_a_volume_is_said_so() -> None:
    assert len(names.volume_name(PREFIX, "李" * 26)) == 250
    with pytest.raises(ValueError, match="too long for a volume"):
        names.volume_name(PREFIX, "李" * 27)
