"""The environment, read here and nowhere else."""

import importlib.util
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]


class Settings(BaseSettings):
    """Every setting with its default; `FORGETSCOPE_` + the name in capitals sets it."""

    model_config = SettingsConfigDict(env_prefix="FORGETSCOPE_", extra="ignore", frozen=True)

    wiring: Literal["embedded", "distributed"] = Field(
        default="embedded",
        description="embedded: SQLite, local files, workers that poll. "
        "distributed: PostgreSQL, RabbitMQ, S3.",
    )
    home_dir: Path = Field(
        default=Path("forgetscope-data"), description="everything the embedded wiring keeps"
    )
    data_dir: Path = Field(
        default=Path("../shared/data"), description="folder of the data sets' files"
    )
    allowed_roots: str = Field(
        default="", description="folders, separated by colons, that local models may be read from"
    )
    host: str = Field(default="127.0.0.1", description="address the gateway listens on")
    port: int = Field(default=8321, ge=0, le=65535)
    max_body_bytes: int = Field(
        default=1 << 20, description="largest request body, but for uploads of data sets"
    )
    max_dataset_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="largest upload of a data set; its rows may take four times as much",
    )
    max_dataset_rows: int = Field(default=1_000_000, ge=1, description="of an upload")

    database_url: str = Field(default="", description="postgresql+psycopg://user:pw@host/db")
    broker_url: str = Field(default="", description="amqp://user:pw@host:5672//")
    s3_endpoint: str = Field(default="", description="http(s)://host:port of the object store")
    s3_public_endpoint: str = Field(
        default="", description="the same as people reach it, for links; s3_endpoint when empty"
    )
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    s3_bucket: str = "forgetscope"
    s3_region: str = "us-east-1"
    s3_model_buckets: str = Field(
        default="", description="buckets, separated by commas, that s3:// models may come from"
    )

    accelerator: Literal["cpu", "cuda"] = Field(
        default="cpu", description="what the workers compute on"
    )
    engines: str = Field(
        default="auto",
        description="engines of the fleet, separated by commas; auto: the installed ones",
    )
    torch_threads: int = Field(
        default=1, ge=1, description="fixed, because the number can change the last bits of a sum"
    )
    train_processes: int = Field(
        default=1, ge=1, description="that train one model together on one host, one per GPU"
    )
    batch_tokens: int = Field(default=8192, ge=64, description="tokens per scoring batch")
    resume_seconds: float = Field(default=30, gt=0, description="between resumable checkpoints")
    cache_gib: float = Field(default=100, gt=0, description="a worker's cache of input files")
    hub_offline: bool = Field(default=False, description="use only what is cached on disk")
    hub_endpoint: str = Field(default="", description="another hub; the public one when empty")
    hub_token: SecretStr = Field(
        default=SecretStr(""), description="for gated models and data sets"
    )
    hub_max_dataset_bytes: int = Field(
        default=2 << 30, ge=1, description="largest data set, as the hub lists its files"
    )

    lease_seconds: float = Field(default=30, gt=0.5)
    poll_seconds: float = Field(default=2, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    max_stages: int = Field(default=2000, ge=1, description="largest experiment")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _distributed_needs_addresses(self) -> Self:
        if self.wiring == "distributed":
            missing = [
                f"FORGETSCOPE_{name.upper()}"
                for name in ("database_url", "broker_url", "s3_endpoint", "s3_access_key")
                if not getattr(self, name)
            ]
            if missing:
                raise ValueError(f"the distributed wiring needs {', '.join(missing)}")
        return self

    @property
    def roots(self) -> tuple[Path, ...]:
        """Folders that local models may be read from."""
        return tuple(Path(p).resolve() for p in self.allowed_roots.split(":") if p)

    @property
    def model_buckets(self) -> frozenset[str]:
        """Buckets that models may be read from."""
        return frozenset(b for b in self.s3_model_buckets.split(",") if b)

    @property
    def available_engines(self) -> frozenset[str]:
        """Engines of the fleet."""
        if self.engines != "auto":
            return frozenset(e.strip() for e in self.engines.split(",") if e.strip())
        found = {"transformers"}
        if importlib.util.find_spec("vllm") is not None:
            found.add("vllm")
        return frozenset(found)
