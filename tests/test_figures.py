"""What the figures show: the right image in the right place, and numbers of known truth."""

import base64
import io

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from direid import figures
from direid.errors import DireidError

RNG = np.random.default_rng(0)


def images(*count, height=16, width=8):
    """Different random images, (*count, 3, H, W) in [0, 1]."""
    return torch.tensor(RNG.uniform(size=(*count, 3, height, width)), dtype=torch.float32)


def as_shown(image):
    """(3, H, W) tensor as the (H, W, 3) array that a panel should hold."""
    return image.permute(1, 2, 0).numpy()


def panels(figure):
    """Axes of the figure by (row, column) of its grid."""
    found = {}
    for ax in figure.axes:
        spec = ax.get_subplotspec()
        found[spec.rowspan.start, spec.colspan.start] = ax
    return found


def pixels(ax):
    (image,) = ax.images
    return np.asarray(image.get_array())


def png(figure):
    buffer = io.BytesIO()
    figures.save(figure, buffer)
    return np.asarray(Image.open(buffer).convert("RGB"))


def frame(ax):
    return mpl.colors.to_hex(ax.spines["left"].get_edgecolor())


DIFFERENCE = {"mean": 1.5, "n": 3, "over_splits": [0.5, 2.5], "over_people": [1.0, 2.0]}


def every_figure():
    """One call of every figure, with small inputs."""
    n = np.arange(30.0)
    run = {"total": (n, 1 / (1 + n)), "triplet": (n, n / 30)}
    return {
        "contact_sheet": lambda: figures.contact_sheet(images(5), list("abcde"), columns=3),
        "degradation_grid": lambda: figures.degradation_grid(images(3), {"jpeg": images(3)}),
        "reconstruction_grid": lambda: figures.reconstruction_grid(images(3), images(3)),
        "feature_maps": lambda: figures.feature_maps(images(2), {"net": images(2)[:, 0]}),
        "swap_grid": lambda: figures.swap_grid(images(2), images(3), images(2, 3)),
        "ranked_lists": lambda: figures.ranked_lists(images(2), images(2, 3), np.eye(2, 3), [0, 1]),
        "loss_curves": lambda: figures.loss_curves({"a": run, "b": run}),
        "cmc_curves": lambda: figures.cmc_curves({"a": np.linspace(0.2, 1, 20)}),
        "rank1_by_level": lambda: figures.rank1_by_level({"a": ([0.5, 0], [0.1, None])}, [0, 1, 2]),
        "degradation_tsne": lambda: figures.degradation_tsne(RNG.normal(size=(30, 4)), n / 30),
        "forest": lambda: figures.forest({"a": {"x": DIFFERENCE}}, lambda found: "a gain"),
        "score_against_level": lambda: figures.score_against_level(n * n, n),
    }  # fmt: skip


NAMES = sorted(every_figure())


def test_every_public_figure_is_tested():
    assert set(figures.__all__) == {*NAMES, "save"}


# --- every figure -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_its_callers_own_and_not_pyplots(name):
    before = dict(mpl.rcParams)
    import matplotlib.pyplot as plt

    open_figures = plt.get_fignums()
    figure = every_figure()[name]()
    assert isinstance(figure, mpl.figure.Figure)
    assert plt.get_fignums() == open_figures
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_fits_a_page_and_a_telephone(name):
    figure = every_figure()[name]()
    drawn = png(figure)
    assert drawn.shape[1] <= 900
    assert (drawn[:4] == 255).all(), "a white margin"
    assert drawn.std() > 5, "something is drawn"
    texts = [
        text for text in figure.findobj(mpl.text.Text) if text.get_text() and text.get_visible()
    ]
    shown = 390 / drawn.shape[1]  # of the saved pixels, on a telephone
    for text in texts:
        assert text.get_fontsize() / 72 * figure.dpi * shown >= 8, text.get_text()


