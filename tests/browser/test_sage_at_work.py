"""A newcomer works through the welcome notebook in a real browser, and what they see when the memory runs out."""

import re
from collections.abc import Callable

import pytest
from lab import Visitor
from playwright.sync_api import Locator, expect

from tests.conftest import RunningStack, docker

Visit = Callable[..., Visitor]
Account = Callable[[], tuple[str, str]]
SCREENS = [pytest.param(1280, 800, id="1280x800"), pytest.param(800, 480, id="800x480")]
TAKE_ALL = "a = [bytearray(b'1' * 10^7) for _ in range(10^4)]"
CHINESE_LABEL = 'text("{}", (0, 0), axes=False, figsize=1, fontsize=40)'


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_a_newcomer_runs_the_welcome_notebook(visit: Visit, account: Account, width: int, height: int) -> None:
    """Typeset mathematics, a plot, a scene that turns and a plot that a slider changes; nothing asks the internet."""
    visitor, (name, password) = visit(width, height), account()
    page = visitor.page
    visitor.sign_in(name, password)
    visitor.files().filter(has_text="Welcome.ipynb").click()
    visitor.await_kernel()
    cells = page.locator(".jp-CodeCell")
    visitor.expect_in_sight(cells.first)  # beside the list of files
    visitor.toggle_files()
    visitor.expect_in_sight(cells.first)
    visitor.run_all()

    factors, calculus, plot, scene, slider = (cells.nth(number) for number in range(5))
    expect(output(factors)).to_have_text("3 * 5 * 17 * 257 * 641 * 65537 * 6700417")
    expect(calculus.locator("mjx-container")).to_have_count(3)
    assert_drawn(output(plot).locator("img"))
    assert_turns(visitor, scene.frame_locator("iframe").locator("canvas").first)
    assert_slider_changes_the_plot(slider)
    expect(page.locator("#jp-main-statusbar")).to_contain_text(re.compile(r"Mem:\s+\d+\.\d+ / 500\.00 MB"))
    assert visitor.traffic.problems == []
    assert visitor.traffic.strangers == set()


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_chinese_labels_are_characters_and_not_boxes(visit: Visit, account: Account, width: int, height: int) -> None:
    """Two characters give two pictures; a font without them would draw the same box twice, and a warning."""
    visitor, (name, password) = visit(width, height), account()
    visitor.sign_in(name, password)
    visitor.new_notebook()
    pictures = [visitor.run(CHINESE_LABEL.format(character)).locator("img") for character in "高低"]
    for picture in pictures:
        assert_drawn(picture)
    high, low = (picture.get_attribute("src") for picture in pictures)
    assert high != low
    expect(visitor.page.locator(".jp-OutputArea-output", has_text="missing from font")).to_have_count(0)


def test_when_memory_runs_out_the_page_says_so_and_other_notebooks_go_on(
    stack: RunningStack, visit: Visit, account: Account
) -> None:
    """The text stands under the cell, and the kernel of another notebook still knows its variables."""
    visitor, (name, password) = visit(), account()
    visitor.sign_in(name, password)
    visitor.new_notebook()
    expect(visitor.run("kept = 6 * 7; kept")).to_have_text("42")
    visitor.save("careful.ipynb")
    visitor.new_launcher()
    visitor.new_notebook()
    told = visitor.run(TAKE_ALL)
    expect(told).to_contain_text("Memory ran out")
    expect(told).to_contain_text("500 MB")
    visitor.page.locator(".jp-Dialog").get_by_role("button", name="Ok").click()  # it says that the kernel restarts
    visitor.await_kernel()
    assert docker("inspect", stack.container(name), "--format", "{{.State.Running}}") == "true"
    visitor.files().filter(has_text="careful.ipynb").click()
    expect(visitor.run("kept + 1")).to_have_text("43")


def test_notebook_7_is_the_lighter_interface(visit: Visit, account: Account) -> None:
    """From its list of files the welcome notebook opens in a tab of its own, and computes on a small screen."""
    visitor, (name, password) = visit(800, 480), account()
    visitor.sign_in(name, password)
    visitor.page.goto(f"{visitor.url}/user/{name}/tree")
    with visitor.context.expect_page() as opened:
        visitor.files().filter(has_text="Welcome.ipynb").click()
    # a cell that is run before the kernel is there is not run at all (Notebook 7.6)
    expect(opened.value.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')).to_be_visible()
    cell = opened.value.locator(".jp-CodeCell").first
    cell.locator(".cm-content").click()
    cell.locator(".cm-content").press("Shift+Enter")
    expect(output(cell)).to_have_text("3 * 5 * 17 * 257 * 641 * 65537 * 6700417")
    expect(output(cell)).to_be_in_viewport(ratio=1)


def output(cell: Locator) -> Locator:
    """The first output of a cell."""
    return cell.locator(".jp-OutputArea-output").first


def assert_drawn(picture: Locator) -> None:
    """All bytes of the picture are there (decode() fails otherwise), and nobody has to scroll sideways to see it."""
    assert picture.evaluate("async i => { await i.decode(); return i.naturalWidth > 50 && i.naturalHeight > 50 }")
    assert picture.evaluate("i => i.getBoundingClientRect().right <= document.documentElement.clientWidth")


def assert_turns(visitor: Visitor, canvas: Locator) -> None:
    """Whoever drags the scene sees it from another side; whoever only moves the mouse over it does not."""
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_be_visible()
    before, box = still(canvas), canvas.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = visitor.page.mouse
    mouse.move(x - 20, y)
    mouse.move(x, y, steps=5)
    assert still(canvas) == before
    mouse.down()
    mouse.move(x + 80, y + 30, steps=5)
    mouse.up()
    assert any(still(canvas) != before for _ in range(20))  # the scene is drawn some frames later


def still(canvas: Locator) -> bytes:
    """A picture of the scene, once it does not change any more."""
    before, now = b"", canvas.screenshot()
    while now != before:
        canvas.page.wait_for_timeout(500)
        before, now = now, canvas.screenshot()
    return now


def assert_slider_changes_the_plot(cell: Locator) -> None:
    """The right-arrow key moves the slider by one, and the plot follows."""
    picture, handle = cell.locator("img"), cell.locator(".noUi-handle")
    assert_drawn(picture)
    before = picture.get_attribute("src")
    assert before
    handle.focus()
    handle.press("ArrowRight")
    expect(cell.locator(".widget-readout")).to_have_text("4")
    expect(picture).not_to_have_attribute("src", before)
    assert_drawn(picture)
