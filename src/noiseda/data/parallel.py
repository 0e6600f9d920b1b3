"""The same for many files, in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# fewer are done sooner than processes start
_FEW = 16
# handed out ahead, for each process: enough that none waits, few enough to stop soon
_AHEAD = 4


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    """In a worker: leave Ctrl-C to the parent, and do not outlive it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def each(work: Callable[[T], R], jobs: Sequence[T], workers: int | None = None) -> Iterator[R]:
    """The result of every job, in order, as they are done.

    Args:
        work: a module's function.
        jobs: its argument, which can be pickled.
        workers: processes; None for one a core. With one, or few jobs, none is started.
    """
    workers = cores() if workers is None else workers
    if workers <= 1 or len(jobs) < _FEW:
        yield from map(work, jobs)
        return
    # a forked process would inherit libvips without its threads
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    workers = min(workers, len(jobs))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
    try:
        waiting: list[Future[R]] = []
        following = iter(jobs)
        for job in following:
            waiting.append(pool.submit(work, job))
            if len(waiting) == workers * _AHEAD:
                break
        while waiting:
            yield waiting.pop(0).result()
            job = next(following, None)
            if job is not None:
                waiting.append(pool.submit(work, job))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
