"""An S3 server: a one-node Ceph cluster with its RADOS Gateway, in a folder of its own."""

import http.client
import os
import shutil
import uuid
from pathlib import Path

from minio import Minio

from .binaries import find_programs
from .ceph_conf import POOLS, Ports, configuration
from .notes import Notes
from .process import Process, Server, ServerError, quote, run, wait_ready

_PROGRAMS = (
    *("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool"),
    *("radosgw", "radosgw-admin"),
)
_USER = "forgetscope"
_CAPABILITIES = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
    "client.rgw.a": ["mon", "allow rw", "osd", "allow rwx"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
}


class CephGateway(Server):
    """An S3 endpoint over real, durable storage in `folder`.

    Three daemons: the monitor holds the map, the OSD the data, the gateway speaks S3.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = find_programs(_PROGRAMS)
        self._folder = folder.resolve()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._notes = Notes(self._folder / "notes.json")
        self._ports = Ports(0, 0, 0)
        self._daemons: list[Process] = []

    @property
    def endpoint(self) -> str:
        """`host:port`, plain HTTP, path-style addressing."""
        return f"127.0.0.1:{self._ports.s3}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    @property
    def access_key(self) -> str:
        return self._notes.secret("access_key", 10)

    @property
    def secret_key(self) -> str:
        return self._notes.secret("secret_key", 20)

    def ensure_bucket(self, name: str) -> None:
        """Create the bucket unless it exists."""
        if not self._client().bucket_exists(bucket_name=name):
            self._client().make_bucket(bucket_name=name)

    def start(self) -> None:
        self._daemons = []
        try:
            self._start()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        # The gateway first: it would wait for storage that has gone.
        for daemon in reversed(self._daemons):
            daemon.stop()

    def kill(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.kill()

    def _start(self) -> None:
        self._ports = Ports(*map(self._notes.port, Ports._fields))
        complete = self._folder / "complete"
        if not complete.exists():
            self._create_monitor()
        elif str(self._ports.monitor) not in self._conf.read_text():
            self._write_conf()
            self._admin("ceph-mon", "-i", "a", "--inject-monmap", self._monitor_map())
        self._write_conf()
        self._launch("ceph-mon", "-i", "a")
        self._ceph("mon stat")
        if not complete.exists():
            self._create_storage()
        self._launch("ceph-osd", "-i", "0")
        if not complete.exists():
            self._ceph(*(f"osd pool create {pool} 1" for pool in POOLS))
            self._create_user()
            complete.touch()
        self._launch("radosgw", "-n", "client.rgw.a")
        wait_ready("Ceph RADOS Gateway", self._answers, self._daemons, 60)

    def _create_monitor(self) -> None:
        for name in ("mon", "osd"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        keyring = self._folder / "keyring"
        keyring.unlink(missing_ok=True)
        keyring.touch(mode=0o600)
        for entity, words in _CAPABILITIES.items():
            pairs = zip(words[::2], words[1::2], strict=True)
            caps = [word for pair in pairs for word in ("--cap", *pair)]
            run([self._programs["ceph-authtool"], str(keyring), "--gen-key", "-n", entity, *caps])
        self._write_conf()
        monitor_map = self._monitor_map()
        self._admin(
            "ceph-mon", "--mkfs", "-i", "a", "--monmap", monitor_map, "--keyring", str(keyring)
        )

    def _monitor_map(self) -> str:
        path = str(self._folder / "monmap")
        address = self._ports.monitor_address
        command = [self._programs["monmaptool"], "--create", "--clobber", "--addv", "a", address]
        run([*command, "--fsid", self._uuid("fsid"), path])
        return path

    def _create_storage(self) -> None:
        osd = self._folder / "osd"
        osd.mkdir(exist_ok=True)
        shutil.copy(self._folder / "keyring", osd / "keyring")
        identity = self._uuid("osd")
        self._ceph(f"osd new {identity}", "osd crush add osd.0 1.0 root=default host=localhost")
        self._admin("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)

    def _create_user(self) -> None:
        user = [f"--uid={_USER}", f"--display-name={_USER}"]
        keys = [f"--access-key={self.access_key}", f"--secret-key={self.secret_key}"]
        self._admin("radosgw-admin", "-n", "client.rgw.a", "user", "create", *user, *keys)

    @property
    def _conf(self) -> Path:
        return self._folder / "ceph.conf"

    def _write_conf(self) -> None:
        self._conf.write_text(configuration(self._folder, self._uuid("fsid"), self._ports))

    def _launch(self, program: str, *arguments: str) -> None:
        command = [self._programs[program], "-c", str(self._conf), "-f", *arguments]
        daemon = Process(command, self._folder / f"{program}.log", self._environment())
        daemon.start()
        self._daemons.append(daemon)

    def _ceph(self, *commands: str) -> None:
        # One interpreter for all commands: starting it takes longer than what it does.
        keyring = str(self._folder / "keyring")
        said = self._run(
            [self._programs["ceph"], "-c", str(self._conf), "-k", keyring, "--connect-timeout=20"],
            stdin="".join(f"{command}\n" for command in commands),
        )
        # Reading commands from a pipe, it ends with 0 whatever became of them.
        if "Error E" in said:
            raise ServerError(f"ceph refused one of {commands}:\n{said}")

    def _admin(self, program: str, *arguments: str) -> None:
        self._run([self._programs[program], "-c", str(self._conf), *arguments])

    def _run(self, command: list[str], stdin: str = "") -> str:
        try:
            return run(command, self._environment(), stdin)
        except ServerError as error:
            logs = "\n".join(quote(daemon.log) for daemon in self._daemons)
            raise ServerError(f"{error}\n{logs}") from error

    def _environment(self) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
        return {"PATH": path, "LANG": "C.UTF-8", "HOME": str(self._folder)}

    def _answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._ports.s3, timeout=5)
            connection.request("GET", "/")
            connection.getresponse().read()
            connection.close()
        except (OSError, http.client.HTTPException):
            return False
        self._client().list_buckets()
        return True

    def _client(self) -> Minio:
        return Minio(
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
        )

    def _uuid(self, name: str) -> str:
        return str(uuid.UUID(self._notes.secret(name)))
