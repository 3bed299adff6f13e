"""What ``%keepalive`` costs: processor time of a whole kernel for its thread.

A real kernel, the real messages, the real looks for work. Only the waiting is cut short:
each sleep of the thread lasts a millisecond instead of 15 s, so that an hour with a beat
each 60 s takes half a second. Per round the processor time of all threads of the process
is taken, less that of as many sleeps in which nothing is done.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kernel.support import INTERPRETERS, Kernel

ROUNDS = 15
MOST_PERCENT = 0.1
CODE = f"""
import json, threading, time
from colabmagic.keepalive import service
from colabmagic.keepalive.activity import activity
from colabmagic.keepalive.beater import Beater
from colabmagic.keepalive.world import World
from colabmagic.keepalive.options import KeepaliveOptions
from colabmagic.magics._heartbeat import sender

HOUR = 3600.0
work = activity()
options = KeepaliveOptions(for_s=HOUR, every_s=60, warn_s=0)


class Short:
    def __init__(self): self.at = 0.0; self.waits = 0
    def now(self): return self.at
    def wall(self): return self.at
    def wait(self, wake, timeout_s):
        time.sleep(0.001); self.at += timeout_s; self.waits += 1
        return wake.is_set()


def used(run):
    before = time.process_time()
    thread = threading.Thread(target=run); thread.start(); thread.join()
    return time.process_time() - before


found = []
work.cell_begins()
for _ in range({ROUNDS} + 1):
    clock = Short()
    world = World(
        send=sender(get_ipython()), life=service.life_s, clock=clock,
        busy=lambda: work.reason("busy", 5), problems=work.notes,
    )
    beater = Beater(options, world)
    whole = used(beater._run)
    empty = used(lambda: [time.sleep(0.001) for _ in range(clock.waits)])
    found.append((beater.beats, clock.waits, whole, whole - empty))
work.cell_ends()
print("FOUND", json.dumps(found[1:]))
"""
IDLE = CODE.replace("work.cell_begins()", "").replace(
    "options = KeepaliveOptions(", "options = KeepaliveOptions(while_='always', "
)


def measure(name: str, code: str) -> list[list[float]]:
    """Return beats, sleeps, seconds of processor, and without the sleeps, a row a round."""
    import json

    with Kernel(INTERPRETERS[name]) as kernel:
        kernel.run("%load_ext colabmagic")
        reply = kernel.run(code, timeout_s=120)
        assert reply.status == "ok", reply.shown
        rows: list[list[float]] = json.loads(reply.stdout.partition("FOUND ")[2])
        return rows


def main() -> int:
    """Print the table; 1 where it costs more than it may."""
    print(f"{ROUNDS} rounds of one hour, a beat each 60 s; median (worst)")
    print("| kernel | while | beats | looks and beats | of one processor |")
    print("|---|---|---|---|---|")
    worst = 0.0
    for name in ("default", ".venv-old"):
        if not INTERPRETERS[name].exists():
            print(f"| {name} | not set up here: make venvs | | | |")
            continue
        for while_, code in (("busy", CODE), ("always", IDLE)):
            rows = measure(name, code)
            share = [100 * row[2] / 3600 for row in rows]  # the sleeps count too
            worst = max(worst, *share)
            ms = [1000 * row[3] / row[0] for row in rows]
            print(
                f"| {name} | {while_} | {rows[0][0]:.0f} | {statistics.median(ms):.2f} ms a "
                f"minute ({max(ms):.2f}) | {statistics.median(share):.4f} % "
                f"({max(share):.4f}) |"
            )
    print(
        f"at most {MOST_PERCENT} % is allowed: {'ok' if worst <= MOST_PERCENT else 'NO'}"
    )
    return int(worst > MOST_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
