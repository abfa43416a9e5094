"""The page in a browser that may ask for nothing but files: it draws what Python draws."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from exported import exported, trained
from small_networks import unconditional

from oneira.errors import PlanError, WeightsError
from oneira.feedforward import TrainedNetwork
from oneira.feedforward.export import BrowserRuntime, OnnxModel, browser_runtime, require_page_folder, web_page
from oneira.images import Picture, load, save

pytest.importorskip("onnx", reason="the extra `export` is not installed")

PATIENCE = 30_000  # ms; a machine that does other things starts a WebAssembly of 14 MB slowly
LEVEL = 1 / 255


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        runtime = browser_runtime()
    except WeightsError as error:
        pytest.skip(f"npm's registry is not to be had: {error}")
    return web_page(trained(), exported(), runtime).write(tmp_path_factory.mktemp("a page #1 50%") / "web")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", *camera])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    """The page, started; whatever it asks for beyond files, and whatever goes wrong in it, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    opened, wrong = context.new_page(), []
    opened.set_default_timeout(PATIENCE)
    opened.on(
        "request",
        lambda asked: wrong.append(asked.url) if not asked.url.startswith(("file:", "blob:", "data:")) else None,
    )
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.goto(site.as_uri())
    opened.locator("#status", has_text="Ready.").wait_for()
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of odd sides that no size makes smaller, in whole levels."""
    coarse = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(3))
    save(tmp_path / "my cat.png", torch.nn.functional.interpolate(coarse, (61, 83), mode="bicubic").clamp(0, 1))
    return tmp_path / "my cat.png"


def drawn(page: Any, times: int) -> None:
    page.locator(f"#picture[data-drawn='{times}']").wait_for()


def shown(page: Any, folder: Path) -> torch.Tensor:
    """What the canvas shows."""
    url = page.evaluate("document.getElementById('picture').toDataURL('image/png')")
    (folder / "shown.png").write_bytes(base64.b64decode(url.partition(",")[2]))
    return load(folder / "shown.png")


@torch.inference_mode()
def by_python(picture: Path, shares: dict[str, float]) -> torch.Tensor:
    return trained().network(load(picture), trained().weights(shares))


def slide(page: Any, selector: str, value: int) -> None:
    page.locator(selector).evaluate(
        """(slider, value) => {
            slider.value = value;
            for (const kind of ["input", "change"]) slider.dispatchEvent(new Event(kind, { bubbles: true }));
        }""",
        value,
    )


def test_the_page_draws_what_python_draws(page, picture, tmp_path):
    page.set_input_files("#file", picture)
    drawn(page, 1)
    # Half a level is rounding; the order of sums adds 0.0004 of one, measured.
    assert (shown(page, tmp_path) - by_python(picture, {"starry_night": 1})).abs().max() < 0.51 * LEVEL

    page.locator("[data-style=wave]").click()
    drawn(page, 2)
    slide(page, "#share-0", 20)
    drawn(page, 3)
    slide(page, "#share-1", 60)
    drawn(page, 4)
    assert page.locator("#blend output").all_inner_texts() == ["25 %", "75 %"]
    expected = by_python(picture, {"starry_night": 0.25, "wave": 0.75})
    assert (shown(page, tmp_path) - expected).abs().max() < 0.51 * LEVEL

    slide(page, "#strength", 40)
    drawn(page, 5)
    expected = by_python(picture, {"starry_night": 0.1, "wave": 0.3, "itself": 0.6})
    assert (shown(page, tmp_path) - expected).abs().max() < 0.51 * LEVEL


def test_a_drawn_picture_is_saved_as_it_is_seen(page, picture, tmp_path):
    page.set_input_files("#file", picture)
    drawn(page, 1)
    with page.expect_download() as saving:
        page.click("#save")
    assert saving.value.suggested_filename == "my cat-starry_night.png"
    saving.value.save_as(tmp_path / "saved.png")
    assert torch.equal(load(tmp_path / "saved.png"), shown(page, tmp_path))


def test_a_size_is_a_long_side_and_transparency_stays(page, tmp_path):
    alpha = torch.ones(1, 1, 300, 200)
    alpha[..., :100, :] = 0
    save(tmp_path / "tall.png", torch.full((1, 3, 300, 200), 0.5), alpha=alpha)
    page.select_option("#size", "256")
    page.set_input_files("#file", tmp_path / "tall.png")
    drawn(page, 1)
    assert page.locator("#status").inner_text().startswith("171 \u00d7 256 px, drawn in ")
    shown(page, tmp_path)
    kept = Picture.open(tmp_path / "shown.png").alpha
    assert kept[..., :80, :].max() == 0
    assert kept[..., 90:, :].min() == 1


def test_holding_compare_shows_the_photograph(page, picture, tmp_path):
    page.set_input_files("#file", picture)
    drawn(page, 1)
    after = shown(page, tmp_path)
    page.locator("#compare").dispatch_event("pointerdown")
    assert torch.equal(shown(page, tmp_path), load(picture))
    page.locator("#compare").dispatch_event("pointerup")
    assert torch.equal(shown(page, tmp_path), after)


def test_the_camera_takes_a_picture(page):
    page.locator("#empty .camera").click()
    page.wait_for_function("() => document.getElementById('video').videoWidth > 0")
    page.click("#shoot")
    drawn(page, 1)
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_the_identity_is_no_style_to_choose_and_what_is_no_picture_is_told(page, tmp_path):
    assert page.locator(".style").all_inner_texts() == ["starry night", "wave"]
    assert page.locator("[data-style=starry_night]").get_attribute("aria-pressed") == "true"
    assert page.locator("#strength-section").is_visible()
    (tmp_path / "letter.txt").write_text("Dear cat")
    page.set_input_files("#file", tmp_path / "letter.txt")
    page.locator("#status", has_text="letter.txt is no picture that this browser can read.").wait_for()
    assert page.locator("#empty").is_visible()


def test_no_width_scrolls_sideways_and_everything_can_be_reached(page, picture):
    page.set_input_files("#file", picture)
    drawn(page, 1)
    for times, width in enumerate((320, 390, 800, 1280), start=2):
        page.set_viewport_size({"width": width, "height": 780})
        page.locator("[data-style=wave]").click()  # beneath nothing
        drawn(page, times)
        page.locator("#size").click(trial=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([hidden])")].filter(
            one => !one.ariaLabel && !one.textContent.trim() && !one.labels?.length
        ).length"""
    )
    assert nameless == 0


