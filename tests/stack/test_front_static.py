"""Static files come from nginx's own copy, whoever asks; what servers send is compressed, but never kept."""

import gzip
import hashlib
import http.client
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from front import Front, running_front

from tests.stack.upstream import Handler

STATIC = "/usr/share/stackgen/static"
BROWSER = {"Accept-Encoding": "gzip, deflate, br, zstd"}
IMMUTABLE = "public, max-age=31536000, immutable"
NO_HASH_OF_OURS = "0123456789abcdef"

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")


class Sender(Handler):
    """Answers each request with its server's name, whatever was asked; ?as=TYPE&length=N make it long and of a type."""

    def do_GET(self) -> None:
        query = dict(part.split("=") for part in urlsplit(self.path).query.split("&") if "=" in part)
        body = self.server.name.encode() * int(query.get("length", 1))
        if query.get("packed"):
            body = gzip.compress(body)
        self.send_response(200)
        self.send_header("Content-Type", query.get("as", "application/javascript"))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "public, max-age=31536000, immutable")
        if query.get("packed"):
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def front(nginx_image: str) -> Iterator[Front]:
    """The hub, bob and eve, whose server is hostile."""
    with running_front(nginx_image) as front:
        for path, name in {"/": "hub", "/user/bob": "bob", "/user/eve": "eve"}.items():
            front.add(path, front.upstream(name, Sender).url)
        yield front


@pytest.fixture(scope="module")
def files(front: Front) -> list[str]:
    """The files that nginx has, below the folder STATIC."""
    found = front.exec("find", STATIC, "-type", "f", "-not", "-name", "*.gz", "-not", "-name", "*.br").splitlines()
    return [name.removeprefix(f"{STATIC}/") for name in found]


def one(files: list[str], part: str) -> str:
    """The path below /user/NAME/ of a file that nginx has."""
    return next(name.removeprefix("user/") for name in files if part in name)


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("static/lab/jlab_core", "application/javascript"),
        ("static/notebook/main.", "application/javascript"),
        ("lab/extensions/@jupyter-widgets/jupyterlab-manager/static/remoteEntry", "application/javascript"),
        ("theme-light-extension/index.css", "text/css"),
        ("lab/api/translations/", "application/json"),
        (".woff2", "font/woff2"),
        ("0271fb5e3e1adc0f.woff", "font/woff"),  # MathJax's
    ],
)
def test_a_file_of_the_image_comes_from_nginx_for_every_user(
    front: Front, files: list[str], part: str, kind: str
) -> None:
    """Byte by byte as it is in the image, in the shortest form that the browser takes, to be kept for good."""
    path, lengths = one(files, part), {}
    content = front.exec("sha256sum", f"{STATIC}/user/{path}").split()[0]  # hexadecimal
    for encoding in ("identity", "gzip", "br"):
        answers = [
            front.request(f"/user/{user}/{path}?v=1", headers={"Accept-Encoding": encoding}, stream=True)
            for user in ("bob", "eve", "nobody")
        ]
        assert len({answer.raw.read(decode_content=False) for answer in answers}) == 1
        for answer in answers:
            assert answer.status_code == 200
            assert answer.headers["Content-Type"] == kind
            assert answer.headers["Cache-Control"] == IMMUTABLE
        lengths[encoding] = int(answers[0].headers["Content-Length"])
        if "woff" not in part:
            assert answers[0].headers.get("Content-Encoding", "identity") == encoding
    plain = front.request(f"/user/bob/{path}", headers={"Accept-Encoding": "gzip"}).content
    assert hashlib.sha256(plain).hexdigest() == content
    if "woff" not in part:
        assert lengths["br"] < lengths["gzip"] < lengths["identity"]
    assert front.request(f"/user/bob/{path}", "HEAD").headers["Cache-Control"] == IMMUTABLE


@pytest.mark.parametrize(
    "path",
    [
        f"static/lab/jlab_core.{NO_HASH_OF_OURS}.js",
        f"lab/extensions/mine/static/remoteEntry.{NO_HASH_OF_OURS}.js",
        f"lab/api/themes/{NO_HASH_OF_OURS}/@jupyterlab/theme-light-extension/index.css",
        "lab/api/themes/@jupyterlab/theme-light-extension/index.css",
        f"lab/api/translations/{NO_HASH_OF_OURS}/zh_CN",
        "static/favicons/favicon.ico",
        "static/lab/",
        "static/lab",
        "lab",
    ],
)
def test_what_nginx_has_not_comes_from_the_users_own_server(front: Front, path: str) -> None:
    """Another version, another image, a file without version: as without the copies, and from nobody else's server."""
    for user in ("eve", "bob", "eve"):
        assert front.request(f"/user/{user}/{path}", headers=BROWSER).text == user


def test_nobody_gets_the_bytes_of_a_hostile_server(front: Front, files: list[str]) -> None:
    """Eve's server answers for JupyterLab's own files, and wants it kept; all pages load the real ones."""
    for path in (one(files, "static/lab/main."), one(files, "theme-dark-extension/index.css")):
        for user in ("eve", "bob"):
            assert front.request(f"/user/{user}/{path}").content[:3] != b"eve"
    # in her own files she may have what she likes; a path that only looks like JupyterLab's is nobody else's
    name = one(files, "static/lab/main.")
    assert front.request(f"/user/eve/files/{name}").text == "eve"
    assert front.request(f"/user/bob/files/{name}").text == "bob"
    assert front.request(f"/user/eve/{name}/../{name.rsplit('/', 1)[1]}.map").text == "eve"


