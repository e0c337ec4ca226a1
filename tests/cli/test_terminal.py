"""What a terminal sees: a hint, a bar, no control codes where it moves no cursor."""

import contextlib
import os
import re
import subprocess
import sys

from command_line import GOOD, call


def test_a_terminal_on_stdin_is_a_hint_and_no_hanging(tmp_path):
    import pty

    ours, theirs = pty.openpty()
    for inputs in ([], ["-"]):
        command = [sys.executable, "-m", "exact2vec", "train", *inputs, "-o", str(tmp_path / "run")]
        result = subprocess.run(command, stdin=theirs, capture_output=True, text=True, timeout=60)
        assert (result.returncode, "name a file" in result.stderr) == (2, True), result.stderr
    os.close(ours)
    os.close(theirs)


def without_forecast(shown):
    """The lines without that of seconds, which no two commands need alike."""
    return re.sub(r"^forecast: .*\r?\n", "", shown, flags=re.M)


def seen_on_a_terminal(command, **environment):
    """What a terminal of 80 columns is sent."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    }
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        timeout=60,
        env={**inherited, **environment},
    )
    os.close(theirs)
    assert result.returncode == 0
    shown = b""
    with contextlib.suppress(OSError):  # the end, on Linux
        while part := os.read(ours, 1 << 16):
            shown += part
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_bar_on_a_terminal_and_no_control_codes_elsewhere(tmp_path):
    (tmp_path / "good.txt").write_text(GOOD)
    command = [
        sys.executable,
        "-m",
        "exact2vec",
        "train",
        str(tmp_path / "good.txt"),
        "-o",
        str(tmp_path / "run"),
        "--min-count=2",
        "--epochs=4",
        "--force",
    ]
    lines = without_forecast(
        subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
    )
    assert "\x1b" not in lines
    assert [text.split("  ")[0] for text in lines.splitlines() if text.startswith("epoch")] == [
        "epoch 0",
        "epoch 1/4",
        "epoch 2/4",
        "epoch 3/4",
        "epoch 4/4",
    ]
    assert without_forecast(seen_on_a_terminal(command, TERM="dumb")) == lines
    shown = seen_on_a_terminal(command, TERM="xterm")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "━" in plain
    assert re.search(r"ETA (-|\d+):", plain)
    for text in without_forecast(lines).splitlines():
        assert plain.count(f"{text}\n") == 1, text


def test_a_pipe_closed_in_the_middle(tmp_path):
    words = " ".join(f"w{number}" for number in range(8_000))
    (tmp_path / "many.txt").write_text(words)
    assert (
        call(
            "train",
            tmp_path / "many.txt",
            "-o",
            tmp_path / "run",
            "--min-count=1",
            "--held-out=0",
            "--epochs=0",
            "--vector-size=1",
        ).exit_code
        == 0
    )
    asked = f"{sys.executable} -m exact2vec neighbors {tmp_path}/run w1 -n 7900"
    command = f"{asked} | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (result.returncode, "Traceback" in result.stderr) == (0, False)