@pytest.mark.parametrize(
    "name", ["loss_curves", "cmc_curves", "rank1_by_level", "score_against_level"]
)
def test_a_figure_is_the_same_whatever_the_readers_style(name):
    plain = png(every_figure()[name]())
    with mpl.style.context(["dark_background", {"font.size": 25, "axes.grid": False}]):
        styled = png(every_figure()[name]())
    np.testing.assert_array_equal(plain, styled)


def test_save_writes_the_same_bytes_for_the_same_figure(tmp_path):
    for name in ("a.png", "b.png"):
        figures.save(figures.cmc_curves({"a": [0.5, 0.75, 1.0]}), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size[0] > 600


@pytest.mark.slow
def test_a_notebook_shows_a_figure_once_with_and_without_the_inline_magic():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    call = "figures.cmc_curves({'a': [0.5, 1.0]})"
    sources = [
        f"from direid import figures\n{call}",
        "%matplotlib inline",
        call,
        f"display({call})",
    ]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    book = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    shown = [cell.outputs for cell in book.cells]
    assert [len(outputs) for outputs in shown] == [1, 0, 1, 1]
    for (output,) in (shown[0], shown[2], shown[3]):
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert 600 < picture.size[0] <= 900


# --- figures of images ------------------------------------------------------------------------


def test_swap_grid_shows_each_swap_between_its_donors():
    contents, degradations, swapped = images(2), images(3), images(2, 3)
    at = panels(figures.swap_grid(contents, degradations, swapped))
    assert set(at) == {(r, c) for r in range(3) for c in range(4)} - {(0, 0)}
    for n in range(2):
        np.testing.assert_array_equal(pixels(at[n + 1, 0]), as_shown(contents[n]))
        for m in range(3):
            np.testing.assert_array_equal(pixels(at[n + 1, m + 1]), as_shown(swapped[n, m]))
    for m in range(3):
        np.testing.assert_array_equal(pixels(at[0, m + 1]), as_shown(degradations[m]))
    assert frame(at[0, 1]) != frame(at[1, 0]), "the two kinds of donors look different"


def test_swap_grid_names_its_axes():
    figure = figures.swap_grid(images(1), images(2), images(1, 2))
    assert "degradation" in figure.get_suptitle() and "content" in figure.get_supylabel()


def test_channels_may_come_first_or_last_in_arrays_and_tensors_of_any_kind():
    given = images(2)
    last = given.permute(0, 2, 3, 1)
    whole = (last.numpy() * 255).round().astype(np.uint8)
    for same in (given, given.numpy(), last, last.numpy(), given.double(), given.requires_grad_()):
        at = panels(figures.contact_sheet(same))
        np.testing.assert_allclose(pixels(at[0, 1]), last[1].detach().numpy())
    np.testing.assert_array_equal(pixels(panels(figures.contact_sheet(whole))[0, 1]), whole[1])
    narrow = images(1, height=5, width=3)  # a tensor's channels come first when in doubt
    np.testing.assert_array_equal(
        pixels(panels(figures.contact_sheet(narrow))[0, 0]), as_shown(narrow[0])
    )
    rounded = pixels(panels(figures.contact_sheet(given.bfloat16()))[0, 1])
    np.testing.assert_allclose(rounded, last[1].detach().numpy(), atol=4e-3)


def test_contact_sheet_fills_rows_in_order():
    given = images(7)
    at = panels(figures.contact_sheet(given, [f"no {i}" for i in range(7)], columns=3))
    assert set(at) == {divmod(i, 3) for i in range(7)}
    for i in range(7):
        np.testing.assert_array_equal(pixels(at[divmod(i, 3)]), as_shown(given[i]))
        assert at[divmod(i, 3)].get_xlabel() == f"no {i}"


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (lambda a, b, c: figures.degradation_grid(a, {"motion_blur": b, "jpeg": c}),
         ["original", "motion blur", "jpeg"]),
        (lambda a, b, c: figures.reconstruction_grid(a, b, {"restored": c}),
         ["input", "decoded", "restored"]),
    ],
)  # fmt: skip
def test_row_grids_hold_one_named_row_per_kind(draw, names):
    rows = [images(4) for _ in names]
    at = panels(draw(*rows))
    assert len(at) == 3 * 4
    for r, row in enumerate(rows):
        assert at[r, 0].get_ylabel() == names[r]
        for c in range(4):
            np.testing.assert_array_equal(pixels(at[r, c]), as_shown(row[c]))