@pytest.mark.parametrize(
    "path",
    [
        "/user/bob/static/lab/../../../../../../etc/passwd",
        "/user/bob/static/lab/..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
        "/user/bob/static/lab/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/hub/static/passwd?v=../../../../../etc",
        "/hub/static/passwd?v=..%2f..%2f..%2f..%2f..%2fetc",
        "/hub/static/prefetch?v=..",
        "/hub/static/static/prefetch?v=../..",
        "/hub/static//etc/passwd?v=.",
    ],
)
def test_no_path_leads_out_of_the_folder(front: Front, path: str) -> None:
    """Neither dots in the path nor in v, escaped or not, reach another file of nginx's container."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(front.address(front.backend), 443, context=context)
    connection.request("GET", path, headers={"Host": "localhost"})  # not tidied up, as `requests` would
    body = connection.getresponse().read()
    connection.close()
    assert b"root:" not in body
    assert b"jlab_core" not in body


def test_the_hubs_files_come_from_nginx_where_their_version_is_the_copys(front: Front, files: list[str]) -> None:
    """v is tornado's hash of the content, or the hub's own version; with another one, or none, the hub answers."""
    style = next(name for name in files if name.endswith("/css/style.min.css")).removeprefix("hub/")
    version, _, path = style.partition("/")
    script = next(name for name in files if name.endswith("/js/jhapi.js") and len(name) < 40).removeprefix("hub/")
    number = script.partition("/")[0]
    assert len(version) == 128
    for query in (f"css/style.min.css?v={version}", f"js/jhapi.js?v={number}"):
        answer = front.request(f"/hub/static/{query}", headers=BROWSER)
        assert answer.headers["Cache-Control"] == IMMUTABLE
        assert answer.headers["Content-Encoding"] == "br"
    for other in (f"{path}?v={'0' * 128}", path, f"{path}?v={number}", "js/jhapi.js?v=1.0", "js/jhapi.js"):
        assert front.request(f"/hub/static/{other}", headers=BROWSER).text == "hub"


@pytest.mark.parametrize(
    ("path", "query", "compressed"),
    [
        ("/user/bob/api/contents/x.ipynb", "as=application/json&length=9000", True),
        ("/user/bob/files/x.csv", "as=text/csv&length=9000", True),
        ("/user/bob/lab/api/settings", "as=application/json&length=9000", True),
        ("/user/bob/static/favicons/favicon.ico", "as=image/x-icon&length=9000", True),
        ("/hub/static/components/x.css", "as=text/css&length=9000", True),
        ("/user/bob/api/contents", "as=application/json&length=9", False),
        ("/user/bob/files/x.png", "as=image/png&length=9000", False),
        ("/user/bob/api/events", "as=text/event-stream&length=9000", False),
        ("/user/bob/lab", "as=text/html&length=9000", False),
        ("/user/bob/tree", "as=text/html&length=9000", False),
        ("/hub/login", "as=text/html&length=9000", False),
        ("/hub/api/users", "as=application/json&length=9000", False),
    ],
)
def test_answers_are_compressed_on_the_way_where_that_is_safe(
    front: Front, path: str, query: str, compressed: bool
) -> None:
    """Notebooks and what programs read; never a page, and nothing of the hub's that could hold a secret."""
    answer = front.request(f"{path}?{query}", headers=BROWSER)
    assert (answer.headers.get("Content-Encoding") == "gzip") == compressed
    assert set(answer.text) == set("hub" if path.startswith("/hub") else "bob")
    if compressed:
        assert "Accept-Encoding" in answer.headers["Vary"]
        plain = front.request(f"{path}?{query}", headers={"Accept-Encoding": "identity"})
        assert "Content-Encoding" not in plain.headers
        assert plain.text == answer.text


def test_what_a_server_has_compressed_itself_stays_as_it_is(front: Front) -> None:
    answer = front.request("/user/bob/api/x?as=application/json&length=9000&packed=1", headers=BROWSER)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.text == "bob" * 9000


def test_a_missing_server_does_not_matter_to_static_files(front: Front, files: list[str]) -> None:
    """The page of a starting server fetches JupyterLab's scripts ahead: they are there before the server is."""
    wanted = front.exec("cat", f"{STATIC}/prefetch").split()
    assert len(wanted) > 20
    assert {f"user/{url.partition('?')[0]}" for url in wanted} <= set(files)
    for url in wanted[:3]:
        assert front.request(f"/user/zoe/{url}", headers=BROWSER).headers["Content-Encoding"] == "br"


def test_translations_are_the_servers_answer_for_what_the_image_has(front: Front, files: list[str]) -> None:
    path = one(files, "lab/api/translations/")
    answer = front.request(f"/user/bob/{path}", headers={"Accept-Encoding": "gzip"}).json()
    assert answer["message"] == ""
    assert answer["data"]["jupyterlab"][""]["language"] == "zh-CN"
    assert {"jupyterlab", "notebook", "jupyter_resource_usage"} <= answer["data"].keys()
    assert "jupyterlab_git" not in answer["data"]  # an extension that the image has not
