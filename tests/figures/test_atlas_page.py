"""The page of an atlas in a browser that may ask for nothing but files."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sample_atlas import CHANNELS, DEAD, GOLDFISH, LAYERS, sample_atlas, texture

from oneira.features.backbones.classes import imagenet_classes, pocket_classes
from oneira.figures.atlas.entries import Atlas, ChannelEntry, LayerEntry, Push
from oneira.figures.atlas.pictures import save_picture
from oneira.figures.atlas.writing import write_site


@pytest.fixture(scope="module")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("an atlas #1 50%")


@pytest.fixture(scope="module")
def atlas(site_folder: Path) -> Atlas:
    return sample_atlas(site_folder)


@pytest.fixture(scope="module")
def site(site_folder: Path, atlas: Atlas) -> Path:
    return write_site(site_folder, atlas)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, site: Path) -> Iterator[Any]:
    """The page at 1600x1000; whatever it asks for beyond files, and whatever goes wrong in it, fails the test."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    opened, wrong = context.new_page(), []

    def route(asked: Any) -> None:
        if asked.request.url.startswith("file:"):
            asked.continue_()
        else:
            wrong.append(asked.request.url)
            asked.abort()

    opened.route("**/*", route)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    opened.on("requestfailed", lambda request: wrong.append(request.url) if "ABORTED" not in request.failure else None)
    opened.goto(site.as_uri())
    yield opened
    context.close()
    assert wrong == []


def at(page: Any, place: str) -> None:
    page.evaluate("place => { location.hash = place }", place)
    page.wait_for_function("place => location.hash === place", arg=place)


def wait_for_title(page: Any, text: str) -> None:
    page.locator("#channel-title", has_text=re.compile(f"^{re.escape(text)}$")).wait_for()


def addresses(page: Any) -> list[str]:
    return page.eval_on_selector_all("#grid .tile", "tiles => tiles.map(tile => tile.dataset.address)")


def test_the_layers_stand_at_the_side_with_what_is_known_of_them(page):
    items = page.locator("#layers a").all_inner_texts()
    assert [re.split(r"\s*\n\s*", item.strip()) for item in items] == [
        ["relu2_2", "40", "stride 2 · sees 14 px · 1 dead"],
        ["relu3_4", "40", "stride 4 · sees 48 px · 1 dead"],
        [LAYERS[2][0], "40", "whole picture · 1 dead"],
    ]
    assert page.locator("#seen").inner_text() == "Measured over 9 <i>pictures</i>"
    assert page.locator("main b b, #layers b").count() == 0


