"""A LitServe server with its OpenAI specification over a small real model: `python litserve_service.py PORT MODEL`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import litserve
from fastapi import HTTPException
from litserve.specs.openai import ChatCompletionRequest
from llama_cpp import Llama

CONTEXT = 1024


class Tiny(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Llama(sys.argv[2], n_ctx=CONTEXT, n_threads=1, verbose=False)

    def predict(self, request: ChatCompletionRequest) -> Iterator[str]:
        asked: Any = [{"role": message.role, "content": message.content} for message in request.messages]
        chosen = {name: getattr(request, name) for name in ("max_tokens", "temperature", "top_p", "stop")}
        try:
            for chunk in self.model.create_chat_completion(asked, stream=True, **chosen):
                yield chunk["choices"][0]["delta"].get("content", "")
        except ValueError as error:  # the prompt is too long
            raise HTTPException(400, str(error)) from error


if __name__ == "__main__":
    server = litserve.LitServer(Tiny(), spec=litserve.OpenAISpec(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False)
