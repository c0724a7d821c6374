"""The page in a real browser, before a server that does as it is told."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from playwright.sync_api import Browser

from fakes.openai_server import POEM, Behaviour, FakeServer, Fault
from web.chromium import Tab, new_tab
from web.page_process import PageProcess


def test_an_answer_streams_and_is_counted(tab: Tab, server: FakeServer) -> None:
    go_on = threading.Event()
    server.behaviour = Behaviour(first_token_seconds=0.1, tokens=24, go_on=go_on)
    with tab.answering():
        tab.type("《静夜思》")
        tab.page.wait_for_selector(f"#chat .bot.message:has-text('{POEM[0]}')")
        assert (tab.answers, tab.typed) == ([POEM[0]], "")
        go_on.set()
    assert (tab.questions, tab.answers) == (["《静夜思》"], [POEM])
    assert re.fullmatch(
        r"24 tokens in \d+\.\d s · first after \d+\.\d\d s · [\d,]+ tokens/s · 29 of 4,096 tokens of context used"
        r" · cut off at the longest answer",
        tab.status,
    )
    [request] = server.requests
    assert request.body["messages"] == [{"role": "user", "content": "《静夜思》"}]


def test_a_conversation_is_changed(tab: Tab, server: FakeServer) -> None:
    tab.ask("一")
    tab.ask("二")
    assert server.requests[1].body["messages"] == [
        {"role": "user", "content": "一"},
        {"role": "assistant", "content": POEM},
        {"role": "user", "content": "二"},
    ]

    with tab.answering():
        tab.click("Retry")
    assert server.requests[2].body["messages"] == server.requests[1].body["messages"]
    assert (tab.questions, tab.answers) == (["一", "二"], [POEM, POEM])

    tab.click("Undo")
    tab.page.wait_for_function("document.querySelector('#box textarea').value === '二'")
    assert (tab.questions, tab.answers, tab.status) == (["一"], [POEM], "")

    with tab.answering():
        tab.click("Edit")
        tab.page.locator("#chat textarea").fill("三")
        tab.click("Submit")
    assert server.requests[3].body["messages"] == [{"role": "user", "content": "三"}]
    assert (tab.questions, tab.answers) == (["三"], [POEM])

    tab.click("Clear")
    tab.page.wait_for_selector("#chat .placeholder")
    assert (tab.questions, tab.answers, tab.status) == ([], [], "")


def test_stop_ends_the_answer_at_the_server(tab: Tab, server: FakeServer) -> None:
    server.behaviour = Behaviour(token_seconds=0.05, tokens=400)
    with tab.answering():
        tab.type("长")
        tab.page.wait_for_selector("#chat .bot.message")
        tab.type("next")  # stays in the box
        tab.page.locator("#box .stop-button").click()
    [request] = server.requests
    assert request.ended.wait(30) and request.disconnected and request.sent_tokens < 400
    assert re.fullmatch(r"stopped · \d+\.\d s · first after \d+\.\d\d s", tab.status)
    [kept] = tab.answers
    assert kept and POEM.startswith(kept[:24])
    assert tab.typed == "next"

    server.behaviour = Behaviour(tokens=24)
    tab.ask("还有吗")
    assert [message["content"] for message in server.requests[1].body["messages"]] == ["长", kept, "还有吗"]


def test_a_tab_that_is_closed_ends_its_answer(browser: Browser, server: FakeServer, site: PageProcess) -> None:
    server.behaviour = Behaviour(first_token_seconds=60)
    with new_tab(browser) as tab:
        tab.open(site.url).type("等")
        tab.page.wait_for_selector("#box .stop-button")
        assert tab.status == "waiting for the first token …"
    [request] = server.requests
    assert request.ended.wait(30) and request.disconnected


def test_a_conversation_is_cleared_while_an_answer_runs(tab: Tab, server: FakeServer) -> None:
    server.behaviour = Behaviour(token_seconds=0.05, tokens=400)
    with tab.answering():
        tab.type("长")
        tab.page.wait_for_selector("#chat .bot.message")
        tab.click("Clear")
    assert server.requests[0].ended.wait(30) and server.requests[0].disconnected
    assert (tab.questions, tab.answers, tab.status) == ([], [], "")


def test_settings_and_conversation_outlive_a_reload(tab: Tab, server: FakeServer) -> None:
    tab.page.get_by_label("Toggle Sidebar").click()
    tab.page.get_by_label("System prompt").fill("你是诗人。")
    temperature = tab.page.get_by_label("number input for Temperature")
    assert temperature.input_value() == "0"  # demo's generation_config.json
    temperature.fill("0.5")
    temperature.press("Tab")
    tab.ask("一")
    expected = {"temperature": 0.5, "top_p": 1, "top_k": -1, "repetition_penalty": 1, "max_tokens": 1024}
    tab.reload()
    assert (tab.questions, tab.answers, tab.status) == (["一"], [POEM], "")
    tab.ask("二")
    for request in server.requests:
        body = request.body
        assert {name: body[name] for name in expected} == expected
        assert body["stop_token_ids"] == [2, 195, 196]
        assert body["messages"][0] == {"role": "system", "content": "你是诗人。"}
    assert len(server.requests[1].body["messages"]) == 4


def test_a_model_that_bcli_does_not_know_is_asked_plainly(tab: Tab, server: FakeServer) -> None:
    tab.page.locator("#model input").click()
    tab.page.get_by_role("option", name="foreign").click()
    tab.page.get_by_label("Toggle Sidebar").click()
    decides = tab.page.get_by_label("Leave sampling to the server")
    decides.wait_for()
    assert decides.is_checked()
    tab.ask("一")
    assert set(server.requests[0].body) == {"model", "messages", "stream", "stream_options"}
    assert server.requests[0].body["model"] == "foreign"
    decides.uncheck()
    top_k = tab.page.get_by_label("number input for Top k")
    top_k.fill("7")
    top_k.press("Tab")
    tab.ask("二")
    assert server.requests[1].body["top_k"] == 7
    assert "stop_token_ids" not in server.requests[1].body


def test_a_model_that_has_come_later_outlives_a_reload(tab: Tab, server: FakeServer) -> None:
    server.models, server.max_model_len = (*server.models, "late"), 9000
    tab.reload()
    tab.page.locator("#model input").click()
    tab.page.get_by_role("option", name="late").click()
    tab.page.get_by_label("Toggle Sidebar").click()
    tab.page.get_by_label("Leave sampling to the server").uncheck()
    longest = tab.page.get_by_label("number input for Longest answer")
    longest.fill("8000")
    longest.press("Tab")
    tab.reload()
    tab.ask("一")
    body = server.requests[0].body
    assert (body["model"], body["max_tokens"]) == ("late", 8000)
    server.models = ("foreign",)
    tab.reload()
    tab.ask("二")
    assert server.requests[1].body["model"] == "foreign"
    assert "max_tokens" not in server.requests[1].body  # its own settings came with it


def test_two_browsers_have_conversations_of_their_own(
    tab: Tab, browser: Browser, server: FakeServer, site: PageProcess
) -> None:
    server.behaviour = Behaviour(tokens=24, together=2)  # neither is answered before both have asked
    with new_tab(browser) as other:
        other.open(site.url)
        with tab.answering():
            tab.type("一")
            other.ask("二")
        assert (tab.questions, other.questions) == (["一"], ["二"])
    assert [request.body["messages"][0]["content"] for request in server.requests] == ["一", "二"]


def test_what_goes_wrong_is_said_in_the_place_of_the_answer(tab: Tab, server: FakeServer) -> None:
    key, server.api_key = server.api_key, "another"
    tab.ask("一")
    assert tab.answers == [
        "The server does not accept this page's key.\nStart the page again with the server's API key.\nUnauthorized"
    ]
    tab.reload()
    assert tab.status == "The server does not accept this page's key. Start the page again with the server's API key."
    assert len(tab.answers) == 1
    server.api_key = key
    server.behaviour = Behaviour(token_seconds=0.02, tokens=24, fault=Fault.CUT, fault_after=7)
    tab.ask("二")
    [broken] = tab.answers[1:]
    words = "The answer broke off.\nThe server may have stopped. Try again, and look at its log."
    assert broken in [f"{POEM[:kept]}\n{words}" for kept in range(1, 8)]
    server.behaviour = Behaviour(tokens=24)
    with tab.answering():
        tab.click("Retry")
    assert tab.answers[1:] == [POEM]
    # A question without an answer is not told to the model.
    assert server.requests[-1].body["messages"] == [{"role": "user", "content": "二"}]


def test_the_page_speaks_chinese(browser: Browser, server: FakeServer, site: PageProcess) -> None:
    with new_tab(browser, locale="zh") as tab:  # a plain `zh`, which Gradio does not know
        tab.open(site.url)
        tab.page.get_by_label("Toggle Sidebar").click()
        tab.page.get_by_text("恢复模型自己的设置").wait_for()
        tab.ask("一")
        server.behaviour = Behaviour(fault=Fault.DROP)
        tab.ask("二")
        assert tab.answers[1] == "服务端没有响应。\n请确认它仍在运行，然后重试。"
        server.behaviour = Behaviour(tokens=24)
        with tab.answering():
            tab.click("重试")
        assert re.fullmatch(
            r"24 个 token，\d+\.\d 秒 · 首 token \d+\.\d\d 秒(?: · [\d,]+ token/秒)? · 上下文已用 50 / 4,096 个 token"
            r" · 已达回答长度上限",
            tab.status,
        )
        shown = tab.page.locator("body").inner_text()
        titles = tab.page.locator("#chat [title]").evaluate_all("each => each.map((one) => one.title)")
        english = set(re.findall("[A-Za-z]{2,}", " ".join([shown, *titles])))
        assert english == {"token", "Top"}


def test_it_fits_a_phone(browser: Browser, server: FakeServer, site: PageProcess, tmp_path: Path) -> None:
    with new_tab(browser, viewport={"width": 360, "height": 640}, color_scheme="dark") as tab:
        tab.open(site.url)
        server.behaviour = Behaviour(tokens=600)
        tab.ask("《静夜思》")
        tab.page.screenshot(path=tmp_path / "phone.png")
        sizes = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert tab.page.evaluate(sizes) == [360, 640]
        # The conversation scrolls in itself, and is at its end.
        conversation = tab.page.locator("#chat .bubble-wrap")
        below = conversation.evaluate("(each) => each.scrollHeight - each.clientHeight - each.scrollTop")
        assert conversation.evaluate("(each) => each.scrollTop") > 0 and below < 60
        assert tab.page.locator("#box .submit-button").is_visible()


def test_the_browser_itself_asks_nobody_else(tab: Tab, server: FakeServer) -> None:
    leak = "document.body.append(Object.assign(new Image(), {src: 'http://192.0.2.1/leak.png'}))"
    with tab.page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        tab.page.evaluate(leak)
