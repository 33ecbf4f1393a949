"""
One commit for all that wait for it.

On SQLite each commit waits for the disk, one after the other, up to several
milliseconds on a busy machine. What comes while another one commits is put
together: the more wait, the more one commit takes along.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from jobs.database import Database

T = TypeVar("T")
Work = Callable[[Connection], Any]


class _Piece:
    """Somebody's work, and what has become of it; whoever has the turn writes that."""

    __slots__ = ("durable", "error", "is_done", "result", "work")

    def __init__(self, work: Work, durable: bool) -> None:
        self.work = work
        self.durable = durable
        self.is_done = False
        self.result: Any = None
        self.error: BaseException | None = None


class GroupCommit:
    """Runs pieces of work in shared transactions; each caller gets its own result or error."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Piece] = deque()
        self._turn = threading.Lock()

    def run(self, work: Callable[[Connection], T], *, durable: bool = True) -> T:
        """
        Do it and commit, perhaps together with others; it is committed when this returns.

        Args:
            work: May run twice: alone, when a neighbour in its transaction failed.
            durable: As of `Database.transaction`; one piece that has to be on the disk takes all along.
        """
        mine = _Piece(work, durable)
        self._waiting.append(mine)
        with self._turn:
            # Whoever had the turn before may have done ours.
            if not mine.is_done:
                batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
                self._commit(batch)
        if mine.error is not None:
            raise mine.error
        result: T = mine.result
        return result

    def _commit(self, batch: list[_Piece]) -> None:
        try:
            with self._database.transaction(durable=any(piece.durable for piece in batch)) as connection:
                results = [piece.work(connection) for piece in batch]
        except Exception as error:
            # A database that can't be used is nobody's fault, and to ask again for each would wait for each.
            if len(batch) == 1 or isinstance(error, OperationalError):
                _failed(batch, error)
                return
            for each in batch:  # one of them is at fault, the others must not pay for it
                self._commit([each])
            return
        except BaseException as error:  # this process or greenlet is being ended; nobody may wait for it
            _failed(batch, error)
            raise
        for piece, result in zip(batch, results, strict=True):
            piece.result, piece.is_done = result, True


def _failed(batch: list[_Piece], error: BaseException) -> None:
    for piece in batch:
        piece.error, piece.is_done = error, True
