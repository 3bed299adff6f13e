"""Live views of machines that fake drivers play, and that change meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from colabmagic.gpu.live import sources as live_sources
from colabmagic.report.chart import BARS, GAP
from tests.fakes.drivers import build, profiles

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60

# Runs a view in a process that sees fake GPUs. `change` is appended to the drivers'
# configuration after the third frame, `later` after the sixth.
PLAY = """
import json, os, pathlib, sys
plan = json.loads(sys.argv[1])
from colabmagic.gpu.live import sources as live_sources
from colabmagic.gpu.check import check
from colabmagic.gpu.live import LiveRun, Plan, Watch
live_sources.DEADLINE_S = plan.get("deadline_s", 3.0)
config = pathlib.Path(os.environ["FAKE_GPU_CONFIG"])
changes = {3: plan.get("change", ""), 6: plan.get("later", "")}
frames, html = [], []
watch = Watch.of(
    check(deadline_s=plan.get("check_s", 3.0)), Plan(every_s=0.1, for_s=plan["for_s"])
)
def show(watch):
    frames.append(watch.text)
    html.append(watch.html)
    text = changes.pop(len(frames), "")
    if text:
        with config.open("a", encoding="utf-8") as file:
            file.write(text)
    if len(frames) == plan.get("frames"):
        run._woken.set()
run = LiveRun(watch, show)
watch.take()
show(watch)
run.start()  # in a thread, as in a notebook: it can be woken
run.join(60)
print(json.dumps({"frames": frames, "html": html, "samples": watch.samples,
                  "torch": "torch" in sys.modules}))