def test_feature_maps_are_stretched_one_by_one_and_cover_the_image():
    maps = np.stack([np.arange(8.0).reshape(4, 2), 1000 - np.arange(8.0).reshape(4, 2)])
    figure = figures.feature_maps(images(2), {"ResNet": maps})
    at = panels(figure)
    low, high = mpl.colormaps["viridis"]([0.0, 1.0])[:, :3]
    for column, (lowest, highest) in enumerate([((0, 0), (3, 1)), ((3, 1), (0, 0))]):
        shown = pixels(at[1, column])
        assert shown.shape == (4, 2, 3)
        np.testing.assert_allclose(shown[lowest], low)
        np.testing.assert_allclose(shown[highest], high)
    figure.draw_without_rendering()  # lays it out
    box, under = at[0, 0].get_position(), at[1, 0].get_position()
    assert under.width == pytest.approx(box.width, rel=0.02)
    assert under.height == pytest.approx(box.height, rel=0.02)


def test_ranked_lists_mark_right_and_wrong_by_sign_colour_and_frame():
    queries, ranked = images(2), images(2, 3)
    correct = torch.tensor([[True, False, False], [False, True, True]])
    figure = figures.ranked_lists(queries, ranked, correct, levels=[0.25, 0.875])
    at = panels(figure)
    looks = {True: set(), False: set()}
    for q in range(2):
        np.testing.assert_array_equal(pixels(at[q, 0]), as_shown(queries[q]))
        assert at[q, 0].get_ylabel() == ["level\n0.25", "level\n0.88"][q]
        assert not at[q, 0].texts, "a query is neither right nor wrong"
        for k in range(3):
            ax = at[q, k + 1]
            np.testing.assert_array_equal(pixels(ax), as_shown(ranked[q, k]))
            (mark,) = ax.texts
            colour = mpl.colors.to_hex(mark.get_bbox_patch().get_facecolor())
            width = ax.spines["left"].get_linewidth()
            looks[bool(correct[q, k])].add((mark.get_text(), colour, frame(ax), width))
    (right,), (wrong,) = looks[True], looks[False]
    assert right[0] == "✓" and wrong[0] == "✗"
    assert all(a != b for a, b in zip(right, wrong, strict=True))
    assert [at[0, c].get_title() for c in range(4)] == ["query", "1", "2", "3"]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.contact_sheet(images(2)[:, :2]), r"images: shape \(2, 2, 16, 8\)"),
        (lambda: figures.contact_sheet(images(2)[0]), r"images: shape \(3, 16, 8\)"),
        (lambda: figures.contact_sheet(images(0)), "images: shape"),
        (lambda: figures.contact_sheet(images(2) * 4 - 2), "was a normalised image passed"),
        (lambda: figures.contact_sheet(images(2) * torch.nan), r"images: .*not finite"),
        (lambda: figures.contact_sheet(images(2), ["one"]), "1 titles for 2 images"),
        (lambda: figures.degradation_grid(images(2), {"jpeg": images(3)}), "'jpeg': 3"),
        (lambda: figures.feature_maps(images(2), {"net": images(2)}), r"net: .*\(N, h, w\)"),
        (lambda: figures.swap_grid(images(2), images(3), images(3, 2)), "2 contents x 3 degrad"),
        (lambda: figures.swap_grid(images(2), images(3), images(6)), "2 contents x 3 degrad"),
        (lambda: figures.ranked_lists(images(2), images(6), np.ones((2, 3))), r"\(2, K, 3, H, W\)"),
        (lambda: figures.ranked_lists(images(2), images(2, 3), np.ones((3, 2))), r"\(2, 3\) and 2"),
        (lambda: figures.ranked_lists(images(2), images(2, 3), np.ones((2, 3)), [1]), "1 levels"),
    ],
)  # fmt: skip
def test_images_that_do_not_fit_are_refused(draw, message):
    with pytest.raises(DireidError, match=message):
        draw()


