"""The connection to Ray: made, watched and left in bounded time, whatever Ray does.

Ray's calls wait without end for a raylet or a head process that was killed. Its functions that may
do so run in a thread of their own here, so that the thread of the command stays free for Ctrl-C,
SIGTERM and a clear error.
"""

import atexit
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

from cache.errors import OptionError, ProbeError, argument, as_flag

# of a cluster started here; shards go through files, never through the object store
OBJECT_STORE_BYTES = 100_000_000
REACHED_WITHIN_S = 10.0
STARTED_WITHIN_S = 50.0  # Ray ends the process after 60 s without its head
CHECKED_EVERY_S = 3.0
ANSWERS_WITHIN_S = 20.0
CLOSED_WITHIN_S = 10.0
GOES_ON = "What was finished is kept; the same command goes on where it stopped."


class Connection:
    """Ray, started on this machine or reached at an address.

    Use `check` while waiting, and `close` at the end.

    Args:
        address: of a running cluster, or `auto`; None starts one on this machine.

    Raises:
        ProbeError: Ray is not installed, does not start, or is not at the address.
    """

    def __init__(self, address: str | None) -> None:
        self.ray, self._address = _ray(), address
        self._calls: SimpleQueue[tuple[Callable[[], Any], SimpleQueue[tuple[bool, Any]]]] = (
            SimpleQueue()
        )
        self._started_here = not self.ray.is_initialized()
        self._checked, self._dead = time.monotonic(), False
        Thread(target=self._work, name="ray", daemon=True).start()
        if self._started_here:
            self._start()
        self.node_id = self.ray.get_runtime_context().get_node_id()

    def _start(self) -> None:
        address = self._address
        alone = (
            {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
            if address is None
            else {}
        )
        try:
            if address is not None:
                _reach(address)
            # In a thread that lives as long: Ray's processes end with the thread that started them.
            self._call(
                lambda: self.ray.init(
                    address=address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **alone,
                ),
                STARTED_WITHIN_S,
            )
        except TimeoutError:
            self._dead = True
            _leave_at_exit()
            raise ProbeError(
                _not_there(address, f"it did not answer within {STARTED_WITHIN_S:.0f} s")
            ) from None
        except KeyboardInterrupt as error:
            self.close([], getattr(error, "exit_code", 130))
            raise
        except Exception as error:
            # Ray raises bare Exception where a process of its own does not start
            raise ProbeError(_not_there(address, str(error).strip().split("\n")[0])) from None

    def check(self) -> None:
        """Raise ProbeError if Ray has ended here; looks every CHECKED_EVERY_S at most."""
        if time.monotonic() - self._checked < CHECKED_EVERY_S:
            return
        try:
            nodes = self._call(self.ray.nodes, ANSWERS_WITHIN_S)
            alive = any(node["Alive"] and node["NodeID"] == self.node_id for node in nodes)
            why = "its raylet on this machine is gone"
        except Exception as error:
            alive = False
            why = "its head process does not answer"
            if not isinstance(error, TimeoutError):
                why = str(error).strip().split("\n")[0]
        self._checked = time.monotonic()
        if not alive:
            self._dead = True
            raise ProbeError(f"Ray has ended: {why}. {GOES_ON}")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what Ray raises into a ProbeError; what a worker's own code raises stays."""
        try:
            yield
        except self.ray.exceptions.RayTaskError:
            raise
        except self.ray.exceptions.RayError as error:
            why = str(error).strip().split("\n")[0] or type(error).__name__
            raise ProbeError(f"Ray failed: {why}. {GOES_ON}") from None

    def close(self, actors: list[Any], exit_code: int = 2) -> None:
        """End the actors, and Ray if it was started here.

        `exit_code` is that of a process that Ray, dead, keeps.
        """

        def end() -> None:
            if not self._dead:
                for actor in actors:
                    self.ray.kill(actor)
            if self._started_here:
                self.ray.shutdown()

        try:
            self._call(end, CLOSED_WITHIN_S)
        except Exception:
            self._dead = True
        if self._dead:
            _leave_at_exit(exit_code)

    def _call(self, function: Callable[[], Any], within_s: float) -> Any:
        """What a function gives in Ray's thread; TimeoutError if it takes too long."""
        answer: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        self._calls.put((function, answer))
        until = time.monotonic() + within_s
        while answer.empty():
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.02)  # in steps, between which signals are handled
        done, value = answer.get()
        if not done:
            raise value
        return value

    def _work(self) -> None:
        while True:
            function, answer = self._calls.get()
            try:
                answer.put((True, function()))
            except BaseException as error:
                answer.put((False, error))


def _leave_at_exit(exit_code: int = 2, within_s: float = 5.0) -> None:
    """Let the process end although Ray, dead, waits at exit for what does not come."""
    leaving = Event()
    atexit.register(leaving.set)

    def leave() -> None:
        leaving.wait()
        time.sleep(within_s)
        os._exit(exit_code)

    Thread(target=leave, daemon=True).start()


def _not_there(address: str | None, why: str) -> str:
    if address is None:
        return (
            f"{argument('engine', 'ray')}: Ray could not be started on this machine ({why}). Try "
            "the same command again, look at /tmp/ray/session_latest/logs, or leave "
            f"{argument('engine')} out"
        )
    return (
        f"{argument('address', address)}: no Ray there ({why}). Start it: ray start "
        f"{as_flag('head')} on one machine, ray start {as_flag('address', 'HEAD:6379')} on the "
        "others. If it asks for a token: RAY_AUTH_MODE=token in the environment, or "
        f"{argument('address', 'auto')} on one of its machines."
    )


def _reach(address: str) -> None:
    """Raise OSError if nothing answers at a HOST:PORT; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), REACHED_WITHIN_S).close()


def _ray() -> Any:
    """The module ray, or ProbeError with what to type; its usage reports are off by default."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # else it warns of a future change
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        return import_module("ray")
    except ImportError:
        raise OptionError(
            "engine",
            "ray",
            "Ray is not installed. Install it: pip install -c constraints.txt -e '.[ray]'",
        ) from None
