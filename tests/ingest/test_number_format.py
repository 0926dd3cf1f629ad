from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from ingest.loaders.number_format import Moment, shown_moment, shown_number

ACCOUNTING = '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)'


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (1234.5, "#,##0.00", "1,234.50"),
        (0.125, "0%", "13%"),
        (-5, "0.00;(0.00)", "(5.00)"),
        (-5.5, ACCOUNTING, "$(5.50)"),
        (0, ACCOUNTING, "$-"),
        (1234567, "[$€-407] #,##0", "€ 1,234,567"),
        (5551234567, "(###) ###-####", "(555) 123-4567"),
        (42, "000000", "000042"),
        (1.5, "# ?/?", "1 1/2"),
        (0.000012345, "0.00E+00", "1.23E-05"),
        (1234567, '#,##0.0,," M"', "1.2 M"),
        (150, '[>100]"high";"low"', "high"),
        (0.5, "[Red]0.0;[Blue]-0.0", "0.5"),
        (123456789012, "General", "123456789012"),
        (0.1 + 0.2, "General", "0.3"),
        (1234, "#,##0.##", "1,234"),
        (1e300, "#,##0", "1E+300"),
        (7, '0" pieces"', "7 pieces"),
        (7, "?" * 300 + "\\", "7"),
        (7, "[[[;;;", "[[["),
    ],
)
def test_a_number_looks_as_in_its_cell(value: float, code: str, shown: str) -> None:
    assert shown_number(value, code) == shown


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (datetime(2024, 3, 5), "dd/mm/yyyy", "05/03/2024"),
        (datetime(2024, 3, 5), "d. mmmm yyyy", "5. March 2024"),
        (datetime(2024, 3, 5), "mmm-yy", "Mar-24"),
        (datetime(2024, 3, 5), 'yyyy"年"m"月"d"日"', "2024年3月5日"),
        (datetime(2024, 3, 5, 14, 7, 9), "h:mm AM/PM", "2:07 PM"),
        (datetime(2024, 3, 5, 14, 7, 9), "mm:ss", "07:09"),
        (datetime(2024, 3, 5, 11, 59, 59, 999900), "hh:mm", "12:00"),
        (time(9, 30), "h:mm", "9:30"),
        (timedelta(hours=30, minutes=5), "[h]:mm", "30:05"),
        (date(2024, 3, 5), "yyyy-mm-dd", "2024-03-05"),
    ],
)
def test_a_date_or_time_looks_as_in_its_cell(value: Moment, code: str, shown: str) -> None:
    assert shown_moment(value, code) == shown


@pytest.mark.parametrize("code", ["mm-dd-yy", "[$-F800]dddd, mmmm dd, yyyy"])
def test_a_date_that_looks_different_in_each_country_is_written_in_the_order_that_all_know(code: str) -> None:
    assert shown_moment(datetime(2024, 3, 5), code) == "2024-03-05"
