"""What must come out for which CUDA on which machine, thought out by hand.

Each row: the machine, what is wanted, the way that is taken or the code of the first
problem, what is typed first where there is a problem, and the reason.
"""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """One row."""

    machine: str
    wanted: str
    expected: str
    why: str
    fix: str = ""


PAIRS = (
    # Ubuntu 17.10: the first tutorials. 9.2 wants driver 396.37.
    Pair("ubuntu1710_driver390", "9.2", "E03", "390.48 < 396.37", "%cuda_install 9.1"),
    Pair(
        "ubuntu1710_driver390", "9.1", "runfile", "390.46 <= 390.48, g++-6 is brought"
    ),
    Pair(
        "ubuntu1710_driver390", "9.0", "runfile", "384.81 <= 390.48, g++-6 is brought"
    ),
    Pair("ubuntu1710_driver390", "12.4", "E03", "12 wants 525", "%cuda_install 9.1"),
    Pair("ubuntu1710_driver390", "13.0", "E06", "no Pascal in 13", "%cuda_install 9.1"),
    Pair("ubuntu1710_driver390", "auto", "runfile", "9.1 is the newest for 390.48"),
    Pair("ubuntu1710_driver396", "9.2", "runfile", "396.37 is just enough, g++ 7 too"),
    Pair("ubuntu1710_driver396", "10.2", "E03", "wants 440.33", "%cuda_install 9.2"),
    # Ubuntu 18.04, RTX 3090, torch 1.7.1+cu110.
    Pair("ubuntu1804_torch171", "10.2", "E06", "ends at sm_75", "%cuda_install 11.0"),
    Pair("ubuntu1804_torch171", "11.0", "redist", "sm_80 code runs on sm_86"),
    Pair("ubuntu1804_torch171", "11.1", "redist", "first with sm_86; g++ 7 is fine"),
    Pair("ubuntu1804_torch171", "torch", "redist", "torch says cu110"),
    Pair("ubuntu1804_torch171", "11.8", "redist", "driver 460 runs all of 11"),
    Pair("ubuntu1804_torch171", "12.0", "E03", "12 wants 525", "%cuda_install 11.8"),
    # Colab of today: T4, driver 580, g++ 11.4, CUDA 12.8.
    Pair(
        "colab_t4", "9.2", "runfile", "sm_70 code runs on sm_75; g++-7 of Ubuntu 20.04"
    ),
    Pair("colab_t4", "10.2", "runfile", "knows sm_75; g++-8 of Ubuntu 20.04"),
    Pair("colab_t4", "11.0", "redist", "g++-9 of Ubuntu 22.04 itself"),
    Pair("colab_t4", "11.1", "redist", "g++-10 of Ubuntu 22.04 itself"),
    Pair("colab_t4", "cu118", "redist", "g++ 11 is the newest that 11.8 takes"),
    Pair("colab_t4", "12.4", "redist", "wheels of 12 have no nvcc"),
    Pair("colab_t4", "12.8", "reuse", "it is in /usr/local/cuda-12.8"),
    Pair("colab_t4", "torch", "reuse", "torch is cu128, and 12.8 is there"),
    Pair(
        "colab_t4", "12.9", "redist", "newer than what is there, and no nvcc in wheels"
    ),
    Pair("colab_t4", "13.0", "wheels", "driver 580 runs 13"),
    Pair("colab_t4", "13.4", "wheels", "driver 580 runs 13.4, without its PTX"),
    Pair("colab_t4", "auto", "wheels", "13.0 is what driver 580 knows"),
    Pair("colab_t4", "12.7", "E01", "12.7 never was", "%cuda_install 12.8"),
    # Colab without a GPU.
    Pair("colab_cpu", "13.0", "wheels", "no driver is needed to compile"),
    Pair("colab_cpu", "11.1", "redist", "as with a GPU"),
    Pair("colab_cpu", "12.8", "redist", "nothing is there that could be reused"),
    Pair("colab_cpu", "13.5", "wheels", "the newest wheels"),
    Pair(
        "colab_cpu",
        "torch",
        "E14",
        "torch is +cpu there",
        "Runtime > Change runtime type > T4 GPU   brings the other PyTorch",
    ),
    # Colab's runtime 2025.07: driver 550.
    Pair("colab_2025_07", "12.4", "redist", "12.5 is there, 12.4 is not"),
    Pair("colab_2025_07", "12.5", "reuse", "it is there"),
    Pair("colab_2025_07", "torch", "redist", "torch 2.6.0+cu124"),
    Pair("colab_2025_07", "13.0", "E03", "13 wants 580", "%cuda_install 12.9"),
    # Kaggle.
    Pair("kaggle_p100", "13.0", "E06", "13 dropped Pascal", "%cuda_install 12.9"),
    Pair("kaggle_p100", "12.9", "redist", "the last with sm_60"),
    Pair("kaggle_p100", "11.8", "redist", "knows sm_60"),
    Pair("kaggle_p100", "12.5", "reuse", "it is there"),
    Pair("kaggle_p100", "auto", "redist", "12.6 is what driver 560 knows"),
    Pair("kaggle_2xt4", "11.1", "redist", "knows sm_75; g++-10 is brought"),
    Pair("kaggle_2xt4", "13.0", "E03", "560 < 580", "%cuda_install 12.9"),
    Pair("kaggle_2xt4", "torch", "redist", "cu128: driver 560 runs all of 12"),
    # RTX 5090.
    Pair(
        "rtx5090_desktop", "11.1", "E06", "Blackwell wants 12.8", "%cuda_install 12.8"
    ),
    Pair(
        "rtx5090_desktop", "12.4", "E06", "Blackwell wants 12.8", "%cuda_install 12.8"
    ),
    Pair("rtx5090_desktop", "12.8", "redist", "the first with sm_120; g++ 13 is fine"),
    Pair("rtx5090_desktop", "13.0", "E03", "575 < 580", "%cuda_install 12.9"),
    Pair("rtx5090_desktop", "auto", "redist", "12.9 is what driver 575 knows"),
    # H100, not root.
    Pair("h100_server", "11.1", "E06", "Hopper wants 11.8", "%cuda_install 11.8"),
    Pair("h100_server", "11.8", "redist", "the first with sm_90"),
    Pair("h100_server", "12.4", "redist", "driver 535 runs all of 12"),
    Pair("h100_server", "torch", "redist", "torch 2.4.1+cu121"),
    Pair("h100_server", "13.4", "E03", "535 < 580", "%cuda_install 12.9"),
    # B200.
    Pair("b200_server", "12.4", "E06", "sm_100 came with 12.8", "%cuda_install 12.8"),
    Pair("b200_server", "12.8", "redist", "knows sm_100"),
    Pair("b200_server", "13.0", "E03", "570 < 580", "%cuda_install 12.9"),
    # WSL.
    Pair("wsl_rtx4070", "11.1", "redist", "sm_86 code runs on sm_89"),
    Pair("wsl_rtx4070", "10.2", "E06", "no code for 8.x", "%cuda_install 11.0"),
    Pair("wsl_rtx4070", "12.8", "redist", "driver 566 runs all of 12"),
    Pair("wsl_rtx4070", "13.0", "E03", "566 < 580", "%cuda_install 12.9"),
    # Debian without a GPU.
    Pair("debian11_cpu", "11.2", "redist", "45 MB before Debian's 626"),
    Pair("debian11_cpu", "10.2", "E04", "g++ 9 is its oldest", "%cuda_install 11.0"),
    Pair("debian11_cpu", "13.0", "wheels", "g++ 10 is old enough"),
    Pair("debian12_cpu", "11.8", "redist", "g++-11 is brought: 12 is too new"),
    Pair("debian12_cpu", "11.1", "redist", "g++-10 of Debian 11 is brought"),
    Pair("debian12_cpu", "12.0", "redist", "g++ 12 is the newest that 12.0 takes"),
    Pair("debian12_cpu", "9.2", "E04", "no g++ <= 7 in Debian", "%cuda_install 11.0"),
    Pair("debian12_cpu", "13.4", "wheels", "wheels bring nvcc"),
    Pair("debian12_cpu", "auto", "wheels", "no driver: the newest"),
    Pair("debian13_cpu", "12.4", "redist", "g++-13 is brought: 14 is too new"),
    Pair("debian13_cpu", "12.8", "redist", "g++ 14 is the newest that 12.8 takes"),
    Pair("debian13_cpu", "13.0", "wheels", "g++ 14 <= 15"),
    # K80.
    Pair("k80_server", "11.8", "redist", "the last with sm_37"),
    Pair("k80_server", "12.4", "E06", "12 dropped Kepler", "%cuda_install 11.8"),
    Pair("k80_server", "10.2", "runfile", "g++-8 of Ubuntu 20.04"),
    Pair("k80_server", "13.0", "E06", "no Kepler", "%cuda_install 11.8"),
    # Arm.
    Pair("gh200_arm64", "12.4", "redist", "linux-sbsa, sm_90"),
    Pair("gh200_arm64", "10.2", "E02", "x86_64 only", "%cuda_install 11.8"),
    Pair("gh200_arm64", "11.1", "E06", "Hopper wants 11.8", "%cuda_install 11.8"),
    Pair("gh200_arm64", "13.0", "E03", "550 < 580", "%cuda_install 12.9"),
    # Where there is none.
    Pair("alpine_musl", "12.4", "E02", "musl"),
    Pair("alpine_musl", "auto", "E02", "musl"),
    Pair("windows", "12.4", "E02", "Linux only"),
    Pair("windows", "torch", "E02", "the system comes before the PyTorch"),
    Pair("macos", "13.0", "E02", "no CUDA for macOS"),
    Pair("centos6_old", "11.8", "E02", "glibc 2.12 < 2.17"),
    # A cluster with CentOS 7: g++ 4.8, glibc 2.17, driver 470, V100.
    Pair("centos7_hpc", "11.8", "redist", "11 was made for its g++ 4.8 too"),
    Pair("centos7_hpc", "10.2", "runfile", "no apt is needed: g++ 4.8 is old enough"),
    Pair("centos7_hpc", "12.4", "E03", "470 < 525", "%cuda_install 11.8"),
    Pair("centos7_hpc", "13.0", "E06", "13 dropped Volta", "%cuda_install 11.8"),
    # Trouble.
    Pair("full_disk", "13.0", "E08", "0.1 GB free"),
    Pair("full_disk", "11.8", "E08", "0.1 GB free"),
    Pair("driver_hung", "12.4", "redist", "what is not known does not forbid"),
    Pair("driver_hung", "13.0", "wheels", "what is not known does not forbid"),
    Pair("no_compiler_slim", "13.0", "wheels", "g++-12 of Debian 12 is brought"),
    Pair("no_compiler_slim", "11.8", "redist", "g++-11 of Debian 12 is brought"),
    Pair("no_compiler_fedora", "13.0", "E05", "none, and no apt to bring one"),
    Pair("fedora42_gcc15", "12.4", "E04", "15 > 13, no apt", "%cuda_install 13.0"),
    Pair("fedora42_gcc15", "13.0", "wheels", "15 <= 15"),
    # PyTorch that has brought libraries of 13.0.
    Pair("torch_cu130", "torch", "wheels", "13.0: the compiler alone is added"),
    Pair("torch_cu130", "13.4", "wheels", "another minor: a root of its own"),
    Pair("torch_cu130", "12.8", "redist", "nothing of 12 is there"),
    # Other libraries before all, and a wheel that is called after nvcc.
    Pair("polluted", "12.4", "redist", "the wheel there has no nvcc"),
    Pair("polluted", "13.5", "E03", "550 < 580", "%cuda_install 12.9"),
)
