"""What an operator does with a running stack."""

import json
import secrets
import ssl
import subprocess
from pathlib import Path

import pytest
import requests

from stackgen.errors import StackgenError
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker, stackgen


def can_sign_in(stack: RunningStack, name: str, password: str) -> bool:
    try:
        Browser(stack.front, name).sign_in(password)
    except StackgenError:
        return False
    return True


def is_admin(stack: RunningStack, name: str) -> bool:
    return next(user.admin for user in stack.hub.users() if user.name == name)


def test_compose_alone_brought_everything_up_healthy(stack: RunningStack) -> None:
    """The hub started only after the Sage image had computed; both services come back by themselves."""
    answer = json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)
    assert answer["services"] == {"nginx": "healthy", "sage": "proved", "hub": "healthy"}
    proof = stack.compose("logs", "--no-log-prefix", "sage")
    assert "ok     factor(2^64-1)" in proof
    assert "SageMath computes" in proof
    for service in ("nginx", "hub"):
        container = stack.compose("ps", "-q", service)
        assert docker("inspect", container, "--format", "{{.HostConfig.RestartPolicy.Name}}") == "always"


def test_a_second_up_changes_nothing(stack: RunningStack) -> None:
    """The Sage image has proved itself already, and is not asked to do so again."""
    before, proof = stack.compose("ps", "-q"), stack.compose("logs", "sage")
    done = stackgen("up", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout == stack.settings.url + "\n"
    assert stack.compose("ps", "-q") == before
    assert stack.compose("logs", "sage") == proof


def test_add_admin_works_at_once_while_the_stack_is_up(stack: RunningStack) -> None:
    hub = stack.compose("ps", "-q", "hub")
    started = docker("inspect", hub, "--format", "{{.State.StartedAt}}")
    done = stackgen("add-admin", "Grace", "--password-stdin", "-C", stack.directory, stdin="correct horse 7\n")
    assert done.returncode == 0, done.stderr
    assert is_admin(stack, "grace")
    assert can_sign_in(stack, "grace", "correct horse 7")
    assert "grace" in stack.settings.admins
    assert docker("inspect", hub, "--format", "{{.State.StartedAt}}") == started
    # again, without a password: nothing changes, and none is asked for
    again = stackgen("add-admin", "grace", "-C", stack.directory)
    assert again.returncode == 0, again.stderr
    assert "the password is as it was" in again.stderr
    assert can_sign_in(stack, "grace", "correct horse 7")
    assert stack.settings.admins.count("grace") == 1


def test_add_admin_makes_a_password_on_request(stack: RunningStack) -> None:
    first = stackgen("add-admin", "mary", "--generate", "-C", stack.directory).stdout.strip()
    second = stackgen("add-admin", "mary", "--generate", "-C", stack.directory).stdout.strip()
    assert first != second
    assert not can_sign_in(stack, "mary", first)
    assert can_sign_in(stack, "mary", second)


@pytest.mark.parametrize("password", ["", "short", "x" * 73, "tab\tulator"])
def test_add_admin_refuses_a_password_that_will_not_do(stack: RunningStack, password: str) -> None:
    done = stackgen("add-admin", "newcomer", "--password-stdin", "-C", stack.directory, stdin=password + "\n")
    assert done.returncode == 2
    assert "error: the password" in done.stderr
    assert "newcomer" not in stack.settings.admins


def test_an_existing_user_can_be_made_an_admin_and_keeps_the_password(stack: RunningStack) -> None:
    password = stack.user("promoted")
    assert can_sign_in(stack, "promoted", password)
    assert not is_admin(stack, "promoted")
    assert stackgen("add-admin", "promoted", "-C", stack.directory).returncode == 0
    assert is_admin(stack, "promoted")
    assert can_sign_in(stack, "promoted", password)


def test_remove_admin_takes_the_rights_at_once_and_for_good(stack: RunningStack) -> None:
    """Account and password stay."""
    password = stack.user("barbara")
    assert stackgen("add-admin", "barbara", "-C", stack.directory).returncode == 0
    browser = Browser(stack.front, "barbara")
    browser.sign_in(password)
    assert browser.hub_api("GET", "/users").ok
    done = stackgen("remove-admin", "Barbara", "-C", stack.directory)
    assert done.returncode == 0, done.stderr
    assert browser.hub_api("GET", "/users").status_code == 403
    stack.compose("restart", "hub")
    stack.compose("up", "-d", "--wait")
    assert not is_admin(stack, "barbara")
    assert "barbara" not in stack.settings.admins
    assert can_sign_in(stack, "barbara", password)


def test_admins_come_and_go_while_the_stack_is_down(stack: RunningStack) -> None:
    former = stack.user("niklaus")
    assert stackgen("add-admin", "niklaus", "-C", stack.directory).returncode == 0
    assert stackgen("down", "-C", stack.directory).returncode == 0
    try:
        gone = stackgen("remove-admin", "niklaus", "-C", stack.directory)
        assert gone.returncode == 0, gone.stderr
        done = stackgen("add-admin", "edsger", "--password-stdin", "-C", stack.directory, stdin="go to is bad\n")
        assert done.returncode == 0, done.stderr
        again = stackgen("add-admin", "edsger", "-C", stack.directory)
        assert "the password is as it was" in again.stderr
        status = stackgen("status", "-C", stack.directory)
        assert status.returncode == 1
        assert "missing" in status.stdout
    finally:
        stack.compose("up", "-d", "--wait")
    assert is_admin(stack, "edsger")
    assert can_sign_in(stack, "edsger", "go to is bad")
    assert not is_admin(stack, "niklaus")
    assert "niklaus" not in stack.settings.admins
    assert can_sign_in(stack, "niklaus", former)


def test_no_stranger_becomes_an_admin_by_choosing_an_admins_name(stack: RunningStack) -> None:
    """A name in ADMIN_USERS that has no password yet cannot be taken: not by sign-up, not by any password."""
    name = "nobody-yet"
    stack.hub.make_admin(name)
    session = stack.front.session()
    assert session.get(f"{stack.front.url}/hub/signup", timeout=30).status_code == 404
    session.get(f"{stack.front.url}/hub/login", timeout=30)
    xsrf = session.cookies.get("_xsrf", path="/hub/")
    form = {"username": name, "signup_password": "stranger 123", "signup_password_confirmation": "stranger 123"}
    answer = session.post(f"{stack.front.url}/hub/signup", data={**form, "_xsrf": xsrf}, timeout=30)
    assert answer.status_code == 404
    assert not stack.hub.has_account(name)
    for password in ("", "stranger 123", name):
        assert not can_sign_in(stack, name, password)


def test_people_can_be_changed_only_with_an_admins_token(stack: RunningStack) -> None:
    stack.user("curious")
    url = f"{stack.front.url}/hub/api/people"
    visitor = stack.front.session()
    user = Browser(stack.front, "curious")
    user.sign_in(stack.user("curious"))
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/ada"), ("PATCH", "/ada"), ("DELETE", "/ada")):
        assert visitor.request(method, url + path, json={"password": "stolen 1234"}, timeout=30).status_code == 403
        assert user.hub_api(method, f"/people{path}", json={"password": "stolen 1234"}).status_code == 403
    assert can_sign_in(stack, "ada", stack.password)


def test_whoever_may_manage_people_can_neither_become_nor_change_an_admin(stack: RunningStack) -> None:
    """A role with admin:users is for a helper, whom JupyterHub's own API gives no more either."""
    drop_in = stack.directory / "hub/config.d/60-helper.py"
    role = {"name": "helper", "scopes": ["admin:users"], "users": ["helper"]}
    drop_in.write_text(f"c.JupyterHub.load_roles.append({role})\n")
    try:
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")
        helper = Browser(stack.front, "helper")
        helper.sign_in(stack.user("helper"))
        stack.hub.make_admin("not-come-yet")
        assert helper.hub_api("PATCH", "/people/pupil", json={"password": "a first one"}).ok
        assert can_sign_in(stack, "pupil", "a first one")
        for method, path, body in (
            ("PATCH", "/people/helper", {"admin": True}),
            ("PATCH", "/people/pupil", {"admin": True}),
            ("PATCH", "/people/ada", {"password": "stolen 1234"}),
            ("PATCH", "/people/ada", {"rule": "block"}),
            ("PATCH", "/people/ADA", {"admin": False}),
            ("PATCH", "/people/not-come-yet", {"password": "stolen 1234"}),
            ("POST", "/people", {"people": [{"name": "not-come-yet", "password": "stolen 1234"}]}),
            ("DELETE", "/people/ada", None),
            ("PUT", "/admins", ["helper"]),
            ("PUT", "/admins", []),
        ):
            answer = helper.hub_api(method, path, json=body)
            assert answer.status_code == 403, (method, path, body)
            assert "only admins" in answer.text
        assert is_admin(stack, "ada")
        assert can_sign_in(stack, "ada", stack.password)
        assert not is_admin(stack, "helper")
        assert not is_admin(stack, "pupil")
        assert not stack.hub.has_account("not-come-yet")
        assert helper.hub_api("DELETE", "/people/pupil").ok
    finally:
        drop_in.unlink()
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")


def test_the_culler_may_do_no_more_than_it_needs(stack: RunningStack) -> None:
    roles = stack.hub.session.get(f"{stack.front.url}/hub/api/services/idle-culler", timeout=30).json()
    assert roles["roles"] == ["idle-culler"]
    assert not roles["admin"]


def test_an_operators_drop_in_takes_effect_and_is_kept(stack: RunningStack) -> None:
    drop_in = stack.directory / "hub/config.d/50-title.py"
    drop_in.write_text('c.JupyterHub.template_vars = {"announcement": "Exam on Friday"}\n')
    try:
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")
        page = stack.front.session().get(f"{stack.front.url}/hub/login", timeout=30).text
        assert "Exam on Friday" in page
        assert stackgen("render", "-C", stack.directory).returncode == 0
        assert drop_in.exists()
    finally:
        drop_in.unlink()
        stack.compose("restart", "hub")
        stack.compose("up", "-d", "--wait")


def test_changed_settings_take_effect_by_render_and_up(stack: RunningStack) -> None:
    """Plain HTTP, as behind another proxy; another image for users, not built; Notebook 7 in Chinese; idle servers
    stopped."""
    env = stack.directory / ".env"
    before = env.read_text()
    image = f"{stack.name}/another:1.0"
    docker("tag", f"{stack.name}/sage", image)
    changed = {"TLS": "off", "SAGE_IMAGE": image, "MEM_LIMIT": "600M", "UI": "notebook", "STACK_LANGUAGE": "zh"}
    env.write_text(before + "".join(f"{key}={value}\n" for key, value in changed.items()) + "IDLE_TIMEOUT=30\n")
    try:
        shown = stackgen("render", "--check", "-C", stack.directory)
        assert shown.returncode == 3
        assert "nginx/nginx.conf" in shown.stdout
        assert stackgen("up", "-C", stack.directory).returncode == 0
        assert stack.settings.url.startswith("http://")
        answer = requests.get(f"http://127.0.0.1:{stack.settings['HTTP_PORT']}/hub/login", timeout=30)
        assert answer.status_code == 200
        password = stack.user("mover")
        browser = Browser(stack.front, "mover")
        browser.sign_in(password)
        browser.start_server()
        assert browser.execute(browser.start_kernel(), "print(2^10)") == "1024"
        assert browser.api("GET", "/").url == f"{browser.server}/tree"
        assert [item["name"] for item in browser.api("GET", "/api/contents/").json()["content"]] == ["欢迎.ipynb"]
        translation = browser.api("GET", "/lab/api/settings/@jupyterlab/translation-extension:plugin").json()
        assert translation["schema"]["properties"]["locale"]["default"] == "zh_CN"
        server = json.loads(docker("inspect", f"{stack.name}-mover"))[0]
        assert server["Config"]["Image"] == image
        assert server["HostConfig"]["Memory"] == 600 * 1024**2
        # nobody touches it any more, so the culler ends it
        subprocess.run(["docker", "wait", f"{stack.name}-mover"], check=True, capture_output=True, timeout=300)
        assert not next(user.running for user in stack.hub.users() if user.name == "mover")
    finally:
        env.write_text(before)
        assert stackgen("up", "-C", stack.directory).returncode == 0
    stack.hub.remove_user("mover")


def test_an_image_that_cannot_compute_is_named_and_users_keep_the_old_one(stack: RunningStack) -> None:
    """Before anything is touched the new image proves itself; while it does not, people work on with the old one."""
    env = stack.directory / ".env"
    before = env.read_text()
    env.write_text(f"{before}SAGE_IMAGE=debian:trixie-slim\n")
    try:
        done = stackgen("up", "-C", stack.directory)
        assert done.returncode == 1
        assert "error: the image debian:trixie-slim cannot compute" in done.stderr
        assert "jupyterhub-singleuser: not found" in done.stderr
        assert stack.front.session().get(f"{stack.front.url}/hub/login", timeout=30).status_code == 200
    finally:
        env.write_text(before)
        assert stackgen("up", "-C", stack.directory).returncode == 0


def test_ones_own_certificate_is_served_and_a_wrong_key_is_found_before_anything_stops(
    stack: RunningStack, tmp_path: Path
) -> None:
    """With TLS=files browsers see the operator's pair; `up` refuses a key of another pair and changes nothing."""
    for name in ("right", "wrong"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "90",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    env = stack.directory / ".env"
    before = env.read_text()
    running = stack.compose("ps", "-q")
    files = f"{before}TLS=files\nTLS_CERT={tmp_path}/right.pem\nTLS_KEY={tmp_path}"
    try:
        env.write_text(f"{files}/wrong.key\n")
        refused = stackgen("up", "-C", stack.directory)
        assert refused.returncode == 4
        assert "the key in TLS_KEY does not belong to the certificate" in refused.stderr
        assert stack.compose("ps", "-q") == running

        env.write_text(f"{files}/right.key\n")
        done = stackgen("up", "-C", stack.directory)
        assert done.returncode == 0, done.stderr
        served = ssl.get_server_certificate(("127.0.0.1", int(stack.settings["HTTPS_PORT"])))
        assert served.split() == (tmp_path / "right.pem").read_text().split()
        smoke = stackgen("smoke", "-C", stack.directory)
        assert smoke.returncode == 0, smoke.stderr
    finally:
        env.write_text(before)
        assert stackgen("up", "-C", stack.directory).returncode == 0


def test_a_second_stack_with_the_same_name_is_refused(stack: RunningStack, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert stackgen("init", other, "--set", f"STACK_NAME={stack.name}").returncode == 0
    before = stack.compose("ps", "-q")
    done = stackgen("up", "-C", other)
    assert done.returncode == 4
    assert f"there is another stack with the name {stack.name}, in {stack.directory}" in done.stderr
    assert stack.compose("ps", "-q") == before


def test_a_stack_whose_users_would_share_volumes_is_refused(stack: RunningStack, tmp_path: Path) -> None:
    other = tmp_path / "other"
    prefix = stack.settings["VOLUME_PREFIX"]
    assert stackgen("init", other, "--set", "STACK_NAME=other", "--set", f"VOLUME_PREFIX={prefix}").returncode == 0
    done = stackgen("up", "-C", other)
    assert done.returncode == 4
    assert "users would share them" in done.stderr


def test_no_secret_is_in_a_log_or_an_argument(stack: RunningStack) -> None:
    secret = secrets.token_urlsafe(12)
    done = stackgen("-v", "add-admin", "ada", "--password-stdin", "-C", stack.directory, stdin=secret + "\n")
    stack.password = secret
    assert can_sign_in(stack, "ada", secret)
    needles = [secret, stack.settings["PROXY_TOKEN"], stack.settings["HUB_API_TOKEN"]]
    logs = stack.compose("logs")
    arguments = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    for needle in needles:
        assert needle not in logs
        assert needle not in arguments
        assert needle not in done.stderr + done.stdout


def test_logs_and_url_are_thin_wrappers(stack: RunningStack) -> None:
    assert stackgen("url", "-C", stack.directory).stdout == stack.settings.url + "\n"
    assert "JupyterHub is now running" in stackgen("logs", "hub", "--tail", "all", "-C", stack.directory).stdout
