"""CSV files that are adjusted for splits, list them, or contradict them."""

import numpy as np
import pytest
from csv_files import HEADER, ROWS, day, refused, write

from belief.prices import COLUMNS, Split
from belief.sessions import sessions_between
from belief.sources import load_prices


def adjusted_lines(prices, *, stamp="{} 00:00:00-05:00"):
    """The rows yfinance would give on the last session: adjusted for all splits, which it lists."""
    factor = prices.split_factor()
    ratios = dict(prices.splits)
    lines = ["Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits"]
    for row, session in enumerate(prices.session):
        four = [repr(float(getattr(prices, c)[row] / factor[row])) for c in COLUMNS[:-1]]
        cells = [
            stamp.format(session),
            *four,
            four[-1],
            repr(float(prices.volume[row] * factor[row])),
        ]
        lines.append(",".join([*map(str, cells), "0.0", str(ratios.get(session, 0.0))]))
    return lines


def test_an_adjusted_csv_with_its_splits_gives_the_prices_as_traded(tmp_path):
    bundled = load_prices("NVDA")
    prices = load_prices("NVDA", csv=write(tmp_path, adjusted_lines(bundled)))
    assert prices.splits_known
    assert prices.splits == bundled.splits
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(prices, column), getattr(bundled, column))
    assert prices.fingerprint() == load_prices("NVDA").fingerprint()


def test_an_adjusted_csv_written_newest_first_gives_the_same_prices(tmp_path):
    header, *rows = adjusted_lines(load_prices("NVDA"))
    prices = load_prices("NVDA", csv=write(tmp_path, [header, *reversed(rows)]))
    assert prices.fingerprint() == load_prices("NVDA").fingerprint()


def test_an_adjusted_csv_in_single_precision_gives_the_prices_as_traded_to_a_millionth(tmp_path):
    bundled = load_prices("NVDA")
    lines = adjusted_lines(bundled)
    for number in range(1, len(lines)):
        cells = lines[number].split(",")
        cells[1:6] = [repr(float(np.float32(cell))) for cell in cells[1:6]]
        lines[number] = ",".join(cells)
    prices = load_prices("NVDA", csv=write(tmp_path, lines))
    np.testing.assert_allclose(prices.close, bundled.close, rtol=2e-7)
    np.testing.assert_array_equal(prices.volume, bundled.volume)


def test_a_csv_as_traded_with_its_splits_is_not_converted(tmp_path):
    bundled = load_prices("NVDA")
    ratios = dict(bundled.splits)
    lines = ["Date,Open,High,Low,Close,Volume,Stock Splits"]
    for row, session in enumerate(bundled.session):
        cells = [repr(float(getattr(bundled, column)[row])) for column in COLUMNS]
        lines.append(",".join([str(session), *cells, str(ratios.get(session, ""))]))
    prices = load_prices("NVDA", csv=write(tmp_path, lines))
    assert prices.fingerprint() == load_prices("NVDA").fingerprint()


def test_a_csv_as_traded_without_its_splits_is_refused(tmp_path):
    bundled = load_prices("NVDA")
    lines = ["Date,Open,High,Low,Close,Volume"]
    for row, session in enumerate(bundled.session):
        cells = [repr(float(getattr(bundled, column)[row])) for column in COLUMNS]
        lines.append(",".join([str(session), *cells]))
    message = refused(write(tmp_path, lines))
    assert "2006-04-07" in message
    assert "2:1 split that is not recorded" in message


def halved(rows):
    """Rows whose prices from the fourth on are half: a jump that looks like a split."""
    lines = [HEADER + ",Stock Splits"]
    for number, row in enumerate(rows):
        cells = row.split(",")
        if number >= 3:
            cells[1:6] = [repr(float(cell) / 2) for cell in cells[1:6]]
        lines.append(",".join([*cells, "0"]))
    return lines


def test_a_split_of_ratio_1_in_a_csv_declares_a_real_jump(tmp_path):
    lines = halved(ROWS)
    assert "2024-03-07" in refused(write(tmp_path, lines))
    lines[4] = lines[4][:-1] + "1"
    prices = load_prices("XYZ", csv=write(tmp_path, lines))
    assert prices.splits == (Split(day("2024-03-07"), 1.0),)
    assert prices.close[3] == 926.69 / 2