def test_every_picture_of_a_layer_can_be_seen(page):
    for name, _, _ in LAYERS:
        page.locator("#layers .name", has_text=name).click()
        page.locator("#title", has_text=name).wait_for()
        assert len(addresses(page)) == CHANNELS
        pictures = page.locator("#grid img")
        for at_ in (0, CHANNELS // 2, CHANNELS - 2):
            pictures.nth(at_).scroll_into_view_if_needed()
            page.wait_for_function(
                "image => image.complete && image.naturalWidth === 128", arg=pictures.nth(at_).element_handle()
            )


def test_pictures_far_below_are_left_for_later(page):
    assert page.eval_on_selector_all("#grid img", "images => images.every(image => image.loading === 'lazy')")


def test_a_search_ranks_the_channels_of_all_layers_that_push_a_class(page, atlas):
    page.keyboard.press("/")
    page.keyboard.type("goldfi")
    page.locator("#title", has_text="goldfish").wait_for()
    pushed = [
        (push.amount, f"{layer.name}:{channel.index}")
        for layer in atlas.layers
        for channel in layer.channels
        for push in channel.pushes
        if push.number == GOLDFISH
    ]
    assert addresses(page) == [address for _, address in sorted(pushed, key=lambda found: -found[0])]
    assert page.evaluate("location.hash") == "#?goldfi"
    page.go_back()  # one step for the whole word
    page.wait_for_function("location.hash === ''")


def test_part_of_a_word_finds_all_classes_and_offers_each(page):
    page.locator("#query").fill("fish")
    chips = page.locator("#chips a")
    assert "goldfish" in chips.all_inner_texts()
    chips.get_by_text("goldfish", exact=True).click()
    page.locator("#title", has_text="Channels that push goldfish").wait_for()


def test_a_class_that_is_not_there_is_said_so(page):
    page.locator("#query").fill("<img src=x onerror=alert(1)>")
    page.locator("#nothing", has_text="is called “<img src=x onerror=alert(1)>”").wait_for()
    assert addresses(page) == []


@pytest.mark.parametrize("address", ["relu3_4:17", "pocket:RELU3_4:17"])
def test_an_address_leads_to_its_channel(page, address):
    page.locator("#query").fill(address)
    page.keyboard.press("Enter")
    wait_for_title(page, "relu3_4:17")


def test_the_beginning_of_an_address_finds_all_that_go_on_so(page):
    page.locator("#query").fill("relu2_2:1")
    assert addresses(page) == [f"relu2_2:{index}" for index in (1, *range(10, 20))]


def test_a_channel_shows_all_that_is_known_of_it(page, atlas):
    at(page, "#relu3_4")
    page.locator('[data-address="relu3_4:17"]').first.click()
    wait_for_title(page, "relu3_4:17")
    channel = atlas.layers[1].channels[17]
    assert page.evaluate("decodeURIComponent(location.hash)") == "#relu3_4:17"
    assert page.locator("#patches img").count() == 9
    page.wait_for_function(
        "[...document.querySelectorAll('#patches img')].every(image => image.naturalWidth === 9 * 56)"
    )
    lefts = page.eval_on_selector_all(
        "#patches img", "images => images.map(image => image.x - image.parentElement.getBoundingClientRect().x)"
    )
    assert lefts == pytest.approx([-64 * place for place in range(9)], abs=1)
    assert page.locator("#statistics").inner_text().split("\n") == [
        "fires at",
        "18 % of positions",
        "and in",
        "75 % of pictures",
        "highest",
        "20.5",
    ]
    names = [pocket_classes()[push.number].split(", ")[0] for push in channel.pushes]
    assert page.locator("#pushes .name").all_inner_texts() == names
    parts = page.eval_on_selector_all(
        "#pushes i", "bars => bars.map(bar => bar.offsetWidth / bar.parentElement.offsetWidth)"
    )
    assert parts == pytest.approx([push.amount / channel.pushes[0].amount for push in channel.pushes], abs=0.01)
    page.locator("#neighbours .tile").nth(1).click()
    wait_for_title(page, f"relu3_4:{channel.neighbours[1].channel}")
    page.locator("#pushes a").first.click()
    page.locator("#title", has_text="Channels that push").wait_for()


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_command_is_copied_with_a_clipboard_and_without(page, clipboard):
    at(page, "#relu3_4:17")
    wait_for_title(page, "relu3_4:17")
    if clipboard:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator("#copy").click()
    page.locator("#copy", has_text="Copied").wait_for()
    assert page.locator("#told").inner_text() == "The command is copied."
    page.locator("#query").focus()
    page.keyboard.press("Control+V")
    assert page.locator("#query").input_value() == "oneira dream PICTURE --layer relu3_4 --channels 17"


def test_the_keyboard_is_enough(page):
    at(page, "#relu3_4")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_for_title(page, "relu3_4:1")
    page.keyboard.press("ArrowRight")
    wait_for_title(page, "relu3_4:2")
    page.keyboard.press("ArrowDown")
    columns = page.evaluate("getComputedStyle(document.getElementById('grid')).gridTemplateColumns.split(' ').length")
    wait_for_title(page, f"relu3_4:{2 + columns}")
    assert page.evaluate("document.activeElement.id") == "channel-title"
    page.keyboard.press("Escape")
    page.locator("#channel").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.dataset.address") == f"relu3_4:{2 + columns}"
    page.keyboard.press("/")
    page.keyboard.type("goldfish")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.address") == addresses(page)[0]
    page.keyboard.press("Escape")
    page.locator("#title", has_text="relu3_4").wait_for()


def test_the_end_of_a_layer_is_an_end(page):
    at(page, "#relu3_4:39")
    wait_for_title(page, "relu3_4:39")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("location.hash") == "#relu3_4:39"
    assert page.locator("#next").get_attribute("href") is None
    assert page.locator("#previous").get_attribute("href") == "#relu3_4:38"


def test_links_and_the_way_back_work(page, site):
    page.goto("about:blank")
    page.goto(f"{site.as_uri()}#relu2_2:7")
    wait_for_title(page, "relu2_2:7")
    assert "relu2_2:7" in page.title()
    page.locator("#layers .name", has_text="relu3_4").click()
    page.locator("#channel").wait_for(state="hidden")
    page.go_back()
    wait_for_title(page, "relu2_2:7")
    at(page, "#?goldfish")
    first = page.locator("#grid .tile").first
    address = first.get_attribute("data-address")
    first.click()
    wait_for_title(page, address)
    assert page.locator("#title").inner_text() == "Channels that push goldfish"
    page.locator("#close").click()
    page.locator("#channel").wait_for(state="hidden")
    assert page.evaluate("location.hash") == "#?goldfish"


@pytest.mark.parametrize("place", ["#nowhere:3", "#relu2_2:4000", "#%E0%A4%A", "#?%", "#:", "#relu2_2:"])
def test_an_address_of_nothing_shows_a_layer_or_says_so(page, place):
    at(page, place)
    assert page.locator("#title").inner_text()
    assert page.locator("#channel").is_hidden()


def test_a_dead_channel_says_so_and_offers_no_dream(page):
    at(page, "#relu3_4")
    page.locator("#title", has_text="relu3_4").wait_for()
    tile = page.locator(f'[data-address="relu3_4:{DEAD}"]')
    assert tile.locator("img").count() == 0
    assert tile.locator(".dead").inner_text() == "dead"
    tile.click()
    wait_for_title(page, f"relu3_4:{DEAD}")
    assert page.locator("#picture").inner_text() == "Dead: it never fires, so there is nothing to show."
    assert page.locator("#command-section").is_hidden()


@pytest.mark.parametrize(
    "place", ["#relu3_4", "#relu3_4:17", "#?goldfish", "#odd%20%3Cb%3Elayer%3C%2Fb%3E%20100%25%2F%3F%23%3A1:3"]
)
@pytest.mark.parametrize("width", [360, 800, 1600])
def test_no_width_scrolls_sideways(page, place, width):
    page.set_viewport_size({"width": width, "height": 800})
    at(page, place)
    page.locator("#grid .tile").first.wait_for(state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "document.getElementById('channel').scrollWidth <= document.getElementById('channel').clientWidth"
    )


def test_on_a_telephone_a_channel_covers_the_rest_and_gives_it_back(page):
    page.set_viewport_size({"width": 390, "height": 800})
    at(page, "#relu3_4:17")
    wait_for_title(page, "relu3_4:17")
    assert page.evaluate("document.getElementById('main').inert && document.getElementById('side').inert")
    box = page.locator("#channel").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 390, 800)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    assert page.locator("#channel").is_hidden()


