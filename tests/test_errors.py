from core.errors import ContextTooLong, GroundworkError, ModelBusy, ModelError, from_code


def test_an_error_survives_the_way_through_another_process() -> None:
    assert isinstance(from_code(ContextTooLong("x").code, "too long"), ContextTooLong)
    assert str(from_code("model_busy", "later")) == "later"
    assert isinstance(from_code("model_busy", ""), ModelBusy)


def test_an_unknown_code_is_a_model_error() -> None:
    assert type(from_code("invalid_api_key", "no")) is ModelError


def test_codes_are_snake_case_names() -> None:
    assert GroundworkError("").code == "groundwork_error"
    assert ContextTooLong("").code == "context_too_long"