def test_the_page_of_one_style_offers_no_choice(browser, site, tmp_path):
    one = TrainedNetwork(unconditional().float(), ("wave",))
    page = browser.new_page()
    page.goto(web_page(one, OnnxModel(b"", "float32", exported().departure), STAND_IN).write(tmp_path / "web").as_uri())
    assert page.locator(".style").all_inner_texts() == ["wave"]
    assert page.locator("#hint").is_hidden()
    assert page.locator("#strength-section").is_hidden()
    page.close()


STAND_IN = BrowserRuntime("", "", b"\0asm")


def test_only_a_page_is_replaced(tmp_path):
    page = web_page(trained(), OnnxModel(b"onnx", "float32", exported().departure), STAND_IN)
    place = page.write(tmp_path / "web")
    require_page_folder(tmp_path / "web")
    assert page.write(tmp_path / "web") == place
    assert page.size == sum(file.stat().st_size for file in place.parent.iterdir())
    (tmp_path / "other").mkdir()
    require_page_folder(tmp_path / "other")
    (tmp_path / "other" / "index.html").write_text("mine")
    with pytest.raises(PlanError, match="holds other files"):
        require_page_folder(tmp_path / "other")
    with pytest.raises(PlanError, match="is a file; name a folder"):
        require_page_folder(tmp_path / "other" / "index.html")
    with pytest.raises(WeightsError, match="cannot write the page into"):
        page.write(tmp_path / "other" / "index.html" / "web")


def test_the_page_asks_for_nothing_by_its_own_rules():
    html = web_page(trained(), OnnxModel(b"", "float32", exported().departure), STAND_IN).files["index.html"].decode()
    assert "default-src 'none'" in html
    assert "connect-src" not in html
    assert "http://" not in html
    assert "https://" not in html