def test_everything_that_acts_has_a_name_and_one_tile_a_tab_stop(page):
    at(page, "#relu3_4:17")
    wait_for_title(page, "relu3_4:17")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, img, [role=img]")].filter(
            one => !one.ariaLabel && !one.textContent.trim() && !one.hasAttribute("alt") && !one.labels?.length
        )"""
    )
    assert nameless == []
    assert page.locator('#grid .tile[tabindex="0"]').count() == 1


def test_two_classes_of_one_name_are_told_apart(browser, tmp_path):
    names = [name.split(", ")[0] for name in imagenet_classes()]
    twice = next(name for name in names if names.count(name) > 1)
    one, other = (number for number, name in enumerate(names) if name == twice)
    channels = tuple(
        ChannelEntry(index, save_picture(tmp_path, 0, "l", index, texture(index, 30)), pushes=(Push(number, 1.0),))
        for index, number in enumerate((one, other))
    )
    page = browser.new_page()
    page.goto(
        write_site(tmp_path, Atlas("vgg19", (LayerEntry("l", 1, 3, channels),), imagenet_classes())).as_uri() + "#l:1"
    )
    page.locator("#pushes a").click()
    page.locator("#title", has_text="Channels that push").wait_for()
    lines = imagenet_classes()
    expected = ["l:1"] if lines[one] != lines[other] else ["l:0", "l:1"]
    assert addresses(page) == expected
    page.close()


def test_a_channel_that_fires_but_was_not_drawn_is_not_called_dead(browser, tmp_path):
    (layer,) = Atlas("pocket", (LayerEntry("l", 1, 3, (ChannelEntry(0, None, fires=0.25, fires_in=1.0),)),)).layers
    page = browser.new_page()
    page.goto(write_site(tmp_path, Atlas("pocket", (layer,))).as_uri() + "#l:0")
    wait_for_title(page, "l:0")
    assert page.locator('#grid [data-address="l:0"] .dead').inner_text() == "no picture"
    assert page.locator("#picture").inner_text() == "It fires, but no picture drawn from noise could wake it."
    assert page.locator("#command-section").is_visible()
    assert "dead" not in page.locator("#layers").inner_text()
    page.close()
