"""The pure parts of the engine: the line, the slots, the pace, the text."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.serving.admission import waits
from core.serving.native.pace import GRAIN, LARGEST, SLACK, SMALLEST, TILE, Pace, piece
from core.serving.native.slots import Slot, Work, common_prefix, shares
from core.serving.native.text_stream import TextStream
from core.serving.waiting import Line


@dataclass(frozen=True)
class Request:
    name: str
    user: str = ""
    priority: str = "chat"
    interrupted: bool = False


def order(*requests: Request) -> str:
    line: Line[Request] = Line()
    for request in requests:
        line.add(request)
    served = ""
    while len(line):
        request = next(iter(line))
        line.serve(request)
        served += request.name
    return served


def test_one_user_is_served_first_come_first_served() -> None:
    assert order(Request("a"), Request("b"), Request("c")) == "abc"


def test_users_take_turns_in_the_line() -> None:
    assert order(*[Request(n, "ann") for n in "abc"], Request("x", "ben"), Request("y", "cas")) == "axybc"


def test_background_work_waits_for_every_person() -> None:
    assert order(Request("b", priority="background"), Request("x"), Request("y")) == "xyb"


def test_who_was_just_served_goes_behind_somebody_new() -> None:
    line: Line[Request] = Line()
    first, second, new = Request("a", "ann"), Request("b", "ann"), Request("x", "ben")
    line.add(first)
    line.serve(first)
    line.add(second)
    line.add(new)
    assert list(line) == [new, second]


def test_request_that_left_the_line_is_not_served() -> None:
    line: Line[Request] = Line()
    gone, stays = Request("a"), Request("b")
    line.add(gone)
    line.add(stays)
    assert line.remove(gone)
    assert not line.remove(gone)
    assert list(line) == [stays]


@pytest.mark.parametrize(("left", "right", "length"), [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2], [1, 3], 1)])
def test_common_prefix(left: list[int], right: list[int], length: int) -> None:
    assert common_prefix(left, right) == common_prefix(right, left) == length


def paced(seconds: float) -> Pace:
    pace = Pace()
    for _ in range(50):
        pace.measured(64, 64 * seconds)
    return pace


def test_slow_machine_reads_little_at_a_time_while_others_write() -> None:
    slow, fast = paced(0.1), paced(0.002)
    assert slow.prompt_tokens(0, writing=True) == TILE, "less would be read hardly faster"
    assert slow.prompt_tokens(0, writing=True, documents=True) == SMALLEST
    assert TILE <= slow.prompt_tokens(0, writing=False) < 2 * TILE
    assert fast.prompt_tokens(0, writing=True) == 256
    assert fast.prompt_tokens(0, writing=False) == LARGEST


def test_a_question_waits_less_for_what_is_read_in_the_background() -> None:
    pace = paced(0.0145)
    assert pace.prompt_tokens(0, writing=False) == LARGEST
    assert pace.prompt_tokens(0, writing=False, background=True) < LARGEST / 2


def test_more_is_read_at_a_time_when_more_people_wait() -> None:
    pace = paced(0.01)
    found = [pace.prompt_tokens(waiting, writing=True) for waiting in range(8)]
    assert found == sorted(found)
    assert found[-1] == found[-2] > 3 * found[0]


def test_steps_are_short_while_documents_wait_for_their_turn() -> None:
    pace = paced(0.01)
    assert pace.prompt_tokens(0, writing=False, documents=True) < pace.prompt_tokens(0, writing=False)
    assert pace.prompt_tokens(7, writing=True, documents=True) < pace.prompt_tokens(7, writing=True)


def test_answers_have_time_of_their_own_but_less_when_many_wait() -> None:
    pace = paced(0.01)
    found = [pace.writing_seconds(1.0, waiting) for waiting in range(8)]
    assert 0.2 < found[0] < 0.4
    assert found == sorted(found, reverse=True)
    assert found[-1] > 0


def test_tokens_of_a_step_fill_whole_grains() -> None:
    pace = paced(0.0095)
    assert all(pace.prompt_tokens(waiting, writing=True) % GRAIN == 0 for waiting in range(8))


@given(st.integers(1, 20_000), st.integers(SMALLEST, LARGEST))
def test_pieces_of_a_prompt_are_equal_and_none_is_much_more_than_asked_for(unread: int, budget: int) -> None:
    read = []
    while unread:
        read.append(piece(unread, budget))
        unread -= read[-1]
    assert all(tokens % GRAIN == 0 for tokens in read[:-1])
    assert max(read) <= min(max(GRAIN, SLACK * budget), LARGEST)
    assert len(read) == 1 or max(read) - min(read) <= GRAIN * len(read)


def test_a_prompt_has_no_small_rest() -> None:
    assert piece(512, 480) == 512
    assert piece(520, 512) == 272


def reading(*unread: int) -> list[Slot]:
    return [
        Slot(number, work=Work(SimpleNamespace(given=[0] * tokens), TextStream([]), number))  # type: ignore[arg-type]
        for number, tokens in enumerate(unread)
    ]


def granted(unread: tuple[int, ...], budget: int) -> list[tuple[int, int]]:
    return [(slot.number, tokens) for slot, tokens in shares(reading(*unread), budget)]


def test_a_step_ends_where_a_prompt_ends_so_that_its_answer_begins() -> None:
    assert granted((646, 646, 646), 384) == [(0, 336)]
    assert granted((310, 646, 646), 384) == [(0, 310)]


def test_short_prompts_are_read_together() -> None:
    assert granted((100, 100, 100, 100), 384) == [(0, 100), (1, 100), (2, 100)]


def test_a_short_prompt_goes_before_but_the_long_one_goes_on() -> None:
    assert granted((5_000, 60), 400) == [(0, 100), (1, 60)]


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=8), st.integers(SMALLEST, LARGEST))
def test_a_step_is_never_more_than_llama_cpp_takes_and_never_nothing(unread: list[int], budget: int) -> None:
    assert 0 < sum(tokens for _, tokens in granted(tuple(unread), budget)) <= LARGEST


def test_who_has_a_free_place_need_not_wait() -> None:
    assert waits([5.0], [1.0, 2.0], slots=3) == [0, 0]


def test_wait_is_until_the_shortest_of_those_who_share_the_processor_is_done() -> None:
    # Two share it: the one with 2 s of work is done after 4 s, the other one has then 3 of its 5 s left.
    assert waits([2.0, 5.0], [1.0], slots=2) == [4]
    # The next one has 1 s of work and shares with those 3: done 2 s later, which is when the last one begins.
    assert waits([2.0, 5.0], [1.0, 9.0], slots=2) == [4, 6]


def test_nobody_is_told_to_wait_less_than_who_stands_before() -> None:
    found = waits([3.0, 1.0, 2.0], [4.0, 0.5, 2.5, 1.0], slots=3)
    assert found == sorted(found)


def test_what_a_crash_interrupted_goes_on_first() -> None:
    assert order(Request("a"), Request("b", "ben"), Request("c", "cas", "background", interrupted=True)) == "cab"


def streamed(text: str, *stop: str, size: int = 1) -> tuple[list[str], bool]:
    stream, raw = TextStream(stop), text.encode()
    shown = [stream.feed(raw[place : place + size]) for place in range(0, len(raw), size) if not stream.stopped]
    return [*shown, stream.finish()], stream.stopped


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_characters_are_put_together(size: int) -> None:
    pieces, _ = streamed("né 日本 🎉", size=size)
    assert "".join(pieces) == "né 日本 🎉"


def test_half_a_character_at_the_end_is_left_out() -> None:
    stream = TextStream()
    assert stream.feed("a🎉".encode()[:-1]) + stream.finish() == "a"


def test_nothing_of_a_stop_string_is_shown() -> None:
    pieces, stopped = streamed("one two\n\nUser: three", "\n\nUser:", "never")
    assert "".join(pieces) == "one two"
    assert stopped


def test_what_only_looked_like_a_stop_string_is_shown() -> None:
    pieces, stopped = streamed("a\n\nUs and them\n\nU", "\n\nUser:")
    assert "".join(pieces) == "a\n\nUs and them\n\nU"
    assert not stopped


def test_first_of_several_stop_strings_counts() -> None:
    assert "".join(streamed("abcdef", "de", "cdef", size=6)[0]) == "ab"
