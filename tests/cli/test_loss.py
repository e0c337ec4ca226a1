"""The command `loss`: one score a class, signs and steps."""

from command_line import call


def test_one_class_loses_nothing_and_not_minus_nothing():
    printed = call("loss", "1").stdout
    assert ("0.0000" in printed, "-0.0000" in printed) == (True, False)
