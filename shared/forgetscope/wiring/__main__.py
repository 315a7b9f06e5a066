"""`python -m forgetscope.wiring up | serve | worker QUEUE`: a process under a supervisor.

It ends when its supervisor does: standard input is a pipe that only the supervisor holds.
"""

import os
import signal
import sys
import threading
from typing import get_args

from forgetscope.schema.plan import Queue
from forgetscope.wiring.settings import Settings

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Run the named service until it is asked to stop."""
    threading.Thread(target=_end_with_supervisor, daemon=True).start()
    settings = Settings()
    match arguments:
        case ["up"]:
            from forgetscope.wiring.supervisor import up

            up(settings)
        case ["serve"]:
            from forgetscope.wiring.serve import serve

            serve(settings)
        case ["worker", name]:
            from forgetscope.wiring.worker import run_worker

            for queue in get_args(Queue):
                if queue == name:
                    run_worker(queue, settings)
        case _:
            sys.exit(
                "usage: python -m forgetscope.wiring up | serve | worker train|evaluate|analyse"
            )


def _end_with_supervisor() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
