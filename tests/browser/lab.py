"""What a user does in JupyterHub and JupyterLab 4, and what their browser notices meanwhile."""

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Request, Response, expect

TIMEOUT = 120_000  # ms, for a server or a kernel that starts on a busy machine of two cores
LOGIN = re.compile(r"/hub/login(\?|$)")


class Traffic:
    """What went wrong between the page and our site, and how each websocket was answered."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.site = urlsplit(url).netloc
        self.problems: list[str] = []
        self.strangers: set[str] = set()  # other sites that were asked for anything
        self.sockets: dict[str, str] = {}  # CDP's id -> URL
        self.answers: dict[str, int] = {}  # CDP's id -> HTTP status
        self.page = context.new_page()
        self.page.on("request", self._request)
        self.page.on("response", self._response)
        self.page.on("requestfailed", self._failed)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        network = context.new_cdp_session(self.page)  # Playwright's own events do not tell the status of a handshake
        network.on("Network.webSocketCreated", self._socket)
        network.on("Network.webSocketHandshakeResponseReceived", self._handshake)
        network.on("Network.webSocketFrameError", self._socket_error)
        network.send("Network.enable")

    def socket_answers(self, path: str) -> list[int | None]:
        """How the websockets whose URL matches were answered: 101 is good, None is no answer yet."""
        return [self.answers.get(key) for key, url in self.sockets.items() if re.search(path, url)]

    def _request(self, request: Request) -> None:
        if (site := urlsplit(request.url).netloc) not in ("", self.site):
            self.strangers.add(site)

    def _response(self, response: Response) -> None:
        if response.status >= 400 and urlsplit(response.url).netloc == self.site:
            self.problems.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # what a page still asked for when it was left
            self.problems.append(f"{request.failure} {request.method} {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text} ({message.location.get('url')})")

    def _socket(self, event: dict[str, Any]) -> None:
        self.sockets[event["requestId"]] = event["url"]

    def _handshake(self, event: dict[str, Any]) -> None:
        self.answers[event["requestId"]] = event["response"]["status"]
        if event["response"]["status"] != 101:
            self.problems.append(f"{event['response']['status']} websocket {self.sockets[event['requestId']]}")

    def _socket_error(self, event: dict[str, Any]) -> None:
        self.problems.append(f"{event['errorMessage']}: websocket {self.sockets[event['requestId']]}")


class Visitor:
    """Somebody with a browser of their own."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.traffic = Traffic(context, url)
        self.page = self.traffic.page

    def fill_in_login(self, name: str, password: str) -> None:
        """Fill in the login form and send it."""
        self.page.get_by_label("Username:").fill(name)
        self.page.get_by_label("Password:").fill(password)
        # the answer may be a server that starts: whoever calls waits for what they expect to see
        self.page.get_by_role("button", name="Sign in").click(no_wait_after=True)

    def go_to_provider(self, service: str) -> None:
        """Click the login page's one button, which is called after the identity provider."""
        self.page.get_by_role("button", name=f"Sign in with {service}", exact=True).click()

    def identify(self, name: str, password: str, service: str = "") -> None:
        """Log in from the login page on, on the page of the service if there is one."""
        if not service:
            self.fill_in_login(name, password)
            return
        self.go_to_provider(service)
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click(no_wait_after=True)

    def sign_in(self, name: str, password: str, service: str = "") -> None:
        """Sign in at the login page; ends in JupyterLab's launcher, with the server started."""
        self.page.goto(f"{self.url}/hub/login")
        self.identify(name, password, service)
        self.expect_lab(name)

    def sign_in_to_hub(self, name: str, password: str, service: str = "") -> None:
        """Sign in, but start no server; ends on the hub's home page."""
        self.page.goto(f"{self.url}/hub/login?next=/hub/home")
        self.identify(name, password, service)
        self.expect_home(name)

    def expect_lab(self, name: str) -> None:
        """Wait for JupyterLab's launcher on this user's server."""
        self.page.wait_for_url(re.compile(rf"/user/{re.escape(name)}/lab"))
        expect(self.page.locator(".jp-LauncherCard").first).to_be_visible()

    def expect_home(self, name: str) -> None:
        """Wait for the hub's home page, as this user sees it."""
        expect(self.page).to_have_url(f"{self.url}/hub/home")
        expect(self.page.locator("#login_widget")).to_contain_text(name)

    def expect_in_sight(self, *controls: Locator) -> None:
        """All of these are on the screen, and nothing needs to be scrolled sideways."""
        for control in controls:
            expect(control).to_be_in_viewport(ratio=1)
        assert self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    def expect_good_page(self, *controls: Locator) -> None:
        """On a small screen the controls are in sight; on a telephone, too, nothing is scrolled sideways; and axe-core
        has no serious complaint, in light colours and in dark ones.
        """
        for width, height in ((360, 640), (800, 480)):
            self.page.set_viewport_size({"width": width, "height": height})
            self.expect_in_sight(*(controls if width == 800 else []))
        schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
        for colours in schemes:
            self.page.emulate_media(color_scheme=colours)
            found = Axe().run(self.page).response["violations"]
            bad = [f"{rule['id']}: {rule['nodes']}" for rule in found if rule["impact"] in ("serious", "critical")]
            assert bad == [], f"{self.page.url}, {colours}"

    def new_notebook(self) -> None:
        """Open a SageMath notebook from the launcher; wait for its kernel.

        A cell that is run sooner makes JupyterLab 4.6 start a second kernel and give up the first.
        """
        sage = self.page.locator('img[src*="/kernelspecs/sagemath/"]')
        self.page.locator('.jp-LauncherCard[data-category="Notebook"]').filter(has=sage).click()
        self.await_kernel()

    def await_kernel(self) -> None:
        """Wait until the kernel of the open notebook has nothing to do."""
        # the status bar may still speak of the notebook that was open before
        shown = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        expect(shown.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_visible()
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text(re.compile(r"\|\s*Idle"))

    def new_launcher(self) -> None:
        """Open another launcher; the notebook stays open behind it."""
        self.page.get_by_role("button", name=re.compile("^New Launcher")).click()
        expect(self.page.locator(".jp-LauncherCard").first).to_be_visible()

    def toggle_files(self) -> None:
        """Show the file browser, or fold it away."""
        self.page.get_by_role("tab", name=re.compile("^File Browser")).click()

    def run_all(self) -> None:
        """Run all cells of the open notebook."""
        self.choose("Run", "Run All Cells")

    def choose(self, menu: str, item: str) -> None:
        """Choose an item of one of the menus."""
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click(no_wait_after=True)

    def run(self, code: str) -> Locator:
        """Type the code into the last cell and run it with Shift+Enter; its output, once there is some."""
        cell = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").last.locator(".cm-content")
        cell.click()
        cell.press_sequentially(code)
        expect(cell).to_have_text(code)
        cell.press("Shift+Enter")
        output = self.page.locator(".jp-CodeCell").filter(has_text=code).locator(".jp-OutputArea-output").first
        expect(output).to_be_visible()
        return output

    def write_file(self, name: str, text: str) -> None:
        """Write a text file, from the launcher on."""
        self.page.locator('.jp-LauncherCard[data-category="Other"]').filter(has_text="Text File").click()
        editor = self.page.locator(".jp-FileEditor .cm-content")
        editor.click()
        editor.press_sequentially(text)
        expect(editor).to_have_text(text)
        self.save(name)

    def save(self, name: str) -> None:
        """Press Ctrl+S and give the untitled document a name; wait until it is saved.

        JupyterLab saves it, lists the folder, and asks for a name meanwhile. Whoever answers faster than people can
        renames a file while it is listed, and jupyter_server then answers the listing with 404.
        """
        with self.page.expect_response(lambda response: "/api/contents?" in response.url):
            self.page.keyboard.press("Control+s")
        dialog = self.page.locator(".jp-Dialog")
        dialog.get_by_role("textbox").fill(name)
        dialog.get_by_role("button", name="Rename and Save").click()
        expect(dialog).to_have_count(0)
        expect(self.page.locator("#jp-title-panel-title input")).to_have_value(name)
        expect(self.files()).to_contain_text([name])

    def files(self) -> Locator:
        """The entries of the file browser."""
        return self.page.locator(".jp-DirListing-item")

    def sign_out(self) -> None:
        """Log out by JupyterLab's File menu, which leads to the hub's log-out."""
        self.choose("File", "Log Out")

    def save_screen(self, path: Path) -> None:
        """Write a screenshot PATH.png, and PATH.txt with what went wrong."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path.with_suffix(".png"))
        lines = [self.page.url, *dict.fromkeys(self.traffic.problems)]
        path.with_suffix(".txt").write_text("\n".join(lines) + "\n", "utf-8")
