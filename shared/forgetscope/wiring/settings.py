"""The environment, read here and nowhere else."""

import importlib.util
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, TypeAdapter, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from forgetscope.core.webhook_targets import AllowList
from forgetscope.schema.endpoint import ENDPOINT_PATTERN, endpoint_base

__all__ = ["Settings"]


_TOKENS = TypeAdapter(dict[str, SecretStr])


class Settings(BaseSettings):
    """Every setting with its default; `FORGETSCOPE_` + the name in capitals sets it."""

    model_config = SettingsConfigDict(
        env_prefix="FORGETSCOPE_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # some of it is secret
    )

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

    endpoints: str = Field(
        default="",
        description="addresses, separated by commas, at and below which audits may call servers "
        "of models",
    )
    endpoint_tokens: SecretStr = Field(
        default=SecretStr(""), description="JSON object: such an address to its bearer token"
    )

    lease_seconds: float = Field(default=30, gt=0.5)
    poll_seconds: float = Field(default=2, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    max_stages: int = Field(default=2000, ge=1, description="largest experiment")
    webhook_hosts: str = Field(
        default="",
        description="hosts, separated by commas, that webhooks may be sent to: host, host:port or "
        "*.suffix, also private ones. Empty: every host with a public address",
    )
    webhook_timeout_seconds: float = Field(
        default=10, gt=0, le=60, description="for one attempt to deliver a webhook"
    )
    webhook_attempts: int = Field(default=10, ge=1, le=50, description="of one delivery")
    webhook_retry_seconds: float = Field(
        default=5,
        gt=0,
        description="before the second attempt; then four times longer each time, up to 6 hours",
    )
    webhook_log_days: float = Field(
        default=30, gt=0, description="how long ended deliveries are kept"
    )
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

    @field_validator("endpoints")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for prefix in _listed(value):
            _require_address(prefix)
        return value

    @field_validator("endpoint_tokens")
    @classmethod
    def _are_tokens(cls, value: SecretStr) -> SecretStr:
        try:
            for prefix in _TOKENS.validate_json(value.get_secret_value() or "{}"):
                _require_address(prefix)
        except ValueError:
            raise ValueError("not a JSON object of addresses and tokens") from None
        return value

    @property
    def endpoint_prefixes(self) -> tuple[str, ...]:
        """Addresses at and below which servers of models may be called."""
        return _listed(self.endpoints)

    @property
    def endpoint_secrets(self) -> dict[str, SecretStr]:
        """Tokens for them."""
        return _TOKENS.validate_json(self.endpoint_tokens.get_secret_value() or "{}")

    @field_validator("webhook_hosts")
    @classmethod
    def _is_an_allow_list(cls, value: str) -> str:
        AllowList.parse(value)
        return value

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


def _listed(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _require_address(prefix: str) -> None:
    if re.match(ENDPOINT_PATTERN, prefix) is None:
        raise ValueError(f"{prefix!r} is not the address of a server")
    endpoint_base(prefix)
