"""Whatever is wrong with a .env is said at once, by the setting's name, with what to do - and no secret in it."""

import re
from pathlib import Path, PurePath

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from unit_support import ROOT, SECRETS, TOKEN, problems, settings

from stackgen import envfile
from stackgen.checks import memory_bytes
from stackgen.errors import SETTINGS, StackgenError
from stackgen.reference import env_example, settings_page
from stackgen.render import render
from stackgen.settings import Settings
from stackgen.settings_table import BY_KEY, TABLE
from tests.conftest import stackgen


def refusal(**stored: str) -> StackgenError:
    """The error for a .env with these settings and valid secrets."""
    with pytest.raises(StackgenError) as refused:
        settings(**stored)
    assert refused.value.exit_code == SETTINGS == 5
    return refused.value


BAD = [
    ("DOMAIN", "https://jupyter.example.edu", "must be a bare host name, without scheme, port or path"),
    ("DOMAIN", "jupyter.example.edu:8443", "must be a bare host name, without scheme, port or path"),
    ("DOMAIN", "jupyter.example.edu/hub", "must be a bare host name, without scheme, port or path"),
    ("DOMAIN", "Jupyter.Example.edu", "must be a host name in lower case"),
    ("DOMAIN", "jupyter..edu", "must be a host name"),
    ("DOMAIN", "-lab.edu", "must be a host name"),
    ("DOMAIN", "my_lab.edu", "must be a host name"),
    ("DOMAIN", "x" * 64 + ".edu", "must be a host name"),
    ("DOMAIN", "999.1.1.1", "looks like an IPv4 address, but is none"),
    ("DOMAIN", "10.0.0", "looks like an IPv4 address, but is none"),
    ("HTTP_PORT", "0", "must be a whole number from 1 to 65535"),
    ("HTTPS_PORT", "65536", "must be a whole number from 1 to 65535"),
    ("HTTPS_PORT", "443/tcp", "must be a whole number from 1 to 65535"),
    ("HTTPS_PORT", "-1", "must be a whole number from 1 to 65535"),
    ("HTTPS_PORT", "٤٤٣", "must be a whole number from 1 to 65535"),
    ("BIND_ADDRESS", "localhost", "must be an IPv4 address"),
    ("BIND_ADDRESS", "999.1.1.1", "must be an IPv4 address"),
    ("BIND_ADDRESS", "1.2.3.4.5", "must be an IPv4 address"),
    ("BIND_ADDRESS", "[:::]", "must be an IPv4 address"),
    ("TLS", "on", "must be one of self-signed, acme, files, off"),
    ("DOMAIN_ALIASES", "a.edu, b.edu", "must be a host name in lower case"),
    ("DOMAIN_ALIASES", "a.edu,*.b.edu", "must be a host name in lower case"),
    ("DOMAIN_ALIASES", "https://a.edu", "must be host names or addresses, without scheme, port or path"),
    ("DOMAIN_ALIASES", "a.edu:8443", "must be host names or addresses, without scheme, port or path"),
    ("DOMAIN_ALIASES", "[2001:db8::7]", "must be host names or addresses"),
    ("DOMAIN_ALIASES", "2001:DB8:0::7", "must have the IPv6 address as browsers write it, 2001:db8::7"),
    ("ACME_EMAIL", "ada", "must be an e-mail address"),
    ("ACME_EMAIL", "ada@example.edu,bob@example.edu", "must be an e-mail address"),
    ("ACME_STAGING", "yes", "must be true or false"),
    ("ACME_SERVER", "http://acme.example.edu/directory", "must begin with https://"),
    ("TRUSTED_PROXIES", "proxy.example.edu", "must be addresses or networks, such as"),
    ("TRUSTED_PROXIES", "10.0.0.7/24", "must be addresses or networks, not of a host in it, such as"),
    ("TRUSTED_PROXIES", "10.0.0.7, 10.0.0.8", "must be addresses or networks"),
    ("TLS_CERT", "certs/site.pem", "must be an absolute path"),
    ("STACK_LANGUAGE", "fr", "must be en or zh"),
    ("STACK_TITLE", "x" * 61, "must have at most 60 characters, and has 61"),
    ("STACK_TITLE", "Our\u2028lab", "must be printable characters, without line breaks"),
    ("STACK_TITLE", " Our lab", "without blanks around them"),
    ("STACK_LOGO", "logo.svg", "must be an absolute path"),
    ("STACK_LOGO", "/srv/logo.gif", "must end in .svg, .png, .jpg or .webp"),
    ("STACK_LOGO", "/srv/.svg", "must end in .svg, .png, .jpg or .webp"),
    ("ANNOUNCEMENT", "号" * 301, "must have at most 300 characters, and has 301"),
    ("ANNOUNCEMENT", "Exam\x1b[31m", "must be printable characters"),
    ("STACK_NAME", "Lab 1", "must be 1 to 30 lower case letters and digits"),
    ("STACK_NAME", "my-lab", "must be 1 to 30 lower case letters and digits"),
    ("AUTH", "shibboleth", "must be one of accounts, piculator, oidc, github"),
    ("ADMIN_USERS", "ada,,bob", "a user name must not be empty"),
    ("ADMIN_USERS", "ada, bob", "must not begin or end with white space"),
    ("MEM_LIMIT", "500", "must be a number with a unit, K, M, G or T"),
    ("MEM_LIMIT", "500MB", "must be a number with a unit, K, M, G or T"),
    ("MEM_LIMIT", "500m", "must be a number with a unit, K, M, G or T"),
    ("MEM_LIMIT", "64M", "must be at least 128M"),
    ("CPU_LIMIT", "0", "must be a number of CPUs of at least 0.1"),
    ("CPU_LIMIT", "two", "must be a number of CPUs"),
    ("PIDS_LIMIT", "10", "must be a whole number from 64"),
    ("IDLE_TIMEOUT", "1h", "must be a whole number from 0"),
    ("VOLUME_PREFIX", "jupyterhub-user", "with a `-` at the end"),
    ("SAGE_IMAGE", "Sage:latest", "must be an image name in lower case"),
    ("UI", "tree", "must be lab or notebook"),
    ("SAGE_EXTRA_PIP", "pandas; rm -rf /", "must be names of Python packages separated by spaces"),
    ("SAGE_EXTRA_PIP", "--index-url=evil", "must be names of Python packages"),
    ("SAGE_EXTRA_PIP", "git+https://example.edu/x", "must be names of Python packages"),
    ("SAGE_EXTRA_APT", "gcc,g++", "must be names of Debian packages separated by spaces"),
    ("SAGE_EXTRA_APT", "-o APT::Foo=1", "must be names of Debian packages"),
    ("APT_MIRROR", "mirror.example.edu", "must be a URL"),
    ("PIP_INDEX_URL", "mirror.example.edu/simple", "must be a URL"),
    ("PIP_INDEX_URL", "https://", "must be a URL"),
    ("PIP_INDEX_URL", "https://[::1/simple", "must be a URL"),
    ("PIP_INDEX_URL", "https://mirror:port/simple", "must be a URL"),
    ("ALLOW_ALL", "yes", "must be true or false"),
    ("ALLOW_SIGNUP", "True", "must be true or false"),
    ("ALLOWED_GROUPS", "teachers, students", "without blanks around them"),
    ("ALLOWED_GROUPS", "teachers,,students", "must be names separated by commas"),
    ("ADMIN_GROUPS", "teachers,", "must be names separated by commas"),
    ("OAUTH_CLIENT_ID", "my client", "must be printable ASCII characters without spaces"),
    ("OAUTH_CALLBACK_URL", "jupyter.example.edu", "must be a URL that begins with http:// or https://"),
    ("OAUTH_SCOPES", "openid, écrire", "must be scopes separated by spaces"),
    ("USERNAME_CLAIM", "email sub", "must be the name of one claim"),
    ("GROUPS_CLAIM", "groups,roles", "must be the name of one claim"),
    ("LOGIN_SERVICE", "Our\tschool", "without control characters"),
    ("PICULATOR_URL", "http://piculator.example.edu", "must begin with https://, because over http others could read"),
    ("PICULATOR_TOKEN_URL", "http://piculator.example.edu/token", "must begin with https://"),
    ("OIDC_ISSUER", "http://login.example.edu", "must begin with https://"),
    ("OIDC_ISSUER", "login.example.edu", "must be a URL"),
    ("GITLAB_URL", "ftp://gitlab.example.edu", "must be a URL"),
    ("GOOGLE_DOMAINS", "example.edu,@example.edu", "must be a host name in lower case"),
    ("AZUREAD_TENANT", "common", "must be 32 hexadecimal digits in groups of 8-4-4-4-12"),
    ("CILOGON_IDPS", "example.edu", "must be entity ids, which begin with https:// or urn:"),
    ("LDAP_SERVER", "ldaps://ldap.example.edu", "must be a bare host name"),
    ("LDAP_TLS", "off", "must be ldaps or start-tls"),
    ("LDAP_PORT", "0", "must be a whole number from 1 to 65535"),
    ("LDAP_BIND_DN", "uid=username,ou=people", "must contain {username} once"),
    ("LDAP_BIND_DN", "uid={username},cn={username}", "must contain {username} once"),
    ("LDAP_BIND_DN", "uid={username},ou={unit}", "must contain {username} once"),
    ("LDAP_SEARCH_BASE", "people", "must be a DN"),
    ("LDAP_USER_ATTRIBUTE", "(uid)", "must be the name of an attribute"),
]


