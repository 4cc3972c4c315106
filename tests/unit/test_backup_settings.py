"""The settings of backups: what each may be, what they need of one another, and the service that they make."""

from pathlib import PurePath
from typing import Any

import pytest
import yaml
from unit_support import settings

from stackgen.errors import SETTINGS, StackgenError
from stackgen.render import render

S3 = {"BACKUP_REPOSITORY": "s3:https://s3.example.edu/bucket", "BACKUP_S3_KEY_ID": "AKIA", "BACKUP_S3_SECRET": "word"}
SFTP = {
    "BACKUP_REPOSITORY": "sftp:keeper@backup.example.edu:/srv/backup",
    "BACKUP_SSH_KEY": "/root/id_ed25519", "BACKUP_SSH_KNOWN_HOSTS": "/etc/ssh/ssh_known_hosts",
}  # fmt: skip


def service(**stored: str) -> dict[str, Any]:
    """The service `backup` of a stack with these settings."""
    text = render(settings(**stored), PurePath("/srv/stack"))["compose.yaml"]
    return dict(yaml.safe_load(text)["services"]["backup"])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("BACKUP_REPOSITORY", "backups", "must be an absolute path"),
        ("BACKUP_REPOSITORY", "/", "must be a folder of its own"),
        ("BACKUP_REPOSITORY", "/srv/../etc", "must be a folder of its own, without .."),
        ("BACKUP_REPOSITORY", "b2:bucket", "must be an absolute path, or begin with sftp:, s3: or rest:"),
        ("BACKUP_REPOSITORY", "sftp:backup.example.edu", "must be such as sftp:user@backup.example.edu:/srv/backup"),
        ("BACKUP_REPOSITORY", "sftp:-oProxyCommand=x:/srv", "must be such as sftp:user@backup.example.edu:/srv"),
        ("BACKUP_REPOSITORY", "rest:ftp://backup.example.edu/", "must be a URL that begins with http:// or https://"),
        ("BACKUP_REPOSITORY", "rest:https://ada:word@backup.example.edu/", "must not hold a password"),
        ("BACKUP_REPOSITORY", "s3:https://s3.example.edu", "must name a bucket"),
        ("BACKUP_KEEP", "daily", "must be such as daily=7,weekly=5,monthly=12"),
        ("BACKUP_KEEP", "daily=0", "must be such as"),
        ("BACKUP_KEEP", "daily=7,daily=8", "each once"),
        ("BACKUP_SCHEDULE", "24:00", "must be a time of the day such as 03:30"),
        ("BACKUP_SSH_KEY", "id_ed25519", "must be an absolute path"),
        ("DOCKER_VOLUMES", "volumes", "must be an absolute path"),
    ],
)
def test_a_bad_value_is_refused_with_the_reason(key: str, value: str, said: str) -> None:
    with pytest.raises(StackgenError, match=said) as refused:
        settings(**{key: value})
    assert refused.value.exit_code == SETTINGS
    assert key in str(refused.value)


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/mnt/usb disk/backup", "local"), ("sftp:keeper@backup.example.edu:/srv/backup", "sftp"),
        ("sftp:backup:stacks", "sftp"), ("sftp://keeper@[2001:db8::7]:2222//srv/backup", "sftp"),
        ("s3:s3.amazonaws.com/bucket/stack", "s3"), ("s3:http://10.0.0.7:9000/bucket", "s3"),
        ("rest:https://backup.example.edu:8000/keeper/", "rest"), ("", ""),
    ],
)  # fmt: skip
def test_the_kind_of_a_repository_is_seen_by_its_name(place: str, kind: str) -> None:
    needs = {"sftp": SFTP, "s3": S3}.get(kind, {})
    assert settings(**needs | {"BACKUP_REPOSITORY": place}).repository_kind == kind


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({key: value for key, value in S3.items() if key != "BACKUP_S3_SECRET"}, "needs BACKUP_S3_SECRET"),
        ({key: value for key, value in SFTP.items() if key != "BACKUP_SSH_KEY"}, "needs BACKUP_SSH_KEY"),
        ({"BACKUP_REPOSITORY": "rest:https://b.edu/", "BACKUP_REST_USER": "ada"}, "BACKUP_REST_PASSWORD go together"),
        ({"BACKUP_SCHEDULE": "03:30"}, "BACKUP_SCHEDULE needs BACKUP_REPOSITORY"),
    ],
)
def test_what_a_repository_needs_is_said(stored: dict[str, str], message: str) -> None:
    with pytest.raises(StackgenError, match=message):
        settings(**stored)


def test_up_starts_the_service_only_with_a_schedule() -> None:
    place = {"BACKUP_REPOSITORY": "/srv/backup"}
    assert service()["profiles"] == service(**place)["profiles"] == ["backup"]
    assert settings(**place).services == ("nginx", "sage", "hub")
    assert settings(**place).built == (*settings().built, "backup")
    assert "profiles" not in service(BACKUP_SCHEDULE="03:30", **place)
    assert settings(BACKUP_SCHEDULE="03:30", **place).services == ("nginx", "sage", "hub", "backup")


def test_the_container_can_do_no_more_than_it_has_to() -> None:
    """It reads volumes and the stack directory, and reaches the network only where what it needs is there."""
    local = service(BACKUP_REPOSITORY="/srv/backup", TLS="files", TLS_CERT="/c.pem", TLS_KEY="/k.pem")
    assert (local["cap_drop"], local["cap_add"]) == (["ALL"], ["DAC_OVERRIDE"])
    assert local["network_mode"] == "none"
    mounts = {volume["target"]: volume for volume in local["volumes"] if isinstance(volume, dict)}
    assert mounts["/volumes"]["read_only"] and ".:/stack:ro" in local["volumes"]
    assert mounts["/operator/TLS_KEY"]["read_only"]
    assert not any("docker.sock" in str(volume) for volume in local["volumes"])
    assert local["environment"]["RESTIC_REPOSITORY"] == "/repository"
    for remote in (service(**S3), service(DATABASE_URL="postgresql://hub:word@db/hub")):
        assert remote["networks"] == ["backend", "outside"]
    assert "/operator/BACKUP_SSH_KEY" in str(service(**SFTP)["volumes"])
    assert "/repository" not in str(service(**S3)["volumes"])
