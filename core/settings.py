"""Settings: read once from GROUNDWORK_* in the environment, validated, then passed around."""

from __future__ import annotations

import ipaddress
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import SettingsError

ROOT = Path(__file__).resolve().parents[1]
VERSION = "0.1.0"


CacheType = Literal["f16", "q8_0", "q4_0"]


class Settings(BaseSettings):
    """Everything that can be set from outside; each field is the environment variable GROUNDWORK_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="GROUNDWORK_", extra="ignore", frozen=True)

    data: Path = Field(ROOT / "data", description="Folder of the database, files, index and models.")
    models: Path | None = Field(
        None, description="Model store; several installations may share it. Default: <data>/models."
    )
    cache: Path | None = Field(
        None, description="Folder of what can be made again from models and machine. Default: <data>/cache."
    )
    port: int = Field(8501, ge=1, le=65535, description="Port of the web application.")

    chat_model: str = Field("qwen2.5-coder-1.5b-instruct-q4_k_m", description="Chat model of a new installation.")
    embedding_model: str = Field("all-minilm-l6-v2", description="Embedding model.")
    embedding_form: str = Field(
        "",
        pattern=r"^$|^(torch|openvino)-(float32|bfloat16|int8)$",
        description="How it is computed; empty: measured once.",
    )
    context_tokens: int = Field(
        0,
        ge=0,
        le=1_048_576,
        description="Tokens that all running requests share; 0: as many as the model can use and the memory bears.",
    )
    slots: int = Field(8, ge=1, le=32, description="Requests that the engine works on at the same time.")
    queue_limit: int = Field(64, ge=1, description="Requests that may wait for the engine.")
    threads: int = Field(0, ge=0, le=1024, description="Threads of the engine; 0: measured once and remembered.")
    gpu_layers: int = Field(0, ge=-1, description="Layers to put on a graphics card; -1 means all.")
    cache_type_k: CacheType = Field(
        "f16",
        description="How keys are kept in the context: q8_0 takes half the memory, q4_0 a quarter, at some cost.",
    )
    cache_type_v: CacheType = Field("f16", description="The same for the values.")
    lora: tuple[str, ...] = Field(
        (), description='LoRA adapters for the chat model, a JSON list of "file" or "file:strength".'
    )
    rope_scaling: Literal["", "none", "linear", "yarn"] = Field(
        "", description="Stretch the context beyond what the model was trained for; empty: as the model says."
    )
    rope_factor: float = Field(1.0, ge=1, le=64, description="How many times longer the context becomes by that.")
    prefix_cache_mb: int = Field(
        512, ge=0, description="Memory for beginnings of prompts that come again, so that they are not read twice."
    )
    drafting: bool = Field(True, description="Let the engine guess ahead where measuring says that it pays.")

    passages: int = Field(5, ge=1, le=20, description="Passages that go into a prompt at the most.")
    passage_tokens: int = Field(
        230,
        ge=0,
        le=100_000,
        description="Tokens of a prompt that passages may fill: they are cut to the sentences that matter; 0: uncut.",
    )
    history_tokens: int = Field(
        600,
        ge=0,
        le=100_000,
        description="Tokens of a prompt that earlier messages may fill before notes are made of them.",
    )
    general_knowledge: bool = Field(
        False, description="Answer from what the model knows where the documents do not, and say so."
    )
    answer_tokens: int = Field(400, ge=16, le=8192, description="Longest answer.")

    upload_mb: int = Field(50, ge=1, le=50, description="Largest file; the same number is in .streamlit/config.toml.")
    parse_seconds: float = Field(120.0, gt=0, description="Longest time that reading one file may take.")
    parse_memory_mb: int = Field(1024, ge=256, description="Most memory that reading one file may take.")
    ocr_languages: str = Field(
        "",
        pattern=r"^[A-Za-z_+,\- ]{0,200}$",
        description="Languages of scans, as Tesseract names them: eng+deu; empty: up to three of those installed.",
    )
    ocr_page_seconds: float = Field(60.0, gt=0, description="Longest time that recognising one page may take.")
    site_pages: int = Field(500, ge=1, le=20_000, description="Most pages of one web site.")
    fetch_private: bool = Field(
        False, description="Let web addresses lead into private networks, for an intranet; never to this machine."
    )
    ingest: bool = Field(True, description="Start the ingest worker with the web application.")

    @field_validator("data", "models", "cache")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().resolve() if path else path

    @cached_property
    def database(self) -> Path:
        return self.data / "app.db"

    @cached_property
    def files(self) -> Path:
        return self.data / "files"

    @cached_property
    def key_file(self) -> Path:
        """What the keys of other services are encrypted with; not in the database on purpose."""
        return self.data / "keys.secret"

    @cached_property
    def index(self) -> Path:
        return self.data / "index"

    @cached_property
    def run(self) -> Path:
        """Folder of lock files and of the model server's address; nothing in it outlives the processes."""
        return self.data / "run"

    @cached_property
    def cache_folder(self) -> Path:
        return self.cache or self.data / "cache"

    @cached_property
    def calibrations(self) -> Path:
        """Folder of what was fitted here to tell how sure an answer is."""
        return self.data / "calibrations"

    @cached_property
    def model_store(self) -> Path:
        return self.models or self.data / "models"


def require_loopback(address: str | None) -> None:
    """Raise SettingsError for an address that others could reach: there is no sign-in yet."""
    try:
        loopback = address == "localhost" or ipaddress.ip_address(address or "0.0.0.0").is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"server.address is {address or 'every address of this machine'}: there is no sign-in yet, so Groundwork "
            "listens only on 127.0.0.1. Use a tunnel (ssh -L) to reach it from elsewhere."
        )


def load(**overrides: object) -> Settings:
    """Read the environment once; `overrides` win. Raises SettingsError with the name of the bad setting."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "GROUNDWORK_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name}: {first['msg']}.") from error
