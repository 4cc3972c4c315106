"""The hub's pages: the language of each request, the Chinese of every text, the site's title and announcement."""
# ruff: noqa: RUF001  (full-width punctuation is right in Chinese)

import ast
import asyncio
import re
from collections.abc import Iterator
from http.client import responses
from pathlib import Path

import jupyterhub
import nativeauthenticator
import oauthenticator
import pytest
from hub_package import PACKAGE
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH
from stackgen_hub import languages, site
from stackgen_hub.chinese import MESSAGES, PAGES
from stackgen_hub.languages import ByLanguage, preferred, translated
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

PLACEHOLDERS = re.compile(r"%\(\w+\)s")
TEMPLATES = PACKAGE / "templates"
PROGRAMS = [Path(module.__file__).parent for module in (jupyterhub, nativeauthenticator, oauthenticator)] + [
    PACKAGE.parent
]


def environment() -> Environment:
    """Templates as JupyterHub finds and renders them (jupyterhub.app.JupyterHub.init_tornado_settings)."""
    own = FileSystemLoader(f"{DATA_FILES_PATH}/templates")
    loader = ChoiceLoader([PrefixLoader({"templates": own}), FileSystemLoader(TEMPLATES), own])
    return Environment(loader=loader, autoescape=True, extensions=[site.Site])


def page(name: str, **values: object) -> str:
    """A page that nobody is logged in to, in the language of this context."""
    usual = {"base_url": "/hub/", "static_url": lambda path: f"/hub/static/{path}", "login_url": "/hub/login"}
    return environment().get_template(name).render({**usual, "authenticator": {}, **values})


