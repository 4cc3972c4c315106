"""Who is which user on the hub: no two people are ever the same, however names change, and blocks and lists hold."""

import asyncio
from typing import Any

import pytest
from hub_package import database
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jupyterhub import orm
from sqlalchemy.orm import Session
from stackgen_hub import people
from stackgen_hub.accounts import AccountsAuthenticator
from stackgen_hub.names import user_name
from stackgen_hub.providers import GitHubAuthenticator, PiculatorAuthenticator
from tornado import web

PROVIDER = "oidc https://login.example.edu"
NAMES = ["ada", "bob", "cleo"]

# what happens at a club's account service in a year: people log in under names that they change and swap, or that look
# the same, the service begins to give other subjects, and the operator gives aliases, takes them back, removes users
login = st.tuples(
    st.just("login"),
    st.tuples(st.sampled_from("123"), st.sampled_from([("sub",), ("id",), ("sub", "id")])),
    st.sampled_from([*NAMES, "Ada", "ＡDA"]),  # noqa: RUF001
)
alias = st.tuples(st.just("alias"), st.sampled_from(NAMES), st.sampled_from(NAMES))
unalias = st.tuples(st.just("unalias"), st.sampled_from(NAMES), st.just(""))
remove = st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just(""))


def log_in(db: Session, login: str, **subjects: str) -> str:
    """The user that this login leads to."""
    name = people.user_of(db, PROVIDER, subjects, login)
    people.bind(db, PROVIDER, subjects, name)
    return name


@settings(max_examples=300, deadline=None)
@example(
    [
        ("login", ("1", ("id",)), "ada"),
        ("alias", "ada", "bob"),
        ("login", ("1", ("id",)), "ada"),
        ("unalias", "ada", ""),
        ("login", ("2", ("sub",)), "ada"),
        ("alias", "ada", "ada"),
        ("login", ("2", ("sub", "id")), "bob"),
    ]
)
@given(st.lists(login | login | alias | unalias | remove, min_size=12, max_size=25))
def test_no_two_people_of_a_provider_are_ever_the_same_user(history: list[tuple[str, Any, str]]) -> None:
    """Whatever names people log in under, and whatever aliases are set between: whose volume it is never changes,
    unless the operator has removed the user, or gives the volume of somebody who is another user now away by an alias.
    Whoever is the user by one of the provider's subjects stays it when others are given, too.
    """
    with database() as db:
        owner: dict[tuple[str, str], str] = {}  # (kind, user) -> subject that was this user last
        user: dict[tuple[str, str], str] = {}  # (kind, subject) -> user
        for what, first, second in history:
            try:
                if what == "login":
                    person, kinds = first
                    subjects = {kind: f"{kind} of {person}" for kind in kinds}
                    was = [user.get(subject) for subject in subjects.items()]
                    name = log_in(db, user_name(second), **subjects)
                    for kind, subject in subjects.items():
                        before = owner.get((kind, name), subject)
                        if before != subject:
                            assert user.get((kind, before)) != name
                            assert name in was or people.aliases(db).get(user_name(second)) == name
                        owner[kind, name], user[kind, subject] = subject, name
                    assert people.user_of(db, PROVIDER, subjects, user_name(second)) == name
                elif what == "alias":
                    people.set_alias(db, PROVIDER, first, second)
                elif what == "unalias":
                    former = people.aliases(db).get(first)
                    if people.remove_alias(db, PROVIDER, first) and former != first:
                        user = {who: name for who, name in user.items() if name != former}
                else:
                    people.forget(db, first)
                    db.commit()
                    owner = {which: who for which, who in owner.items() if which[1] != first}
                    user = {who: name for who, name in user.items() if name != first}
            except people.Taken:
                continue


@settings(max_examples=200, deadline=None)
@given(st.lists(alias | unalias, max_size=12))
def test_in_a_directory_without_subjects_aliases_alone_keep_people_apart(history: list[tuple[str, str, str]]) -> None:
    with database() as db:
        for what, first, second in history:
            if what == "unalias":
                people.remove_alias(db, "ldap", first)
                continue
            try:
                people.set_alias(db, "ldap", first, second)
            except people.Taken:
                continue
        users = []
        for name in NAMES:
            try:
                users.append(people.user_of(db, "ldap", {}, name))
            except people.Taken:
                continue
        assert len(set(users)) == len(users)


def test_whoever_is_renamed_at_the_provider_keeps_their_user() -> None:
    with database() as db:
        log_in(db, "ada", sub="17")
        assert log_in(db, "ada.lovelace", sub="17") == "ada"


def test_a_name_that_was_given_away_at_the_provider_does_not_lead_to_the_first_ones_volume() -> None:
    with database() as db:
        log_in(db, "ada", sub="17")
        with pytest.raises(people.Taken, match="belongs to somebody else"):
            log_in(db, "ada", sub="99")


