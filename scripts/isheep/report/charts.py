"""Drawings: Vega-Lite charts as SVG whose colours the page's style sheet can change (light, dark, print).

Every mark carries its numbers as a label, which the page shows beside the pointer and reads out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from isheep.report.histograms import Bar

# Okabe and Ito's colours (jfly.uni-koeln.de/color), told apart with any kind of colour vision; black is left to text.
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#999999")
# Odd values, so that page.css finds them and gives them the colours of the theme.
INK, MUTED, GRID, FAINT = "#101112", "#505152", "#d0d1d2", "#b0b1b2"
WIDTH, HEIGHT = 330, 170
SHORT = 22  # characters of a name that leaves room for another one beside it
LABELS = 96  # room for the names of floors, right of the drawing
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")  # not in XML
CONFIG = {
    "background": "transparent",
    "font": FONT,
    "padding": {"left": 5, "top": 5, "bottom": 5, "right": 14},  # the widths of texts are estimates
    "view": {"stroke": None},
    "axis": {
        **{"labelColor": MUTED, "titleColor": MUTED, "gridColor": GRID, "domainColor": FAINT, "tickColor": FAINT},
        **{"labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelLimit": 140},
    },
    "legend": {"labelColor": INK, "labelFontSize": 11, "orient": "bottom", "title": None, "columns": 2, "offset": 6},
    "header": {"labelColor": INK, "labelFontSize": 11},
}
Row = dict[str, Any]


def ticks(numbers: Sequence[int], most: int = 8) -> list[int]:
    """Return at most `most` of the rounds, evenly apart, first and last among them."""
    distinct = sorted(set(numbers))
    if len(distinct) <= most:
        return distinct
    return sorted({distinct[round(k * (len(distinct) - 1) / (most - 1))] for k in range(most)})


def _altair() -> Any:
    """Return the library, told not to check every part against its schema: that takes as long as drawing."""
    import altair
    from altair.utils import schemapi

    schemapi.disable_debug_mode()
    return altair


def _svg(chart: Any) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(_printable(chart.configure(**CONFIG).to_dict(validate=False)))


def _printable(value: Any) -> Any:
    """Return a chart without characters that no SVG can hold: at one of them the converter ends the whole process."""
    if isinstance(value, dict):
        return {_printable(key): _printable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_printable(child) for child in value]
    return CONTROL.sub("\ufffd", value) if isinstance(value, str) else value


def _rounds_axis(numbers: Sequence[int], prefix: str, base: str | None = None) -> Any:
    alt = _altair()

    shown = ticks(numbers)
    named = f"'{prefix}' + datum.value"
    label = f"datum.value == 0 ? '{base}' : {named}" if base else named
    low, high = min(numbers), max(numbers)
    room = 0.25 if high > low else 0.5
    axis = alt.Axis(values=shown, labelExpr=label, title=None, grid=False)
    return alt.X("x:Q", scale=alt.Scale(domain=[low - room, high + room], nice=False), axis=axis)


def _value_axis(unit: str, domain: Sequence[float] | None = None, zero: bool = False, field: str = "value") -> Any:
    """Return the axis of values; its unit stands in the figure's caption, where it is read without turning the head."""
    alt = _altair()

    scale = alt.Scale(domain=list(domain), nice=False) if domain else alt.Scale(zero=zero)
    # 0.82 stays 0.82; only many thousands are shortened.
    label = "format(datum.value, '~%')" if unit == "%" else "format(datum.value, datum.value < 10000 ? '~g' : '~s')"
    return alt.Y(f"{field}:Q", scale=scale, axis=alt.Axis(title=None, tickCount=5, labelExpr=label))


def _colour(series: Sequence[str]) -> Any:
    alt = _altair()

    names = list(dict.fromkeys(series))
    palette = [COLOURS[place % len(COLOURS)] for place in range(len(names))]
    legend = _legend(names) if len(names) > 1 else None
    return alt.Color("series:N", scale=alt.Scale(domain=names, range=palette), legend=legend)


def _legend(names: Sequence[str]) -> Any:
    """Return the legend of some series; long names stand below each other, so that none is cut off."""
    return _altair().Legend(symbolOpacity=1, columns=2 if max(map(len, names)) <= SHORT else 1, labelLimit=WIDTH - 40)


