"""nginx's routes outlive it: a change is a line of a journal, which a start reads, whatever a crash has left of it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from front import ROUTES_FILE, STATE, Front

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

TARGET = "http://bob.invalid:8888"
ROUTE = {"target": TARGET, "user": "王", "last_activity": "2026-01-01T00:00:00.000Z"}

# What a worker that is killed while it changes the table leaves behind; served on a port of its own.
DEAD_WORKER = """
function seize(r) {
    ngx.shared.table.set('lock', 999999);
    r.return(204);
}
export default { seize };
"""
DEAD_WORKER_CONF = """
js_import dead from /etc/stackgen/nginx/conf.d/dead.js;
server { listen 8099; location / { js_content dead.seize; } }
"""


@pytest.fixture(scope="module")
def shared_front(nginx_image: str) -> Iterator[Front]:
    with Front(nginx_image) as front:
        (front.config / "conf.d/dead.js").write_text(DEAD_WORKER)
        (front.config / "conf.d/dead.conf").write_text(DEAD_WORKER_CONF)
        yield front.start()


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_restart_or_a_crash_of_nginx_keeps_the_routes(front: Front, signal: str) -> None:
    front.add("/", "http://hub.invalid:8081", hub=True)
    front.add("/user/王 x", TARGET, user="王 x")
    front.add("/user/moved", TARGET)
    front.add("/user/moved", "http://elsewhere.invalid:8888")
    front.add("/user/gone", TARGET)
    front.api("DELETE", "/user/gone")
    before = front.routes()
    assert before["/user/moved"]["target"] == "http://elsewhere.invalid:8888"
    front.restart(signal)
    assert front.routes() == before


def test_a_worker_that_crashes_takes_no_route_along(front: Front) -> None:
    front.add("/user/bob", front.upstream("bob").url)
    before, workers = front.routes(), front.workers()
    front.exec("sh", "-c", f"kill -KILL {' '.join(workers)}")
    front.await_new_workers(workers)
    assert front.routes() == before
    front.add("/user/eve", TARGET)
    assert front.request("/user/bob/lab").json()["server"] == "bob"


def test_changes_at_the_same_time_all_reach_the_journal(front: Front) -> None:
    """Several workers of nginx answer the hub; the last line about a route must say what the last of them did."""

    def change(number: int) -> None:
        front.add(f"/user/{number}", TARGET)
        if number % 3 == 0:
            assert front.api("DELETE", f"/user/{number}").status_code == 204
        front.api("DELETE" if number % 2 else "POST", "/user/contested", json={"target": TARGET, "number": number})

    with ThreadPoolExecutor(16) as pool:
        for first in range(0, 800, 16):  # small bursts: a later change would mend what an earlier one lost
            list(pool.map(change, range(first, first + 16)))
            assert front.saved_routes() == front.routes()
    assert front.routes().keys() - {"/user/contested"} == {f"/user/{number}" for number in range(800) if number % 3}
    assert front.exec("ls", f"{STATE}/routes") == "routes.json"


def test_the_journal_does_not_grow_for_ever(front: Front) -> None:
    """Users come and go for months: now and then the journal is written anew, with what there is."""
    front.add("/user/bob", TARGET, user="bob")
    for number in range(3000):
        front.add("/user/restless", TARGET, number=number)
    assert front.saved_routes() == front.routes()
    assert int(front.exec("sed", "-n", "$=", ROUTES_FILE)) <= 1003  # the table's two routes, and room for 1000 changes


def test_a_journal_torn_at_any_byte_loses_the_last_change_alone(front: Front) -> None:
    """A crash may cut the last line anywhere, inside a character too; what follows is read as well."""
    whole, last = f"\n{json.dumps({'/': ROUTE})}", f"\n{json.dumps({'/user/王': ROUTE}, ensure_ascii=False)}"
    cuts = [last.encode()[:length] for length in range(1, len(last.encode()))]
    torn = b"".join(cut.replace("/user/王".encode(), b"/torn/%d" % n) for n, cut in enumerate(cuts))
    front.write(ROUTES_FILE, whole)
    front.append(ROUTES_FILE, torn + f"\n{json.dumps({'/user/after': ROUTE})}".encode() + cuts[-1])
    front.restart()
    assert front.routes() == {"/": ROUTE, "/user/after": ROUTE}
    assert front.saved_routes() == front.routes()


def test_a_journal_torn_while_nginx_runs_spoils_no_later_change(front: Front) -> None:
    """A worker dies in the middle of a line; the others go on."""
    front.add("/user/bob", TARGET)
    front.append(ROUTES_FILE, b'\n{"/user/torn":{"tar')
    front.add("/user/eve", TARGET)
    before = front.routes()
    front.restart("KILL")
    assert front.routes() == before


def test_the_lock_of_a_worker_that_was_killed_is_taken_over(front: Front) -> None:
    front.exec("curl", "-sS", "http://127.0.0.1:8099/")
    front.add("/user/bob", TARGET)
    front.add("/user/eve", TARGET)
    assert front.saved_routes().keys() == {"/user/bob", "/user/eve"}


def test_more_routes_than_a_dictionary_lists_by_default(front: Front) -> None:
    """njs stops at 1024 items unless told otherwise. A line may hold them all."""
    saved = {f"/user/{number}": ROUTE for number in range(1500)}
    front.write(ROUTES_FILE, json.dumps(saved))
    front.restart()
    assert front.routes() == saved
    assert front.saved_routes() == saved


@pytest.mark.parametrize("text", ['{"/user/bob": {"tar', "[1]", "null", '{"/user/bob": {}}', "\0\0\0"])
def test_a_damaged_journal_is_ignored_and_logged(front: Front, text: str) -> None:
    logged = front.logs().count("ignoring the damaged")
    front.write(ROUTES_FILE, text)
    front.restart()
    assert front.routes() == {}
    front.await_log("ignoring the damaged", logged + 1)
    front.add("/user/bob", TARGET)
    front.restart()
    assert list(front.routes()) == ["/user/bob"]


def test_routes_are_accepted_while_they_cannot_be_saved(front: Front) -> None:
    """A full or read-only disk must not keep users from their servers; once it can be written, all of it is there."""
    front.exec("bash", "-c", f"rm -r {STATE}/routes && touch {STATE}/routes")
    front.add("/user/bob", TARGET)
    assert list(front.routes()) == ["/user/bob"]
    front.await_log("cannot save")
    front.exec("bash", "-c", f"rm {STATE}/routes && install -d -m 0700 -o www-data {STATE}/routes")
    front.add("/user/eve", TARGET)
    assert front.saved_routes().keys() == {"/user/bob", "/user/eve"}


def test_a_full_table_is_said_so_and_loses_nothing(nginx_image: str) -> None:
    """The hub hears it and the operator reads it; who has a route keeps it."""
    with Front(nginx_image) as front:
        api = front.config / "api.conf"
        api.write_text(api.read_text().replace("zone=routes:16M", "zone=routes:64k"))
        front.start()
        before: dict[str, object] = {}
        while (answer := front.api("POST", f"/user/{len(before)}", json={"target": TARGET})).status_code == 201:
            before = dict(front.routes())
        assert answer.status_code == 507
        assert answer.json()["message"] == "the table of routes is full"
        assert front.api("POST", "/user/0", json={"target": TARGET, "long": 5000 * "x"}).status_code == 507
        front.await_log(f"no room for /user/{len(before)}")
        unchanged = front.routes()
        unchanged["/user/0"]["last_activity"] = before["/user/0"]["last_activity"]  # type: ignore[index]
        assert unchanged == before
        assert front.saved_routes().keys() == before.keys()
        assert front.api("DELETE", "/user/1").status_code == 204
        front.add(f"/user/{len(before)}", TARGET)


def test_a_reload_keeps_the_routes_and_the_open_websockets(front: Front) -> None:
    """A certificate is renewed while people work: new workers find the table, old ones carry the kernels on."""
    bob = front.upstream("bob")
    front.add("/user/bob", bob.url)
    kernel = front.websocket("/user/bob/websocket")
    before, workers = front.routes(), front.workers()
    front.exec("nginx", "-c", "/etc/stackgen/nginx/nginx.conf", "-s", "reload")
    front.await_new_workers(workers)
    assert front.routes() == before
    front.add("/user/eve", TARGET)
    assert front.request("/user/bob/lab").json()["server"] == "bob"
    kernel.send("still here")
    assert kernel.recv() == "still here"
    kernel.close()
