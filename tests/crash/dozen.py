"""A dozen kills in a row, at boundaries that a seed chooses: `python -m tests.crash.dozen FOLDER`, KILL_SEED=…"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from tests.crash.matrix import SIGKILLED, begin, seen
from tests.crash.runs import lines, run

# command → how many kills in a row, and how many boundaries a run at most passes before one: all of it has 1,665, 362
# and 1,265
KILLS = {"up": (7, 270), "refresh": (1, 362), "destroy": (4, 300)}


def dozen(folder: Path) -> None:
    chance = random.Random(int(os.environ.get("KILL_SEED", "20261121")))
    world = begin(folder)
    try:
        for command, (kills, most) in KILLS.items():
            book = folder / command
            for _ in range(kills):
                code = run(command, world, book, die_at=chance.randint(1, most), digests=False)
                assert code == SIGKILLED, (world.files / "error").read_text()
            died = [row["died"] for row in lines(book) if "died" in row]
            assert len(died) == kills
            assert run(command, world, book, digests=False) == 0, f"after {died}: {(world.files / 'error').read_text()}"
            made = [row["created"] for row in lines(book) if "created" in row]
            assert len(made) == len(set(made)), f"made twice, after {died}"
            found = seen(world, steps=False)
            assert (found["unfinished"], found["condemned"], found["strangers"]) == ([], [], []), f"after {died}"
            assert bool(found["urns"]) == (command != "destroy"), f"after {died}"
            assert not found["kept"] or command == "destroy", f"a twin was deleted, after {died}"
    finally:
        world.emulator.stop()


if __name__ == "__main__":
    dozen(Path(sys.argv[1]))
