"""Models: which are here, which one answers, getting others, services elsewhere, comparing two, what they do now."""

import streamlit as st

from core.types import User
from pages.ui import endpoint_cards, frame, model_activity, model_cards, model_compare, model_work, state

MODELS, COMPARE, ACTIVITY = "Models", "Compare", "Activity"


def draw(user: User) -> None:
    services = state.services()
    health, active = services.health.current(), services.endpoints.active()
    views = services.models.list_models()
    model_cards.summary(health, views, active)
    model_work.progress()
    shown = st.segmented_control(
        "View",
        [MODELS, COMPARE, ACTIVITY],
        default=MODELS,
        key="models-view",
        required=True,
        label_visibility="collapsed",
    )
    if shown == COMPARE:
        model_compare.draw(views, user)
    elif shown == ACTIVITY:
        model_activity.draw()
    else:
        endpoints = services.endpoints.list_endpoints()
        model_cards.cards(views, health)
        endpoint_cards.section(endpoints, active)
        model_cards.draw_open(views)
        model_work.draw_open([view.model for view in views])
        endpoint_cards.draw_open(endpoints, active)


with frame.page("Models", "Each model of this machine is checked byte by byte before it is used.") as person:
    draw(person)
