"""Course material: published once, read by everybody, written by admins, replaced while servers run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from volume_support import in_volume, volume_of

from stackgen import people
from stackgen.engine import Engine
from stackgen.smoke import Browser
from tests.conftest import RunningStack, docker, stackgen

SHARED = "/home/sage/notebooks/shared"


@contextmanager
def server(stack: RunningStack, name: str, password: str) -> Iterator[str]:
    """The container of a user's server, while it runs."""
    browser = Browser(stack.front, name)
    browser.sign_in(password)
    browser.start_server()
    yield stack.container(name)
    browser.hub_api("DELETE", f"/users/{name}/server")


def test_course_material_is_everybodys_to_read_and_the_admins_to_write(stack: RunningStack, tmp_path: Path) -> None:
    course, volume = tmp_path / "course", volume_of(stack, "pupil")
    (course / "week1").mkdir(parents=True)
    (course / "week1/任务.ipynb").write_text("one")
    (course / "data.csv").write_text("1")

    def publish(*arguments: str, code: int = 0) -> str:
        done = stackgen("publish", *arguments, "-C", stack.directory)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    # nothing of a user's own is ever hidden
    pupil = stack.user("pupil")
    in_volume(stack, volume, "mkdir shared; touch shared/mine; chown -R 1000:1000 .")
    refused = publish(str(course), code=3)
    assert "pupil has files of their own under the name shared" in refused
    assert "SHARED_FOLDER=" in refused
    assert not docker("volume", "ls", "-q", "--filter", f"name=^{stack.name}-shared$")
    in_volume(stack, volume, "mv shared own")
    (course / "secret").symlink_to("/etc/passwd")
    assert "links to places outside" in publish(str(course), code=1)
    (course / "secret").unlink()

    with server(stack, "pupil", pupil) as early:
        assert "pupil has it from the next start of the server on" in publish(str(course))
        docker("exec", early, "sh", "-c", f"! test -e {SHARED}")
    with server(stack, "pupil", pupil) as reader, server(stack, stack.admin, stack.password) as writer:
        assert docker("exec", reader, "cat", f"{SHARED}/week1/任务.ipynb") == "one"
        docker("exec", reader, "sh", "-c", f"! touch {SHARED}/new && ! rm -f {SHARED}/data.csv && touch ~/notebooks/x")
        docker("exec", writer, "sh", "-c", f"echo by hand > {SHARED}/data.csv && touch {SHARED}/added")
        # published anew: for servers that run, too, but not over what an admin has written
        (course / "week1/任务.ipynb").write_text("two")
        (course / "data.csv").write_text("2")
        refused = publish(str(course), code=3)
        assert "error: data.csv\n" in refused
        assert docker("exec", reader, "cat", f"{SHARED}/week1/任务.ipynb", f"{SHARED}/data.csv") == "oneby hand"
        publish(str(course), "--replace")
        assert docker("exec", reader, "cat", f"{SHARED}/week1/任务.ipynb", f"{SHARED}/data.csv") == "two2"
        assert "added" in docker("exec", reader, "ls", SHARED)
        assert "pupil has the folder, which is empty now" in publish("--remove", "--yes")
        assert docker("exec", reader, "ls", "-A", SHARED) == ""
    publish("--remove", "--yes")
    assert not docker("volume", "ls", "-q", "--filter", f"name=^{stack.name}-shared$")
    people.remove(stack.settings, Engine(), stack.hub, "pupil", volume=True)
