"""Other model services on the Models page, and what the Chat page says about them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from streamlit.testing.v1 import AppTest

from core.models.endpoint import Draft, Endpoint, KeyKind
from core.models.remote.attempt import Patience
from core.services import Services
from pages.ui import endpoint_form as form
from tests.misbehaving import ANSWER, HOLD, Misbehaving, head, refusal
from tests.pages.conftest import Ask, Open, fine, said
from tests.pages.test_models import DEFAULT, install

PAGE = "models.py"
KEY = "sesame-open-1234"
LISTED = {"data": [{"id": "tiny", "max_model_len": 4096}, {"id": "*bold*"}]}


@pytest.fixture
def service() -> Iterator[Misbehaving]:
    with Misbehaving() as made:
        yield made


@pytest.fixture
def box(live: Services, service: Misbehaving) -> Endpoint:
    """A service that is known, and not used yet."""
    live.endpoints.patience = Patience(connect=10, first=10, silence=10, delay=0.01)
    draft = Draft("Box", service.url, "tiny", 4096, KeyKind.stored, SecretStr(KEY))
    return live.endpoints.add(draft)


def typed(at: AppTest, **contents: str) -> AppTest:
    keys = {"name": form.NAME, "url": form.URL, "model": form.MODEL, "key": form.KEY, "variable": form.VARIABLE}
    for name, content in contents.items():
        at.text_input(key=keys[name]).set_value(content)
    return at.run()


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def keys(at: AppTest) -> list[str | None]:
    return [button.key for button in at.button]


def test_an_empty_installation_says_that_nothing_is_sent(visit: Open) -> None:
    at = fine(visit(PAGE))
    assert "Nothing is sent anywhere" in said(at)
    assert "endpoint-add" in keys(at)


def test_a_service_is_added_with_a_key_that_is_never_shown_again(
    visit: Open, live: Services, service: Misbehaving
) -> None:
    at = press(visit(PAGE), "endpoint-add")
    at.segmented_control(key=form.KIND).set_value(KeyKind.stored).run()
    assert at.text_input(key=form.KEY).proto.type == at.text_input(key=form.KEY).proto.PASSWORD
    typed(at, name="Box", url=service.url.removesuffix("/v1"), model="tiny", key=KEY)
    fine(press(at, "endpoint-save"))
    (made,) = live.endpoints.list_endpoints()
    assert (made.name, made.url, made.model, made.key_kind) == ("Box", service.url, "tiny", KeyKind.stored)
    assert "key stored, encrypted" in said(at)
    press(at, f"endpoint-change-{made.id}")
    assert at.text_input(key=form.KEY).value == ""
    assert "Stored" in at.text_input(key=form.KEY).placeholder
    typed(at, name="Chest")
    fine(press(at, "endpoint-save"))
    assert [(e.name, e.key_kind) for e in live.endpoints.list_endpoints()] == [("Chest", KeyKind.stored)]
    assert at.session_state[form.KEY] == "", "the page forgets it too"
    assert KEY not in said(at)


def test_what_is_wrong_is_said_in_the_form_and_nothing_typed_is_lost(visit: Open, live: Services) -> None:
    at = press(visit(PAGE), "endpoint-add")
    typed(at, name="Box", url="example.org", model="tiny")
    press(at, "endpoint-save")
    assert "must begin with https" in at.error[0].value
    assert at.text_input(key=form.NAME).value == "Box"
    typed(at, url="https://example.org/v1")
    fine(press(at, "endpoint-save"))
    assert [e.name for e in live.endpoints.list_endpoints()] == ["Box"]


def test_a_key_may_come_from_the_environment(visit: Open, live: Services) -> None:
    at = press(visit(PAGE), "endpoint-add")
    at.segmented_control(key=form.KIND).set_value(KeyKind.variable).run()
    typed(at, name="Box", url="https://example.org", model="tiny", variable="BOX_KEY")
    fine(press(at, "endpoint-save"))
    assert live.endpoints.list_endpoints()[0].key_variable == "BOX_KEY"
    assert "key from BOX_KEY" in said(at)


def test_the_models_of_a_service_can_be_chosen(visit: Open, service: Misbehaving) -> None:
    service.plays(head(content_type="application/json") + json.dumps(LISTED).encode())
    at = press(visit(PAGE), "endpoint-add")
    typed(at, url=service.url)
    press(at, "endpoint-list")
    offered = at.selectbox(key=form.OFFERED)
    assert len(offered.options) == 2
    offered.set_value("tiny").run()
    assert at.text_input(key=form.MODEL).value == "tiny"
    assert at.number_input(key=form.CONTEXT).value == 4096


def test_a_service_without_a_list_says_so_in_the_form(visit: Open, service: Misbehaving) -> None:
    service.plays(refusal(401, {"message": "no"}))
    at = press(visit(PAGE), "endpoint-add")
    typed(at, url=service.url)
    press(at, "endpoint-list")
    assert "wants a key" in at.error[0].value
    press(at, "endpoint-cancel")
    fine(at)
    assert form.URL not in [field.key for field in at.text_input]


def test_a_trial_says_in_one_sentence_how_it_went(
    visit: Open, live: Services, service: Misbehaving, box: Endpoint
) -> None:
    service.plays(ANSWER, 0.0).plays(refusal(401, {"message": "no"}))
    at = visit(PAGE)
    for sentence in ("tiny answered “The dam is high.” after", "does not accept the key"):
        press(at, f"endpoint-test-{box.id}")
        end = time.monotonic() + 20
        while live.endpoints.trials.last(box.id).active:  # type: ignore[union-attr]
            assert time.monotonic() < end
            time.sleep(0.02)
        at.run()
        assert sentence in said(at)


def test_a_trial_can_be_stopped(visit: Open, live: Services, service: Misbehaving, box: Endpoint) -> None:
    service.plays(head(), HOLD)
    live.endpoints.patience = Patience()
    at = press(visit(PAGE), f"endpoint-test-{box.id}")
    assert at.button(key=f"endpoint-test-{box.id}").disabled
    assert "Asking 127.0.0.1" in said(at)
    press(at, f"endpoint-stop-{box.id}")
    assert service.hung_up.wait(10)


def test_where_text_goes_is_said_before_and_while_a_service_is_used(visit: Open, live: Services, box: Endpoint) -> None:
    install(live, live.settings.embedding_model)
    install(live, DEFAULT)
    here = f"stays on this machine: the service at {box.host} answers"
    far = live.endpoints.add(Draft("Far", "https://example.org/v1", "big", 8192))
    at = fine(visit(PAGE))
    assert f"If you use it: what you ask {here}" in said(at)
    sent = "What you ask, and the passages that go with it, are sent to example.org."
    assert sent not in said(at)
    fine(press(at, f"endpoint-use-{far.id}"))
    assert live.endpoints.active() == far
    assert sent in [info.value.replace("\\", "") for info in at.info]
    assert "big at example.org answers" in at.success[0].value.replace("\\", "")
    assert "Standing by" in said(at)
    assert sent in said(fine(visit()))
    press(at, f"endpoint-use-{box.id}")
    assert f"What you ask {here}" in said(at)
    assert sent not in said(fine(visit()))
    assert f"What you ask {here}" in said(fine(visit()))


def test_the_welcome_promises_only_what_is_so(visit: Open, live: Services, box: Endpoint) -> None:
    assert "Everything stays on this machine." in said(visit())
    live.endpoints.activate(box.id)
    assert "Everything stays on this machine." in said(visit())
    live.endpoints.activate(live.endpoints.add(Draft("Far", "https://example.org/v1", "big", 8192)).id)
    at = visit()
    assert "Everything stays on this machine." not in said(at)
    assert "kept and searched on this machine" in said(at)


def test_the_model_of_this_machine_can_be_used_again(visit: Open, live: Services, box: Endpoint) -> None:
    install(live, DEFAULT)
    live.endpoints.activate(box.id)
    at = fine(visit(PAGE))
    press(at, f"endpoint-leave-{box.id}")
    assert live.endpoints.active() is None
    live.endpoints.activate(box.id)
    at.run()
    fine(press(at, f"use-{DEFAULT}"))
    assert live.endpoints.active() is None


def test_a_service_is_removed_only_after_a_question(visit: Open, live: Services, box: Endpoint) -> None:
    live.endpoints.activate(box.id)
    at = press(visit(PAGE), f"endpoint-remove-{box.id}")
    assert "the model of this machine answers again" in said(at)
    press(at, "endpoint-kept")
    assert live.endpoints.active() == box
    press(at, f"endpoint-remove-{box.id}")
    fine(press(at, "endpoint-removed"))
    assert live.endpoints.list_endpoints() == []
    assert live.endpoints.active() is None


def test_a_service_whose_key_is_lost_cannot_be_used_and_says_why(visit: Open, live: Services, box: Endpoint) -> None:
    live.settings.key_file.unlink()
    at = press(visit(PAGE), f"endpoint-use-{box.id}")
    assert "Type the key again" in at.error[0].value
    assert live.endpoints.active() is None


def test_an_answer_that_broke_off_is_shown_with_the_reason(
    visit: Open, live: Services, service: Misbehaving, box: Endpoint, ask: Ask
) -> None:
    service.plays(head() + ANSWER.split(b"\r\n\r\n")[1][:80])
    live.endpoints.activate(box.id)
    thread = ask()
    at = fine(visit(c=live.conversations.list_conversations(owner_id="local")[0].id))
    assert thread[1].error in said(at)


def test_names_of_services_cannot_dress_up(visit: Open, live: Services) -> None:
    live.endpoints.add(
        Draft(":red[**x**](https://evil.example)", "https://example.org/v1", "![m](http://e/x.png)", 8192)
    )
    at = fine(visit(PAGE))
    assert not [text.value for text in [*at.markdown, *at.caption] if ":red[" in text.value or "![m]" in text.value]
