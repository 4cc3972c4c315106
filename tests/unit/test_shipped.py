"""What a checkout ships into stack directories."""

from pathlib import Path

import pytest

from stackgen import render


def test_what_lies_about_in_a_checkout_is_not_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stray .env, an editor's swap file and caches stay out; the .gitignore that protects .env goes in."""
    shipped = tmp_path / "a/b/c.py"
    for path in ("compose/.env", "compose/.gitignore", "compose/compose.yaml.j2", "images/.mypy_cache/x",
                 "images/hub/__pycache__/a.pyc", "images/hub/.a.swp", "images/Dockerfile"):  # fmt: skip
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    monkeypatch.setattr(render, "__file__", str(shipped))
    monkeypatch.setattr(render.resources, "files", lambda _: tmp_path / "nowhere")
    render._shipped.cache_clear()
    try:
        assert set(render._shipped()) == {".gitignore", "compose.yaml.j2", "images/Dockerfile"}
    finally:
        render._shipped.cache_clear()
