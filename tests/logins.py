"""The stack of a test with another login, for as long as the test needs it."""

from collections.abc import Iterator
from contextlib import contextmanager

from stackgen import envfile
from tests.conftest import RunningStack, stackgen
from tests.providers import Authority, Ldap, Oidc, Piculator
from tests.providers.oauth import OAuthProvider

STUDENTS = {"ALLOWED_GROUPS": "students", "ADMIN_GROUPS": "staff"}  # who comes in, and who is an admin
REFRESH_SECONDS = 2  # how soon a test sees what changed at the provider; JupyterHub's default is five minutes


@contextmanager
def login(stack: RunningStack, authority: Authority | None = None, **settings: str) -> Iterator[None]:
    """Bring the stack up with these settings; afterwards it is as it was, but for the people it got to know.

    The hub trusts `authority`, as an operator tells it to in compose.override.yaml.
    """
    env, override = stack.directory / ".env", stack.directory / "compose.override.yaml"
    pem, drop_in = stack.directory / "hub/authority.pem", stack.directory / "hub/config.d/90-refresh.py"
    before, override_before = env.read_text(), override.read_text()
    try:
        envfile.write(env, envfile.updated(before, settings))
        if authority:
            pem.write_bytes(authority.pem.read_bytes())
            override.write_text(
                "services: { hub: { environment: { SSL_CERT_FILE: /etc/jupyterhub/authority.pem } } }\n"
            )
        drop_in.write_text(f"c.Authenticator.auth_refresh_age = {REFRESH_SECONDS}\n")
        up(stack)
        yield
    finally:
        env.write_text(before)
        override.write_text(override_before)
        pem.unlink(missing_ok=True)
        drop_in.unlink(missing_ok=True)
        up(stack)


def up(stack: RunningStack) -> None:
    """`stackgen up`, which must work."""
    done = stackgen("up", "-C", stack.directory)
    assert done.returncode == 0, done.stderr[-3000:]


def callback(stack: RunningStack) -> tuple[str, str]:
    """What the operator registers at a provider: where it sends people after a login, and after a logout."""
    return f"{stack.front.url}/hub/oauth_callback", f"{stack.front.url}/hub/login"


def client(provider: OAuthProvider) -> dict[str, str]:
    """The settings of the hub as a client of this provider."""
    return {"OAUTH_CLIENT_ID": provider.client_id, "OAUTH_CLIENT_SECRET": provider.client_secret}


def piculator(provider: Piculator) -> dict[str, str]:
    """AUTH=piculator for students, with staff as admins."""
    return {
        "AUTH": "piculator",
        "PICULATOR_URL": provider.url,
        **STUDENTS,
        **client(provider),
    }


def oidc(provider: Oidc) -> dict[str, str]:
    """AUTH=oidc for students, with staff as admins."""
    return {
        "AUTH": "oidc",
        "OIDC_ISSUER": provider.url,
        "OAUTH_SCOPES": "openid profile email groups",
        **STUDENTS,
        **client(provider),
    }


def ldap(provider: Ldap) -> dict[str, str]:
    """AUTH=ldap for students."""
    return {
        "AUTH": "ldap",
        "LDAP_SERVER": provider.host,
        "LDAP_BIND_DN": provider.bind_dn,
        "ALLOWED_GROUPS": provider.group_dn("students"),
    }