@pytest.fixture
def chinese() -> Iterator[None]:
    """The request is from a Chinese browser."""
    token = languages._language.set("zh")
    yield
    languages._language.reset(token)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),  # Chromium in China
        ("zh-TW", "zh"),
        ("zh-Hans-SG, fr", "zh"),
        ("ZH-hk;q=0.5", "zh"),
        ("en-US,en;q=0.9,zh-CN;q=0.8", "en"),
        ("en;q=0.3, zh;q=0.7", "zh"),
        ("en, zh", "en"),  # wanted alike: the first
        ("fr-FR,fr;q=0.9,zh;q=0.1", "zh"),  # rather than what was not asked for at all
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=0", "en"),
        ("", "en"),
        ("*", "en"),
        ("fr, de;q=0.5", "en"),
        ("zhx, en-zh", "en"),
        ("zh;q=high, ;;;, en;q=2, =", "en"),  # no language range at all
    ],
)
def test_the_browser_decides_the_language(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_a_browser_of_neither_language_gets_that_of_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACK_LANGUAGE", "zh")
    assert [preferred(accepted) for accepted in ("fr", "", "en-GB")] == ["zh", "zh", "en"]


def test_requests_answered_at_the_same_time_keep_their_languages() -> None:
    """Four are under way at once, twice over the same connections; none sees the language of another one."""
    meeting: asyncio.Barrier

    class Page(RequestHandler):
        async def get(self) -> None:
            before = languages.language()
            await meeting.wait()
            self.set_header("Content-Type", f"text/{self.get_argument('kind', 'html')}")
            self.write(f"{before} {languages.language_tag()} {translated('Not Found')}")

    async def visit() -> list[tuple[str, str | None]]:
        nonlocal meeting
        meeting = asyncio.Barrier(4)
        server = HTTPServer(Application([("/", Page)], transforms=[ByLanguage]))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        client, url = AsyncHTTPClient(), f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
        asked = [("en", "html"), ("zh-CN", "html"), ("en;q=0.1,zh", "html"), ("de", "plain")]
        seen = []
        for _ in range(2):
            fetches = [
                client.fetch(f"{url}?kind={kind}", headers={"Accept-Language": accepted}) for accepted, kind in asked
            ]
            seen += [(answer.body.decode(), answer.headers.get("Vary")) for answer in await asyncio.gather(*fetches)]
        server.stop()
        return seen

    english, vary = "en en Not Found", "Accept-Language"
    in_chinese = "zh zh-CN 找不到页面"
    expected = [(english, vary), (in_chinese, vary), (in_chinese, vary), (english, None)]
    assert asyncio.run(visit()) == expected * 2


def test_every_text_of_every_template_has_a_chinese_one() -> None:
    """And there is no Chinese text that no template uses."""
    jinja = environment()
    used = {
        found if isinstance(found, str) else found[0]
        for template in TEMPLATES.glob("*.html")
        for _, _, found in jinja.extract_translations(template.read_text("utf-8"))  # type: ignore[attr-defined]
    }
    assert set(PAGES) == used


def test_no_template_says_anything_that_is_not_translated() -> None:
    """Markup and Jinja apart, templates hold no words."""
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text("utf-8")
        text = re.sub(r"(?s){#.*?#}|{%-? trans.*?endtrans -?%}|{%.*?%}|{{.*?}}", "", text)
        text = re.sub(r"(?s)<(style|script)\b.*?</\1>|<[^>]*>", "", text)
        assert re.findall(r"[A-Za-z]{2,}", text) == [], template.name


@pytest.mark.parametrize("catalogue", [PAGES, MESSAGES], ids=["templates", "messages"])
def test_every_chinese_text_is_one_and_has_the_same_placeholders_and_links(catalogue: dict[str, str]) -> None:
    for english, chinese in catalogue.items():
        if PLACEHOLDERS.sub("", english).strip() != "":
            assert re.search(r"[\u4e00-\u9fff]", chinese), english
        assert set(PLACEHOLDERS.findall(chinese)) <= set(PLACEHOLDERS.findall(english)), english
        assert re.findall(r"</?a\b[^>]*>", chinese) == re.findall(r"</?a\b[^>]*>", english), english
        if catalogue is PAGES:
            assert set(PLACEHOLDERS.findall(chinese)) == set(PLACEHOLDERS.findall(english)), english


def test_every_message_is_one_that_a_program_says() -> None:
    """JupyterHub, NativeAuthenticator or stackgen; an upgrade that words one differently is noticed here."""
    said = set(responses.values())
    for folder in PROGRAMS:
        for module in folder.rglob("*.py"):
            if "tests" not in module.parts and module.name != "chinese.py":
                said |= set(strings(ast.parse(module.read_text("utf-8"))))
    text = "\n".join(said)
    assert [message for message in MESSAGES if PLACEHOLDERS.sub("{}", message) not in text] == []


def strings(tree: ast.AST) -> Iterator[str]:
    """Every string of a program in one line, with {} for each value in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
            yield " ".join("".join(parts).split())
        elif isinstance(node, ast.List):  # which JupyterHub joins with blanks
            yield " ".join(next(strings(item), "") for item in node.elts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())


@pytest.mark.usefixtures("chinese")
@pytest.mark.parametrize(
    ("message", "chinese_one"),
    [
        ("Invalid username or password", "用户名或密码错误"),
        ("Please choose another one: the password is shorter than 8 characters.", "请换一个密码：密码少于 8 个字符。"),
        ("Something went wrong!\nIt appears that this username is already in use. Please try again "
         "with a different username.", "此用户名已被使用，请换一个。"),
        ("Try restarting it 100% %(name)s {}", "Try restarting it 100% %(name)s {}"),  # nobody has translated it
        ("eve%(code)s is blocked on this hub. Please ask an admin.", "用户 eve%(code)s 已被停用，请联系管理员。"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_programs_say_is_translated_with_its_values(message: str, chinese_one: str) -> None:
    assert translated(message) == chinese_one


def test_a_compiled_template_speaks_the_language_of_each_request() -> None:
    """Jinja computes what is constant when it compiles a template, which is not when a request comes."""
    template = environment().from_string('{{ "Not Found" | translated }} {{ _("Home") }}')
    spoken = []
    for language in ("zh", "en", "zh"):
        token = languages._language.set(language)
        spoken.append(template.render())
        languages._language.reset(token)
    assert spoken == ["找不到页面 主页", "Not Found Home", "找不到页面 主页"]


@pytest.mark.parametrize("evil", ["<img src=x>", "<img src=x> is blocked on this hub. Please ask an admin."])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_programs_say_is_never_markup(evil: str, language: str, request: pytest.FixtureRequest) -> None:
    """A login's error may repeat what somebody typed."""
    if language == "zh":
        request.getfixturevalue("chinese")
    html = page("login.html", login_error=evil, username='"><img>')
    assert "<img" not in html
    assert "&lt;img src=x&gt;" in html
    assert f'<html lang="{languages.TAGS[language]}">' in html


def test_title_announcement_and_prefetched_scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The announcement is plain text, and changes with its file; a drop-in's own one is HTML, as JupyterHub says."""
    announcement, prefetch, logo = tmp_path / "announcement", tmp_path / "prefetch", tmp_path / "logo.svg"
    monkeypatch.setattr(site, "ANNOUNCEMENT", announcement)
    monkeypatch.setattr(site, "PREFETCH", prefetch)
    monkeypatch.setattr(site, "LOGO_FOLDER", tmp_path)
    monkeypatch.setenv("STACK_TITLE", "R & D <Lab>")
    bare = page("404.html", status_code=404)
    assert "<title>Not Found · R &amp; D &lt;Lab&gt;</title>" in bare
    assert 'class="announcement"' not in bare and "<img" not in bare

    announcement.write_text("停机 <b>today</b>\n")
    logo.write_text("<svg/>")
    shown = page("404.html", status_code=404, announcement="<i>Exam</i> on Friday")
    assert '<aside class="announcement">停机 &lt;b&gt;today&lt;/b&gt;</aside>' in shown
    assert '<aside class="announcement"><i>Exam</i> on Friday</aside>' in shown
    assert re.search(r'<img class="site-logo" src="/hub/logo\?v=[0-9a-f]{12}" alt="">', shown)
    announcement.write_text("\n")
    assert page("404.html", status_code=404) != bare  # the logo
    assert 'class="announcement"' not in page("404.html", status_code=404)

    prefetch.write_text("static/lab/main.js?v=1\nstatic/lab/2.js\n")
    user = {"name": "bob", "escaped_name": "bob", "authenticator": {}, "server_url": lambda _: "/user/bob/"}
    starting = page(
        "spawn_pending.html", user=user, spawner={"name": ""}, parsed_scopes=[], logout_url="/hub/logout",
        progress_url="/hub/api/users/bob/server/progress?_xsrf=x", xsrf_token="x",
    )  # fmt: skip
    head = starting.partition("</head>")[0]
    assert '<link rel="prefetch" href="/user/bob/static/lab/main.js?v=1" as="script">' in head
    assert head.count('rel="prefetch"') == 2


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"TLS": "files"}, True),
        ({"TLS": "acme", "UI": "lab"}, True),
        ({"TLS": "off"}, True),
        ({"TLS": "self-signed"}, False),  # browsers keep nothing that came with such a certificate
        ({"TLS": "files", "UI": "notebook"}, False),
    ],
)
def test_scripts_are_fetched_ahead_where_browsers_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], wanted: bool
) -> None:
    """The login page asks for JupyterLab's scripts while the password is typed, under the name that was typed."""
    prefetch = tmp_path / "prefetch"
    prefetch.write_text("static/lab/main.js\n")
    monkeypatch.setattr(site, "PREFETCH", prefetch)
    for key in ("TLS", "UI"):
        monkeypatch.delenv(key, raising=False)
    for key, value in values.items():
        monkeypatch.setenv(key, value)
    shown = page("login.html", prefix="/")
    assert ('for (const path of ["static/lab/main.js"])' in shown) == wanted
    assert ("/user/${name}/${path}" in shown) == wanted
