"""`list` and `files`: which snapshots there are, and what is in one."""

from stackgen_backup import manifest, restic
from stackgen_backup.report import BackupError, result


def snapshots(user: str = "") -> int:
    """The stack's snapshots, the oldest first; with a user those that hold a volume of that one, and its size."""
    found = []
    for item in restic.snapshots():
        summary = item.get("summary", {})
        entry = {
            "id": item["id"],
            "time": item["time"],
            "files": summary.get("total_files_processed"),
            "bytes": summary.get("total_bytes_processed"),
            "added": summary.get("data_added_packed"),
        }
        if user:
            volume = manifest.volume_of(manifest.read(item["id"]), user)
            if not volume:
                continue
            inside = list(restic.nodes(item["id"], f"/volumes/{volume}/_data", recursive=True))
            files = [node for node in inside if node["type"] == "file"]
            entry |= {"volume": volume, "files": len(files), "bytes": sum(node.get("size", 0) for node in files)}
            del entry["added"]
        found.append(entry)
    result(found)
    return 0


def files(wanted: str, user: str, path: str) -> int:
    """What a folder of a user's volume held, or one file. Raises BackupError if it is not there."""
    snapshot = restic.snapshot(wanted)["id"]
    volume = manifest.volume_of(manifest.read(snapshot), user)
    if not volume:
        raise BackupError(f"the snapshot {snapshot[:8]} has no volume of the user {user}", "see: stackgen backup list")
    root = f"/volumes/{volume}/_data"
    whole = "/".join(part for part in (root, *path.split("/")) if part)
    found = list(restic.nodes(snapshot, whole))
    if not found:
        raise BackupError(
            f"the snapshot {snapshot[:8]} has no {path} in the volume of {user}",
            f"see: stackgen backup list --files --user {user}",
        )
    inside = [node for node in found if node["path"] != whole] if found[0]["type"] == "dir" else found
    result(
        [
            {
                "path": node["path"].removeprefix(f"{root}/"),
                "type": node["type"],
                "bytes": node.get("size", 0),
                "modified": node["mtime"],
            }
            for node in inside
        ]
    )
    return 0