def curves(rows: Sequence[Row], unit: str, floors: Sequence[Row] = (), prefix: str = "iter_", base: str | None = None,
           zero: bool = False) -> str:  # fmt: skip
    """Return lines over rounds, with intervals as bars and floors as dashed lines.

    Parameters
    ----------
    rows
        x (round), value, low and high (or None), series, label.
    unit
        Of the values; % for shares from 0 to 1.
    floors
        value, label: horizontal lines; those of one height share a line.
    prefix, base
        What stands before a round's number; what round 0 is called instead.
    zero
        The axis of values starts at 0.
    """
    alt = _altair()

    names = list(dict.fromkeys(row["series"] for row in rows))
    apart = min(0.07, 0.4 / len(names)) if names else 0
    beside = {name: (place - (len(names) - 1) / 2) * apart for place, name in enumerate(names)}
    rounds = [row["x"] for row in rows]
    data = alt.Data(values=[{**row, "x": row["x"] + beside[row["series"]]} for row in rows])
    domain = _domain([row.get(key) for row in rows for key in ("value", "low", "high")], floors, zero)
    x, y, colour = _rounds_axis(rounds, prefix, base), _value_axis(unit, domain), _colour(names)
    chart = alt.Chart(data).encode(x=x, color=colour)
    layers = [
        *_floor_lines(floors, unit, domain),
        chart.mark_rule(strokeWidth=2, opacity=0.55, aria=False)
        .encode(y=_value_axis(unit, domain, field="low"), y2="high:Q")
        .transform_filter("isValid(datum.low) && isValid(datum.high)"),
        *_lines(chart, y, names),
    ]
    return _svg(alt.layer(*layers).properties(width=WIDTH - (LABELS if floors else 0), height=HEIGHT))


