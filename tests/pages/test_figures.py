"""The figures: what stands on their axes, and the files that they become."""

import json

import numpy as np
import pytest
from command_line import call

import exact2vec as e2v
from exact2vec.errors import UsageError
from exact2vec.pages import figures


def lines(axes):
    return {line.get_label(): np.array(line.get_data()) for line in axes.lines}


def test_the_curve_of_log_p_is_the_lectures():
    left, right = figures.log_curve().axes
    p = np.array([1e-7 + (0.9 - 1e-7) * number / 499 for number in range(500)])
    for axes, sign in ((left, 1), (right, -1)):
        x, y = axes.lines[0].get_data()
        np.testing.assert_allclose(x, p, rtol=1e-12)
        np.testing.assert_allclose(y, sign * np.log(p), rtol=1e-12)
        assert "nats" in axes.get_ylabel()


def test_marked_classes_lie_on_the_curve():
    found = e2v.explain([-1, 2.3, 0.1])
    right = figures.loss_figure(found).axes[1]
    assert [tuple(np.array(line.get_data()).ravel()) for line in right.lines[1:]] == [
        pytest.approx((p, nll)) for p, nll in zip(found.probabilities, found.nll, strict=True)
    ]
    assert [text.get_text() for text in right.texts] == ["class 0", "class 1", "class 2"]


def test_the_steps_are_all_losses_and_all_weights():
    descent = e2v.descend([-1, 0.2], 1, steps=7, rate=0.3)
    left, right = figures.loss_figure(descent, 1).axes
    assert left.lines[0].get_ydata().tolist() == descent.losses
    assert len(descent.losses) == 7
    drawn = lines(right)
    assert list(drawn) == ["class 0", "class 1 (target)"]
    for number, (x, y) in enumerate(drawn.values()):
        assert x.tolist() == list(range(8))
        assert y.tolist() == [weights[number] for weights in descent.weights]
    assert len({(line.get_color(), line.get_linestyle()) for line in right.lines}) == 2


def test_the_training_curve_shows_estimates_with_their_error_and_leaves_out_what_was_not_measured():
    history = [
        {"epoch": 0, "nll": 5.0, "held_out_nll": None},
        {"epoch": 1, "nll": 4.5, "nll_standard_error": 0.1, "held_out_nll": None},
    ]
    (axes,) = figures.training_curve(history, {"ln V": 6.0, "floor": 3.0}).axes
    (bars,) = axes.containers
    assert bars.lines[0].get_xydata().tolist() == [[0, 5.0], [1, 4.5]]
    assert [(segment[0][1], segment[1][1]) for segment in bars.lines[2][0].get_segments()] == [
        (5.0, 5.0),
        (4.4, 4.6),
    ]
    assert [line.get_ydata()[0] for line in axes.lines[-2:]] == [6.0, 3.0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "ln V 6.000",
        "floor 3.000",
        "training",
    ]


def test_bands_leave_a_gap_where_there_are_no_pairs():
    (axes,) = figures.frequency_bands(["1-9", "10-99", "100-"], {"training": [3.0, None, 2.0]}).axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [3, np.nan, 2])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1-9", "10-99", "100-"]


def test_a_map_names_the_first_words_that_find_room_as_plain_text(tmp_path):
    points = [[0, 1], [0.01, 1], [2, 3], [4, 5]]
    figure = figures.word_map(
        points, ["$x^2$", "beneath", "c", "d"], [1.0, 2.0, 3.0, 4.0], labels=2, colour_name="loss"
    )
    assert figure.axes[0].collections[0].get_offsets().tolist() == points
    assert [text.get_text() for text in figure.axes[0].texts] == [r"\$x^2\$", "c"]
    assert all(
        text.get_text().count(r"\$") == text.get_text().count("$") for text in figure.axes[0].texts
    )
    figures.save(figure, tmp_path / "map.svg")


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".PDF", b"%PDF")]
)
def test_saved_by_suffix_with_the_same_bytes_each_time(tmp_path, suffix, magic):
    for name in ("one", "two"):
        figures.save(figures.log_curve(), tmp_path / (name + suffix))
    assert (tmp_path / f"one{suffix}").read_bytes().startswith(magic)
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    with pytest.raises(UsageError, match="exists; use --force"):
        figures.save(figures.log_curve(), tmp_path / f"one{suffix}")
    with pytest.raises(UsageError, match=r"written as \.svg, \.png, \.pdf; got the suffix '\.gif'"):
        figures.save(figures.log_curve(), tmp_path / "one.gif")


def test_each_figure_of_the_lecture_is_one_command(tmp_path):
    def run(*arguments):
        return call("loss", *arguments)

    assert run("--figure", str(tmp_path / "log.svg")).exit_code == 0
    assert "−log p" in (tmp_path / "log.svg").read_text()
    drawn = run(
        "-1",
        ".2",
        "--target",
        "0",
        "--steps",
        "10",
        "--figure",
        str(tmp_path / "steps.svg"),
        "--json",
    )
    assert json.loads(drawn.stdout)["losses"][-1] == pytest.approx(0.131842, abs=5e-7)
    assert "class 0 (target)" in (tmp_path / "steps.svg").read_text()
    again = run("--figure", str(tmp_path / "log.svg"))
    assert (again.exit_code, run("--figure", str(tmp_path / "log.svg"), "--force").exit_code) == (
        2,
        0,
    )
    assert "use --force" in again.stderr
    for wrong in ([], ["--target", "0", "--figure", "x.svg"]):
        assert run(*wrong).exit_code == 2
        assert "no scores" in run(*wrong).stderr