# --- figures of numbers -----------------------------------------------------------------------


def test_loss_curves_draw_one_panel_per_loss_and_one_line_per_run():
    steps = np.arange(10)
    logs = {
        "ResNet": {"identification": (steps, 5 - steps)},
        "DI-REID": {"identification": (steps, 4 - steps), "invariable_content": (steps, 2 * steps)},
    }  # fmt: skip
    figure = figures.loss_curves(logs)
    by_title = {ax.get_title(): ax for ax in figure.axes}
    assert list(by_title) == ["identification", "invariable content"]
    first, second = by_title["identification"].lines
    np.testing.assert_array_equal(first.get_ydata(), 5 - steps)
    np.testing.assert_array_equal(second.get_ydata(), 4 - steps)
    assert first.get_linestyle() != second.get_linestyle(), "not told by colour alone"
    (only,) = by_title["invariable content"].lines
    np.testing.assert_array_equal(only.get_xydata(), np.stack([steps, 2 * steps], 1))
    assert only.get_color() == second.get_color(), "a run keeps its colour"
    assert [text.get_text() for text in figure.legends[0].texts] == ["ResNet", "DI-REID"]


def test_a_long_noisy_loss_is_drawn_pale_under_its_running_mean():
    values = RNG.normal(size=100)
    figure = figures.loss_curves({"run": {"total": (torch.arange(100), torch.tensor(values))}})
    raw, mean = figure.axes[0].lines
    np.testing.assert_allclose(raw.get_ydata(), values)
    naive = [values[max(0, i - 4) : i + 1].mean() for i in range(100)]  # a twentieth: 5 steps
    np.testing.assert_allclose(mean.get_ydata(), naive, atol=1e-6)
    assert raw.get_alpha() < 0.5 and not figure.legends


def test_cmc_curves_are_drawn_in_percent_from_rank_one():
    figure = figures.cmc_curves(
        {"ResNet": [0.5, 0.75, 1.0], "DI-REID": torch.tensor([0.6, 0.7, 0.8])}
    )
    first, second = figure.axes[0].lines
    np.testing.assert_allclose(first.get_xydata(), [[1, 50], [2, 75], [3, 100]])
    np.testing.assert_allclose(second.get_ydata(), [60, 70, 80], rtol=1e-6)
    assert first.get_marker() != second.get_marker()
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == ["ResNet  (50.0)", "DI-REID  (60.0)"]


def test_rank1_by_level_draws_means_and_errors_in_percent():
    table = {"a": ([0.8, 0.6], [0.05, None]), "b": ([0.7, 0.5], [0.02, 0.03])}
    figure = figures.rank1_by_level(table, [0, 0.25, 1])
    (ax,) = figure.axes
    lines = [container.lines[0] for container in ax.containers]
    np.testing.assert_allclose([line.get_ydata() for line in lines], [[80, 60], [70, 50]])
    bars = [c.lines[2][0].get_segments() for c in ax.containers]
    heights = [[segment[1, 1] - segment[0, 1] for segment in of] for of in bars]
    np.testing.assert_allclose(heights, [[10, 0], [4, 6]], atol=1e-9)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.00–0.25", "0.25–1.00"]
    assert (lines[0].get_xdata() != lines[1].get_xdata()).all(), "bars do not hide bars"


def test_score_against_level_states_spearmans_correlation():
    levels = RNG.uniform(size=40).round(1)  # with ties
    scores = np.exp(3 * levels) + RNG.normal(size=40)
    figure = figures.score_against_level(torch.tensor(scores), levels)
    (ax,) = figure.axes
    assert f"{spearmanr(levels, scores).statistic:.2f}" in ax.get_title()
    assert "40 images" in ax.get_title()
    np.testing.assert_allclose(ax.collections[0].get_offsets(), np.stack([levels, scores], 1))
    # By hand: ranks 1 2 3 4 against 1 3 2 4 give 1 - 6 * (0 + 1 + 1 + 0) / (4 * 15) = 0.8.
    assert "0.80" in figures.score_against_level([1, 30, 2, 99], [1, 2, 3, 4]).axes[0].get_title()


