"""Real PostgreSQL, RabbitMQ and S3 servers, each in a folder of its own, on loopback only.

For tests and for development without containers; Linux with Debian's packages
(`deploy/dev/install-servers.sh`). By hand: `python -m deploy.dev.servers up`.
"""

from .binaries import MissingProgramsError
from .ceph import CephGateway
from .postgres import Postgres
from .process import ServerError
from .rabbitmq import RabbitMQ

__all__ = ["CephGateway", "MissingProgramsError", "Postgres", "RabbitMQ", "ServerError"]
