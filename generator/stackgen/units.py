"""Numbers as people write them. The image of backups holds this very file, so that both say the same."""


def size(number: float) -> str:
    """Bytes as people write them: 0 B, 14.2 MB, 1.8 GB (powers of 1000, as Docker prints them)."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit in ("B", "kB") else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def minute(moment: str) -> str:
    """A moment in ISO 8601 to the minute, such as 2026-11-25 03:30; empty if that is empty."""
    return moment[:16].replace("T", " ")
