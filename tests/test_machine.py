"""What the machine, its containers and the limits of a process leave; what lacks when it fails."""

import subprocess
import sys

import pytest

from exact2vec import machine

GB = 10**9
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says so in /proc")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine with 8 GB left, whose other files a test writes."""
    monkeypatch.setattr(machine, "PROC", tmp_path / "proc")
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")

    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write("proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n")
    write("proc/self/status", "VmRSS: 300 kB\nVmHWM: 500 kB\n")
    return write


def test_without_limits_the_machine_says(system):
    assert machine.room() == (8_000_000 * 1024, "the machine")
    assert (machine.resident_bytes(), machine.peak_bytes()) == (300 * 1024, 500 * 1024)


def test_the_processor_says_who_made_it(system):
    assert machine.processor_vendor() == ""
    system("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\nvendor_id\t: other\n")
    assert machine.processor_vendor() == "AuthenticAMD"


def test_a_container_of_version_2_says_less(system):
    system("proc/self/cgroup", "0::/box/inner\n")
    system("cgroup/box/inner/memory.max", "max\n")
    system("cgroup/box/memory.max", f"{3 * GB}\n")
    system("cgroup/box/memory.current", f"{2 * GB}\n")
    system("cgroup/box/memory.stat", "anon 5\ninactive_file 500000000\nactive_file 7\n")
    found = machine.room()
    assert found.bytes == 3 * GB - 2 * GB + GB // 2
    assert found.limit.startswith("the container (")
    assert "box/memory.max" in found.limit


def test_a_container_of_version_1_and_one_that_is_mounted_at_the_top(system):
    system("proc/self/cgroup", "9:cpu:/x\n4:memory:/docker/abc\n")
    system("cgroup/memory/memory.limit_in_bytes", f"{2 * GB}\n")
    system("cgroup/memory/memory.usage_in_bytes", f"{GB}\n")
    assert machine.room().bytes == GB
    system("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert machine.room().limit == "the machine"


def test_more_than_the_limit_leaves_nothing(system):
    system("proc/self/cgroup", "0::/\n")
    system("cgroup/memory.max", f"{GB}\n")
    system("cgroup/memory.current", f"{2 * GB}\n")
    assert machine.room().bytes == 0


@LINUX
def test_limits_of_the_process_count():
    code = (
        "import resource\nfrom exact2vec import machine\n"
        "resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))\nprint(*machine.room())"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True).split(" ", 1)
    assert 5e8 < int(said[0]) < 1e9
    assert said[1] == "ulimit -v\n"


def test_a_system_that_says_nothing_limits_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PROC", tmp_path)
    assert machine.room() is None
    assert machine.resident_bytes() == 0


@LINUX
def test_large_arrays_are_given_back():
    code = (
        "import numpy as np\nfrom exact2vec import machine\n"
        "if {}: machine.give_back_large_arrays()\n"
        "small = []\n"
        "for _ in range(3):\n"
        "    arrays = [np.ones(2_000_000) for _ in range(8)]\n"
        "    small.append(np.ones(1000)); del arrays\n"
        "print(machine.resident_bytes())"
    )
    kept = int(subprocess.check_output([sys.executable, "-c", code.format(True)]))
    assert kept < 100e6  # the arrays were 128 MB


@LINUX
def test_small_arrays_are_kept_for_later():
    code = (
        "import resource\nimport numpy as np\nfrom exact2vec import machine\n"
        "machine.give_back_large_arrays()\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def use(): [np.ones(125_000) for _ in range(20)]\n"
        "use(); before = faults(); use(); print(faults() - before)"
    )
    pages_of_all = 20 * 125_000 * 8 // 4096
    assert int(subprocess.check_output([sys.executable, "-c", code])) < pages_of_all / 10


def test_what_an_error_lacks_is_in_it_or_in_what_it_came_from():
    torch = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B")
    assert machine.lacking(torch) == "memory"
    try:
        try:
            raise OSError("libx.so: failed to map segment from shared object")
        except OSError as error:
            raise ImportError("libx is not there") from error
    except ImportError as error:
        assert machine.lacking(error) == "memory"
    assert machine.lacking(ImportError("no module")) is None