def test_of_two_who_log_in_under_one_name_at_the_same_moment_one_is_refused() -> None:
    with database() as db:
        one, other = {"sub": "1"}, {"sub": "2"}
        assert people.user_of(db, PROVIDER, one, "ada") == people.user_of(db, PROVIDER, other, "ada") == "ada"
        people.bind(db, PROVIDER, one, "ada")
        with pytest.raises(people.Taken):
            people.bind(db, PROVIDER, other, "ada")


def test_a_provider_that_gives_subjects_of_another_kind_keeps_its_people_by_what_it_still_gives_or_else_by_name() -> (
    None
):
    with database() as db:
        log_in(db, "ada", id="5")
        log_in(db, "bob", id="6")
        assert log_in(db, "ada", sub="a4f1") == "ada"
        assert log_in(db, "ada.l", sub="a4f1") == "ada"
        assert log_in(db, "bobby", sub="b0b0", id="6") == "bob"
        assert log_in(db, "robert", sub="b0b0") == "bob"
        assert log_in(db, "robert", id="6") == "bob"
        for stranger in ({"sub": "c1e0"}, {"id": "7"}, {"sub": "c1e0", "id": "7"}):
            with pytest.raises(people.Taken):
                log_in(db, "bob", **stranger)


def test_an_alias_leads_to_the_old_user_and_bars_the_one_who_has_that_name_at_the_provider() -> None:
    with database() as db:
        log_in(db, "cleo.k", sub="3")  # before the operator thought of the alias
        people.set_alias(db, PROVIDER, "cleo.k", "cleo")
        assert log_in(db, "cleo.k", sub="3") == "cleo"
        with pytest.raises(people.Taken):
            log_in(db, "cleo", sub="4")
        with pytest.raises(people.Taken, match=r"cleo is whoever logs in as cleo\.k"):
            people.set_alias(db, PROVIDER, "bob", "cleo")
        people.set_alias(db, PROVIDER, "cleo.k", "cleo")
        assert people.aliases(db) == {"cleo.k": "cleo"}
        assert people.remove_alias(db, PROVIDER, "cleo.k")
        assert not people.remove_alias(db, PROVIDER, "cleo.k")
        assert log_in(db, "cleo.k", sub="3") == "cleo.k"


def test_a_changed_alias_and_one_for_somebody_who_was_renamed_count_from_the_next_login_on() -> None:
    with database() as db:
        people.set_alias(db, PROVIDER, "cleo.k", "cleo")
        assert log_in(db, "cleo.k", sub="3") == "cleo"
        people.set_alias(db, PROVIDER, "cleo.k", "cleo2")
        assert log_in(db, "cleo.k", sub="3") == "cleo2"
        log_in(db, "ada", sub="1")
        people.set_alias(db, PROVIDER, "ada.l", "old")
        assert log_in(db, "ada.l", sub="1") == "old"


def test_nobody_is_turned_out_of_their_user_by_a_name_that_is_somebody_elses_alias() -> None:
    with database() as db:
        people.set_alias(db, PROVIDER, "cleo.k", "cleo")
        log_in(db, "cleo.k", sub="3")
        log_in(db, "bob", sub="2")
        assert log_in(db, "cleo.k", sub="2") == "bob"
        with pytest.raises(people.Taken, match="remove that user first"):
            people.set_alias(db, PROVIDER, "dan", "bob")


def test_a_user_that_somebody_has_been_stays_theirs_until_the_operator_gives_it_away() -> None:
    with database() as db:
        log_in(db, "ada", sub="1")
        people.set_alias(db, PROVIDER, "ada", "bob")
        assert log_in(db, "ada", sub="1") == "bob"
        people.set_alias(db, PROVIDER, "cleo.k", "cleo")
        log_in(db, "cleo.k", sub="3")
        people.remove_alias(db, PROVIDER, "ada")
        people.remove_alias(db, PROVIDER, "cleo.k")
        for name in ("ada", "bob", "cleo"):
            with pytest.raises(people.Taken):
                log_in(db, name, sub="99")
        assert log_in(db, "cleo", sub="3") == "cleo"
        people.set_alias(db, PROVIDER, "x", "bob")
        assert log_in(db, "x", sub="99") == "bob"
        assert people.forget(db, "ada")
        assert log_in(db, "ada", sub="98") == "ada"


def test_another_provider_may_have_people_of_the_same_names() -> None:
    """A move from one provider to another keeps users and volumes by their names."""
    with database() as db:
        log_in(db, "ada", sub="17")
        assert people.user_of(db, "piculator https://club.example.edu", {"sub": "1"}, "ada") == "ada"