sys.stdout.flush()
os._exit(0)  # a thread that a driver keeps would be waited for
"""


class Machines:
    """Plays live views on machines of the fake drivers."""

    def __init__(self, libraries: Path, folder: Path) -> None:
        self._libraries = libraries
        self.config = folder / "gpu.cfg"
        self.trace = folder / "trace.txt"

    def play(
        self,
        profile: str,
        changes: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        **plan: Any,  # noqa: ANN401 (a plan of PLAY)
    ) -> dict[str, Any]:
        """Return the frames and the samples of one view."""
        profiles.write_profile(profile, self.config, changes)
        # With a number of frames a slow machine makes no difference.
        plan = {"for_s": 30 if "frames" in plan else 0.5, **plan}
        base = {**os.environ, **(env or {})}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PLAY, json.dumps(plan)],
            env=build.fake_gpu_env(self._libraries, self.config, self.trace, base),
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
        assert done.stderr == ""
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def calls(self) -> list[str]:
        """Return the functions of NVML that were called, in order."""
        lines = self.trace.read_text(encoding="utf-8").splitlines()
        return [line.split()[1] for line in lines if " nvml" in line]


@pytest.fixture
def machines(libraries: Path, tmp_path: Path) -> Machines:
    """Return what plays views on fake machines."""
    return Machines(libraries, tmp_path)


def of(samples: list[dict[str, Any]], device: str) -> list[dict[str, Any]]:
    """Return the samples of one device."""
    return [one for one in samples if one["device"] == device]


def test_a_busy_t4(machines: Machines) -> None:
    """All values of the GPU and the machine, now and in the end."""
    answer = machines.play("t4_busy", frames=6)
    first, last = answer["frames"][0], answer["frames"][-1]
    assert first.startswith("GPU live: RUNNING  0")
    assert " of 30 s, a reading every 0.1 s" in first
    for text in ("Tesla T4", "97%", "13.7 of 15.0 GiB", "88 °C", "70 of 70 W", "CPU"):
        assert text in first, first
    assert last.startswith("GPU live: ENDED  ")
    for text in ("Mean use", "Peak memory", "Max temp", "Mean power", BARS[-1] * 3):
        assert text in last, last
    assert "--for 0" in first
    assert "--for 0" not in last
    sample = of(answer["samples"], "GPU 0")[-1]
    assert sample["memory_used_bytes"] == 14000 * 2**20
    assert sample["power_limit_w"] == 70
    assert sample["problem"] is None
    assert answer["torch"] is False


def test_values_change_while_it_runs(machines: Machines) -> None:
    """A frame tells what is true now; the end sums it up."""
    answer = machines.play("t4", change="d0.util=100\nd0.temp=77\n", frames=8)
    samples = of(answer["samples"], "GPU 0")
    assert [one["use_percent"] for one in samples[:3]] == [0, 0, 0]
    assert {one["use_percent"] for one in samples[4:]} == {100}
    assert "77 °C" in answer["frames"][-1]  # the highest
    assert BARS[0] * 3 in answer["frames"][-1]
    assert BARS[-1] * 3 in answer["frames"][-1]


def test_eight_gpus_fit_a_terminal(machines: Machines) -> None:
    """Every GPU has its rows, and no line is longer than 80 letters."""
    answer = machines.play("h200x8", frames=3)
    for frame in answer["frames"]:
        assert all(f"GPU {index}" in frame for index in range(8))
        assert max(map(len, frame.splitlines())) <= 80


def test_one_gpu_is_lost_in_mid_run(machines: Machines) -> None:
    """The lost GPU keeps its name, says what happened and when; the other goes on."""
    answer = machines.play("2xt4_kaggle", change="d1.ret=15\n", frames=9)
    running, last = answer["frames"][-2], answer["frames"][-1]
    assert "GPU 1: PROBLEM: GPU is lost, since " in " ".join(running.split())
    assert running.count("Tesla T4") == 2
    rows = [line for line in running.splitlines() if line.startswith("GPU 1 ")]
    assert rows[0].split("T4")[1].split() == ["?", "?", "?", "?"]
    assert GAP in rows[1]
    assert "GPU is lost" in last
    assert of(answer["samples"], "GPU 0")[-1]["temperature_c"] == 41
    assert of(answer["samples"], "GPU 1")[-1]["temperature_c"] is None


def test_a_driver_that_fails_and_comes_back(machines: Machines) -> None:
    """NVML as a whole may refuse for a while; it is opened anew."""
    answer = machines.play(
        "t4", change="init.ret=999\n", later="init.ret=0\n", frames=10
    )
    problems = [one["problem"] for one in of(answer["samples"], "GPU 0")]
    assert problems[0] is None
    assert "Unknown Error" in problems
    assert problems[-1] is None
    assert "PROBLEM" in answer["frames"][5]
    assert "PROBLEM" not in answer["frames"][-1]


def test_a_driver_that_hangs_in_mid_run(machines: Machines) -> None:
    """Frames go on and say so; the stuck driver is not asked by a second thread."""
    answer = machines.play("t4", change="*.delay_ms=60000\n", deadline_s=0.4, frames=8)
    last = " ".join(answer["frames"][-2].split())
    assert "GPU 0: PROBLEM: the driver" in last
    assert "not answer" in last
    assert of(answer["samples"], "CPU")[-1]["memory_used_bytes"] > 0
    calls = machines.calls()
    # The check opens NVML once, the first reading twice, the second once, the third hangs.
    assert calls.count("nvmlInitWithFlags") == 5
    assert calls[-1] == "nvmlInitWithFlags"


def test_a_driver_that_hangs_from_the_start(machines: Machines) -> None:
    """The machine is shown, with the reason, and NVML is opened by the check alone."""
    answer = machines.play("hung", check_s=0.5, deadline_s=0.3, frames=5)
    text = " ".join(answer["frames"][-1].split())
    assert "NVIDIA: the driver" in text
    assert "CPU" in text
    assert machines.calls().count("nvmlInitWithFlags") == 1


def test_a_slow_driver(machines: Machines) -> None:
    """150 ms a question: a reading takes longer than `every`, and none is wrong."""
    answer = machines.play("slow", check_s=10, frames=3)
    for sample in of(answer["samples"], "GPU 0"):
        assert sample["temperature_c"] == 41, sample
        assert sample["problem"] is None


def test_only_what_is_shown_is_asked(machines: Machines) -> None:
    """Beside a training every question counts; NVML stays open between readings."""
    machines.play("t4", frames=5)
    calls = machines.calls()
    check_ends = calls.index("nvmlShutdown")
    live = calls[check_ends + 1 :]
    opened, closed = live.count("nvmlInitWithFlags"), live.count("nvmlShutdown")
    assert opened == closed  # in the end all is given back …
    assert live[:2] == ["nvmlInitWithFlags"] * 2  # … and meanwhile one stays open
    assert live[-2:] == ["nvmlShutdown"] * 2
    asked = {name.partition("_v")[0] for name in live if "nvmlDevice" in name}
    assert asked == live_sources._SHOWN


def test_insane_values_and_markup_in_a_name(machines: Machines) -> None:
    """What the driver cannot mean is unknown; its strings are text, not HTML."""
    answer = machines.play("insane", frames=3)
    assert all(one["use_percent"] is None for one in of(answer["samples"], "GPU 0"))
    for html in answer["html"]:
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def test_no_gpu_says_why_and_shows_the_machine(machines: Machines) -> None:
    """One line has the reason; processors and memory look as a GPU would."""
    answer = machines.play("not_loaded", env={"FAKE_GPU_SET": "cuInit.ret=999"})
    first, last = answer["frames"][0], answer["frames"][-1]
    assert "No GPU to watch: " in first
    assert "No GPU to watch: " in last
    assert "Temp" not in first  # of processors alone there is none
    assert "processor" in first
    assert "%" in last
    assert {one["device"] for one in answer["samples"]} == {"CPU"}