def test_a_column_of_splits_without_any_says_that_there_were_none(tmp_path):
    lines = [
        HEADER + ",Stock Splits",
        *(row + end for row, end in zip(ROWS, [",", ",0.0", ",nan", ",NaN", ",0"], strict=True)),
    ]
    prices = load_prices("XYZ", csv=write(tmp_path, lines))
    assert prices.splits_known
    assert prices.splits == ()


@pytest.mark.parametrize("text", ["-2", "abc", "inf", "2:1", "1e999", "201", "0.004"])
def test_a_split_that_is_no_ratio_is_refused(tmp_path, text):
    lines = [HEADER + ",Stock Splits", *(row + ",0" for row in ROWS)]
    lines[3] = lines[3][:-1] + text
    assert text.removeprefix("-") in refused(write(tmp_path, lines))


def quiet_lines(splits, *, adjusted, rows=40):
    """The rows that a source has after `rows` sessions of a quiet stock with splits {row: ratio}.

    At row 10 the stock falls by 4 %, so that a stock dividend of 5 % there is hard to see.
    """
    known = {row: ratio for row, ratio in splits.items() if row < rows}
    lines = ["Date,Open,High,Low,Close,Stock Splits"]
    for row, session in enumerate(sessions_between(day("2024-01-02"), day("2024-12-31"))[:rows]):
        price = 100.0 if row < 10 else 96.0
        for at, ratio in known.items():
            price /= ratio if adjusted or row >= at else 1.0
        lines.append(",".join([str(session), *[repr(price)] * 4, str(known.get(row, 0))]))
    return lines


@pytest.mark.parametrize(
    ("splits", "adjusted"),
    [
        ({10: 1.05, 30: 4.0}, True),
        ({10: 1.05, 30: 0.1}, True),
        ({10: 1.05}, True),
        ({5: 2.0, 10: 1.05, 30: 4.0}, True),
        ({5: 2.0, 10: 1.05, 30: 4.0}, False),
        ({5: 1.25, 10: 1.05, 30: 0.8}, False),
    ],
)
def test_no_later_row_changes_what_a_split_has_shown(tmp_path, splits, adjusted):
    whole = load_prices("XYZ", csv=write(tmp_path, quiet_lines(splits, adjusted=adjusted)))
    traded = [float(line.split(",")[4]) for line in quiet_lines(splits, adjusted=False)[1:]]
    np.testing.assert_allclose(whole.close, traded, rtol=1e-7)
    for rows in (11, 29, 31):
        path = write(tmp_path, quiet_lines(splits, adjusted=adjusted, rows=rows))
        part, cut = load_prices("XYZ", csv=path), whole.until(whole.session[rows - 1])
        np.testing.assert_allclose(part.close, cut.close, rtol=1e-7)
        assert part.splits == cut.splits


@pytest.mark.parametrize("adjusted", [True, False])
def test_a_file_with_only_small_splits_is_taken_as_adjusted(tmp_path, adjusted):
    path = write(tmp_path, quiet_lines({10: 1.05, 20: 1.2}, adjusted=adjusted))
    close = [float(line.split(",")[4]) for line in path.read_text().splitlines()[1:]]
    prices = load_prices("XYZ", csv=path)
    assert prices.close[0] == round(close[0] * 1.05 * 1.2, 6)
    assert prices.close[15] == round(close[15] * 1.2, 6)
    assert prices.close[-1] == round(close[-1], 6)


def test_splits_that_contradict_the_prices_are_refused_by_session(tmp_path):
    lines = quiet_lines({5: 2.0, 30: 4.0}, adjusted=False)
    lines[21] = lines[21][:-1] + "3"  # nothing jumps here
    assert refused(write(tmp_path, lines)) == (
        "the splits listed in prices.csv contradict its prices: "
        "at 2024-01-09 as traded through the ratio 2, at 2024-01-31 adjusted for the ratio 3; "
        "list every split, and give prices either all as traded or all adjusted"
    )


def test_a_split_at_the_first_row_shows_nothing_and_changes_nothing(tmp_path):
    prices = load_prices("XYZ", csv=write(tmp_path, quiet_lines({0: 4.0}, adjusted=True)))
    assert prices.close[0] == 25.0


@pytest.mark.parametrize("text", ["201", "0.0049", "1e300"])
def test_a_split_ratio_beyond_200_is_refused_by_line_and_value(tmp_path, text):
    lines = [HEADER + ",Stock Splits", *(row + ",0" for row in ROWS)]
    lines[3] = lines[3][:-1] + text
    assert refused(write(tmp_path, lines)) == (
        f"prices.csv line 4: Stock Splits is '{text}', not from 1/200 to 200"
    )