def test_a_name_taken_off_admin_users_is_an_admin_no_more_but_one_of_the_admin_page_is() -> None:
    with database() as db:
        admin = orm.Role.find(db, "admin")
        for name in ("ada", "bob", "page"):
            db.add(orm.User(name=name, admin=True, roles=[admin]))
        db.commit()
        assert people.follow_admins(db, {"ada", "bob"}) == []
        assert people.follow_admins(db, {"ada"}) == ["bob"]
        assert people.follow_admins(db, {"ada"}) == []
        assert {user.name for user in db.query(orm.User) if user.admin} == {"ada", "page"}
        assert {user.name for user in admin.users} == {"ada", "page"}


def test_whoever_is_forgotten_leaves_no_rule_alias_or_identity() -> None:
    with database() as db:
        people.person(db, "ada").rule = people.BLOCK
        people.set_alias(db, PROVIDER, "a.lovelace", "ada")
        people.bind(db, PROVIDER, {"sub": "17"}, "ada")
        assert people.forget(db, "ada")
        db.commit()
        assert not people.forget(db, "ada")
        assert people.rule(db, "ada") is None
        assert people.aliases(db) == {}
        assert people.user_of(db, PROVIDER, {"sub": "99"}, "ada") == "ada"


def ask(coroutine: Any) -> Any:
    """The result of an authenticator's method, which may be a coroutine."""
    return asyncio.run(coroutine)


def test_the_allow_list_and_admin_users_let_people_in_and_a_block_keeps_them_out() -> None:
    with database() as db:
        authenticator = GitHubAuthenticator(db=db, admin_users={"ada"})
        model = {"admin": None, "auth_state": {"github_user": {"id": 1, "login": "x"}, "scope": []}, "groups": []}
        people.person(db, "bob").rule = people.ALLOW
        people.person(db, "mallory").rule = people.BLOCK
        assert ask(authenticator.check_allowed("ada", model))
        assert ask(authenticator.check_allowed("bob", model))
        assert not ask(authenticator.check_allowed("cleo", model))
        assert authenticator.check_blocked_users("bob", model)
        with pytest.raises(web.HTTPError, match="mallory is blocked"):
            authenticator.check_blocked_users("mallory", model)


def test_a_provider_s_name_that_cannot_be_a_user_s_is_refused_with_a_page() -> None:
    with database() as db:
        authenticator = PiculatorAuthenticator(db=db, provider=PROVIDER, username_claim="username")
        for claim, user in (("Ada", "ada"), ("李雷", "李雷"), ("ada@example.edu", "ada@example.edu")):
            assert authenticator.user_info_to_username({"id": claim, "username": claim}) == user
        for claim in ("ada lovelace", "../ada", "a:b", ".."):
            with pytest.raises(web.HTTPError) as refused:
                authenticator.user_info_to_username({"id": 7, "username": claim})
            assert refused.value.status_code == 403
            assert "the user name" in str(refused.value.log_message)


def test_nobody_signs_up_under_the_name_of_an_admin_or_of_a_user_that_the_hub_knows() -> None:
    """An admin's name would let them in at once, and a known name would bring that user's volume."""
    with database() as db:
        authenticator = AccountsAuthenticator(db=db, enable_signup=True, admin_users={"ada"})
        db.add(orm.User(name="bob"))
        db.commit()
        for name in ("ada", "ADA", "ＡDA", "bob", "Bob"):  # noqa: RUF001
            assert authenticator.create_user(name, "correct horse battery") is None
        assert authenticator.create_user("cleo", "short") is None
        assert authenticator.create_user("cleo", "x" * 73) is None
        assert authenticator.create_user("Cleo", "correct horse battery", has_2fa=True).username == "cleo"
        assert authenticator.state("cleo", authenticator.accounts()) == "waiting"
        assert ask(authenticator.get_authenticated_user(None, {"username": "cleo", "password": "wrong horse"})) is None
        with pytest.raises(web.HTTPError, match="waits for an admin"):
            ask(authenticator.authenticate(None, {"username": "CLEO", "password": "correct horse battery"}))
        authenticator.let_in("cleo")
        assert (
            ask(authenticator.authenticate(None, {"username": "CLEO", "password": "correct horse battery"})) == "cleo"
        )


def test_an_account_is_locked_after_ten_wrong_passwords_even_for_the_right_one() -> None:
    with database() as db:
        authenticator = AccountsAuthenticator(db=db, allowed_failed_logins=10, seconds_before_next_try=300)
        authenticator.store_passwords({"ada": b"$2b$04$abcdefghijklmnopqrstuuKzmp3JlMDPgoqSXGzmNCWNzyVz1XvO2"})
        for wrong in ["x" * 73, "nul\x00", *["guess"] * 10]:
            assert ask(authenticator.authenticate(None, {"username": "ada", "password": wrong})) is None
        with pytest.raises(web.HTTPError) as refused:
            ask(authenticator.authenticate(None, {"username": "ada", "password": "guess"}))
        assert refused.value.status_code == 429
        assert "5 minutes" in refused.value.log_message
