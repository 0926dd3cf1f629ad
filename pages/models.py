"""Models: which are here, which one answers, and getting others."""

from pages.ui import frame, model_cards, state

with frame.page("Models", "They run on this machine. Each one is checked byte by byte before it is used."):
    services = state.services()
    health = services.health.current()
    views = services.models.list_models()
    model_cards.summary(health, views)
    model_cards.cards(views, health)
    model_cards.draw_open(views)
