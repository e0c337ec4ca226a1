"""The command `loss`: one score a class, signs and steps."""

from command_line import call


def test_one_class_loses_nothing_and_not_minus_nothing():
    printed = call("loss", "1").stdout
    assert ("0.0000" in printed, "-0.0000" in printed) == (True, False)


def test_the_loss_command_needs_no_dashes():
    shown = call("loss", "-1", "2.3", ".1").stdout
    for number in ("3.4377", "0.1377", "2.3377"):
        assert number in shown
    steps = call(
        "loss", "-1", ".2", "--target", "0", "--steps", "10", "--rate", "0.5"
    ).stdout.splitlines()
    assert len(steps) == 12
    assert "1.463282" in steps[1]
    assert "0.131842" in steps[10]
    assert steps[11].split() == ["10", "0.641514", "-1.441514"]
    assert call("loss", "1", "2", "--target", "5").exit_code == 2


def test_large_numbers_are_short_and_too_many_steps_are_refused():
    """A line holds every weight of a step: millions would print for hours."""
    shown = call("loss", "1e308", "-1e308").stdout
    assert "1e+308" in shown
    assert max(map(len, shown.splitlines())) < 80
    refused = call("loss", "1", "2", "--target", "0", "--steps", "100000000000")
    assert refused.exit_code == 2
    assert "100000" in refused.stderr
