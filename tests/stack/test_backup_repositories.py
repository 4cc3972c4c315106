"""Backups on other machines, each with the server that people have: SFTP, restic's REST server, S3."""

import json
from pathlib import Path

import pytest
from repository_support import backup, init, repository, volume_of

from stackgen import envfile
from tests.conftest import RunningStack, docker, stackgen
from tests.providers import Authority, ObjectStore, RestServer, Sftp, Storage


@pytest.mark.parametrize("kind", [Sftp, RestServer, ObjectStore])
def test_what_is_kept_on_another_machine_can_be_restored(
    kind: type[Storage], stack: RunningStack, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with repository(stack, authority.pem), kind(stack.name, authority) as storage, volume_of(stack, "bob"):
        before = (stack.directory / ".env").read_text()
        code, said = init(stack, storage.settings | storage.wrong)
        assert code == 5, said
        assert "refuses: " in said or "cannot be reached: " in said
        assert all(key in said for key in storage.wrong)
        assert (stack.directory / ".env").read_text() == before

        code, said = init(stack, storage.settings)
        assert code == 0, said
        made, said = backup(stack, "run")
        assert made["problems"] == []
        report, _ = backup(stack, "check", "--restore")
        [bob] = [part for part in report["restored"] if part["owner"] == "bob"]
        assert (bob["files"], bob["unchanged"], bob["problems"]) == (4, 3, [])
        # neither the server nor anybody who can read what it keeps learns anything
        for secret in ("a theorem", stack.settings["HUB_API_TOKEN"], stack.settings["BACKUP_PASSWORD"]):
            found = storage.exec("sh", "-c", 'grep -rlFe "$0" "$1" || true', secret, storage.folder)
            assert found == ""


def test_a_server_that_is_down_is_said_and_remembered(stack: RunningStack, tmp_path: Path) -> None:
    """A backup that was made is not forgotten over one that was not."""
    key = tmp_path / "key"
    key.write_text("no key")
    settings = {
        "BACKUP_REPOSITORY": "sftp:keeper@nowhere.test:backups", "BACKUP_PASSWORD": "a password",
        "BACKUP_SSH_KEY": str(key), "BACKUP_SSH_KNOWN_HOSTS": str(key),
    }  # fmt: skip
    with repository(stack):
        env = stack.directory / ".env"
        envfile.write(env, envfile.updated(env.read_text(), settings))
        assert stackgen("render", "-C", stack.directory).returncode == 0
        status = json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)["backup"]
        assert status["warnings"] == ["there was no complete backup yet: stackgen backup run"]
        _, said = backup(stack, "run", code=1)
        assert "error: BACKUP_REPOSITORY=sftp:keeper@nowhere.test:backups cannot be reached: " in said
        assert "nowhere.test" in said.partition("reached: ")[2]
        status = json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)["backup"]
        assert "the last backup failed" in status["warnings"][1]
        last = {"complete": "2026-11-01T03:30:00+00:00", "problems": [], "repository": settings["BACKUP_REPOSITORY"]}
        (stack.directory / ".stackgen/backup/last.json").write_text(json.dumps(last))
        shown = stackgen("status", "-C", stack.directory).stdout
        assert "last complete backup: 2026-11-01 03:30 UTC\nwarning: the last complete backup is" in shown
        # what another repository holds is no comfort
        (stack.directory / ".stackgen/backup/last.json").write_text(json.dumps(last | {"repository": "/mnt/old"}))
        assert "there was no complete backup yet" in stackgen("status", "-C", stack.directory).stdout


def test_a_stack_without_backups_says_so(stack: RunningStack) -> None:
    answer = json.loads(stackgen("status", "--json", "-C", stack.directory).stdout)
    assert answer["backup"]["warnings"] == ["there are no backups: stackgen backup init"]
    assert "warning: there are no backups" in stackgen("status", "-C", stack.directory).stdout
    assert docker("ps", "-aq", "--filter", "label=com.docker.compose.service=backup",
                  "--filter", f"label=com.docker.compose.project={stack.name}") == ""  # fmt: skip
