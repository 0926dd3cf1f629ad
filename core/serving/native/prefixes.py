"""What was read before: the model's state for the beginnings of prompts, kept as a tree within a budget of memory.

A node holds the state of a run of tokens that begins where it branches off its parent. A prompt walks down the tree
as far as its tokens agree, and the runs on its way are put into the context one after the other. The idea is that of
RadixAttention (Zheng et al. 2024, SGLang), with the state outside of the context: cells of the context that nobody
works on would slow down every step.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.serving.native.llama import Context, State
from core.serving.native.slots import common_prefix
from core.serving.native.state_files import StateFiles

log = logging.getLogger(__name__)

NOTHING: State = np.empty(0, np.uint8)
SHORTEST = 8  # tokens: what is shorter is read again faster than it is found


@dataclass(slots=True, eq=False)
class Node:
    """The state of `tokens`, which stand behind the first `place` tokens of the parent's whole text."""

    parent: Node | None
    place: int
    tokens: list[int]
    state: State
    children: dict[tuple[int, int], Node] = field(default_factory=dict)  # by their place and first token
    used: int = 0


class Prefixes:
    """The tree. For the engine's thread only."""

    def __init__(self, context: Context, *, budget: int, files: StateFiles | None = None) -> None:
        """`budget` in bytes; `files` keep the state of system prompts for the next start."""
        self._context, self._budget, self._files = context, budget, files
        self._root = Node(None, 0, [], NOTHING)
        self._clock = itertools.count(1)
        self.bytes = 0

    def restore(self, sequence: int, tokens: Sequence[int], *, system: int, known: int) -> int:
        """Let the empty or replaced `sequence` begin with what is known of `tokens`; returns how many that are.

        Does nothing unless that is more than `known`. The first `system` tokens may come from an earlier start.
        """
        if self._known(tokens) < system <= len(tokens):
            self._recall(tokens[:system])
        length = self._known(tokens)
        if length <= known or length < SHORTEST:
            return 0
        self._context.forget(sequence, 0)
        for node, end in self._walk(tokens):
            node.used = next(self._clock)
            if not self._context.put(sequence, node.state, node.place, end):
                log.warning("a state of %d tokens could not be put back; the prompt is read again", end - node.place)
                self._context.forget(sequence, 0)
                return 0
        return length

    def remember(self, sequence: int, tokens: Sequence[int], *, system: int) -> None:
        """Keep the state of a sequence whose cells hold `tokens`, of which `system` are the system prompt."""
        for end in (system, len(tokens)):
            if SHORTEST <= end <= len(tokens):
                self._insert(sequence, tokens[:end])
        if self._files and SHORTEST <= system <= len(tokens) and not self._files.has(tokens[:system]):
            state = self._context.take(sequence, 0, system)
            if state is not None:
                self._files.write(tokens[:system], state)
        self._shrink()

    def clear(self) -> None:
        self._root, self.bytes = Node(None, 0, [], NOTHING), 0

    # --- the tree ----------------------------------------------------------------------------------------

    def _walk(self, tokens: Sequence[int]) -> list[tuple[Node, int]]:
        """The nodes on the way of `tokens`, each with the place in the text where the way leaves it."""
        path: list[tuple[Node, int]] = []
        node, place = self._root, 0
        while child := node.children.get((place, tokens[place])) if place < len(tokens) else None:
            place += common_prefix(child.tokens, tokens[place : place + len(child.tokens)])
            path.append((child, place))
            node = child
        return path

    def _insert(self, sequence: int, tokens: Sequence[int]) -> None:
        """Add a node for what the tree does not know of `tokens`, unless that is too little or too much."""
        place = self._known(tokens)
        if len(tokens) - place >= SHORTEST:
            state = self._context.take(sequence, place, len(tokens))
            if state is not None and len(state) <= self._budget:
                self._add(tokens, state)

    def _recall(self, tokens: Sequence[int]) -> None:
        """Read the state of a system prompt that an earlier start wrote down."""
        if self._files and (state := self._files.read(tokens)) is not None:
            self._add(tokens, state)

    def _add(self, tokens: Sequence[int], state: State) -> None:
        """A new node; its state may begin before its place, since only what stands behind that is put back."""
        path = self._walk(tokens)
        parent, place = path[-1] if path else (self._root, 0)
        node = Node(parent, place, list(tokens[place:]), state, used=next(self._clock))
        parent.children[place, node.tokens[0]] = node
        self.bytes += len(state)

    def _known(self, tokens: Sequence[int]) -> int:
        path = self._walk(tokens)
        return path[-1][1] if path else 0

    def _shrink(self) -> None:
        """Forget what was used longest ago, ends before beginnings, until the rest is within the budget."""
        while self.bytes > self._budget:
            leaf = min((node for node in self._nodes() if not node.children), key=lambda node: node.used)
            assert leaf.parent
            del leaf.parent.children[leaf.place, leaf.tokens[0]]
            self.bytes -= len(leaf.state)

    def _nodes(self) -> Iterator[Node]:
        waiting = list(self._root.children.values())
        while waiting:
            node = waiting.pop()
            waiting += node.children.values()
            yield node