def _lines(chart: Any, y: Any, names: Sequence[str]) -> list[Any]:
    """Return lines and points; of several, each has a dash and a shape besides its colour."""
    alt = _altair()

    line, field = chart.mark_line(strokeWidth=2, aria=False).encode(y=y), "series:N"
    if len(names) == 1:
        return [line, chart.mark_circle(size=60, opacity=1).encode(y=y, description="label:N")]
    dashes, shapes = (
        # Where there are more runs than colours, the next ones with a colour have another shape.
        alt.Scale(
            domain=list(names), range=[of[(place + place // len(COLOURS)) % len(of)] for place in range(len(names))]
        )
        for of in (DASHES, SHAPES)
    )
    points = chart.mark_point(size=60, opacity=1, filled=True).encode(y=y, description="label:N")
    return [
        line.encode(strokeDash=alt.StrokeDash(field, scale=dashes, legend=None)),
        points.encode(shape=alt.Shape(field, scale=shapes, legend=_legend(names))),
    ]


def against(rows: Sequence[Row], unit: str, setting: str) -> str:
    """Return a point with its interval for every run, over the values of a setting in their order.

    Parameters
    ----------
    rows
        x (the setting's value as text), value, low and high (or None), label.
    unit, setting
        Of the values; what x is.
    """
    alt = _altair()

    names = sorted({row["x"] for row in rows}, key=_by_size)
    domain = _domain([row[key] for row in rows for key in ("value", "low", "high")], (), False)
    axis = alt.Axis(title=setting, labelAngle=0, labelLimit=90)
    chart = alt.Chart(alt.Data(values=list(rows))).encode(x=alt.X("x:N", sort=names, axis=axis))
    bars = chart.mark_rule(strokeWidth=2, opacity=0.55, color=COLOURS[0], aria=False)
    bars = bars.encode(y=_value_axis(unit, domain, field="low"), y2="high:Q")
    points = chart.mark_circle(size=60, opacity=1, color=COLOURS[0])
    points = points.encode(y=_value_axis(unit, domain), description="label:N")
    layers = [bars.transform_filter("isValid(datum.low) && isValid(datum.high)"), points]
    return _svg(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT))


def _by_size(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _domain(values: Sequence[float | None], floors: Sequence[Row], zero: bool) -> tuple[float, float]:
    known = [value for value in [*values, *(floor["value"] for floor in floors)] if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    low = min(low, 0.0) if zero else low
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return (low if zero and low == 0 else low - room), high + room


def _floor_lines(floors: Sequence[Row], unit: str, domain: tuple[float, float]) -> list[Any]:
    """Return a dashed line for every height, its name right of it; names move apart where lines are close."""
    alt = _altair()

    heights: dict[float, list[str]] = {}
    for floor in sorted(floors, key=lambda floor: floor["value"]):
        heights.setdefault(floor["value"], []).append(floor["label"])
    gap = 12 / HEIGHT * (domain[1] - domain[0])
    rows: list[Row] = []
    for value, labels in heights.items():
        place = max(value, rows[-1]["place"] + gap) if rows else value
        rows.append({"value": value, "place": place, "name": ", ".join(labels), "label": f"floor: {', '.join(labels)}"})
    if not rows:
        return []
    chart = alt.Chart(alt.Data(values=rows))
    return [
        chart.mark_rule(strokeDash=[5, 4], color=MUTED, strokeWidth=1.2).encode(
            y=_value_axis(unit, domain), description="label:N"
        ),
        chart.mark_text(align="left", baseline="middle", fontSize=11, color=MUTED, limit=LABELS, aria=False).encode(
            x=alt.value(WIDTH - LABELS + 5), y=_value_axis(unit, domain, field="place"), text="name:N"
        ),
    ]


def bands(values: Mapping[str, Sequence[tuple[int, float]]], unit: str, prefix: str = "d_") -> str:
    """Return the median over rounds with a dark band from p25 to p75 and a light one from p5 to p95.

    Parameters
    ----------
    values
        p5, p25, p50, p75, p95: (round, value).
    unit
        Of the values.
    """
    alt = _altair()

    by_round: dict[int, Row] = {}
    for name, pairs in values.items():
        for i, value in pairs:
            by_round.setdefault(i, {"x": i})[name] = value
    rows = [{**row, "label": _quantiles(row, unit, prefix)} for _, row in sorted(by_round.items())]
    chart = alt.Chart(alt.Data(values=rows)).encode(x=_rounds_axis([row["x"] for row in rows], prefix))
    scale = _value_axis(unit, zero=True, field="p95")
    single = len(rows) == 1  # an area over one round has no width
    area = (lambda: chart.mark_bar(size=40, aria=False)) if single else (lambda: chart.mark_area(aria=False))
    layers = []
    for low, high, opacity in (("p5", "p95", 0.18), ("p25", "p75", 0.35)):
        if low in values and high in values:
            y = scale if high == "p95" else _value_axis(unit, zero=True, field=high)
            layers.append(area().encode(y=y, y2=f"{low}:Q", opacity=alt.value(opacity), color=alt.value(COLOURS[0])))
    middle = _value_axis(unit, zero=True, field="p50")
    layers.append(chart.mark_line(strokeWidth=2, color=COLOURS[0], aria=False).encode(y=middle))
    layers.append(chart.mark_circle(size=60, color=COLOURS[0], opacity=1).encode(y=middle, description="label:N"))
    return _svg(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT))


def _quantiles(row: Row, unit: str, prefix: str) -> str:
    figures = ", ".join(f"{name} {row[name]:.4g}" for name in ("p5", "p25", "p50", "p75", "p95") if name in row)
    return f"{prefix}{row['x']}: {figures} {unit}"


def stacked(rows: Sequence[Row], unit: str, order: Sequence[str], prefix: str) -> str:
    """Return stacked bars, one a round.

    Parameters
    ----------
    rows
        x (round), series, value, label.
    unit
        Of the values.
    order
        Series from the bottom of a bar to its top.
    prefix
        What stands before a round's number.
    """
    alt = _altair()

    rounds = sorted({row["x"] for row in rows})
    data = alt.Data(values=[{**row, "place": list(order).index(row["series"])} for row in rows])
    colour = _colour(order)
    colour.legend = alt.Legend(symbolType="square")
    shown = alt.Axis(title=None, labelAngle=0, labelExpr=f"'{prefix}' + datum.value", values=ticks(rounds))
    chart = (
        alt.Chart(data)
        .mark_bar(stroke="transparent")
        .encode(
            x=alt.X("x:O", axis=shown, scale=alt.Scale(paddingInner=0.25)),
            y=_value_axis(unit, zero=True),
            color=colour,
            order=alt.Order("place:Q"),
            description="label:N",
        )
    )
    return _svg(chart.properties(width=WIDTH, height=HEIGHT))


def histogram(bars: Sequence[Bar], title: str, prefix: str = "d_", most: int = 8) -> str:
    """Return a distribution for every round below one another, kept rows dark and the others light.

    Parameters
    ----------
    bars
        round, low and high end of a bin, kept, rows.
    title
        What is counted.
    prefix, most
        What stands before a round's number; how many rounds are drawn.
    """
    alt = _altair()

    shown = ticks([bar["round"] for bar in bars], most)
    names = {True: "kept", False: "not kept"}
    rows = [
        {
            **bar,
            "name": f"{prefix}{bar['round']}",
            "series": names[bar["kept"]],
            "label": f"{prefix}{bar['round']}, {bar['low']:.4g} to {bar['high']:.4g}: "
            f"{bar['rows']:,} rows {names[bar['kept']]}",
        }
        for bar in bars
        if bar["round"] in shown
    ]
    order = [f"{prefix}{i}" for i in shown]
    colour = alt.Color(
        "series:N",
        scale=alt.Scale(domain=["kept", "not kept"], range=[COLOURS[0], COLOURS[5]]),
        legend=alt.Legend(symbolType="square"),
    )
    facet = alt.Row(
        "name:N",
        sort=order,
        spacing=6,
        header=alt.Header(title=None, labelAngle=0, labelAlign="left", labelOrient="left"),
    )
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(stroke="transparent")
        .encode(
            x=alt.X("low:Q", bin="binned", scale=alt.Scale(nice=False), axis=alt.Axis(title=title, grid=False)),
            x2="high:Q",
            y=alt.Y("rows:Q", stack=True, axis=alt.Axis(title=None, tickCount=2, format="~s")),
            color=colour,
            description="label:N",
            row=facet,
        )
    )
    height = 70 if len(shown) < 4 else 46
    return _svg(chart.properties(width=WIDTH - 20, height=height))


def losses(rows: Sequence[Row], unit: str) -> str:
    """Return the training loss by step: step, value, series, label; `unit` is that of the values."""
    alt = _altair()

    names = list(dict.fromkeys(row["series"] for row in rows))
    chart = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X("step:Q", axis=alt.Axis(title="step", tickMinStep=1, format="d", tickCount=6, grid=False)),
        y=_value_axis(unit),
        color=_colour(names),
    )
    points = chart.mark_circle(size=22 if len(rows) < 200 else 6, opacity=1).encode(description="label:N")
    layered = alt.layer(chart.mark_line(strokeWidth=2, aria=False), points)
    return _svg(layered.properties(width=WIDTH, height=HEIGHT))
