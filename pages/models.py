"""Models: which are here, which one answers, getting others, and services elsewhere that may answer instead."""

from pages.ui import endpoint_cards, frame, model_cards, state

with frame.page("Models", "Each model of this machine is checked byte by byte before it is used."):
    services = state.services()
    health, active = services.health.current(), services.endpoints.active()
    views, endpoints = services.models.list_models(), services.endpoints.list_endpoints()
    model_cards.summary(health, views, active)
    model_cards.cards(views, health)
    endpoint_cards.section(endpoints, active)
    model_cards.draw_open(views)
    endpoint_cards.draw_open(endpoints, active)