@pytest.mark.parametrize(("key", "value", "words"), BAD)
def test_a_bad_value_is_refused_with_its_reason_and_what_the_setting_means(key: str, value: str, words: str) -> None:
    [problem] = refusal(**{key: value}).problems
    assert problem.message.startswith(f"{key}={value}: ")
    assert words in problem.message
    assert problem.hint == BY_KEY[key].help


GOOD = [
    ("DOMAIN", "jupyter"), ("DOMAIN", "10.0.0.7"), ("DOMAIN", "a-b.example.edu"), ("DOMAIN", "xn--fsq.example"),
    ("DOMAIN_ALIASES", "lab,10.0.0.7,2001:db8::7"), ("TRUSTED_PROXIES", "10.0.0.7,192.168.0.0/16,2001:db8::/32"),
    ("ACME_EMAIL", "ada+jupyter@math.example.edu"), ("ACME_SERVER", "https://acme.example.edu/acme/x/directory"),
    ("MEM_LIMIT", "1.5G"), ("MEM_LIMIT", "128M"), ("MEM_LIMIT", "131072K"), ("CPU_LIMIT", "0.5"),
    ("BIND_ADDRESS", "127.0.0.1"), ("BIND_ADDRESS", "[::]"), ("BIND_ADDRESS", "[::1]"), ("IDLE_TIMEOUT", "0"),
    ("SAGE_IMAGE", "registry.example.edu:5000/math/sage:10.8"), ("SAGE_IMAGE", "sage@sha256:" + "0a" * 32),
    ("SAGE_EXTRA_PIP", "pandas seaborn[stats]>=0.13,<1 zope.interface==7.*"), ("SAGE_EXTRA_APT", "g++ libc6-dev"),
    ("VOLUME_PREFIX", "lab.2_user-"), ("APT_MIRROR", "http://10.0.0.7/debian"), ("ADMIN_USERS", "Ada,李雷"),
    ("DATABASE_URL", "postgresql+psycopg://hub:secret@db/hub"),
    ("AZUREAD_TENANT", "0000AAAA-11bb-cccc-dd22-eeeeee333333"),
    ("GROUPS_CLAIM", "https://example.edu/groups"), ("LOGIN_SERVICE", "学校 / Our school"),
    ("LDAP_BIND_DN", "{username}@example.edu"), ("LDAP_BIND_DN", "uid={username},ou=people,dc=example,dc=edu"),
    ("STACK_TITLE", "数学 & <Sage>"), ("STACK_LOGO", "/srv/our lab/logo.webp"), ("ANNOUNCEMENT", "号" * 300),
    ("CILOGON_IDPS", "urn:mace:example.edu https://idp.example.edu/"), ("GOOGLE_DOMAINS", "example.edu"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_a_good_value_is_taken_as_it_is(key: str, value: str) -> None:
    assert settings(**{key: value})[key] == value


def test_a_missing_or_empty_setting_means_its_default() -> None:
    assert dict(settings(MEM_LIMIT="", DOMAIN="")) == {setting.key: setting.default for setting in TABLE} | SECRETS


def test_admins_are_normalised_and_keep_their_order() -> None:
    assert settings(ADMIN_USERS="Bob,ada").admins == ["bob", "ada"]
    assert settings().admins == []


def test_memory_is_counted_as_jupyterhub_counts_it() -> None:
    from jupyterhub.traitlets import ByteSpecification

    for text in ("500M", "1.5G", "131072K", "2T"):
        assert memory_bytes(text) == ByteSpecification().validate(None, text)


@pytest.mark.parametrize(
    ("stored", "url"),
    [
        ({}, "https://localhost/"),
        ({"HTTPS_PORT": "8443"}, "https://localhost:8443/"),
        ({"TLS": "off"}, "http://localhost/"),
        ({"TLS": "off", "HTTP_PORT": "8080", "DOMAIN": "a.edu"}, "http://a.edu:8080/"),
    ],
)
def test_the_url_is_what_users_type(stored: dict[str, str], url: str) -> None:
    assert settings(**stored).url == url


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("MEMLIMIT", "did you mean MEM_LIMIT?"),
        ("mem_limit", "did you mean MEM_LIMIT?"),
        ("HTTPPORT", "did you mean HTTP_PORT?"),
        ("ADMINS", "did you mean ADMIN_USERS?"),
        ("XYZZY", "see .env.example for all settings"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_one(key: str, hint: str) -> None:
    [problem] = refusal(**{key: "1"}).problems
    assert (problem.message, problem.hint) == (f"{key} is not a setting", hint)


def test_composes_own_variables_are_nobodys_business() -> None:
    assert settings(COMPOSE_PROJECT_NAME="x", COMPOSE_PARALLEL_LIMIT="1")["STACK_NAME"] == "stackgen"


def test_settings_that_contradict_one_another_are_refused() -> None:
    assert [problem.message for problem in refusal(TLS="files").problems] == [
        "TLS=files needs TLS_CERT", "TLS=files needs TLS_KEY",
    ]  # fmt: skip
    [problem] = refusal(TLS="files", TLS_CERT="/c.pem").problems
    assert (problem.message, problem.hint) == (
        "TLS=files needs TLS_KEY", "set TLS_KEY in .env to the absolute path of a PEM file",
    )  # fmt: skip
    [problem] = refusal(HTTP_PORT="8080", HTTPS_PORT="8080").problems
    assert problem.message == "HTTP_PORT and HTTPS_PORT are both 8080"
    assert settings(TLS="off", HTTP_PORT="443")["HTTP_PORT"] == "443"
    [problem] = refusal(SAGE_IMAGE="sage:10.8", SAGE_EXTRA_APT="gcc").problems
    assert problem.message == "SAGE_EXTRA_APT has no effect with SAGE_IMAGE, which is not built here"


@pytest.mark.parametrize(
    ("stored", "refused"),
    [
        ({}, "DOMAIN=localhost"),
        ({"DOMAIN": "10.0.0.7"}, "DOMAIN=10.0.0.7"),
        ({"DOMAIN": "math"}, "DOMAIN=math"),
        ({"DOMAIN": "math.example.edu", "DOMAIN_ALIASES": "www.example.edu,10.0.0.7"}, "DOMAIN_ALIASES=10.0.0.7"),
        ({"DOMAIN": "math.example.edu", "DOMAIN_ALIASES": "2001:db8::7"}, "DOMAIN_ALIASES=2001:db8::7"),
    ],
)
def test_a_name_that_no_public_authority_certifies_is_refused(stored: dict[str, str], refused: str) -> None:
    """It would be known after minutes of failures otherwise; an authority of one's own may certify it."""
    [problem] = refusal(TLS="acme", **stored).problems
    assert problem.message == f"TLS=acme: Let's Encrypt does not certify {refused}"
    own = settings(TLS="acme", ACME_SERVER="https://acme.example.edu/directory", **stored)
    assert own.services == ("nginx", "certbot", "sage", "hub")
    assert settings(**stored).services == ("nginx", "sage", "hub")


def test_staging_is_no_other_authoritys() -> None:
    [problem] = refusal(
        TLS="acme", DOMAIN="a.edu", ACME_STAGING="true", ACME_SERVER="https://acme.example.edu/directory"
    ).problems
    assert problem.message == "ACME_STAGING is Let's Encrypt's, and ACME_SERVER is another"


def test_a_missing_secret_says_how_to_get_one() -> None:
    with pytest.raises(StackgenError, match=r"^PROXY_TOKEN is missing; HUB_API_TOKEN is missing; CRYPT") as refused:
        Settings({})
    assert refused.value.problems[0].hint == "run `stackgen init` again: it makes what is missing"


def test_everything_wrong_is_said_at_once_and_no_secret_with_it(tmp_path: Path) -> None:
    """Through the command line, as the operator who edited .env in a hurry meets it."""
    (tmp_path / ".env").write_text(
        f"DOMAIN=https://a.edu\nMEMLIMIT=1G\nMEM_LIMIT=500MB\nPROXY_TOKEN={TOKEN[:20]}\nHUB_API_TOKEN='{TOKEN} '\n"
        "DATABASE_URL=hunter2\n"
    )
    for command in ("render", "url", "status", "up"):
        done = stackgen(command, "-C", tmp_path)
        assert done.returncode == SETTINGS
        found = problems(done.stderr)
        said = [re.split("[ :=]", message)[0] for message, _ in found]
        assert said == ["MEMLIMIT", "DOMAIN", "MEM_LIMIT", "DATABASE_URL", "PROXY_TOKEN", "HUB_API_TOKEN", "CRYPT_KEY"]
        assert all(hint for _, hint in found)
        assert done.stdout == ""
        assert not any(secret in done.stderr for secret in (TOKEN[:20], "hunter2"))


def test_the_files_that_describe_every_setting_are_current() -> None:
    """If this fails: write them anew with stackgen.reference.env_example() and settings_page()."""
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == settings_page()


def test_each_example_line_is_the_default_and_may_be_uncommented() -> None:
    lines = [line[1:] for line in env_example().splitlines() if re.match(r"#[A-Z]", line)]
    assert [line.partition("=")[0] for line in lines] == [setting.key for setting in TABLE]
    for line, setting in zip(lines, TABLE, strict=True):
        if not setting.generated:
            assert envfile.parse(line) == {setting.key: setting.default}
            assert settings(**envfile.parse(line)) == settings()
    assert envfile.parse(env_example()) == {}


def test_the_settings_page_has_a_row_for_each_setting() -> None:
    rows = [line for line in settings_page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(TABLE)
    assert all(len(re.split(r"(?<!\\)\|", row)) == 5 for row in rows), "a cell must not hold a bare |"


values = st.one_of(
    *[st.sampled_from([value for key, value in GOOD if key == setting.key] or [setting.default]) for setting in TABLE],
    st.sampled_from([value for _, value, _ in BAD]),
    st.text(max_size=15),
    st.text(alphabet="az09-_.:/{}#'\"$%,&*[]!|> \n", max_size=15),
)


@hypothesis_settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from([setting.key for setting in TABLE if not setting.generated]), values, max_size=4)
)
def test_settings_are_refused_or_give_a_compose_file(stored: dict[str, str]) -> None:
    try:
        accepted = settings(**stored)
    except StackgenError as error:
        assert error.exit_code == SETTINGS
        assert all(problem.message and problem.hint for problem in error.problems)
        return
    compose = yaml.safe_load(render(accepted, PurePath("/srv/stack"))["compose.yaml"])
    assert list(compose["services"]) == list(dict.fromkeys((*accepted.services, "backup")))
