"""`check`: whether the repository is sound, what is damaged, and what to do about it."""

import json
import re

from stackgen_backup import restic, trial
from stackgen_backup.report import FAILED, BackupError, result, say

SHOWN = 10  # paths named on the terminal
MOST = 500  # blobs looked up by one call of restic
SNAPSHOT = re.compile(r"failed to load snapshot (\w+)")
BLOB = re.compile(r"blob ([0-9a-f]{64}): \w+ blob <(data|tree)/")
TREE = re.compile(r"(error: )?error for tree|\s*(decrypting|read|load)")
ADVICE = re.compile(r"\s*(The repository|restic repair|Damaged pack files)")


def check(read_data: str, *, prove: bool) -> int:
    """Check the repository's structure, and what it holds: all of it (100%), a part, or nothing (empty).

    With `prove` the newest snapshot is restored and compared, too. Prints a report; the exit code.
    """
    report = structure(read_data)
    for error in report["errors"]:
        BackupError(error).show()
    if report["damaged"]:
        say(f"damaged in the newest snapshot: {', '.join(report['damaged'][:SHOWN])}{_more(report['damaged'])}")
    for line in report["advice"]:
        say(f"hint: {line}")
    if not report["errors"]:
        say("the repository is sound" + ("" if read_data else " (what it holds was not read: --read-data)"))
    if prove:
        try:
            report["restored"] = trial.restore()
        except BackupError as error:
            error.show()
            report["errors"].append(str(error))
    result(report)
    damaged = report["errors"] or any(part["problems"] for part in report.get("restored", []))
    return FAILED if damaged else 0


def structure(read_data: str) -> dict:
    """What restic finds: errors in words, the files that cannot be restored, and what to do. Raises BackupError."""
    words = ["--read-data"] if read_data == "100%" else [f"--read-data-subset={read_data}"] if read_data else []
    say("checking the repository" + (f", reading {read_data} of it" if read_data else ""))
    messages, summary = [], {}

    def each(message: dict) -> None:
        match message["message_type"]:
            case "error":
                messages.append(message["message"].strip())
            case "summary":
                summary.update(message)

    code, complaint = restic.examine("check", *words, each=each)
    if not messages and code:
        raise restic.failure(code, complaint)
    packs = summary.get("broken_packs") or []
    return {
        "errors": _errors(messages, packs),
        "damaged": _damaged(messages),
        "advice": _advice(messages, packs, summary),
    }


def _errors(messages: list[str], packs: list[str]) -> list[str]:
    """What is wrong, without restic's advice, which is for those who have restic at hand."""
    found = []
    for message in messages:
        first = message.splitlines()[0].removeprefix("error: ")
        if snapshot := SNAPSHOT.search(message):
            found.append(f"the snapshot {snapshot[1]} is damaged, and lost; the others do not depend on it")
        elif "error loading index" in message:
            found.append(f"an index of the repository is damaged: {first.rpartition(': ')[2]}")
        elif message.startswith("pack ") and packs:
            found.append(f"a file of the repository is damaged: data/{first[5:7]}/{first[5:15]}...")
        elif not ADVICE.match(message) and not (packs and TREE.match(message)):
            found.append(first)
    return list(dict.fromkeys(found))


def _damaged(messages: list[str]) -> list[str]:
    """The files and folders of the stack's newest snapshot that need what was found to be damaged."""
    blobs = {blob: kind for message in messages for blob, kind in BLOB.findall(message)}
    snapshots = restic.snapshots() if blobs else []
    paths = set()
    for kind, flag in (("data", "--blob"), ("tree", "--tree")):
        wanted = [blob for blob in blobs if blobs[blob] == kind][:MOST]
        if wanted and snapshots:
            newest = ("--snapshot", snapshots[-1]["id"])
            code, text, _ = restic.attempt("--no-lock", "find", "--json", *newest, flag, *wanted)
            found = json.loads(text or "[]") if code == 0 else []
            paths |= {entry["path"] for entry in found or [] if "path" in entry}
    return sorted(paths)


def _advice(messages: list[str], packs: list[str], summary: dict) -> list[str]:
    """What to do, in commands that can be typed in the stack directory."""
    by_hand = "docker compose run --rm backup restic"
    if summary.get("suggest_repair_index"):
        return [
            f"the index is made anew from what it describes; nothing is lost by it: {by_hand} repair index",
            "then check again: stackgen backup check --read-data",
        ]
    advice = []
    if packs:
        advice = [
            "all else can still be restored. Find out first what damages files there: a disk, its cable, memory",
            f"take what is damaged out of the repository: {by_hand} repair packs {' '.join(packs)}",
            "back up again, which mends older snapshots, too, where files are still as they were: stackgen backup run",
            f"take what remains lost out of the snapshots: {by_hand} repair snapshots --forget",
        ]
    lost = [match[1] for message in messages if (match := SNAPSHOT.search(message))]
    if lost:
        advice.append(f"remove the file of the repository whose name begins with snapshots/{lost[0]}, then check again")
    if messages and not advice and any(TREE.match(message) for message in messages):
        advice.append("which files of the repository are damaged is told by: stackgen backup check --read-data")
    if messages and not advice:
        advice.append("https://restic.readthedocs.io/en/stable/077_troubleshooting.html tells what to do")
    return advice


def _more(found: list[str]) -> str:
    return f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
