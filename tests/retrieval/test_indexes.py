from __future__ import annotations

import pytest

from core.services import Services
from tests.contracts.index import IndexContract, Search
from tests.small import word_vector


class TestTheKeywordIndex(IndexContract):
    @pytest.fixture
    def search(self, live: Services) -> Search:
        return live.chain().retriever.keyword.search


class TestTheDenseIndex(IndexContract):
    @pytest.fixture
    def search(self, live: Services) -> Search:
        return lambda query, scope, k: live.index.current().search(word_vector(query), scope, k)