def test_a_score_that_never_changes_has_no_correlation():
    title = figures.score_against_level(np.ones(5), np.arange(5)).axes[0].get_title()
    assert "undefined" in title and "nan" not in title


def test_tsne_separates_clusters_and_colours_them_by_level():
    codes = np.concatenate([RNG.normal(size=(20, 8)), RNG.normal(size=(20, 8)) + 50])
    levels = np.linspace(0, 1, 40)
    figure = figures.degradation_tsne(codes, levels, seed=3)
    ax, bar = figure.axes
    dots = ax.collections[0]
    np.testing.assert_allclose(dots.get_array(), levels)
    low, high = dots.get_offsets()[:20], dots.get_offsets()[20:]
    between = np.linalg.norm(low.mean(axis=0) - high.mean(axis=0))
    assert between > 2 * np.linalg.norm(low - low.mean(axis=0), axis=1).max()
    assert "degradation level" in bar.get_ylabel() and "higher = worse" in bar.get_ylabel()
    again = figures.degradation_tsne(codes, levels, seed=3).axes[0].collections[0].get_offsets()
    np.testing.assert_array_equal(dots.get_offsets(), again)


def test_tsne_of_cameras_has_a_marker_and_a_name_for_each():
    codes, cameras = RNG.normal(size=(12, 4)), np.repeat([0, 3], 6)
    (ax,) = figures.degradation_tsne(codes, cameras, label="camera").axes
    assert [len(group.get_offsets()) for group in ax.collections] == [6, 6]
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "camera"
    assert [text.get_text() for text in legend.texts] == ["0", "3"]
    first, second = (group.get_paths()[0].vertices for group in ax.collections)
    assert first.shape != second.shape or not np.allclose(first, second)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: figures.loss_curves({}), "no losses"),
        (lambda: figures.loss_curves({"a": {"total": ([1, 2], [1])}}), r"a, total: steps \(2,\)"),
        (lambda: figures.loss_curves({"a": {"total": ([1], [np.nan])}}), r"a, total: .*not finite"),
        (lambda: figures.cmc_curves({"ours": [50, 75]}), r"ours: expected .* fractions"),
        (lambda: figures.cmc_curves({"ours": np.ones((2, 2))}), r"ours: expected .* fractions"),
        (lambda: figures.rank1_by_level({"a": ([1], [1])}, [0, 1, 2]), r"a: 1 means .* 2 bins"),
        (lambda: figures.degradation_tsne(np.ones((9, 2)), np.ones(8)), r"\(9, 2\) .* \(8,\)"),
        (lambda: figures.degradation_tsne(np.ones((3, 2)), np.ones(3)), "at least 5"),
        (lambda: figures.score_against_level([1, 2], [1, 2, 3]), r"\(2,\) .* \(3,\)"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_refused(draw, message):
    with pytest.raises(DireidError, match=message):
        draw()


def test_a_forest_shows_each_difference_with_its_intervals_and_its_word():
    alone = {"mean": -2.0, "n": 1, "over_splits": None, "over_people": [-3.0, 0.5]}
    panels = {"minus A": {"x": DIFFERENCE, "y": alone}, "minus B": {"x": alone}}
    figure = figures.forest(panels, lambda found: "open" if found["mean"] < 0 else "a gain")
    first, second = figure.axes
    assert [t.get_text() for t in first.get_yticklabels()] == ["x\na gain, n=3", "y\nopen, n=1"]
    assert [t.get_text() for t in second.get_yticklabels()] == ["x\nopen, n=1"]
    drawn = [line.get_xdata() for line in first.lines]
    assert [list(x) for x in drawn[:3]] == [[1.0, 2.0], [0.5, 2.5], [1.5]]  # people, splits, mean
    assert [list(x) for x in drawn[3:5]] == [[-3.0, 0.5], [-2.0]]  # one split has no interval
    assert first.get_ylim()[0] > first.get_ylim()[1]  # the first row on top
    with pytest.raises(DireidError, match="empty panel"):
        figures.forest({}, str)
